//! A folder of files, as detection sees it.

use std::path::{Path, PathBuf};

/// The most that is read of one file, in bytes: more than any configuration, less than any database dump.
pub(super) const MAX_FILE: usize = 1 << 20;

/// The same of YAML: the library takes the square of what brackets are open.
pub(super) const MAX_YAML: usize = 64 << 10;

/// A folder of files; all paths are relative to it.
pub trait Tree {
    /// The whole of a regular file (symbolic links are followed).
    ///
    /// # Errors
    /// [`ReadError::Missing`] where there is none, [`ReadError::TooLarge`] above `limit` bytes, else what
    /// the system says.
    fn read(&self, file: &Path, limit: usize) -> Result<Vec<u8>, ReadError>;

    /// The first `bytes` bytes of a regular file, or fewer. Nothing for all else.
    fn head(&self, file: &Path, bytes: usize) -> Option<Vec<u8>>;

    /// What a folder holds, in no order. A folder that cannot be read is empty.
    fn list(&self, folder: &Path) -> Vec<Entry>;

    /// Whether there is a regular file of this name.
    fn is_file(&self, file: &Path) -> bool;
}

/// What one entry of a folder is.
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
    /// There is none.
    Missing,
    /// It is larger than asked for.
    TooLarge,
    /// What the system says.
    Other(String),
}
