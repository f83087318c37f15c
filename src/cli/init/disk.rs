//! A project's folder on the disk.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::detect::{Entry, Kind, ReadError, Tree};

/// The folder.
pub(super) struct Disk<'a> {
    root: &'a Path,
}

impl<'a> Disk<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        Self { root }
    }

    /// A regular file, opened; a pipe would keep us waiting.
    fn open(&self, file: &Path) -> io::Result<File> {
        let path = self.root.join(file);
        if fs::metadata(&path)?.is_file() { File::open(path) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

impl Tree for Disk<'_> {
    fn read(&self, file: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ReadError::Missing,
            _ => ReadError::Other(error.to_string()),
        };
        let mut bytes = Vec::new();
        let mut rest = self.open(file).map_err(failed)?.take(limit as u64 + 1);
        rest.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() > limit { Err(ReadError::TooLarge) } else { Ok(bytes) }
    }

    fn head(&self, file: &Path, bytes: usize) -> Option<Vec<u8>> {
        let mut head = Vec::with_capacity(bytes);
        self.open(file).ok()?.take(bytes as u64).read_to_end(&mut head).ok()?;
        Some(head)
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
