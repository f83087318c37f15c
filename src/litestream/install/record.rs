//! What an install has put into a folder: a file beside the binary that has its SHA-256, so that nothing else is ever removed.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::os::open;
use crate::os::permit::Folder;

/// The file's name.
pub(super) const RECORD: &str = ".litestream-installed";

/// More than two lines have.
const MOST: u64 = 4096;

/// The sums of what was put there: the newest, and that which it takes the place of, in case that the change ends half-way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record(Vec<String>);

impl Record {
    /// Reads that of a folder; an empty one where there is none.
    pub(super) fn read(folder: &Folder) -> Self {
        let mut text = String::new();
        let read = folder
            .open_file(OsStr::new(RECORD), false)
            .and_then(|file| file.take(MOST).read_to_string(&mut text));
        let is_sum = |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        match read {
            Ok(_) => Self(text.lines().filter(is_sum).map(str::to_owned).collect()),
            Err(_) => Self::default(),
        }
    }

    /// Whether a binary of this sum was put there by an install.
    pub(super) fn has(&self, sum: &str) -> bool {
        self.0.iter().any(|known| known == sum)
    }

    /// The record of what comes, while it takes the place of what is there.
    pub(super) fn before(&self, sum: &str, replaced: Option<&str>) -> Self {
        let old = replaced.filter(|old| *old != sum && self.has(old)).map(str::to_owned);
        Self(std::iter::once(sum.to_owned()).chain(old).collect())
    }

    /// Writes it to a file of its name in a private folder, from where it is put in its place.
    ///
    /// # Errors
    /// The disk did not take it.
    pub(super) fn write(&self, scratch: &Path) -> io::Result<()> {
        let mut file = open::make(&scratch.join(RECORD))?;
        file.write_all(format!("{}\n", self.0.join("\n")).as_bytes())?;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_known_while_one_takes_the_others_place() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(dir.path()).expect("ours");
        assert_eq!(Record::read(&folder), Record::default());
        let (old, new, other) = ("a".repeat(64), "b".repeat(64), "c".repeat(64));
        let first = Record::default().before(&old, Some(&other));
        assert!(first.has(&old) && !first.has(&other), "what was there before is somebody's own");
        first.write(dir.path()).expect("written");
        let read = Record::read(&folder);
        assert_eq!(read, first);
        let second = read.before(&new, Some(&old));
        assert!(second.has(&old) && second.has(&new));
        assert!(!second.before(&new, Some(&new)).has(&old));
    }
}
