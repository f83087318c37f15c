//! Looking at the database files: which changed, which are not there any more.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::core::{Db, Event};
use crate::litestream::database::{Database, with_suffix};
use crate::os::permit;

/// How long Litestream may take to let go of a deleted file whose database it finds by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a look at one file says: two of them differ when it was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
    is_link: bool,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        // The file that a link leads to may be the one that was here; but SQLite keeps its WAL beside that, and Litestream
        // looks for it beside the link.
        let found = permit::theirs(|| fs::symlink_metadata(path)).ok()?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            seconds: found.mtime(),
            nanoseconds: found.mtime_nsec(),
            is_link: found.is_symlink(),
        })
    }

    /// A file of 0 bytes is not there yet: nobody has written to it. A link is none.
    fn of_database(path: &Path) -> Option<Self> {
        Self::of(path).filter(Self::is_database)
    }

    fn is_database(&self) -> bool {
        self.size > 0 && !self.is_link
    }

    fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

struct Watched {
    path: PathBuf,
    wal: PathBuf,
    /// The file that Litestream has open, as far as anybody can tell.
    first: Option<Stamp>,
    seen: (Option<Stamp>, Option<Stamp>),
    /// It was told that the file is not there.
    missed: bool,
    /// Litestream lets go of it by itself when its file is deleted, and takes in the next one.
    goes: bool,
    /// Since when another file stands there.
    odd: Option<Instant>,
}

impl Watched {
    fn new(database: &Database, goes: bool) -> Self {
        Self {
            path: database.path.clone(),
            wal: with_suffix(&database.path, "-wal"),
            first: Stamp::of_database(&database.path),
            seen: (None, None),
            missed: false,
            goes,
            odd: None,
        }
    }

    /// See [`Watch::look`].
    fn look(&mut self, db: Db, has_open: impl Fn((u64, u64)) -> bool, last: bool) -> Option<Event> {
        let now = (Stamp::of(&self.path), Stamp::of(&self.wal));
        let before = std::mem::replace(&mut self.seen, now);
        let replaced = match (&self.first, &now.0) {
            (Some(first), Some(current)) => !first.is_same_file(current),
            (Some(_), None) => true,
            (None, current) => {
                self.first = current.filter(Stamp::is_database);
                false
            }
        };
        if now.0.is_none() && self.goes {
            return Some(Event::Unregistered { db, ok: true });
        }
        if let (true, true, Some(first)) = (replaced, self.goes, self.first) {
            let since = *self.odd.get_or_insert_with(Instant::now);
            if !has_open((first.device, first.inode)) {
                // The new one is found like any that appears.
                return Some(Event::Unregistered { db, ok: true });
            }
            return (last || since.elapsed() >= PATIENCE).then_some(Event::Replaced(db));
        }
        if replaced {
            return Some(Event::Replaced(db));
        }
        if self.first.is_none() {
            return (!std::mem::replace(&mut self.missed, true)).then_some(Event::Missing(db));
        }
        (now != before && now.0.is_some()).then_some(Event::Changed(db))
    }
}

/// The files of all databases, by their numbers: among thousands none is looked for.
pub(super) struct Watch(BTreeMap<Db, Watched>);

impl Watch {
    /// Watches nothing yet.
    pub(super) fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Watches exactly these; what is new counts as changed at the next look.
    pub(super) fn set(&mut self, dbs: &[(Db, Database)], goes: &[bool]) {
        let wanted: HashSet<Db> = dbs.iter().map(|(db, _)| *db).collect();
        self.0.retain(|db, _| wanted.contains(db));
        for ((db, database), goes) in dbs.iter().zip(goes) {
            self.add(*db, database, *goes);
        }
    }

    /// Watches one more, as Litestream has it open now.
    ///
    /// `goes` says that Litestream lets go of it by itself when its file is deleted.
    pub(super) fn add(&mut self, db: Db, database: &Database, goes: bool) {
        self.0.entry(db).or_insert_with(|| Watched::new(database, goes));
    }

    /// Watches it no more.
    pub(super) fn remove(&mut self, db: Db) {
        self.0.remove(&db);
    }

    /// Which file Litestream has open of it: device and inode.
    pub(super) fn file(&self, db: Db) -> Option<(u64, u64)> {
        self.0.get(&db)?.first.map(|first| (first.device, first.inode))
    }

    /// Whether another file stands in its place, as far as the last look told.
    pub(super) fn is_replaced(&self, db: Db) -> bool {
        self.0.get(&db).is_some_and(|watched| match (&watched.first, Stamp::of(&watched.path)) {
            (Some(first), Some(now)) => !first.is_same_file(&now),
            (_, None) | (None, _) => false,
        })
    }

    /// Forgets which files these were: Litestream was started and opened what is there now.
    pub(super) fn reset(&mut self) {
        for watched in self.0.values_mut() {
            watched.first = Stamp::of_database(&watched.path);
            (watched.odd, watched.missed) = (None, false);
        }
    }

    /// The app is started: what is not there is told anew.
    pub(super) fn started(&mut self) {
        self.0.values_mut().for_each(|watched| watched.missed = false);
    }

    /// What changed since the last look; `has_open` tells whether Litestream still has the file of this device
    /// and inode open, and the `last` look waits for nothing.
    pub(super) fn look(&mut self, has_open: impl Fn((u64, u64)) -> bool, last: bool) -> Vec<Event> {
        self.0.iter_mut().filter_map(|(db, watched)| watched.look(*db, &has_open, last)).collect()
    }

    /// The same of one of them.
    pub(super) fn look_at(&mut self, db: Db, has_open: impl Fn((u64, u64)) -> bool) -> Option<Event> {
        self.0.get_mut(&db)?.look(db, &has_open, false)
    }

    /// Whether the file of one is there, and the one that Litestream has open, as far as anybody can tell.
    pub(super) fn stands(&mut self, db: Db) -> bool {
        let Some(watched) = self.0.get_mut(&db) else { return false };
        let Some(now) = Stamp::of_database(&watched.path) else { return false };
        watched.first.get_or_insert(now).is_same_file(&now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(path: &Path) -> Database {
        Database::at(path.to_owned())
    }

    #[test]
    fn writes_appearances_and_replacements_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        let db = database(&path);
        let mut watch = Watch::new();
        watch.set(&[(Db(0), db)], &[false]);
        assert_eq!(watch.look(|_| false, false), [Event::Missing(Db(0))]);
        assert_eq!(watch.look(|_| false, false), [], "it is told once");
        watch.started();
        fs::write(&path, "").unwrap();
        assert_eq!(watch.look(|_| false, false), [Event::Missing(Db(0))], "nothing is in it");
        fs::write(&path, "one").unwrap();
        assert_eq!(watch.look(|_| false, false), [Event::Changed(Db(0))], "it appeared");
        assert_eq!(watch.look(|_| false, false), []);
        fs::write(with_suffix(&path, "-wal"), "two").unwrap();
        assert_eq!(watch.look_at(Db(0), |_| false), Some(Event::Changed(Db(0))), "its WAL was written");
        assert_eq!((watch.look_at(Db(0), |_| false), watch.look_at(Db(1), |_| false)), (None, None));
        assert!(watch.stands(Db(0)) && !watch.stands(Db(1)));
        fs::write(dir.path().join("new"), "three").unwrap();
        fs::rename(dir.path().join("new"), &path).unwrap();
        assert!(!watch.stands(Db(0)), "nobody has to look for that");
        assert_eq!(watch.look(|_| false, false), [Event::Replaced(Db(0))]);
        fs::remove_file(&path).unwrap();
        assert_eq!(watch.look(|_| false, false), [Event::Replaced(Db(0))]);
        watch.reset();
        assert!(!watch.stands(Db(0)));
        let missing = [Event::Missing(Db(0))];
        assert_eq!(watch.look(|_| false, false), missing, "Litestream was started without it");
    }

    #[test]
    fn a_link_to_the_file_that_was_there_is_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("app.db"), dir.path().join("moved.db"));
        fs::write(&path, "one").unwrap();
        let mut watch = Watch::new();
        watch.set(&[(Db(0), database(&path))], &[false]);
        assert_eq!(watch.look(|_| false, false), [Event::Changed(Db(0))]);
        fs::rename(&path, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &path).unwrap();
        assert_eq!(watch.look(|_| false, false), [Event::Replaced(Db(0))]);
        watch.reset();
        assert_eq!(watch.look(|_| false, false), [Event::Missing(Db(0))], "Litestream does not find its WAL");
    }

    #[test]
    fn a_deleted_file_that_litestream_watches_has_gone_once_it_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        let db = database(&path);
        let replace = || {
            fs::write(dir.path().join("new"), "new").unwrap();
            fs::rename(dir.path().join("new"), &path).unwrap();
        };
        replace();
        let mut watch = Watch::new();
        watch.set(&[(Db(0), db)], &[true]);
        watch.look(|_| true, false);
        replace();
        assert_eq!(watch.look(|_| true, false), [], "it may be about to be closed");
        assert_eq!(watch.look(|_| true, true), [Event::Replaced(Db(0))], "no more time");
        assert_eq!(watch.look(|_| false, false), [Event::Unregistered { db: Db(0), ok: true }]);
    }
}
