//! SQLite's index of the WAL, made anew after the app's death.
//!
//! A commit is a frame in the WAL first, and known to the wal-index (`-shm`) only after the WAL was
//! flushed. An app that is killed in between leaves a frame that Litestream, which reads the WAL alone,
//! takes for a commit, while the next app, which goes by the index, writes over it. Litestream then
//! finds a page that it does not know, and makes a snapshot of the database file and of those frames
//! only that come after (`verify` in `db.go`, 0.5.17): rows are missing on the replica, or every further
//! sync fails.
//!
//! Were the dead app's connections the last ones, SQLite would make the index anew from the WAL when it
//! is next opened, whatever is in there counted as committed. Litestream's connections keep it from that.
//! So the index' header is cleared here, which makes the next one who reads the database recover it
//! (<https://sqlite.org/walformat.html#recovery>).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use crate::litestream::database::with_suffix;
use crate::os::lock;

/// Both copies of the index' header (`WalIndexHdr` in `wal.c`).
const HEADER: [u8; 96] = [0; 96];
/// The byte whose lock the writer has (`WAL_WRITE_LOCK`).
const WRITER: u64 = 120;
/// How often a database is tried whose writer's lock Litestream has, for a checkpoint of its own.
const TRIES: u32 = 1000;
const PAUSE: Duration = Duration::from_millis(1);

/// Clears the index of a database that nobody but Litestream has open any more; whether it could be
/// done at once. Without an index, or in another journal mode, there is nothing to do.
///
/// # Errors
/// The index can be neither locked nor written.
fn try_clear(database: &Path) -> io::Result<bool> {
    let index = match File::options().read(true).write(true).open(with_suffix(database, "-shm")) {
        Ok(index) => index,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    if !lock::try_lock_byte(&index, WRITER)? {
        return Ok(false);
    }
    if index.metadata()?.len() > WRITER {
        index.write_all_at(&HEADER, 0)?;
    }
    Ok(true)
}

/// Clears the index of a database that nobody but Litestream has open any more, at once, or as soon as
/// Litestream lets it.
pub(super) fn clear(database: &Path) {
    match try_clear(database) {
        Ok(true) => {}
        Ok(false) => {
            let database = database.to_owned();
            tokio::task::spawn_local(async move { clear_later(&database).await });
        }
        Err(error) => complain(database, &error),
    }
}

async fn clear_later(database: &Path) {
    for _ in 0..TRIES {
        tokio::time::sleep(PAUSE).await;
        match try_clear(database) {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => return complain(database, &error),
        }
    }
    complain(database, &io::ErrorKind::WouldBlock.into());
}

fn complain(database: &Path, error: &io::Error) {
    tracing::warn!(
        "{}-shm cannot be made anew ({error}): if the app died while it wrote, litestream may miss rows until its next \
         snapshot",
        database.display()
    );
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    fn count(database: &Connection) -> i64 {
        database.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("a table")
    }

    #[test]
    fn what_is_in_the_wal_counts_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        let database = Connection::open(&path).expect("a database");
        database.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").expect("a table");
        let index =
            File::options().read(true).write(true).open(with_suffix(&path, "-shm")).expect("an index");
        let mut before = HEADER;
        index.read_exact_at(&mut before, 0).expect("a header");
        database.execute_batch("INSERT INTO t VALUES (1)").expect("a row");
        // As if the commit had not got beyond the WAL.
        index.write_all_at(&before, 0).expect("ours");
        assert_eq!(count(&database), 0);
        assert!(try_clear(&path).expect("ours"));
        assert_eq!(count(&database), 1);
    }

    #[test]
    fn a_writer_is_waited_for_and_no_index_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        assert!(try_clear(&path).expect("nothing to do"));
        let database = Connection::open(&path).expect("a database");
        assert!(try_clear(&path).expect("nothing to do"), "no WAL");
        database
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); BEGIN IMMEDIATE")
            .expect("SQL");
        assert!(!try_clear(&path).expect("ours"), "the writer has the lock");
        database.execute_batch("INSERT INTO t VALUES (1); COMMIT").expect("SQL");
        assert!(try_clear(&path).expect("ours"));
        assert_eq!(count(&database), 1);
    }
}
