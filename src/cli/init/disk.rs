//! A project's folder on the disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::detect::{Entry, Kind, ReadError, Tree};
use crate::os::{open, permit};

/// The folder.
pub(super) struct Disk<'a> {
    root: &'a Path,
}

impl<'a> Disk<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        Self { root }
    }
}

impl Tree for Disk<'_> {
    fn read(&self, file: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ReadError::Missing,
            io::ErrorKind::FileTooLarge => ReadError::TooLarge,
            _ => ReadError::Other(error.to_string()),
        };
        let path = self.root.join(file);
        theirs(&path, || open::whole(&path, limit)).map_err(failed)
    }

    fn head(&self, file: &Path, bytes: usize) -> Option<Vec<u8>> {
        let path = self.root.join(file);
        theirs(&path, || open::beginning(&path, bytes)).ok()
    }

    fn list(&self, folder: &Path) -> Vec<Entry> {
        let path = self.root.join(folder);
        let listed = theirs(&path, || {
            let entries = fs::read_dir(&path)?.flatten();
            Ok(entries
                .map(|entry| Entry { path: folder.join(entry.file_name()), kind: kind(&entry.path()) })
                .collect())
        });
        listed.unwrap_or_default()
    }

    fn is_file(&self, file: &Path) -> bool {
        let path = self.root.join(file);
        theirs(&path, || fs::metadata(&path)).is_ok_and(|found| found.is_file())
    }
}

/// Reads something with the rights of the project's owner. Where that is root, no link of another user is followed.
pub(super) fn theirs<T>(path: &Path, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    if permit::owner().is_none() && permit::is_led(path) {
        return Err(io::Error::other("another user decides what stands there"));
    }
    permit::theirs(work)
}

fn kind(path: &PathBuf) -> Kind {
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Kind::File,
        Ok(found) if found.is_dir() && !is_link => Kind::Folder,
        Ok(_) | Err(_) => Kind::Other,
    }
}
