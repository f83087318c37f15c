//! A database as Litestream replicates it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::folder::Order;
use crate::os::{open, place};
use crate::sqlite::fit;

pub use crate::sqlite::with_suffix;

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
    /// The same as an order for a client of our own, if it is on S3.
    pub s3: Option<Order>,
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

/// The longest name of a database: `.NAME-litekeeper.lock` has to be a name as well (`NAME_MAX` in `limits.h(0p)`).
const LONGEST_NAME: usize = 255 - ".-litekeeper.lock".len();
/// The same of one that may have to be restored, under a name that is longer.
const LONGEST_MISSING: usize = 255 - ".-litekeeper-restore.tmp".len();

/// Why no database can be at this path, whatever is written there; `None` where one can. Nothing is opened, and what
/// SQLite would open beside it is looked at as well.
pub fn unfit(path: &Path) -> Option<String> {
    use std::os::unix::ffi::OsStrExt as _;

    let length = path.file_name().map_or(0, |name| name.len());
    if path.as_os_str().as_bytes().contains(&0) {
        return Some("the path has a NUL character in it".to_owned());
    }
    let too_long = |most: usize, what: &str| {
        Some(format!("the name has {length} bytes, and {most} are the most: {what} is named after it"))
    };
    if length > LONGEST_NAME {
        return too_long(LONGEST_NAME, "its lock");
    }
    let kind = match place::theirs(|| path.metadata()) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && length > LONGEST_MISSING => {
            return too_long(LONGEST_MISSING, "what is restored");
        }
        Err(error) if error.raw_os_error() == Some(nix::libc::ENAMETOOLONG) => {
            return Some("the path is longer than this system allows".to_owned());
        }
        Err(_) => return None,
    };
    if let Some(what) = open::odd(kind) {
        return Some(format!("it is {what}, and no database"));
    }
    // SQLite, and so the app and Litestream, would wait for it.
    let (beside, what) = fit::odd(path)?;
    let name = beside.file_name().unwrap_or_default().display().to_string();
    Some(format!("beside it, `{name}` is {what}, not a file of SQLite's"))
}
