//! The databases that Litestream has or will have: what their files look like, and how each goes to the next Litestream.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::abandoned::{Abandoned, Opened};
use super::database_lock::{self, LockState};
use super::follows::Follows;
use super::ledger::{self, Damaged, Had};
use super::proofs::Proofs;
use super::runtime_folder::RuntimeFolder;
use super::table::DatabaseTable;
use super::wal::Suspects;
use super::watch::Watch;
use crate::core::{Db, Event, ExitCode};
use crate::error::Failure;
use crate::inventory::Entry;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::litestream::folder::Folder;
use crate::litestream::ltx;
use crate::litestream::others::Others;
use crate::litestream::position;

/// One that is made ready for a Litestream.
pub(super) struct Unready {
    pub(super) database: Database,
    /// It has to be copied as a whole, and why.
    pub(super) whole: Option<String>,
    pub(super) damaged: Damaged,
    pub(super) had: Had,
}

/// All of them.
pub(super) struct Databases {
    pub(super) table: DatabaseTable,
    pub(super) watch: Watch,
    abandoned: Abandoned,
    pub(super) suspects: Suspects,
    pub(super) proofs: Proofs,
    pub(super) follows: Follows,
    /// They are looked at: an app has them.
    watching: bool,
    /// How often they were since it was started.
    looks: u32,
    /// Of these Litestream has to make a new copy, and why.
    diverged: BTreeMap<PathBuf, String>,
    /// These were compared with their backups, and nobody has had them since.
    inspected: BTreeSet<PathBuf>,
    /// Those that the next Litestream has again after none had them for a while.
    returned: BTreeSet<PathBuf>,
    /// Where something stands in the place of a lock that nobody can lock.
    barred: BTreeSet<Db>,
}

impl Databases {
    pub(super) fn new(table: DatabaseTable, l0_retention: Option<Duration>) -> Self {
        Self {
            table,
            watch: Watch::new(),
            abandoned: Abandoned::default(),
            suspects: Suspects::default(),
            proofs: Proofs::default(),
            follows: Follows::new(l0_retention),
            watching: false,
            looks: 0,
            diverged: BTreeMap::new(),
            inspected: BTreeSet::new(),
            returned: BTreeSet::new(),
            barred: BTreeSet::new(),
        }
    }

    /// An app is about to have them.
    pub(super) fn app_starts(&mut self) {
        (self.watching, self.looks) = (true, 0);
        self.watch.started();
    }

    /// None has them any more.
    pub(super) fn released(&mut self) {
        self.watching = false;
    }

    pub(super) fn is_watching(&self) -> bool {
        self.watching
    }

    /// They were looked at once more; how often that was.
    pub(super) fn looked(&mut self) -> u32 {
        self.looks += 1;
        self.looks
    }

    /// What was found out before the start.
    pub(super) fn prepared(&mut self, inspected: Vec<PathBuf>, whole: Vec<(PathBuf, String)>) {
        self.inspected.extend(inspected);
        self.diverged.extend(whole);
    }

    /// Litestream's copy of it has diverged from it.
    pub(super) fn diverged(&mut self, db: Db, why: String) {
        let path = self.table.get(db).map(|database| database.path.clone());
        self.diverged.extend(path.map(|path| (path, why)));
    }

    /// The next Litestream has it again.
    pub(super) fn returned(&mut self, path: PathBuf) {
        self.returned.insert(path);
    }

    /// Those that are not ready for the next Litestream as they are.
    pub(super) fn unready(&mut self, is_ltx: bool, is_ignored: bool) -> Vec<Unready> {
        let mut diverged = std::mem::take(&mut self.diverged);
        let inspected = std::mem::take(&mut self.inspected);
        let returned = std::mem::take(&mut self.returned);
        let listed = self.table.listed();
        let databases = listed.iter().map(|(_, database)| database);
        let made_ready = databases.filter(|database| is_ltx && database.exists());
        made_ready
            .filter_map(|database| {
                let (whole, is_inspected) =
                    (diverged.remove(&database.path), inspected.contains(&database.path));
                if whole.is_none() && is_inspected {
                    return None;
                }
                let damaged = match (is_ignored, is_inspected) {
                    (true, _) => Damaged::Told,
                    (false, true) => Damaged::Seen,
                    (false, false) => Damaged::Refused,
                };
                let had = if returned.contains(&database.path) { Had::NotAlways } else { Had::Always };
                Some(Unready { database: database.clone(), whole, damaged, had })
            })
            .collect()
    }

    /// All that sources named and is here.
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.table.all_named().map(|(_, named)| named.entry.clone()).collect()
    }

    /// Whether Litestream lets go of it by itself when its file is deleted.
    pub(super) fn is_watched_folders(&self, db: Db, folders: &[Folder]) -> bool {
        match self.table.named(db).map(|named| &named.entry) {
            Some(Entry::InFolder(place, _)) => folders[*place].watch,
            Some(Entry::Said(_)) | None => false,
        }
    }

    /// Litestream was started and has opened what is there now.
    pub(super) fn opened(&mut self, folders: &[Folder]) {
        let listed = self.table.listed();
        let goes: Vec<_> = listed.iter().map(|(db, _)| self.is_watched_folders(*db, folders)).collect();
        self.watch.set(&listed, &goes);
        self.watch.reset();
    }

    pub(super) fn watch_too(&mut self, db: Db, folders: &[Folder]) {
        if let Some(database) = self.table.get(db) {
            let goes = self.is_watched_folders(db, folders);
            self.watch.add(db, database, goes);
        }
    }

    /// Litestream has nothing of it any more, and neither has this process.
    pub(super) fn let_go(&mut self, db: Db) {
        self.watch.remove(db);
        self.table.remove(db);
    }

    /// The file of one that nobody replicates any more is not where it was.
    pub(super) fn went(&mut self, db: Db, opened: &Opened) {
        if let Some(database) = self.table.get(db).cloned() {
            // It may have gone before anybody looked.
            let file = self.watch.file(db).or_else(|| self.table.file(db));
            self.abandoned.went(db, database, file, opened);
        }
    }

    /// See [`Abandoned::look`].
    pub(super) fn scan_for_abandoned(&mut self, shim: Option<i32>) -> Vec<Event> {
        self.abandoned.look(shim, &self.table.listed())
    }

    /// Those whose file went, and what they were called.
    pub(super) fn gone(&self) -> impl Iterator<Item = (Db, Database)> + '_ {
        self.abandoned.names()
    }

    pub(super) fn scan_for_orphans(&mut self, db: Db, runner: &Runner, is_ltx: bool) {
        match self.table.get(db) {
            Some(database) if is_ltx => self.suspects.look(runner, db, &database.path),
            Some(_) | None => self.suspects.forget(db),
        }
    }

    /// Has the ledgers take in what Litestream will delete.
    pub(super) fn follow(&mut self, runner: &Runner) {
        for db in self.follows.due(Instant::now()) {
            if let Some(database) = self.table.get(db).cloned() {
                tokio::task::spawn_local(ledger::follow(runner.clone(), database));
            }
        }
    }

    /// Checks that all locks are held which another keeper would look for; whose are lost, and why.
    pub(super) fn check_locks(&mut self, folder: &RuntimeFolder) -> Vec<(Db, Failure)> {
        // That nobody takes the run's folder for one that was left: its name is this process's own number.
        let _ = folder.lock().keep();
        let (mut renewed, mut lost) = (Vec::new(), Vec::new());
        for (db, database, lock) in self.table.locked() {
            let path = database.path.display();
            match database_lock::check(database, lock, folder) {
                LockState::Held => drop(self.barred.remove(&db)),
                LockState::Ours(other) => {
                    if self.barred.insert(db) {
                        let other = other.display();
                        tracing::error!(
                            "{path}: the file of {other} stands there now, which this keeper has as well"
                        );
                    }
                }
                LockState::Renewed(lock) => {
                    tracing::warn!("{path}: its lock was removed while litekeeper runs: taken anew");
                    renewed.push((db, lock));
                }
                LockState::Lost(failure) => lost.push((db, failure)),
                LockState::Barred(error) => {
                    if self.barred.insert(db) {
                        tracing::error!("{path}: its lock was replaced by what is none: {error}");
                    }
                }
            }
        }
        for (db, lock) in renewed {
            self.table.renew(db, lock);
        }
        lost
    }

    /// Returns one that a Litestream replicates as well which is not this keeper's.
    pub(super) fn doubled(&self) -> Option<(Db, Failure)> {
        let listed = self.table.listed();
        let all = listed.iter().map(|(db, database)| (*db, database));
        database_lock::other_litestream(&Others::now(), all)
    }

    /// Tells whether a resolver has named it.
    pub(super) fn is_said(&self, db: Db) -> bool {
        self.table.named(db).is_some_and(|named| matches!(named.entry, Entry::Said(_)))
    }

    /// Tells whether it is one that comes and goes while the unit runs, and that is gone: a tenant of a resolver, or of a watched folder.
    pub(super) fn has_gone(&self, db: Db, folders: &[Folder]) -> bool {
        let comes_and_goes = self.is_said(db) || self.is_watched_folders(db, folders);
        comes_and_goes && self.table.get(db).is_some_and(|database| !database.exists())
    }

    /// Returns the tenants of a resolver that were removed: no other one has to wait for them.
    pub(super) fn removed_tenants(&self) -> Vec<Db> {
        let removed = |(db, database): &&(Db, Database)| self.is_said(*db) && was_removed(database);
        self.table.listed().iter().filter(removed).map(|(db, _)| *db).collect()
    }

    /// Why neither Litestream nor the app may be started: a database that was replicated is not there, as somebody has removed it
    /// while neither ran, and one or the other would begin with an empty one. The next start restores it.
    pub(super) fn without_one(&self, folders: &[Folder]) -> Option<Failure> {
        let listed = self.table.listed();
        let (_, gone) = listed.iter().find(|(db, database)| {
            was_removed(database) && !self.is_watched_folders(*db, folders) && !self.is_said(*db)
        })?;
        let message = format!("{} was removed, and is on {}", gone.path.display(), gone.replica);
        Some(Failure::new(ExitCode::UNAVAILABLE, message).hint("the next start restores it from there"))
    }
}

/// Tells whether a database is not there that was.
fn was_removed(database: &Database) -> bool {
    !database.exists() && position::txids(&ltx::folder(&database.meta)).next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::lock::Lock;

    /// As many databases as are named, in a folder of their own.
    fn databases(folder: &std::path::Path, names: &[&str]) -> Databases {
        let (mut all, mut locks) = (Vec::new(), Vec::new());
        for name in names {
            let path = folder.join(name);
            std::fs::write(&path, "rows").expect("a folder");
            all.push(Database::at(path));
            locks.push(Lock::acquire(&folder.join(format!("{name}.lock")), "").expect("a lock"));
        }
        Databases::new(DatabaseTable::new(&all, locks), None)
    }

    #[test]
    fn what_is_known_of_a_database_is_for_the_next_litestream_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut databases = databases(folder.path(), &["a", "b", "c"]);
        let path = |name: &str| folder.path().join(name);
        databases.prepared(vec![path("a"), path("b")], vec![(path("b"), "it was behind".to_owned())]);
        databases.diverged(Db(2), "it was overtaken".to_owned());
        databases.diverged(Db(9), "nobody has it".to_owned());
        databases.returned(path("c"));
        let of = |unready: Vec<Unready>| -> Vec<_> {
            let name = |unready: &Unready| unready.database.path.file_name().map(|name| name.to_owned());
            unready.into_iter().map(|one| (name(&one), one.whole, one.damaged, one.had)).collect()
        };
        let found = of(databases.unready(true, false));
        let [(b, behind, Damaged::Seen, Had::Always), (c, overtaken, Damaged::Refused, Had::NotAlways)] =
            found.as_slice()
        else {
            panic!("{} are not ready", found.len())
        };
        assert_eq!((b.as_deref(), c.as_deref()), (Some("b".as_ref()), Some("c".as_ref())));
        assert_eq!(
            (behind.as_deref(), overtaken.as_deref()),
            (Some("it was behind"), Some("it was overtaken"))
        );
        let next = databases.unready(true, true);
        assert_eq!(next.len(), 3, "what was inspected was had since");
        assert!(next.iter().all(|one| one.whole.is_none() && matches!(one.damaged, Damaged::Told)));
        assert!(databases.unready(false, false).is_empty(), "a release before 0.5 makes none of this");
    }

    #[test]
    fn only_one_that_was_copied_and_is_gone_keeps_the_rest_from_a_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let databases = databases(folder.path(), &["a", "b"]);
        std::fs::remove_file(folder.path().join("a")).expect("it is there");
        assert!(databases.without_one(&[]).is_none(), "it was never copied");
        let copied = ltx::folder(&folder.path().join(".a-litestream"));
        std::fs::create_dir_all(&copied).expect("a folder");
        std::fs::write(copied.join("0000000000000001-0000000000000001.ltx"), "").expect("a folder");
        assert!(databases.without_one(&[]).is_some_and(|failure| failure.message.contains("was removed")));
    }

    #[test]
    fn looks_are_counted_from_the_apps_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut databases = databases(folder.path(), &["a"]);
        assert!(!databases.is_watching());
        databases.app_starts();
        assert_eq!((databases.looked(), databases.looked()), (1, 2));
        databases.app_starts();
        assert_eq!((databases.looked(), databases.is_watching()), (1, true));
        databases.released();
        assert!(!databases.is_watching());
    }
}
