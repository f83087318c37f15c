//! Databases made, counted, and compared with what an app was told.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::app::Trace;

/// Makes a WAL database with the table `t(id, v)` and `rows` rows.
pub fn create(path: &Path, rows: u64) {
    let database = Connection::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    database
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v TEXT);",
        )
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    drop(database);
    insert(path, rows);
}

/// Inserts `rows` rows, each in a transaction of its own, and returns the last id.
pub fn insert(path: &Path, rows: u64) -> i64 {
    let database = open(path);
    for row in 0..rows {
        database
            .execute("INSERT INTO t (v) VALUES (?1)", [format!("row {row}")])
            .expect("the table t exists");
    }
    database.last_insert_rowid()
}

/// Removes a database's files; what Litestream keeps beside it stays.
pub fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", path.display()));
    }
}

/// Removes a database with all that Litestream keeps beside it.
pub fn lose(path: &Path) {
    remove(path);
    let name = path.file_name().expect("a name").to_string_lossy();
    let _ = fs::remove_dir_all(path.with_file_name(format!(".{name}-litestream")));
}

/// Commits a transaction that changes no row.
pub fn touch(path: &Path) {
    let database = open(path);
    let version: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a database");
    database.pragma_update(None, "user_version", version + 1).expect("the database can be written");
}

/// Whether somebody could write now: nobody else holds the lock for longer than a moment.
pub fn is_writable(path: &Path) -> bool {
    let database = open(path);
    database.busy_timeout(std::time::Duration::from_millis(200)).expect("a timeout can be set");
    database.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok()
}

/// Makes a WAL database of about `mebibytes` that does not compress, beside the table `t` with one row.
///
/// Without a journal and in one transaction: 500 MiB in a few seconds.
pub fn big(path: &Path, mebibytes: u32) {
    let database = Connection::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    database
        .execute_batch(&format!(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
             CREATE TABLE big (id INTEGER PRIMARY KEY, v BLOB);
             BEGIN;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {mebibytes})
             INSERT INTO big (id, v) SELECT i, randomblob(1048576) FROM n;
             COMMIT;"
        ))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    drop(database);
    create(path, 1);
}

/// The number of rows in `t`.
pub fn count(path: &Path) -> usize {
    ids(path).len()
}

/// The greatest id in `t`, 0 when it is empty.
pub fn max_id(path: &Path) -> i64 {
    ids(path).pop().unwrap_or(0)
}

/// All ids in `t`, ascending.
pub fn ids(path: &Path) -> Vec<i64> {
    let database = open(path);
    let mut select = database.prepare("SELECT id FROM t ORDER BY id").expect("the table t exists");
    let rows = select.query_map([], |row| row.get(0)).expect("the statement has no parameters");
    rows.collect::<Result<_, _>>().expect("ids are integers")
}

/// Panics when SQLite finds anything wrong in the file.
#[track_caller]
pub fn assert_sound(path: &Path) {
    let database = open(path);
    let verdict: String =
        database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("the pragma gives a row");
    assert_eq!(verdict, "ok", "{} is damaged", path.display());
}

/// Panics when a row that an app was told to be committed is not in this (restored) database.
#[track_caller]
pub fn assert_holds_acked(path: &Path, trace: &Trace) {
    let found = ids(path);
    let acked = trace.acked();
    assert!(!acked.is_empty(), "the app acknowledged no row, so nothing can be said");
    let lost: Vec<_> = acked.iter().filter(|id| found.binary_search(id).is_err()).collect();
    assert!(lost.is_empty(), "{} of {} rows are lost: {lost:?}", lost.len(), acked.len());
}

/// A connection that waits for others.
pub fn open(path: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags);
    let database = database.unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()));
    database.busy_timeout(super::wait::DEADLINE).expect("a timeout can be set");
    database.execute_batch("PRAGMA synchronous = NORMAL").expect("the pragma is known");
    database
}
