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

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::core::ExitCode;
use crate::error::Failure;
use crate::litestream::database::{Database, with_suffix};
use crate::litestream::position::max_txid;

/// Where an LTX file's header has the WAL's offset, size and two salts (`Header` of the `ltx` package).
const WAL_PLACE: u64 = 48;
/// The salts in the WAL's header, and in that of each frame (<https://sqlite.org/fileformat2.html#walformat>).
const HEADER_SALTS: u64 = 16;
const FRAME_SALTS: u64 = 8;
const FRAME_HEADER: u64 = 24;

/// The salts of a WAL: SQLite adds one to the first, and throws the second, each time it begins anew.
pub(super) type Salts = [u8; 8];

/// The salts of the WAL in which Litestream may go on where it was; none where it can only begin.
pub(super) fn salts(database: &Database) -> Option<Salts> {
    read_to(&database.meta)?;
    bytes(&File::open(with_suffix(&database.path, "-wal")).ok()?, HEADER_SALTS)
}

/// Whether something was committed that Litestream would overlook.
pub(super) fn is_any(database: &Database) -> bool {
    // What cannot be read says nothing: never replicated from here, or without a WAL.
    look(database).unwrap_or(false)
}

fn look(database: &Database) -> Option<bool> {
    let (end, old) = read_to(&database.meta)?;
    let wal = File::open(with_suffix(&database.path, "-wal")).ok()?;
    let new: Salts = bytes(&wal, HEADER_SALTS)?;
    let page = u32::from_be_bytes(bytes(&wal, 8)?);
    let salts_of = |frame: u64| bytes::<8>(&wal, frame + FRAME_SALTS);
    let last = end.checked_sub(FRAME_HEADER + u64::from(page))?;
    if new == old || salts_of(last) != Some(old) {
        // It goes on where it was, or sees for itself that it cannot.
        return Some(false);
    }
    let is_next = first(&old).wrapping_add(1) == first(&new);
    let has_unread = salts_of(end) == Some(old);
    Some(has_unread || !is_next)
}

/// Up to where Litestream has read the WAL, and the salts that it had.
fn read_to(meta: &Path) -> Option<(u64, Salts)> {
    let folder = meta.join("ltx").join("0");
    let names =
        fs::read_dir(&folder).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let (_, newest) = names.filter_map(|name| Some((max_txid(name.strip_suffix(".ltx")?)?, name))).max()?;
    let ltx = File::open(folder.join(newest)).ok()?;
    let (offset, size) =
        (u64::from_be_bytes(bytes(&ltx, WAL_PLACE)?), u64::from_be_bytes(bytes(&ltx, WAL_PLACE + 8)?));
    Some((offset.checked_add(size)?, bytes(&ltx, WAL_PLACE + 16)?))
}

fn bytes<const N: usize>(file: &File, at: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact_at(&mut bytes, at).ok().map(|()| bytes)
}

fn first(salts: &Salts) -> u32 {
    u32::from_be_bytes([salts[0], salts[1], salts[2], salts[3]])
}

/// Has SQLite empty the WAL, so that Litestream copies the whole database; waits `patience` for those
/// who read or write just now.
///
/// # Errors
/// Somebody still does, or what SQLite says.
pub(super) fn empty_wal(database: &Database, patience: Duration) -> Result<(), Failure> {
    let path = database.path.display();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let busy = Connection::open_with_flags(&database.path, flags).and_then(|connection| {
        connection.busy_timeout(patience)?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))
    });
    let why = match busy {
        Ok(false) => {
            tracing::warn!("{path} was written to while litestream did not have it: it is copied as a whole");
            return Ok(());
        }
        Ok(true) => "somebody else has it open and reads or writes".to_owned(),
        Err(error) => error.to_string(),
    };
    let message = format!(
        "{path} was written to while litestream did not have it, and cannot be made ready to be copied as a whole: {why}"
    );
    Err(Failure::new(ExitCode::LITESTREAM, message)
        .hint("end whoever has the database open (`fuser` names them): litestream would miss rows"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let wal = with_suffix(&self.database.path, "-wal");
            let mut header = [0; 100];
            header[..4].copy_from_slice(b"LTX1");
            header[48..56].copy_from_slice(&32_u64.to_be_bytes());
            header[56..64].copy_from_slice(&(wal.metadata().expect("a WAL").len() - 32).to_be_bytes());
            let salts: Salts = bytes(&File::open(&wal).expect("a WAL"), HEADER_SALTS).expect("a header");
            header[64..72].copy_from_slice(&salts);
            let name = format!("{txid:016x}-{txid:016x}.ltx");
            fs::write(self.database.meta.join("ltx/0").join(name), header).expect("ours");
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

    #[test]
    fn an_empty_wal_is_seen_by_litestream_and_keeps_all_rows() {
        let case = Case::new();
        case.sync(1);
        case.insert(2);
        case.checkpoint();
        case.insert(1);
        let reader = Connection::open(&case.database.path).expect("a database");
        reader.execute_batch("BEGIN; SELECT * FROM t").expect("a reader");
        case.insert(1);
        assert!(empty_wal(&case.database, Duration::ZERO).is_err(), "somebody reads");
        reader.execute_batch("COMMIT").expect("SQL");
        empty_wal(&case.database, Duration::ZERO).expect("nobody else reads");
        assert!(!case.is_any());
        let rows: i64 = reader.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("rows");
        assert_eq!(rows, 7);
    }
}
