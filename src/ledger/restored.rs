//! A database held against its restored backup, where nothing beside it tells how both stand to each other.

use std::io;
use std::path::Path;
use std::time::Instant;

use super::answer::Answer;
use super::book::{Copied, Head, checksum};
use super::compare::{Effort, Found, Which, compare as compare_with};
use super::page_size::page_size;
use crate::os::{fd, open};
use crate::sqlite::repair;
use crate::sqlite::wal::{self, Run};

/// Whether a database, which nobody has open, has the same pages as a restored file.
pub(super) fn compare(database: &Path, restored: &Path, deadline: Instant) -> io::Result<Answer> {
    let differs = |why: &str| Ok(Answer::Diverged { why: why.to_owned(), since: None });
    let file = open::file(restored)?;
    let (Some(page_size), there) = (page_size(&file)?, page_size(&open::file(database)?)?) else {
        return differs("the restored file is no database");
    };
    if there != Some(page_size) {
        return differs("their pages have another size");
    }
    let mut newest = Copied::default();
    if let Some(run) = Run::open(database)? {
        repair::count(database).map_err(io::Error::other)?;
        match wal::index(database)? {
            // What stands behind that does not count, and what it would hide is not compared.
            wal::State::Made(index) if index.salt == run.header.salt && run.frames(index.end)?.is_empty() => {
                newest = Copied { salt: index.salt, end: index.end, ..newest };
            }
            wal::State::Made(_) | wal::State::Unmade | wal::State::Unknown => {
                return differs("its log does not end where its index does");
            }
        }
    }
    let commit = u32::try_from(file.metadata()?.len() / u64::from(page_size)).unwrap_or(u32::MAX);
    let head = Head { page_size, commit, newest, ..Head::default() };
    let mut page = vec![0; page_size as usize];
    let expected = |number: u32| {
        let at = u64::from(number - 1) * u64::from(page_size);
        Ok(if fd::read_all_at(&file, &mut page, at)? { checksum(&page) } else { 0 })
    };
    let effort = Effort { deadline, is_gentle: false };
    Ok(match compare_with(database, &head, expected, &Which::All, effort)? {
        Found::Equal { .. } => Answer::Equal { due: false },
        Found::Different(_, why) => Answer::Diverged { why, since: None },
        Found::Ahead | Found::Unmade => return differs("its log is being written to"),
        Found::Unfinished(share) => Answer::Unfinished(share),
    })
}
