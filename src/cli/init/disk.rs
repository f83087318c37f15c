//! A project's folder on the disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::detect::{Entry, Kind, ReadError, Tree};
use crate::os::open;

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
        open::whole(&self.root.join(file), limit).map_err(failed)
    }

    fn head(&self, file: &Path, bytes: usize) -> Option<Vec<u8>> {
        open::beginning(&self.root.join(file), bytes).ok()
    }

    fn list(&self, folder: &Path) -> Vec<Entry> {
        let entries = fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten();
        entries
            .map(|entry| Entry { path: folder.join(entry.file_name()), kind: kind(&entry.path()) })
            .collect()
    }

    fn is_file(&self, file: &Path) -> bool {
        fs::metadata(self.root.join(file)).is_ok_and(|found| found.is_file())
    }
}

fn kind(path: &PathBuf) -> Kind {
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Kind::File,
        Ok(found) if found.is_dir() && !is_link => Kind::Folder,
        Ok(_) | Err(_) => Kind::Other,
    }
}
