//! The rows: one table in one SQLite file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::form::Entry;

/// How long a statement waits for another writer, or for a replicator's checkpoint.
const BUSY: Duration = Duration::from_secs(5);

/// A row of the guest book.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    /// Counts from 1.
    pub id: i64,
    /// When, as `2025-01-31T12:00:00Z`.
    pub at: String,
    /// Who.
    pub name: String,
    /// What.
    pub message: String,
}

/// A connection to the file.
pub struct Store {
    path: PathBuf,
    connection: Connection,
}

impl Store {
    /// Opens the file or makes it, in WAL mode (Litestream needs it), with its table.
    pub fn create(path: &Path) -> rusqlite::Result<Self> {
        let store = Self::connect(path, OpenFlags::SQLITE_OPEN_CREATE)?;
        store.connection.pragma_update(None, "journal_mode", "wal")?;
        store.connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS entries (
                id      INTEGER PRIMARY KEY,
                at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
                name    TEXT NOT NULL,
                message TEXT NOT NULL
            ) STRICT",
        )?;
        Ok(store)
    }

    /// Opens the file that [`Store::create`] made. A file that somebody deleted is an error, not a new book.
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        Self::connect(path, OpenFlags::empty())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a row and returns its id; it is committed when this returns.
    pub fn add(&self, entry: &Entry) -> rusqlite::Result<i64> {
        self.connection.query_one(
            "INSERT INTO entries (name, message) VALUES (?1, ?2) RETURNING id",
            (&entry.name, &entry.message),
            |row| row.get(0),
        )
    }

    /// All rows, oldest first.
    pub fn rows(&self) -> rusqlite::Result<Vec<Row>> {
        let mut statement =
            self.connection.prepare("SELECT id, at, name, message FROM entries ORDER BY id")?;
        let row = |row: &rusqlite::Row<'_>| {
            Ok(Row { id: row.get(0)?, at: row.get(1)?, name: row.get(2)?, message: row.get(3)? })
        };
        statement.query_map((), row)?.collect()
    }

    fn connect(path: &Path, create: OpenFlags) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        Ok(Self { path: path.to_owned(), connection })
    }
}
