//! What Litekeeper itself does about SQLite's files: it reads the write-ahead log and its index, and has
//! a SQLite of its own put them right, in a process of its own.
//!
//! Architecture invariant: this room imports `os`.

pub mod check;
pub mod fit;
pub mod held;
pub mod repair;
pub mod sentinel;
pub mod wal;

use std::path::{Path, PathBuf};

/// A path with something behind its last letter.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    text.into()
}
