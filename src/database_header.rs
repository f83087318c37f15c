//! What a database's file begins with (<https://sqlite.org/fileformat2.html#the_database_header>), as far as it never changes.

/// In bytes.
pub const LENGTH: usize = 100;
/// The first of them (`IsSQLiteDatabase` in Litestream's main.go looks at it too).
pub const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Why SQLite would not read, or not write, a file that begins with this; none if it would.
pub fn fault(header: &[u8; LENGTH]) -> Option<&'static str> {
    if header[..16] != MAGIC[..] {
        return Some("it does not begin as a database of sqlite's does");
    }
    // To be written, and to be read: 1 is a journal, 2 a log; more are read at most (`lockBtree` in SQLite's btree.c).
    if !header[18..20].iter().all(|version| matches!(version, 1 | 2)) {
        return Some("its header names a format that sqlite does not know");
    }
    (header[21..24] != [64, 32, 32]).then_some("its header has other fractions than sqlite's")
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// By SQLite itself: what it does not write to, has a fault, and nothing else.
    #[test]
    fn a_fault_is_what_sqlite_does_not_take() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let database = Connection::open(&path).unwrap();
        database.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").unwrap();
        drop(database);
        let sound = std::fs::read(&path).unwrap();
        for at in (0..16).chain(18..20).chain(21..24) {
            for change in [1, 4, 0x80] {
                let mut bytes = sound.clone();
                bytes[at] ^= change;
                std::fs::write(&path, &bytes).unwrap();
                let written = Connection::open(&path)
                    .and_then(|database| database.execute("INSERT INTO t VALUES (1)", []));
                let is_taken = written.is_ok();
                let header = bytes[..LENGTH].try_into().unwrap();
                assert_eq!(fault(header).is_none(), is_taken, "{at} {change}: {written:?}");
            }
        }
    }
}
