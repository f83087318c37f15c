//! Databases that come and go while the app runs: who names them, which they are, what is under way for them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::outside::{Outside, has_any};
use super::resolver::Question;
use super::rounds::Rounds;
use super::table::Listed;
use super::tenants::Tenants;
use crate::core::{Db, Wanted as _};
use crate::litestream::database::Database;

/// How often the folders are looked into while the app runs.
const LOOK: Duration = Duration::from_secs(2);

/// All that sources name.
pub(super) struct Discovery {
    /// How the resolver is asked.
    pub(super) question: Option<Question>,
    pub(super) rounds: Rounds,
    /// The databases that sources name.
    pub(super) tenants: Tenants,
    pub(super) outside: Outside,
    pub(super) folders: Folders,
    /// The log has that some of these have no lease.
    pub(super) has_told_of_no_lease: bool,
    /// Litestream is being told of these.
    registrations: BTreeMap<Db, JoinHandle<()>>,
}

impl Discovery {
    /// Nothing beyond so many databases that are configured.
    pub(super) fn new(question: Option<Question>, configured: usize, parallel: usize) -> Self {
        Self {
            question,
            rounds: Rounds::default(),
            tenants: Tenants::new(configured),
            outside: Outside::new(parallel),
            folders: Folders::default(),
            has_told_of_no_lease: false,
            registrations: BTreeMap::new(),
        }
    }

    /// Litestream is being told of it by this task.
    pub(super) fn registers(&mut self, db: Db, task: JoinHandle<()>) {
        self.registrations.insert(db, task);
    }

    /// Litestream is not told of it any more, by this process.
    pub(super) fn abort_registration(&mut self, db: Db) {
        if let Some(task) = self.registrations.remove(&db) {
            task.abort();
        }
    }

    /// What the last Litestream was being told of, the next one has.
    pub(super) fn abort_registrations(&mut self) {
        std::mem::take(&mut self.registrations).into_values().for_each(|task| task.abort());
    }

    /// What lies in the folders and cannot be replicated is no news to the log, but to whoever asks.
    pub(super) fn report_folders(&mut self) {
        let found = self.tenants.outside().filter(|(_, tenant)| tenant.is_found());
        let found: Vec<String> = found.map(|(_, tenant)| tenant.path()).collect();
        found.iter().for_each(|path| self.rounds.report_said(path));
    }

    /// Of all that Litestream has those that are asked for when a drain begins: one that goes back to its old place is not known
    /// there yet, and is drained once it is.
    pub(super) fn drained_now(&self, all: Listed) -> Listed {
        let is_on_its_way = |db: &Db| self.tenants.comes_back(*db);
        if !all.iter().any(|(db, _)| is_on_its_way(db)) {
            return all;
        }
        Rc::new(all.iter().filter(|(db, _)| !is_on_its_way(db)).cloned().collect())
    }

    /// Those that Litestream does not have, and that have something in them.
    pub(super) fn written_outside(&self) -> BTreeSet<Db> {
        let outside = self.tenants.outside();
        outside.filter(|(_, tenant)| has_any(&tenant.named.database)).map(|(db, _)| db).collect()
    }

    /// What is named beyond all that Litestream has.
    pub(super) fn outside(&self) -> impl Iterator<Item = (Db, Database)> + '_ {
        self.tenants.outside().map(|(db, tenant)| (db, tenant.named.database.clone()))
    }
}

/// When the folders were looked into last, and what was said about what is in them.
#[derive(Default)]
pub(super) struct Folders {
    looked: Option<Instant>,
    /// Files that are not replicated, because `watch` is off.
    left_out: BTreeSet<PathBuf>,
}

impl Folders {
    /// They are looked into with the next look at the databases.
    pub(super) fn scan_soon(&mut self) {
        self.looked = None;
    }

    pub(super) fn is_due(&self) -> bool {
        self.looked.is_none_or(|at| at.elapsed() >= LOOK)
    }

    /// They were looked into.
    pub(super) fn looked(&mut self) {
        self.looked = Some(Instant::now());
    }

    /// This is not replicated; whether that is new.
    pub(super) fn leave_out(&mut self, path: &std::path::Path) -> bool {
        self.left_out.insert(path.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;

    #[test]
    fn whoever_is_told_no_more_of_a_database_has_not_been_told_later() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, async {
            let mut discovery = Discovery::new(None, 1, 1);
            let told = Rc::new(());
            for db in [Db(1), Db(2), Db(3), Db(4)] {
                let told = told.clone();
                let telling = async move {
                    std::future::pending::<()>().await;
                    drop(told);
                };
                discovery.registers(db, tokio::task::spawn_local(telling));
            }
            discovery.abort_registration(Db(1));
            discovery.abort_registration(Db(7));
            while Rc::strong_count(&told) > 4 {
                tokio::task::yield_now().await;
            }
            discovery.abort_registration(Db(2));
            while Rc::strong_count(&told) > 3 {
                tokio::task::yield_now().await;
            }
            // The next Litestream has them.
            discovery.abort_registrations();
            while Rc::strong_count(&told) > 1 {
                tokio::task::yield_now().await;
            }
        });
    }

    #[test]
    fn folders_are_looked_into_once_in_a_while_or_soon() {
        let mut folders = Folders::default();
        assert!(folders.is_due());
        folders.looked();
        assert!(!folders.is_due());
        folders.scan_soon();
        assert!(folders.is_due());
        let path = std::path::Path::new("/data/new.db");
        assert!(folders.leave_out(path) && !folders.leave_out(path), "it is told once");
    }
}
