//! The size of a database's pages against that of its copy: Litestream can neither go on from pages of another size nor
//! restore a backup that has both (`NewCompactor` of its library: "input files have mismatched page sizes").

use std::io;
use std::path::Path;

use super::answer::{Answer, FileState};
use super::book::Book;
use super::freshness;
use super::page_size::page_size;
use crate::litestream::ltx::{self, Ltx};
use crate::litestream::position;
use crate::os::open;

/// The size of the pages in one of Litestream's files, and that of the database's, where both differ. SQLite changes it
/// only without a log, so what the file says is all there is to know.
fn differing(database: &Path, meta: &Path) -> io::Result<Option<(u32, u32)>> {
    let Some(now) = page_size(&open::file(database)?)? else { return Ok(None) };
    let folder = ltx::folder(meta);
    let of = |txid| Ltx::open(&folder.join(ltx::name(txid))).ok().flatten().map(|ltx| ltx.page_size);
    let was = position::txids(&folder).filter_map(of).find(|was| *was != now);
    Ok(was.map(|was| (was, now)))
}

/// What is found before a launch, unless the pages have another size than those that were copied.
pub(super) fn told(database: &Path, meta: &Path, answer: Answer) -> io::Result<Answer> {
    let is_told = matches!(
        answer,
        Answer::New | Answer::Stands(FileState::New | FileState::NotSqlite | FileState::Malformed { .. })
    );
    let Some((was, now)) = (if is_told { None } else { differing(database, meta)? }) else {
        return Ok(answer);
    };
    if !matches!(answer, Answer::Stands(_)) {
        return Ok(Answer::Resized { was, now });
    }
    // Pages of another size tell nothing about each other.
    let other = freshness::other_than_left(database, &Book::open(meta)?.head)?;
    Ok(Answer::Stands(FileState::Resized { was, now, other }))
}
