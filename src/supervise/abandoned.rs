//! Databases whose file went while the app had it open: whatever it writes there since is on no replica.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::SystemTime;

use crate::core::{Db, Event};
use crate::litestream::database::Database;
use crate::os::proc;
use crate::os::tree;

/// The names of so many that went are kept.
const MOST: usize = 1000;

/// Device and inode.
type Id = (u64, u64);

/// When each of some files was written to last, and how many bytes it has.
type LastWrites = BTreeMap<Id, (Option<SystemTime>, u64)>;

/// All files that the app has open.
pub(super) struct Opened(BTreeMap<Id, proc::Open>);

impl Opened {
    /// Below this shim. Of whom nobody may look at, nobody knows.
    pub(super) fn below(shim: Option<i32>) -> Self {
        let below = shim.map(tree::descendants).unwrap_or_default();
        Self(below.into_iter().flat_map(proc::open_files).map(|file| (file.id, file)).collect())
    }

    /// A database that is open, and its WAL if that is, whatever both are called by now.
    fn with_wal(&self, file: Id) -> Option<Vec<Id>> {
        // So the kernel shows what was deleted (`proc_pid_fd(5)`).
        let name = |open: &proc::Open| open.path.to_string_lossy().trim_end_matches(" (deleted)").to_owned();
        let wal = name(self.0.get(&file)?) + "-wal";
        let wals = self.0.values().filter(|open| name(open) == wal).map(|open| open.id);
        Some([file].into_iter().chain(wals).collect())
    }

    /// When each of these was written to, if the first one is open.
    fn written(&self, files: &[Id]) -> Option<LastWrites> {
        let of = |file: &Id| Some((*file, self.0.get(file)?.written));
        let (file, mut all) = (files.first()?, files.iter().filter_map(of).collect::<LastWrites>());
        all.contains_key(file).then(|| {
            // What is committed goes into the WAL; a checkpoint writes nothing new.
            if all.len() > 1 {
                all.remove(file);
            }
            all
        })
    }
}

/// Those that went, and which of them the app may still write to.
#[derive(Default)]
pub(super) struct Abandoned {
    /// Those that the app had open when they went, and to which nothing was written since.
    open: BTreeMap<Db, Open>,
    /// The files of those that were told.
    told: BTreeMap<Db, Id>,
    /// Those that went since the last look but one: each may have been renamed.
    renamed: [BTreeMap<Db, Id>; 2],
    /// All, by what they were called.
    names: BTreeMap<Db, Database>,
}

/// One that the app has open.
struct Open {
    /// The database, and its WAL.
    files: Vec<Id>,
    written: LastWrites,
}

impl Abandoned {
    /// This file of a database is not where it was, and nobody replicates it any more.
    pub(super) fn went(&mut self, db: Db, database: Database, file: Option<Id>, opened: &Opened) {
        self.renamed[0].extend(file.map(|file| (db, file)));
        let files = file.and_then(|file| opened.with_wal(file)).unwrap_or_default();
        if let Some(written) = opened.written(&files) {
            self.open.insert(db, Open { files, written });
        }
        if self.names.len() >= MOST {
            self.names.pop_first();
        }
        self.names.insert(db, database);
    }

    /// To which of them the app has written since, below this shim: whoever deletes a database may keep it open for a while, as pools of
    /// connections do. One that was renamed, and is among those that are replicated by now, is found again.
    pub(super) fn look(&mut self, shim: Option<i32>, replicated: &[(Db, Database)]) -> Vec<Event> {
        let [new, old] = std::mem::take(&mut self.renamed);
        if self.open.is_empty() && self.told.is_empty() && new.is_empty() && old.is_empty() {
            return Vec::new();
        }
        let opened = Opened::below(shim);
        let here: HashSet<Id> =
            replicated.iter().filter_map(|(_, database)| proc::identity(&database.path)).collect();
        let went = self.told.iter().chain(&new).chain(&old);
        let again: BTreeSet<Db> = went.filter(|(_, file)| here.contains(file)).map(|(db, _)| *db).collect();
        // Once nobody has it open its number can be another file's.
        self.told.retain(|db, file| !again.contains(db) && opened.0.contains_key(file));
        let mut events: Vec<Event> = again.into_iter().map(Event::FoundAgain).collect();
        self.renamed[1] = new;
        for (db, open) in std::mem::take(&mut self.open) {
            let Some(file) = open.files.first().copied().filter(|file| !here.contains(file)) else {
                continue;
            };
            match opened.written(&open.files) {
                Some(now) if now == open.written => drop(self.open.insert(db, open)),
                Some(_) => {
                    self.told.insert(db, file);
                    events.push(Event::Abandoned(db));
                }
                None => {}
            }
        }
        events
    }

    /// What they were called.
    pub(super) fn names(&self) -> impl Iterator<Item = (Db, Database)> + '_ {
        self.names.iter().map(|(db, database)| (*db, database.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;
    use std::process::{Child, Command};

    use super::*;

    /// A database and its WAL in a folder, and a shim below which a process has both open.
    fn opened(dir: &std::path::Path) -> (File, File, Id, Child) {
        let file = File::create(dir.join("a.db")).unwrap();
        let wal = File::create(dir.join("a.db-wal")).unwrap();
        let id = file.metadata().map(|found| (found.dev(), found.ino())).unwrap();
        let mut shim = Command::new("sh");
        shim.args(["-c", "sleep 60 & wait"])
            .stdout(file.try_clone().unwrap())
            .stderr(wal.try_clone().unwrap());
        let shim = shim.spawn().unwrap();
        while tree::descendants(shim.id() as i32).is_empty() {
            std::thread::yield_now();
        }
        (file, wal, id, shim)
    }

    fn end(mut shim: Child) {
        tree::signal_descendants(shim.id() as i32, nix::libc::SIGKILL);
        shim.wait().unwrap();
    }

    #[test]
    fn only_what_the_app_writes_to_is_abandoned() {
        let dir = tempfile::tempdir().unwrap();
        let (_file, mut wal, id, shim) = opened(dir.path());
        let pid = Some(shim.id() as i32);
        let mut abandoned = Abandoned::default();
        for name in ["a.db", "a.db-wal"] {
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
        abandoned.went(Db(1), Database::at("a.db".into()), Some(id), &Opened::below(pid));
        abandoned.went(Db(2), Database::at("b.db".into()), Some((id.0, u64::MAX)), &Opened::below(pid));
        for _ in 0..3 {
            assert_eq!(abandoned.look(pid, &[]), [], "a pool has it open");
        }
        wal.write_all(b"row").unwrap();
        assert_eq!(abandoned.look(pid, &[]), [Event::Abandoned(Db(1))]);
        assert_eq!(abandoned.look(pid, &[]), [], "it is told once");
        // What nothing was written to goes with the app.
        abandoned.went(Db(3), Database::at("c.db".into()), Some(id), &Opened::below(pid));
        end(shim);
        assert_eq!(abandoned.look(pid, &[]), []);
        assert_eq!(abandoned.names().count(), 3);
    }

    #[test]
    fn what_is_replicated_by_another_name_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let (_file, mut wal, id, shim) = opened(dir.path());
        let pid = Some(shim.id() as i32);
        let mut abandoned = Abandoned::default();
        abandoned.went(Db(1), Database::at("a.db".into()), Some(id), &Opened::below(pid));
        wal.write_all(b"row").unwrap();
        assert_eq!(abandoned.look(pid, &[]), [Event::Abandoned(Db(1))]);
        let replicated = [(Db(2), Database::at(dir.path().join("a.db")))];
        assert_eq!(abandoned.look(pid, &replicated), [Event::FoundAgain(Db(1))]);
        end(shim);
    }
}
