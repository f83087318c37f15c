//! Whether the snapshots that Litestream makes on S3 are whole ([`crate::replica::helper::look_at`] has why they may not be).

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::table::Listed;
use crate::core::Db;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::replica::helper::{self, Snapshot};

/// How long one may be looked at.
const LIMIT: Duration = Duration::from_secs(60);
/// The same while no look ever came to an end: our client may not have what Litestream's has.
pub(super) const TRIAL: Duration = Duration::from_secs(5);
/// How long to wait after one that failed.
const PAUSE: Duration = Duration::from_secs(10);

/// Those that were made, and not looked at yet.
#[derive(Default)]
pub(super) struct Snapshots {
    /// The databases, among which Litestream names one by the last part of its path.
    pub(super) listed: RefCell<Listed>,
    made: RefCell<BTreeSet<(PathBuf, u64)>>,
    /// One is looked at after the other: they are rare.
    turn: Mutex<()>,
    /// Somebody looks while nobody waits for it.
    looking: Cell<bool>,
    /// Places where a look came to an end.
    reached: RefCell<BTreeSet<String>>,
    /// Places of which it was said that none does.
    told: RefCell<BTreeSet<String>>,
}

impl Snapshots {
    /// One was made up to this transaction.
    pub(super) fn made(&self, name: &str, txid: u64) {
        for (_, database) in self.listed.borrow().iter() {
            if database.on_s3().is_some() && database.path.file_name().is_some_and(|last| last == name) {
                self.made.borrow_mut().insert((database.path.clone(), txid));
            }
        }
    }

    /// Whose are to be looked at.
    pub(super) fn due(&self) -> Vec<Database> {
        let is_due = |(_, db): &&(Db, Database)| self.next(db).is_some();
        self.listed.borrow().iter().filter(is_due).map(|(_, db)| db.clone()).collect()
    }

    /// The next of a database.
    fn next(&self, database: &Database) -> Option<u64> {
        self.made.borrow().iter().find(|(path, _)| *path == database.path).map(|(_, txid)| *txid)
    }

    /// Looks at those of a database; whether all are whole now.
    ///
    /// # Errors
    /// Why the backup cannot be relied on.
    pub(super) async fn settle(&self, runner: &Runner, database: &Database) -> Result<(), String> {
        let is_due = |_: &_| self.next(database).is_some();
        let Some(s3) = database.on_s3().filter(is_due) else { return Ok(()) };
        let _turn = self.turn.lock().await;
        while let Some(txid) = self.next(database) {
            let (path, place) = (database.path.display(), &database.replica);
            let is_reached = self.reached.borrow().contains(place);
            let looked = helper::look_at(runner, s3, txid, if is_reached { LIMIT } else { TRIAL }).await;
            if looked.is_ok() && !is_reached {
                self.reached.borrow_mut().insert(place.clone());
            }
            match looked {
                Ok(Snapshot::Sound) => {}
                Ok(Snapshot::Removed) => tracing::warn!(
                    "{path}: litestream's snapshot up to {txid:016x} on {place} was cut off, and no restore could begin with it: \
                     it is removed, and the backup goes on from the one before"
                ),
                Ok(Snapshot::Left(reason)) => {
                    return Err(format!(
                        "litestream's snapshot up to {txid:016x} was cut off, no restore can begin with it, and it cannot be \
                         removed: {reason}"
                    ));
                }
                Ok(Snapshot::Only) => {
                    return Err(format!(
                        "litestream's only snapshot (up to {txid:016x}) was cut off, and nothing can be restored from it: \
                         `litestream replicate -once -force-snapshot` makes another one while the app is stopped"
                    ));
                }
                Err(reason) if is_reached => {
                    return Err(format!(
                        "nobody knows whether its snapshot up to {txid:016x} is whole: {reason}"
                    ));
                }
                // A key that may only write, or one that only Litestream knows: what it says has to do.
                Err(reason) => {
                    if self.told.borrow_mut().insert(place.clone()) {
                        tracing::warn!(
                            "{place} cannot be read to see whether litestream's snapshots are whole: {reason}"
                        );
                    }
                }
            }
            self.made.borrow_mut().remove(&(database.path.clone(), txid));
        }
        Ok(())
    }

    /// Looks at what was made since the last look, long before a restore begins with it.
    pub(super) fn look(self: &Rc<Self>, runner: &Runner) {
        let due = self.due();
        if due.is_empty() || self.looking.replace(true) {
            return;
        }
        let (snapshots, runner) = (self.clone(), runner.clone());
        tokio::task::spawn_local(async move {
            for database in due {
                if let Err(reason) = snapshots.settle(&runner, &database).await {
                    tracing::error!("{}: {reason}", database.path.display());
                    tokio::time::sleep(PAUSE).await;
                }
            }
            snapshots.looking.set(false);
        });
    }
}
