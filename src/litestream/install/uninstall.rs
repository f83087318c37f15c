//! What an install has left, and its removal.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::part::{BINARY, EXTENSION};
use super::pins;
use super::place::folder;
use super::record::{RECORD, Record};
use crate::os::digest;
use crate::os::permit::Folder;

/// What an uninstall ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uninstalled {
    /// There is nothing, or nothing any more.
    Nothing,
    /// There is a binary that no install has put there.
    NotOurs,
    /// There is one of an install's, of this version; see [`remove`].
    Found(String),
}

/// Says what an install has left in a folder.
///
/// # Errors
/// The folder cannot be looked at.
pub fn look(dir: &Path) -> Result<Uninstalled, Error> {
    let beside = match Folder::open(dir) {
        Ok(beside) => beside,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Uninstalled::Nothing),
        Err(error) => return Err(folder(dir, error)),
    };
    let place = beside.path().join(BINARY);
    match place.symlink_metadata() {
        // What an end half-way has left is not worth a question.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Uninstalled::Nothing),
        Err(error) => Err(folder(dir, error)),
        // An install leaves no link.
        Ok(found) if !found.is_file() => Ok(Uninstalled::NotOurs),
        Ok(_) => {
            let sum = digest::file(&place).map_err(|error| folder(dir, error))?;
            let version = Record::read(&beside).version(&sum).map(str::to_owned);
            Ok(version.map_or(Uninstalled::NotOurs, Uninstalled::Found))
        }
    }
}

/// Removes from a folder what an install has put there, and says what that was.
///
/// # Errors
/// It cannot be removed.
pub fn remove(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |error| folder(dir, error);
    let beside = Folder::open(dir).map_err(failed)?;
    let mut removed = Vec::new();
    // Of another version nobody can tell who has put it there.
    let is_known =
        digest::file(&beside.path().join(EXTENSION.name)).is_ok_and(|sum| pins::is_extension(&sum));
    for name in [BINARY, RECORD].into_iter().chain(is_known.then_some(EXTENSION.name)) {
        match beside.remove(OsStr::new(name)) {
            Ok(()) => removed.push(dir.join(name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    beside.sync().map_err(failed)?;
    Ok(removed)
}
