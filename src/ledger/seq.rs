//! Litestream's own count of its checkpoints, which it keeps in the database (`bumpLitestreamSeq` in its db.go):
//! the file that was left has the same or a higher one, an older copy of it a lower one; and where these tables are.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::litestream::database::with_suffix;
use crate::sqlite::fit;

/// What means something in a URI of SQLite's (<https://sqlite.org/uri.html>).
const IN_URI: &percent_encoding::AsciiSet =
    &percent_encoding::CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');
/// How long to wait for somebody else's lock.
const PATIENCE: Duration = Duration::from_secs(2);

/// The count; `None` where there is none, or nobody can tell.
pub(super) fn of(database: &Path) -> Option<i64> {
    ask(database, |database| {
        database.query_row("SELECT coalesce(max(seq), 0) FROM _litestream_seq", [], |row| row.get(0))
    })
}

/// The pages that only Litestream's own tables have, which hold a row at most; none where nobody can tell.
pub(super) fn pages(database: &Path) -> BTreeSet<u32> {
    let roots = "SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name IN ('_litestream_seq', '_litestream_lock')";
    ask(database, |database| database.prepare(roots)?.query_map([], |row| row.get(0))?.collect())
        .unwrap_or_default()
}

fn ask<T>(database: &Path, question: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Option<T> {
    if fit::odd(database).is_some() {
        return None;
    }
    let has_log = with_suffix(database, "-wal").metadata().is_ok_and(|log| log.len() > 0);
    let read = || {
        let database = if has_log {
            Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?
        } else {
            // Without a log nobody has it open, and nothing is to be left beside it.
            let path = percent_encoding::percent_encode(database.as_os_str().as_bytes(), IN_URI);
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)?
        };
        database.busy_timeout(PATIENCE)?;
        // Nobody but Litestream may put the log into the database.
        database.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        question(&database)
    };
    read().ok()
}
