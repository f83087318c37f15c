//! Commits that Litestream would pass over without a word.
//!
//! As long as Litestream has a database open, its read transaction keeps SQLite from beginning the WAL
//! anew. While it has not (it was killed, or the database was not its own for a while), the app's next
//! checkpoint does just that. When Litestream comes back it finds the page that it has read last where it
//! was, concludes that nothing was overwritten, and goes on at the beginning of the new WAL
//! (`verifyWithExecutor` in `db.go`, 0.5.17). What stood behind that page in the old one never gets to the
//! replica, and the pages that do get there no longer fit the others: after twelve kills of Litestream
//! below a busy writer no row could be read from the restored database.
//!
//! Both WALs tell, so this is found out here before Litestream looks. A WAL that is empty makes it copy
//! the whole database.

use std::io;

use super::database::Database;
use super::ltx::{self, Ltx};
use super::position;
use crate::sqlite::wal;

/// The salt of the WAL in which Litestream may go on where it was; none where it can only begin.
pub fn salt(database: &Database) -> Option<[u8; 8]> {
    newest(database).ok()??;
    Some(wal::header(&database.path).ok()??.salt)
}

/// Whether something was committed that Litestream would overlook.
pub fn is_any(database: &Database) -> bool {
    // What cannot be read says nothing: never replicated from here, or without a WAL.
    look(database).unwrap_or(false)
}

fn look(database: &Database) -> io::Result<bool> {
    let (Some(ltx), Some(header)) = (newest(database)?, wal::header(&database.path)?) else {
        return Ok(false);
    };
    let Some(last) = ltx.piece.end.checked_sub(wal::bytes_of(1, header.page_size)) else { return Ok(false) };
    let is_old = |at| Ok::<_, io::Error>(wal::salt_at(&database.path, at)? == Some(ltx.salt));
    if header.salt == ltx.salt || !is_old(last)? {
        // It goes on where it was, or sees for itself that it cannot.
        return Ok(false);
    }
    let is_next = run(ltx.salt).wrapping_add(1) == run(header.salt);
    let has_unread = is_old(ltx.piece.end)?;
    Ok(has_unread || !is_next)
}

/// The newest of Litestream's files: up to where it has read the WAL.
fn newest(database: &Database) -> io::Result<Option<Ltx>> {
    let folder = ltx::folder(&database.meta);
    match position::txids(&folder).max() {
        Some(txid) => Ltx::open(&folder.join(ltx::name(txid))),
        None => Ok(None),
    }
}

/// The half of a salt that counts the runs of the WAL.
fn run([a, b, c, d, ..]: [u8; 8]) -> u32 {
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rusqlite::Connection;

    use super::*;
    use crate::litestream::database::with_suffix;

    /// A database, and Litestream's metadata as far as it counts here.
    struct Case {
        database: Database,
        connection: Connection,
        _folder: tempfile::TempDir,
    }

    impl Case {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("a.db");
            let connection = Connection::open(&path).expect("a database");
            connection
                .execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x)")
                .expect("a table");
            let meta = folder.path().join("meta");
            fs::create_dir_all(meta.join("ltx/0")).expect("a folder");
            let database = Database { path, meta, replica: "r".into(), replica_folder: None };
            let case = Self { database, connection, _folder: folder };
            case.insert(3);
            case
        }

        fn insert(&self, rows: usize) {
            for _ in 0..rows {
                self.connection.execute("INSERT INTO t VALUES (1)", []).expect("a row");
            }
        }

        /// The next commit begins the WAL anew.
        fn checkpoint(&self) {
            let busy: bool = self
                .connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(0))
                .expect("a checkpoint");
            assert!(!busy);
        }

        /// As Litestream does when it reads to the end.
        fn sync(&self, txid: u64) {
            let log = with_suffix(&self.database.path, "-wal");
            let mut header = [0; 100];
            header[..4].copy_from_slice(b"LTX1");
            header[48..56].copy_from_slice(&32_u64.to_be_bytes());
            header[56..64].copy_from_slice(&(log.metadata().expect("a WAL").len() - 32).to_be_bytes());
            let salt = wal::header(&self.database.path).expect("a WAL").expect("a header").salt;
            header[64..72].copy_from_slice(&salt);
            fs::write(self.database.meta.join("ltx/0").join(crate::litestream::ltx::name(txid)), header)
                .expect("ours");
        }

        fn is_any(&self) -> bool {
            is_any(&self.database)
        }
    }

    #[test]
    fn what_litestream_reads_by_itself_is_not_overlooked() {
        let case = Case::new();
        assert!(!case.is_any(), "it was never replicated");
        case.sync(9);
        case.sync(10);
        assert!(!case.is_any(), "nothing happened");
        case.insert(2);
        assert!(!case.is_any(), "the WAL goes on");
        case.sync(11);
        case.checkpoint();
        case.insert(1);
        assert!(!case.is_any(), "all of the old WAL was read");
    }

    #[test]
    fn what_was_not_read_before_the_wal_began_anew_is_overlooked() {
        let case = Case::new();
        case.sync(1);
        case.insert(2);
        case.checkpoint();
        case.insert(1);
        assert!(case.is_any());
    }

    #[test]
    fn a_whole_wal_that_was_not_read_is_overlooked() {
        let case = Case::new();
        case.sync(1);
        for _ in 0..2 {
            case.checkpoint();
            case.insert(1);
        }
        assert!(case.is_any());
    }
}
