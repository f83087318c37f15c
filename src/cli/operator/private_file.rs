//! A file that only its owner can read, and that is whole or not there at all.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::os::permit;

/// One that is not in its place yet; it goes with this.
pub(super) struct Pending {
    file: NamedTempFile,
    path: PathBuf,
}

impl Pending {
    /// Begins one beside its place, so that whoever has hours of work before him knows that it can be written.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Made with 0600 (`mkstemp(3)`).
        let make = || NamedTempFile::with_prefix_in(".litekeeper-", folder);
        // In a folder of somebody else's it is his.
        let file = if permit::is_led(path) { permit::theirs(make) } else { make() }?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Puts it in its place with this in it, over what stands there only if that is wanted.
    ///
    /// # Errors
    /// What the operating system says; then nothing has changed.
    pub(super) fn put(mut self, text: &str, over: bool) -> io::Result<()> {
        self.file.write_all(text.as_bytes())?;
        self.file.as_file().sync_all()?;
        let Self { file, path } = self;
        let put = || {
            let placed = if over { file.persist(&path) } else { file.persist_noclobber(&path) };
            placed.map(drop).map_err(|error| error.error)
        };
        if permit::is_led(&path) { permit::theirs(put) } else { put() }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_there_whole_or_not_at_all_and_its_owners_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let names = || fs::read_dir(folder.path()).expect("ours").count();
        drop(Pending::begin(&path).expect("ours"));
        assert_eq!(names(), 0);
        Pending::begin(&path).expect("ours").put("one", false).expect("nothing is there");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let refused = Pending::begin(&path).expect("ours").put("two", false);
        assert_eq!(refused.expect_err("one is there").kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((fs::read_to_string(&path).expect("ours").as_str(), names()), ("one", 1));
        Pending::begin(&path).expect("ours").put("two", true).expect("over it");
        assert_eq!((fs::read_to_string(&path).expect("ours").as_str(), names()), ("two", 1));
        assert!(Pending::begin(&folder.path().join("none/file")).is_err());
    }
}
