//! Databases whose file went while the app had it open: whatever it writes there is on no replica.

use std::collections::{BTreeMap, HashSet};

use crate::core::{Db, Event};
use crate::litestream::database::Database;
use crate::os::proc;
use crate::os::tree;

/// The names of so many that went are kept.
const MOST: usize = 1000;

/// Those that went, and which of them the app may still have open.
#[derive(Default)]
pub(super) struct Abandoned {
    /// Device and inode of each that the app had open when it went.
    open: BTreeMap<Db, (u64, u64)>,
    /// The same of those that were told.
    told: BTreeMap<Db, (u64, u64)>,
    /// All, by what they were called.
    names: BTreeMap<Db, Database>,
}

impl Abandoned {
    /// The file of this one is not where it was, and nobody replicates it any more; `shim` is above all that the app has.
    pub(super) fn went(&mut self, db: Db, database: Database, file: Option<(u64, u64)>, shim: Option<i32>) {
        if let Some(file) = file.filter(|file| is_open(shim, *file)) {
            self.open.insert(db, file);
        }
        if self.names.len() >= MOST {
            self.names.pop_first();
        }
        self.names.insert(db, database);
    }

    /// Which of them the app has kept open until now, or until its end: who deletes a database closes it in a moment. One that
    /// was renamed, and is among those that are replicated by now, is found again.
    pub(super) fn look(
        &mut self,
        shim: Option<i32>,
        has_app: bool,
        replicated: &[(Db, Database)],
    ) -> Vec<Event> {
        if self.open.is_empty() && self.told.is_empty() {
            return Vec::new();
        }
        let files: HashSet<(u64, u64)> =
            replicated.iter().filter_map(|(_, database)| proc::identity(&database.path)).collect();
        let again = self.told.iter().filter(|(_, file)| files.contains(file));
        let again: Vec<Db> = again.map(|(db, _)| *db).collect();
        self.told.retain(|db, _| !again.contains(db));
        let mut events: Vec<Event> = again.into_iter().map(Event::FoundAgain).collect();
        // Once nobody has it open its number can be another file's.
        self.told.retain(|_, file| is_open(shim, *file));
        for (db, file) in std::mem::take(&mut self.open) {
            if !files.contains(&file) && (!has_app || is_open(shim, file)) {
                self.told.insert(db, file);
                events.push(Event::Abandoned(db));
            }
        }
        events
    }

    /// What they were called.
    pub(super) fn names(&self) -> impl Iterator<Item = (Db, Database)> + '_ {
        self.names.iter().map(|(db, database)| (*db, database.clone()))
    }
}

/// Whether anything below the shim has a file open. Of whom nobody may look at, nobody knows.
fn is_open(shim: Option<i32>, file: (u64, u64)) -> bool {
    let below = shim.map(tree::descendants).unwrap_or_default();
    below.into_iter().any(|pid| proc::has_open_file(pid, file) == Some(true))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;
    use std::process::{Command, Stdio};

    use super::*;

    fn database(name: &str) -> Database {
        let (meta, replica) = ("m".into(), "r".into());
        Database { path: name.into(), meta, replica, replica_folder: None, s3: None }
    }

    #[test]
    fn only_what_the_app_keeps_open_is_abandoned() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let file = File::create(&path).unwrap();
        let id = file.metadata().map(|found| (found.dev(), found.ino())).unwrap();
        let mut app = Command::new("sleep").arg("60").stdin(Stdio::from(file)).spawn().unwrap();
        let me = Some(std::process::id() as i32);
        let mut abandoned = Abandoned::default();
        std::fs::remove_file(&path).unwrap();
        abandoned.went(Db(1), database("a.db"), Some(id), me);
        abandoned.went(Db(2), database("b.db"), Some((id.0, id.1 + 1)), me);
        assert_eq!(abandoned.look(me, true, &[]), [Event::Abandoned(Db(1))]);
        assert_eq!(abandoned.look(me, true, &[]), [], "it is told once");
        abandoned.went(Db(3), database("c.db"), Some(id), me);
        app.kill().unwrap();
        app.wait().unwrap();
        assert_eq!(abandoned.look(me, true, &[]), [], "it was closed");
        abandoned.open.insert(Db(4), id);
        assert_eq!(abandoned.look(me, false, &[]), [Event::Abandoned(Db(4))], "the app has ended with it");
        assert_eq!(abandoned.names().count(), 3);
        // It was moved, and is replicated there.
        abandoned.told.clear();
        let other = dir.path().join("b.db");
        let file = File::create(&other).unwrap().metadata().unwrap();
        abandoned.told.insert(Db(5), (file.dev(), file.ino()));
        let replicated = [(Db(6), Database { path: other, ..database("b.db") })];
        assert_eq!(abandoned.look(me, true, &replicated), [Event::FoundAgain(Db(5))]);
    }
}
