//! Whether SQLite may be let loose on a database: it opens what stands there, and waits for the other end of a pipe.

use std::path::{Path, PathBuf};

use super::with_suffix;
use crate::os::{open, permit};

/// What SQLite opens beside a database: the log, its index, and the journal of the other mode.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The first of a database's files that is none, and what it is.
pub fn odd(database: &Path) -> Option<(PathBuf, &'static str)> {
    let itself = permit::theirs(|| database.metadata()).ok();
    let odd = itself.and_then(|found| open::odd(found.file_type()));
    odd.map(|kind| (database.to_owned(), kind)).or_else(|| odd_beside(database))
}

/// The same of those beside it, which SQLite makes: a link there is somebody else's doing.
pub fn odd_beside(database: &Path) -> Option<(PathBuf, &'static str)> {
    BESIDE.into_iter().find_map(|suffix| {
        let path = with_suffix(database, suffix);
        let kind = permit::theirs(|| path.symlink_metadata()).ok()?.file_type();
        open::odd(kind).map(|kind| (path, kind))
    })
}

/// The same as an error, for a process that is about to open the database. What is put there after this look has
/// the limit of that process.
///
/// # Errors
/// Which it is, and what.
pub fn check(database: &Path) -> Result<(), String> {
    match odd(database) {
        Some((path, kind)) => Err(format!("{}: it is {kind}, not a file", path.display())),
        None => Ok(()),
    }
}
