//! Litestream's own count of its checkpoints, which it keeps in the database (`bumpLitestreamSeq` in its db.go):
//! the file that was left has the same or a higher one, an older copy of it a lower one; and where these tables are.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::Connection;

use crate::sqlite::{check, fit};

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
    fit::check(database).ok()?;
    check::used(database).and_then(|database| question(&database)).ok()
}
