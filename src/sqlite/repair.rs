//! The commands `__recover` and `__empty`: a SQLite in a process of its own, so that its locks, which
//! belong to a process (`fcntl(2)`), and its memory are not the keeper's.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::poll;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{check, fit, wal};
use crate::os::permit;

/// How long to wait for somebody else's lock.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait, in milliseconds, until a database in use is tried again.
const PAUSE: u16 = 20;

/// Has the index of a database's log made anew: `__recover DATABASE`; the exit code is for the process.
///
/// The app's own SQLite would do it as well, but before 3.33 it waits for all readers to be gone first
/// (`walIndexRecover` in its wal.c), and Litestream always reads.
pub fn recover(database: &Path) -> u8 {
    done(count(database))
}

/// Has what a process that died has left half written taken back, as the app's own SQLite would when it opens the database:
/// without the journal beside it such a file looks damaged.
///
/// # Errors
/// Why it cannot be done.
pub fn roll_back(database: &Path) -> Result<(), String> {
    let journal = super::with_suffix(database, "-journal");
    if !permit::theirs(|| journal.symlink_metadata()).is_ok_and(|found| found.len() > 0) {
        return Ok(());
    }
    fit::check(database)?;
    read(database)
}

/// Has what is in a database's log counted as committed: by this process, whose locks on the database
/// nobody else must have.
///
/// # Errors
/// Why it cannot be done.
pub fn count(database: &Path) -> Result<(), String> {
    fit::check(database)?;
    wal::clear(database).map_err(|error| error.to_string())?;
    read(database)
}

/// Has a database's log put into it and emptied, so that Litestream copies the whole database:
/// `__empty DATABASE MILLISECONDS`; the exit code is for the process. It waits so long for a moment in
/// which nobody else reads or writes, and holds nobody up.
pub fn empty(database: &Path, patience: &str) -> u8 {
    let deadline = Instant::now() + Duration::from_millis(patience.parse().unwrap_or(0));
    loop {
        if let Err(error) = fit::check(database) {
            return done(Err(error));
        }
        match try_empty(database) {
            Ok(false) => return done(Ok(())),
            Ok(true) if Instant::now() < deadline => {
                // Nothing comes to no descriptor: this waits.
                let _ = poll(&mut [], PAUSE);
            }
            Ok(true) => return done(Err("somebody else has it open and reads or writes".to_owned())),
            Err(error) => return done(Err(error.to_string())),
        }
    }
}

/// Whether somebody was in the way.
fn try_empty(database: &Path) -> rusqlite::Result<bool> {
    let database = open(database)?;
    database.busy_timeout(Duration::ZERO)?;
    match database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(true),
        busy => busy,
    }
}

fn read(database: &Path) -> Result<(), String> {
    let read = || {
        let database = check::as_guest(open(database)?, PATIENCE)?;
        database.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
    };
    read().map_err(|error: rusqlite::Error| error.to_string())
}

fn open(database: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

fn done(result: Result<(), String>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_emptied_once_nobody_reads_and_no_row_is_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        let database = Connection::open(&path).expect("a database");
        database
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)")
            .expect("SQL");
        let reader = Connection::open(&path).expect("a database");
        reader.execute_batch("BEGIN; SELECT * FROM t").expect("a reader");
        database.execute_batch("INSERT INTO t VALUES (1)").expect("SQL");
        assert_eq!(empty(&path, "30"), 1, "somebody reads");
        assert!(wal::header(&path).expect("ours").is_some());
        reader.execute_batch("COMMIT").expect("SQL");
        assert_eq!(empty(&path, "0"), 0);
        assert_eq!(wal::header(&path).expect("ours"), None);
        let rows: i64 = reader.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("rows");
        assert_eq!(rows, 2);
        assert_eq!(empty(&folder.path().join("none.db"), "0"), 1);
    }
}
