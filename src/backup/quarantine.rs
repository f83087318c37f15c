//! The quarantine: files of a lost database, renamed so that nothing takes them for the new one's.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::litestream::database::{Database, with_suffix};
use crate::os::permit::{self, Folder};

/// How many of each are kept: enough to go back to, and no disk full of them.
const KEPT: usize = 3;

/// What SQLite has beside a database.
const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A file or folder that was put into quarantine.
pub(super) struct Quarantined {
    /// Its path before.
    pub(super) was: PathBuf,
    /// Its path now.
    pub(super) kept: PathBuf,
    /// How many older ones of the same name were removed for it.
    pub(super) removed: usize,
}

/// What there is of a database beside its file: the sidecars and Litestream's metadata folder.
pub(super) struct Remains(Vec<(PathBuf, &'static str)>);

impl Remains {
    /// Lists what is there. Listed before the database is found missing, it holds nothing of a database that is created
    /// meanwhile: SQLite creates the file first.
    pub(super) fn of(db: &Database) -> Self {
        let beside = SIDECARS.map(|tail| (db.path.clone(), tail)).into_iter().chain([(db.meta.clone(), "")]);
        let is_there = |(path, tail): &(PathBuf, &str)| {
            permit::theirs(|| with_suffix(path, tail).symlink_metadata()).is_ok()
        };
        Self(beside.filter(is_there).collect())
    }

    /// Puts them into quarantine: SQLite would replay a stale `-wal` into the restored file. Of what is there already, the
    /// newest stay.
    pub(super) fn quarantine(self) -> io::Result<Vec<Quarantined>> {
        rename_all(self.0.into_iter(), KEPT)
    }

    /// The same, and all of what is there already stays: whoever asks for it by hand sees to the rest.
    pub(super) fn put_aside(self) -> io::Result<Vec<Quarantined>> {
        rename_all(self.0.into_iter(), usize::MAX)
    }
}

/// Puts the database itself into quarantine as well.
pub(super) fn database(db: &Database) -> io::Result<Vec<Quarantined>> {
    rename_all(whole(db), KEPT)
}

/// The same, as [`Remains::put_aside`].
pub(super) fn put_database_aside(db: &Database) -> io::Result<Vec<Quarantined>> {
    rename_all(whole(db), usize::MAX)
}

/// The database and all that is beside it.
fn whole(db: &Database) -> impl Iterator<Item = (PathBuf, &'static str)> {
    let beside = [""].into_iter().chain(SIDECARS).map(|tail| (db.path.clone(), tail));
    beside.chain([(db.meta.clone(), "")])
}

/// Puts Litestream's metadata folder alone into quarantine.
pub(super) fn metadata(db: &Database) -> io::Result<Vec<Quarantined>> {
    rename_all([(db.meta.clone(), "")].into_iter(), KEPT)
}

/// The same, as [`Remains::put_aside`].
pub(super) fn put_metadata_aside(db: &Database) -> io::Result<Vec<Quarantined>> {
    rename_all([(db.meta.clone(), "")].into_iter(), usize::MAX)
}

/// Returns the metadata folders of a database that are in quarantine.
pub(super) fn kept_metadata(db: &Database) -> Vec<PathBuf> {
    let list = || {
        let (folder, name) = Folder::of(&db.meta)?;
        let kept = folder.names()?.into_iter().filter(|other| is_quarantined(name, "", other));
        Ok(kept.map(|other| db.meta.with_file_name(other)).collect())
    };
    permit::theirs(list).unwrap_or_default()
}

/// Returns the suffix that marks what is in quarantine: the current time.
fn suffix() -> String {
    format!(".{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ"))
}

/// Renames each path with its tail, and leaves `most` of each that are in quarantine. The tail stays at the end of the new name: SQLite finds a sidecar by it.
fn rename_all(
    paths: impl Iterator<Item = (PathBuf, &'static str)>,
    most: usize,
) -> io::Result<Vec<Quarantined>> {
    let suffix = suffix();
    let mut moved = Vec::new();
    for (path, tail) in paths {
        let (was, kept) = (with_suffix(&path, tail), with_suffix(&path, &format!("{suffix}{tail}")));
        let rename = || {
            let (folder, name) = Folder::of(&was)?;
            folder.rename(name, kept.file_name().unwrap_or_default())?;
            Ok(remove_oldest(&folder, path.file_name().unwrap_or_default(), tail, most))
        };
        match permit::theirs(rename) {
            Ok(removed) => moved.push(Quarantined { was, kept, removed }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(moved)
}

/// Removes all but the newest of what is in quarantine under this name, and returns how many. What cannot be removed
/// stays, and nothing depends on it.
fn remove_oldest(folder: &Folder, name: &OsStr, tail: &str, most: usize) -> usize {
    let mut all = folder.names().unwrap_or_default();
    all.retain(|other| is_quarantined(name, tail, other));
    // The times have one width, so their order is the names'.
    all.sort_unstable();
    let older = all.len().saturating_sub(most);
    let remove = |name: &OsString| {
        folder.remove(name).is_ok() || std::fs::remove_dir_all(folder.path().join(name)).is_ok()
    };
    all.iter().take(older).filter(|name| remove(name)).count()
}

/// Tells whether `other` is `name` with such a time and this tail behind it, and nothing else.
fn is_quarantined(name: &OsStr, tail: &str, other: &OsStr) -> bool {
    let time = other.as_bytes().strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"."));
    let time = time.and_then(|rest| rest.strip_suffix(tail.as_bytes()));
    let is_time = |time: &[u8]| {
        let shape = time.iter().map(|byte| if byte.is_ascii_digit() { b'0' } else { *byte });
        shape.eq(*b"00000000T000000000Z")
    };
    time.is_some_and(is_time)
}

/// Removes the partial output of a restore when it is dropped, also where the restore is given up in the middle.
pub(super) struct Partial(pub(super) PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        remove_partial(&self.0);
    }
}

/// Removes the output of a restore that did not end.
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
    let _ = permit::theirs(remove);
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
        let moved = Remains::of(&db).quarantine().unwrap();
        assert_eq!(moved.len(), 2);
        assert_eq!(fs::read_to_string(&moved[0].kept).unwrap(), "stale");
        assert_eq!(moved[1].was, db.meta);
        assert!(!dir.path().join("app.db-wal").exists() && !db.meta.exists());

        // The newest three of each stay, folders too, and what only looks like one.
        let (old, other) =
            (["2020", "2021", "2022"], ["app.db.bak-wal", "app.db.20200101T000000000Z-wal.gz"]);
        let quarantined = |name: &str, year: &str| match name.strip_suffix("-wal") {
            Some(name) => dir.path().join(format!("{name}.{year}0101T000000000Z-wal")),
            None => dir.path().join(format!("{name}.{year}0101T000000000Z")),
        };
        for year in old {
            fs::write(quarantined("app.db-wal", year), "").unwrap();
            fs::create_dir(quarantined(".app.db-litestream", year)).unwrap();
            fs::write(quarantined(".app.db-litestream", year).join("file"), "").unwrap();
        }
        other.iter().for_each(|name| fs::write(dir.path().join(name), "").unwrap());
        fs::write(dir.path().join("app.db-wal"), "newer").unwrap();
        fs::create_dir(&db.meta).unwrap();
        // In the same millisecond it would have the same name.
        while moved[0].kept == with_suffix(&path, &format!("{}-wal", suffix())) {}
        let again = Remains::of(&db).quarantine().unwrap();
        assert_eq!(again.iter().map(|one| one.removed).collect::<Vec<_>>(), [2, 2]);
        let left: Vec<bool> = old.map(|year| quarantined("app.db-wal", year).exists()).into();
        assert_eq!(left, [false, false, true]);
        assert!(moved.iter().chain(&again).all(|one| one.kept.exists()));
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
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "only what is in quarantine is left");
    }
}
