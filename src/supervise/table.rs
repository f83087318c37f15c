//! The table of the databases by their numbers: where each is, what named it, and its lock.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::time::Instant;

use crate::core::Db;
use crate::inventory::Named;
use crate::litestream::database::Database;
use crate::os::lock::Lock;

/// Each database with its number; one value as long as none comes or goes.
pub(super) type Listed = Rc<Vec<(Db, Database)>>;

/// One database.
struct Entry {
    database: Database,
    lock: Lock,
    /// What a source said of it; the configuration's own have nothing.
    named: Option<Rc<Named>>,
}

/// All databases of a run.
pub(super) struct DatabaseTable {
    entries: BTreeMap<Db, Entry>,
    /// Made when it is asked for: a thousand that come together are listed once.
    listed: RefCell<Option<Listed>>,
    /// The locks that came and went since a shim was told last.
    came: Vec<Db>,
    went: Vec<Db>,
    changed: bool,
}

impl DatabaseTable {
    /// Those of the configuration, with their locks.
    pub(super) fn new(dbs: &[Database], locks: Vec<Lock>) -> Self {
        let entries = dbs.iter().zip(locks).enumerate().map(|(place, (database, lock))| {
            (Db(place), Entry { database: database.clone(), lock, named: None })
        });
        Self {
            entries: entries.collect(),
            listed: RefCell::default(),
            came: Vec::new(),
            went: Vec::new(),
            changed: false,
        }
    }

    /// Returns all, in the order of their numbers.
    pub(super) fn listed(&self) -> Listed {
        let list = || Rc::new(self.entries.iter().map(|(db, entry)| (*db, entry.database.clone())).collect());
        self.listed.borrow_mut().get_or_insert_with(list).clone()
    }

    pub(super) fn get(&self, db: Db) -> Option<&Database> {
        self.entries.get(&db).map(|entry| &entry.database)
    }

    /// Returns which file it was when it was locked last: device and inode.
    pub(super) fn file(&self, db: Db) -> Option<(u64, u64)> {
        self.entries.get(&db)?.lock.guarded()
    }

    /// Returns what a source said of it.
    pub(super) fn named(&self, db: Db) -> Option<&Named> {
        self.entries.get(&db)?.named.as_deref()
    }

    /// Returns all that sources named.
    pub(super) fn all_named(&self) -> impl Iterator<Item = (Db, &Named)> {
        self.entries.iter().filter_map(|(db, entry)| Some((*db, entry.named.as_deref()?)))
    }

    pub(super) fn locks(&self) -> impl Iterator<Item = RawFd> {
        self.entries.values().map(|entry| entry.lock.give().as_raw_fd())
    }

    /// Tells whether one of the locks is this file: device and inode.
    pub(super) fn has_lock(&self, file: (u64, u64)) -> bool {
        self.entries.values().any(|entry| entry.lock.identity().is_ok_and(|own| own == file))
    }

    /// Returns each database with its lock.
    pub(super) fn locked(&mut self) -> impl Iterator<Item = (Db, &Database, &mut Lock)> {
        self.entries.iter_mut().map(|(db, entry)| (*db, &entry.database, &mut entry.lock))
    }

    /// Replaces a database's lock by another one.
    pub(super) fn renew(&mut self, db: Db, lock: Lock) {
        if let Some(entry) = self.entries.get_mut(&db) {
            entry.lock = lock;
            self.came.push(db);
            self.changed = true;
        }
    }

    /// Records that it is replicated to another place now.
    pub(super) fn rename(&mut self, db: Db, named: Rc<Named>) {
        if let Some(entry) = self.entries.get_mut(&db) {
            (entry.database, entry.named) = (named.database.clone(), Some(named));
            self.changed = true;
            self.listed.take();
        }
    }

    /// Takes one in.
    pub(super) fn put(&mut self, db: Db, named: Rc<Named>, lock: Lock) {
        self.entries.insert(db, Entry { database: named.database.clone(), lock, named: Some(named) });
        self.came.push(db);
        self.changed = true;
        self.listed.take();
    }

    /// Lets one go, and its lock.
    pub(super) fn remove(&mut self, db: Db) {
        if let Some(entry) = self.entries.remove(&db) {
            entry.lock.release();
            self.went.push(db);
            self.changed = true;
            self.listed.take();
        }
    }

    /// Lets all go, until a moment: the stop of this run waits for it.
    pub(super) fn let_go(&mut self, until: Instant) {
        for entry in std::mem::take(&mut self.entries).into_values() {
            if Instant::now() < until { drop(entry.lock) } else { entry.lock.leave() }
        }
    }

    /// Returns what a shim has to be told: the locks that came, at most `most`, and those that went; `None` if
    /// nothing has changed since.
    pub(super) fn news(&mut self, most: usize) -> Option<News> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let rest = self.came.split_off(self.came.len().min(most));
        let came = std::mem::replace(&mut self.came, rest);
        self.changed = !self.came.is_empty();
        let lock = |db: Db| Some((db, self.entries.get(&db)?.lock.give().as_raw_fd()));
        Some(News { came: came.into_iter().filter_map(lock).collect(), went: std::mem::take(&mut self.went) })
    }

    /// Forgets what a shim would have to be told: one that is started now inherits everything.
    pub(super) fn is_told(&mut self) {
        self.came.clear();
        self.went.clear();
        self.changed = false;
    }
}

/// See [`DatabaseTable::news`].
pub(super) struct News {
    pub(super) came: Vec<(Db, RawFd)>,
    pub(super) went: Vec<Db>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Entry;

    fn database(folder: &std::path::Path, name: &str) -> (Database, Lock) {
        let path = folder.join(name);
        let lock = Lock::acquire(&folder.join(format!("{name}.lock")), "").unwrap();
        (Database::at(path), lock)
    }

    #[test]
    fn a_lock_goes_with_its_database() {
        let folder = tempfile::tempdir().unwrap();
        let (first, lock) = database(folder.path(), "a");
        let mut table = DatabaseTable::new(&[first], vec![lock]);
        assert!(table.news(9).is_none());
        let named = |database, name: &str| {
            Rc::new(Named {
                database,
                url: Err(String::new()),
                told: None,
                entry: Entry::InFolder(0, name.into()),
            })
        };
        let (second, lock) = database(folder.path(), "b");
        table.put(Db(1), named(second, "b"), lock);
        assert!(table.news(0).is_some_and(|news| news.came.is_empty()), "none fits");
        assert!(table.news(9).is_some_and(|news| news.came[0].0 == Db(1)));
        table.remove(Db(1));
        assert!(table.news(9).is_some_and(|news| news.went == [Db(1)]));
        let (third, lock) = database(folder.path(), "b");
        table.put(Db(2), named(third, "b"), lock);
        assert_eq!(table.listed().iter().map(|(db, _)| *db).collect::<Vec<_>>(), [Db(0), Db(2)]);
    }
}
