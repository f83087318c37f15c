//! A database as Litestream replicates it.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::os::{open, permit};
use crate::remote::Place;
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
    /// The same for a client of our own, if that can get there.
    pub place: Option<Place>,
    /// These are the first of several (0.3).
    pub is_on_several: bool,
}

impl Database {
    /// Makes one of which nothing is known but its file: its metadata is where Litestream has it by default.
    pub fn at(path: PathBuf) -> Self {
        let meta = hidden(&path, "-litestream");
        Self { path, meta, replica: String::new(), replica_folder: None, place: None, is_on_several: false }
    }

    /// Returns the place, if it is Litestream's client of S3 that puts its files there.
    pub fn on_s3(&self) -> Option<&Place> {
        self.place.as_ref().filter(|place| matches!(place, Place::S3(_)))
    }

    /// Says whether there is something in it: a file of 0 bytes is as good as none.
    pub fn exists(&self) -> bool {
        permit::theirs(|| self.path.metadata()).is_ok_and(|found| found.len() > 0)
    }

    /// Returns a file beside it: `.app.db-litekeeper.lock` for `-litekeeper.lock`.
    pub fn hidden(&self, suffix: &str) -> PathBuf {
        hidden(&self.path, suffix)
    }
}

/// What Litestream has of a database by itself: two folders, in which the keeper has files of its own.
const LTX: &str = "ltx";
/// What the backup has of each page.
pub const LEDGER: &str = "litekeeper-ledger";
/// Whose history it is. The same name has the mark at the replica.
pub const MARK: &str = "litekeeper.json";
/// Who replicates to a place in a bucket now: the name that Litestream's own leaser has (`DefaultLeasePath` in its s3/leaser.go).
pub const LEASE: &str = "lock.json";
/// What it ever had.
pub const HISTORY: &str = "litekeeper-history";

/// Says how many names the file of a database has, if it has more than one; a link is found elsewhere.
pub fn names(path: &Path) -> Option<u64> {
    let found = permit::theirs(|| path.symlink_metadata()).ok()?;
    (found.is_file() && found.nlink() > 1).then(|| found.nlink())
}

/// Says what that does, and the next step: a WAL is named after its database
/// (<https://www.sqlite.org/howtocorrupt.html>, "Multiple links to the same file").
pub fn of_names(path: &Path, names: u64) -> (String, String) {
    let shown = path.display();
    (
        format!(
            "the file has {names} names (hard links), and SQLite damages one that is opened by two: each has a WAL of its own"
        ),
        format!(
            "`find / -xdev -samefile {shown}` shows the others; as a backup (rsnapshot, `cp -al`) they change with the database: \
             leave it out there"
        ),
    )
}

/// Says what stands in the place of a folder of Litestream's, or of a file of the keeper's, and what to do about it. Nothing is
/// opened: Litestream would fail at it for ever, and the keeper late.
pub fn in_the_way(path: &Path, meta: &Path) -> Option<(String, String)> {
    for folder in [meta.to_owned(), meta.join(LTX)] {
        // A folder may be a link to one; a link to nothing is in the way as well.
        let found = permit::theirs(|| folder.metadata().or_else(|_| folder.symlink_metadata()));
        if let Some(found) = found.ok().filter(|found| !found.is_dir()) {
            let what = open::odd(found.file_type()).unwrap_or("a file");
            let message = format!("{}: it is {what}, and no folder of litestream's", folder.display());
            return Some((message, "remove it: litestream makes its own anew".to_owned()));
        }
    }
    for file in [lock_of(path), meta.join(LEDGER), meta.join(HISTORY)] {
        let Ok(found) = permit::theirs(|| file.symlink_metadata()) else { continue };
        let is_lock = file.parent() != Some(meta);
        let other_name = (is_lock && found.nlink() > 1).then_some("a file with another name");
        if let Some(what) = open::odd(found.file_type()).or(other_name) {
            let message = format!("{}: it is {what}, and no file of litekeeper's", file.display());
            return Some((message, "remove it: litekeeper makes its own anew".to_owned()));
        }
    }
    let (beside, what) = fit::odd_beside(path)?;
    let message = format!("{}: it is {what}, and no file of SQLite's", beside.display());
    Some((message, "remove it while nobody has the database open: SQLite makes its own anew".to_owned()))
}

/// Returns the lock that a keeper holds on a database.
pub fn lock_of(path: &Path) -> PathBuf {
    hidden(path, permit::LOCK)
}

fn hidden(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(suffix);
    path.with_file_name(name)
}

/// The longest name of a database: `.NAME-litekeeper.lock` has to be a name as well (`NAME_MAX` in `limits.h(0p)`).
const LONGEST_NAME: usize = 255 - ".-litekeeper.lock".len();
/// The same of one that may have to be restored, under a name that is longer.
const LONGEST_MISSING: usize = 255 - ".-litekeeper-restore.tmp".len();

/// Says what Litestream takes a path for that SQLite is not given as it is, and the part of it that does it; `None` where it
/// opens the file itself. `is_old` is asked only where the two series differ.
///
/// Both put the path before parameters. 0.5 makes a URI of it (`file:PATH?…` in its db.go), in which SQLite takes `?` and
/// `#` for an end and `%41` for a letter, `%00` for an end as well (`sqlite3ParseUri`); 0.3 takes `?` for an end. The file
/// that it then opens is another one, or is made, and only the WAL is the right one's: until a checkpoint begins that again
/// (tried with 0.3.13, 0.5.5 and 0.5.17, in the name and in folders above).
pub fn misread(path: &Path, is_old: impl Fn() -> bool) -> Option<String> {
    use std::os::unix::ffi::OsStrExt as _;

    let bytes = path.as_os_str().as_bytes();
    let is_escape =
        |at: usize| bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    let found = |at: usize, byte: u8| match byte {
        b'?' => Some("it takes `?` for the end of the path".to_owned()),
        b'#' if !is_old() => Some("it takes `#` for the end of the path".to_owned()),
        b'%' if is_escape(at) && !is_old() => {
            let escape = String::from_utf8_lossy(&bytes[at..at + 3]);
            Some(format!("it takes `{escape}` for one character"))
        }
        _ => None,
    };
    bytes.iter().enumerate().find_map(|(at, byte)| found(at, *byte))
}

/// Says why no database can be at this path, whatever is written there; `None` where one can. Nothing is opened.
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
    let kind = match permit::theirs(|| path.metadata()) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && length > LONGEST_MISSING => {
            return too_long(LONGEST_MISSING, "what is restored");
        }
        Err(error) if error.raw_os_error() == Some(nix::libc::ENAMETOOLONG) => {
            return Some("the path is longer than this system allows".to_owned());
        }
        Err(_) => return None,
    };
    open::odd(kind).map(|what| format!("it is {what}, and no database"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_litestream_opens_otherwise_is_misread() {
        for (path, new, old) in [
            ("/a/b.db", false, false),
            ("/a?/b.db", true, true),
            ("/a/?", true, true),
            ("/C#/b.db", true, false),
            ("/a/b#", true, false),
            ("/a/%41.db", true, false),
            ("/a/%2fb.db", true, false),
            ("/%00/b.db", true, false),
            ("/a/100%.db", false, false),
            ("/a/b%4", false, false),
            ("/a/%4g%g4%zz%.db", false, false),
            ("/a/%%41", true, false),
            ("/a b/ä&;+=:@!*'\"\\\n[x]{y}$~.db", false, false),
        ] {
            assert_eq!(misread(Path::new(path), || false).is_some(), new, "{path}");
            assert_eq!(misread(Path::new(path), || true).is_some(), old, "{path}, 0.3");
        }
    }
}
