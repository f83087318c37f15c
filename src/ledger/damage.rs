//! What is wrong with a database without its copy being asked: with its beginning, its log, and what SQLite says of it.

use std::io;
use std::path::Path;

use super::answer::{CHECKING, FileState};
use super::book::Head;
use super::freshness;
use crate::database_header;
use crate::os::{fd, open};
use crate::sqlite::check::{self, Verdict};
use crate::sqlite::wal;

/// Looks at one that Litestream has copied nothing of.
pub(super) fn of_new(database: &Path) -> io::Result<FileState> {
    if wal::is_headless(database)? {
        return Ok(headless());
    }
    Ok(match check::schema_of_used(database) {
        Ok(Verdict::Malformed(words)) => {
            FileState::Malformed { why: format!("sqlite cannot read it: {words}") }
        }
        Ok(Verdict::Whole | Verdict::Odd(_)) | Err(_) => FileState::New,
    })
}

/// Whether the log of a database that was left in order does not agree with its own checksums any more. After another end
/// that is as it may be: what was never synced is lost.
pub(super) fn of_log(database: &Path, head: &Head) -> io::Result<Option<String>> {
    let Some((_, salt, ..)) = head.left.as_ref().and_then(|left| left.log) else { return Ok(None) };
    if salt != [0; 8] && wal::is_headless(database)? {
        return Ok(Some(
            "the header of its WAL is damaged, and sqlite leaves out all that is in it".to_owned(),
        ));
    }
    let run = wal::Run::open(database)?.filter(|run| run.header.salt == salt);
    let Some(run) = run.filter(|_| salt == head.newest.salt) else { return Ok(None) };
    let at = run.agrees_up_to()?;
    let was_copied =
        run.frames(wal::HEADER)?.iter().any(|frame| at < frame.content && frame.content < head.newest.end);
    Ok(was_copied.then(|| format!("its WAL is damaged behind byte {at}, and sqlite leaves out what follows")))
}

/// What differs and is to be copied as a whole takes the place of a backup that may be better than the file.
pub(super) fn refine(database: &Path, freshness: &mut FileState, is_as_left: bool) {
    let differs = |pages: u64| format!("{pages} of its pages are not as they were left");
    let why = match freshness {
        FileState::Diverged { why, .. } => why.clone(),
        FileState::Written { pages, .. } | FileState::Damaged { pages, .. } => differs(*pages),
        FileState::Unfounded => "nothing of its copy is here".to_owned(),
        FileState::New
        | FileState::Broken(_)
        | FileState::NotSqlite
        | FileState::Current
        | FileState::Malformed { .. }
        | FileState::Older(_)
        | FileState::Resized { .. } => return,
        // Of what SQLite does not open nothing else can be told.
        FileState::Other { why } => match freshness::fault(database) {
            Some(_) => why.clone(),
            None => return,
        },
    };
    if let Some(fault) = freshness::fault(database) {
        *freshness = FileState::Malformed { why: format!("{why}, and {fault}") };
    } else if let Ok(Verdict::Malformed(words)) = check::of_used(database, CHECKING) {
        *freshness = FileState::Malformed { why: format!("{why}, and sqlite cannot read it: {words}") };
    } else if let (FileState::Written { pages, txid }, true) = (&*freshness, is_as_left) {
        *freshness = FileState::Damaged { pages: *pages, txid: *txid };
    }
}

/// What SQLite leaves out without a word, and Litestream does not get past: it has to be emptied.
pub(super) fn headless() -> FileState {
    FileState::Diverged { why: "the header of its WAL is damaged".to_owned(), since: None }
}

/// Whether a file can be a database at all: it begins as one (<https://sqlite.org/fileformat2.html>), or is empty.
pub(super) fn is_sqlite(path: &Path) -> io::Result<bool> {
    let file = open::file(path)?;
    let header: Option<[u8; 16]> = fd::read_at(&file, 0)?;
    Ok(header.is_some_and(|header| &header == database_header::MAGIC))
}
