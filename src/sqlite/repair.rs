//! The command `__recover`: a SQLite in a process of its own, so that its locks, which
//! belong to a process (`fcntl(2)`), and its memory are not the keeper's.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::wal;

/// How long to wait for somebody else's lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// Has the index of a database's log made anew: `__recover DATABASE`; the exit code is for the process.
///
/// The app's own SQLite would do it as well, but before 3.33 it waits for all readers to be gone first
/// (`walIndexRecover` in its wal.c), and Litestream always reads.
pub fn recover(database: &Path) -> u8 {
    let recovered = wal::clear(database).map_err(|error| error.to_string()).and_then(|()| read(database));
    match recovered {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    }
}

fn read(database: &Path) -> Result<(), String> {
    let read = || {
        let database = open(database)?;
        // Nobody but Litestream may put the log into the database.
        database.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        database.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
    };
    read().map_err(|error: rusqlite::Error| error.to_string())
}

fn open(database: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}
