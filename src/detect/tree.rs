//! A folder of files, as detection sees it.

use std::path::{Path, PathBuf};

/// The most that is read of one file, in bytes: more than any configuration, less than any database dump.
pub(super) const MAX_FILE: usize = 1 << 20;

/// The same of YAML: the library takes the square of what brackets are open.
pub(super) const MAX_YAML: usize = 64 << 10;

/// A folder of files; all paths are relative to it.
pub trait Tree {
    /// Reads the whole of a regular file (symbolic links are followed).
    ///
    /// # Errors
    /// [`ReadError::Missing`] where no such file exists, [`ReadError::TooLarge`] above `limit` bytes, else the
    /// system's reason.
    fn read(&self, file: &Path, limit: usize) -> Result<Vec<u8>, ReadError>;

    /// Reads the first `bytes` bytes of a regular file, or fewer.
    fn head(&self, file: &Path, bytes: usize) -> Option<Vec<u8>>;

    /// Lists the entries of a folder, in no order. A folder that cannot be read is empty.
    fn list(&self, folder: &Path) -> Vec<Entry>;

    /// Tells whether a regular file of this name exists.
    fn is_file(&self, file: &Path) -> bool;
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path, relative to the tree.
    pub path: PathBuf,
    /// What it is; a symbolic link to a folder is [`Kind::Other`], so that no walk goes in circles.
    pub kind: Kind,
}

/// The kinds of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A regular file, or a link to one.
    File,
    /// Anything else.
    Other,
}

/// Why a file was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// No such file exists.
    Missing,
    /// It is larger than asked for.
    TooLarge,
    /// The system's reason.
    Other(String),
}
