//! A database as Litestream replicates it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::os::place;

/// What the rooms that start, restore and watch need to know of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Its file, absolute.
    pub path: PathBuf,
    /// Litestream's metadata folder for it.
    pub meta: PathBuf,
    /// Where it is replicated to, for people: holds no secret.
    pub replica: String,
    /// The same as a folder of this machine, if it is one.
    pub replica_folder: Option<PathBuf>,
}

impl Database {
    /// Whether there is something in it: a file of 0 bytes is as good as none.
    pub fn exists(&self) -> bool {
        place::theirs(|| self.path.metadata()).is_ok_and(|found| found.len() > 0)
    }

    /// A file beside it: `.app.db-litekeeper.lock` for `-litekeeper.lock`.
    pub fn hidden(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(suffix);
        self.path.with_file_name(name)
    }

    /// What SQLite keeps beside it: `-wal`, `-shm` and `-journal`.
    pub fn sidecars(&self) -> [PathBuf; 3] {
        ["-wal", "-shm", "-journal"].map(|suffix| with_suffix(&self.path, suffix))
    }
}

/// A path with something behind its last letter.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    text.into()
}
