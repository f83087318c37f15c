//! Whether something that is in a database is on no replica, as far as anybody knows who does not ask one: a start that
//! is stopped before it got that far has to answer for it.

use std::io;
use std::path::Path;

use super::book::{Book, path};
use crate::litestream::ltx::{self, Ltx};
use crate::litestream::position;
use crate::sqlite::wal::{self, Run};

/// Whether that is known. Of a database whose confirmations nobody has written down it is not.
pub(super) fn is_any(database: &Path, meta: &Path) -> io::Result<bool> {
    let folder = ltx::folder(meta);
    let newest = position::txids(&folder).max();
    // A book that is not there is not made for nothing.
    if newest.is_none() && !path(meta).exists() {
        return Ok(false);
    }
    let confirmed = Book::open(meta)?.head.confirmed;
    let Some(newest) = newest else { return Ok(confirmed == Some(0)) };
    if confirmed.is_some_and(|confirmed| confirmed < newest) {
        return Ok(true);
    }
    match Ltx::open(&folder.join(ltx::name(newest)))? {
        Some(ltx) => is_log_ahead(database, &ltx),
        None => Ok(false),
    }
}

/// Notes that the replica has all up to this transaction.
pub(super) fn confirm(meta: &Path, txid: u64) -> io::Result<()> {
    let mut book = Book::open(meta)?;
    if book.head.confirmed == Some(txid) {
        return Ok(());
    }
    book.head.confirmed = Some(txid);
    book.write_head()
}

/// Notes that the replica may lack something, where nothing was ever noted: then whatever was copied is owed.
pub(super) fn note(meta: &Path) -> io::Result<()> {
    if !meta.is_dir() {
        return Ok(());
    }
    let mut book = Book::open(meta)?;
    if book.head.confirmed.is_some() {
        return Ok(());
    }
    book.head.confirmed = Some(0);
    book.write_head()
}

/// Whether the log has a commit that Litestream has not copied: behind the end of what it copied, or in a run of the log
/// that came after it.
fn is_log_ahead(database: &Path, newest: &Ltx) -> io::Result<bool> {
    let Some(run) = Run::open(database)? else { return Ok(false) };
    let is_same = run.header.salt == newest.salt;
    let runs = wal::run_of(run.header.salt).wrapping_sub(wal::run_of(newest.salt));
    if !is_same && !(1..1 << 31).contains(&runs) {
        return Ok(false);
    }
    let from = if is_same { newest.piece.end.max(wal::HEADER) } else { wal::HEADER };
    // What an index does not count any more is nobody's commit.
    let end = match wal::index(database)? {
        wal::State::Made(index) if index.salt == run.header.salt => index.end,
        wal::State::Made(_) | wal::State::Unmade | wal::State::Unknown => u64::MAX,
    };
    Ok(run.frames(from)?.iter().any(|frame| frame.commit > 0 && frame.content < end))
}
