//! What an install has put into a folder: a file beside the binary that has its SHA-256 and version, so that nothing else is ever removed,
//! and nothing has to be run to say what is there.

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

/// What was put there, each by its sum, with its version: the newest, and that which it takes the place of, in case that the change
/// ends half-way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record(Vec<(String, String)>);

impl Record {
    /// Reads that of a folder; an empty one where there is none.
    pub(super) fn read(folder: &Folder) -> Self {
        let mut text = String::new();
        let read = folder
            .open_file(OsStr::new(RECORD), false)
            .and_then(|file| file.take(MOST).read_to_string(&mut text));
        match read {
            Ok(_) => Self(text.lines().filter_map(entry).collect()),
            Err(_) => Self::default(),
        }
    }

    /// The version of a binary of this sum, if an install has put it there.
    pub(super) fn version(&self, sum: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == sum).map(|(_, version)| version.as_str())
    }

    /// The record of what comes, while it takes the place of what is there.
    pub(super) fn before(&self, sum: &str, version: &str, replaced: Option<&str>) -> Self {
        let is_old = |entry: &&(String, String)| entry.0 != sum && Some(entry.0.as_str()) == replaced;
        let old = self.0.iter().find(is_old).cloned();
        Self(std::iter::once((sum.to_owned(), version.to_owned())).chain(old).collect())
    }

    /// Writes it to a file of its name in a private folder, from where it is put in its place.
    ///
    /// # Errors
    /// The disk did not take it.
    pub(super) fn write(&self, scratch: &Path) -> io::Result<()> {
        let mut file = open::make(&scratch.join(RECORD))?;
        for (sum, version) in &self.0 {
            file.write_all(format!("{sum} {version}\n").as_bytes())?;
        }
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
        file.sync_all()
    }
}

fn entry(line: &str) -> Option<(String, String)> {
    let (sum, version) = line.split_once(' ')?;
    let is_sum = sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_version = version.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'));
    (is_sum && is_version).then(|| (sum.to_owned(), version.to_owned()))
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
        let first = Record::default().before(&old, "0.3.13", Some(&other));
        assert_eq!(
            (first.version(&old), first.version(&other)),
            (Some("0.3.13"), None),
            "it is somebody's own"
        );
        first.write(dir.path()).expect("written");
        let read = Record::read(&folder);
        assert_eq!(read, first);
        let second = read.before(&new, "0.5.17", Some(&old));
        assert_eq!((second.version(&old), second.version(&new)), (Some("0.3.13"), Some("0.5.17")));
        assert_eq!(second.before(&new, "0.5.17", Some(&new)).version(&old), None);
    }

    #[test]
    fn what_is_no_entry_counts_for_nothing() {
        let sum = "a".repeat(64);
        assert!(entry(&format!("{sum} 0.5.17")).is_some());
        for wrong in ["", &sum, &format!("{sum} x\x1b[31m"), &format!("{}g 0.5.17", &sum[1..]), "aa 0.5.17"] {
            assert_eq!(entry(wrong), None, "{wrong:?}");
        }
    }
}
