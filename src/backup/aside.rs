//! What a lost database left behind, put where nobody takes it for the new one's.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::litestream::database::{Database, with_suffix};
use crate::os::place::{self, Folder};

/// How many of each are kept: enough to go back to, and no disk full of them.
const KEPT: usize = 3;

/// What SQLite has beside a database.
const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What was put aside.
pub(super) struct Aside {
    /// Where it was.
    pub(super) was: PathBuf,
    /// Where it is.
    pub(super) kept: PathBuf,
    /// So many older ones of the same name were removed.
    pub(super) removed: usize,
}

/// What there is of a database beside its file.
pub(super) struct Remains(Vec<(PathBuf, &'static str)>);

impl Remains {
    /// The sidecars and Litestream's metadata folder. Whoever finds them before the database is found missing has nothing of a
    /// database that somebody makes meanwhile: SQLite makes the file first.
    pub(super) fn of(db: &Database) -> Self {
        let beside = SIDECARS.map(|tail| (db.path.clone(), tail)).into_iter().chain([(db.meta.clone(), "")]);
        let is_there = |(path, tail): &(PathBuf, &str)| {
            place::theirs(|| with_suffix(path, tail).symlink_metadata()).is_ok()
        };
        Self(beside.filter(is_there).collect())
    }

    /// Moves them away: SQLite would replay a stale `-wal` into the restored file. Of what was put aside before, the newest
    /// stay.
    pub(super) fn move_away(self) -> io::Result<Vec<Aside>> {
        move_all(self.0.into_iter())
    }
}

/// Moves away the database itself as well.
pub(super) fn move_whole(db: &Database) -> io::Result<Vec<Aside>> {
    let beside = [""].into_iter().chain(SIDECARS).map(|tail| (db.path.clone(), tail));
    move_all(beside.chain([(db.meta.clone(), "")]))
}

/// Moves away Litestream's metadata folder alone.
pub(super) fn move_metadata(db: &Database) -> io::Result<Vec<Aside>> {
    move_all([(db.meta.clone(), "")].into_iter())
}

/// The sign of what was put aside: a time.
fn suffix() -> String {
    format!(".{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ"))
}

/// Each is a path, and what comes behind it: what SQLite has beside a database, it has by that name beside another one.
fn move_all(paths: impl Iterator<Item = (PathBuf, &'static str)>) -> io::Result<Vec<Aside>> {
    let suffix = suffix();
    let mut moved = Vec::new();
    for (path, tail) in paths {
        let (was, kept) = (with_suffix(&path, tail), with_suffix(&path, &format!("{suffix}{tail}")));
        let rename = || {
            let (folder, name) = Folder::of(&was)?;
            folder.rename(name, kept.file_name().unwrap_or_default())?;
            Ok(remove_older(&folder, path.file_name().unwrap_or_default(), tail))
        };
        match place::theirs(rename) {
            Ok(removed) => moved.push(Aside { was, kept, removed }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(moved)
}

/// Removes all but the newest of what was put aside under this name. What cannot be removed stays, and nothing hangs
/// on it.
fn remove_older(folder: &Folder, name: &OsStr, tail: &str) -> usize {
    let mut all = folder.names().unwrap_or_default();
    all.retain(|other| is_aside(name, tail, other));
    // The times have one width, so their order is the names'.
    all.sort_unstable();
    let older = all.len().saturating_sub(KEPT);
    let remove = |name: &OsString| {
        folder.remove(name).is_ok() || std::fs::remove_dir_all(folder.path().join(name)).is_ok()
    };
    all.iter().take(older).filter(|name| remove(name)).count()
}

/// Whether a name is another one with such a time and this tail behind it, and nothing else.
fn is_aside(name: &OsStr, tail: &str, other: &OsStr) -> bool {
    let time = other.as_bytes().strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"."));
    let time = time.and_then(|rest| rest.strip_suffix(tail.as_bytes()));
    let is_time = |time: &[u8]| {
        let shape = time.iter().map(|byte| if byte.is_ascii_digit() { b'0' } else { *byte });
        shape.eq(*b"00000000T000000000Z")
    };
    time.is_some_and(is_time)
}

/// What is left of a restore goes with it, also where that is given up in the middle.
pub(super) struct Partial<'a>(pub(super) &'a Path);

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        remove_partial(self.0);
    }
}

/// Removes what a restore that did not end left of its output.
pub(super) fn remove_partial(output: &Path) {
    let remove = || {
        let (folder, name) = Folder::of(output)?;
        for found in folder.names()? {
            if found.as_encoded_bytes().starts_with(name.as_encoded_bytes()) {
                folder.remove(&found)?;
            }
        }
        Ok(())
    };
    // What cannot be removed is found, and named, by the restore that follows.
    let _ = place::theirs(remove);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn remains_are_kept_under_another_name_and_partial_output_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        let db = Database::at(path.clone());
        fs::write(dir.path().join("app.db-wal"), "stale").unwrap();
        fs::create_dir(&db.meta).unwrap();
        let moved = Remains::of(&db).move_away().unwrap();
        assert_eq!(moved.len(), 2);
        assert_eq!(fs::read_to_string(&moved[0].kept).unwrap(), "stale");
        assert_eq!(moved[1].was, db.meta);
        assert!(!dir.path().join("app.db-wal").exists() && !db.meta.exists());

        // The newest three of each stay, folders too, and what only looks like one.
        let (old, other) =
            (["2020", "2021", "2022"], ["app.db.bak-wal", "app.db.20200101T000000000Z-wal.gz"]);
        let aside = |name: &str, year: &str| match name.strip_suffix("-wal") {
            Some(name) => dir.path().join(format!("{name}.{year}0101T000000000Z-wal")),
            None => dir.path().join(format!("{name}.{year}0101T000000000Z")),
        };
        for year in old {
            fs::write(aside("app.db-wal", year), "").unwrap();
            fs::create_dir(aside(".app.db-litestream", year)).unwrap();
            fs::write(aside(".app.db-litestream", year).join("file"), "").unwrap();
        }
        other.iter().for_each(|name| fs::write(dir.path().join(name), "").unwrap());
        fs::write(dir.path().join("app.db-wal"), "newer").unwrap();
        fs::create_dir(&db.meta).unwrap();
        // In the same millisecond it would have the same name.
        while moved[0].kept == with_suffix(&path, &format!("{}-wal", suffix())) {}
        let again = Remains::of(&db).move_away().unwrap();
        assert_eq!(again.iter().map(|aside| aside.removed).collect::<Vec<_>>(), [2, 2]);
        let left: Vec<bool> = old.map(|year| aside("app.db-wal", year).exists()).into();
        assert_eq!(left, [false, false, true]);
        assert!(moved.iter().chain(&again).all(|aside| aside.kept.exists()));
        assert!(other.iter().all(|name| dir.path().join(name).exists()));
        for entry in fs::read_dir(dir.path()).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }
        fs::write(dir.path().join("a"), "").unwrap();
        fs::write(dir.path().join("b"), "").unwrap();

        let output = db.hidden("-litekeeper-restore");
        for suffix in ["", ".tmp", ".tmp-wal"] {
            fs::write(with_suffix(&output, suffix), "half").unwrap();
        }
        remove_partial(&output);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "only what was moved aside is left");
    }
}
