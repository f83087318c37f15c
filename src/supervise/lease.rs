//! That this machine alone replicates to the places of its databases: they are taken before anything is believed of them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::database_lock;
use super::message::{Message, Outbox};
use super::prepare;
use super::runtime_folder::RuntimeFolder;
use super::setup::Setup;
use crate::backup::{self, Leases, Lost};
use crate::core::{Cause, Db, Event, ExitCode};
use crate::error::Failure;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::litestream::folder::{Backups, Folder};
use crate::os::here;
use crate::os::lock::Lock;
use crate::os::mount;

/// How long a server is asked again at least.
const PATIENCE: Duration = Duration::from_secs(10);

/// The places that this keeper has, or waits for.
#[derive(Clone)]
pub(super) struct Held {
    leases: Rc<Leases>,
    wait: Duration,
    patience: Duration,
    keeping: Rc<RefCell<Option<JoinHandle<()>>>>,
    /// Of the folders whose places they are.
    _locks: Rc<Vec<Lock>>,
}

/// All databases of a folder, as if they were one.
fn all_of(folder: &Folder) -> Database {
    let (replica, replica_folder, place) = match &folder.backups {
        Backups::Folder(path) => (path.display().to_string(), Some(path.clone()), None),
        Backups::There(name, place) => (name.clone(), None, Some(place.clone())),
        Backups::Unlisted(_) => ("of its databases".to_owned(), None, None),
    };
    Database { replica, replica_folder, place, ..Database::at(folder.dir.clone()) }
}

/// Those of the configuration's databases and folders, if they are wanted and there are any.
///
/// # Errors
/// Nothing is to run without, and not all can be had.
pub(super) fn of(
    setup: &Setup,
    locks: &[Lock],
    runner: &Runner,
    folder: &RuntimeFolder,
) -> Result<Option<Held>, Failure> {
    let Some(wanted) = setup.lease else { return Ok(None) };
    let Some(own) = here::own_name() else {
        if !wanted.is_strict {
            return Ok(None);
        }
        let message = "this system has no random numbers (getrandom(2)), and so this keeper no name";
        return Err(Failure::new(ExitCode::CONFIG, message).hint("`--lease auto` does without"));
    };
    if wanted.is_strict {
        refuse_strict(setup.resolver.is_some(), &setup.dbs, &setup.folders)?;
    }
    let own = own.to_owned();
    // Whoever waits for the server anyway says more about it than this.
    let patience = (wanted.ttl / 3).max(PATIENCE).min(setup.restore_timeout).min(setup.policy.gate_timeout);
    let dbs = (0..).map(Db).zip(&setup.dbs).zip(locks);
    let dbs =
        dbs.map(|((db, database), lock)| (Some(db), database.clone(), database_lock::predecessor(lock)));
    let mut kept = Vec::new();
    let mut of_folders = Vec::new();
    for database in setup.folders.iter().map(all_of).filter(backup::has_lock) {
        // It tells of the one before. Who cannot have it waits for the place.
        let lock = database_lock::lock_folder(&database.path, folder);
        of_folders.push((None, database, lock.as_ref().and_then(database_lock::predecessor)));
        kept.extend(lock);
    }
    let all = dbs.chain(of_folders);
    let leases = Rc::new(Leases::new(runner.clone(), own, all, (wanted.ttl, wanted.is_strict)));
    let locks = Rc::new(kept);
    let held = || Held {
        leases: leases.clone(),
        wait: wanted.wait,
        patience,
        keeping: Rc::default(),
        _locks: locks,
    };
    Ok((!leases.is_empty()).then(held))
}

/// Refuses `--lease strict` where it is plain that not all of these can have one.
///
/// # Errors
/// Which, and why.
pub fn refuse_strict(has_resolver: bool, dbs: &[Database], folders: &[Folder]) -> Result<(), Failure> {
    if has_resolver {
        let message = "--lease strict: databases that a resolver names have no lease";
        return Err(Failure::new(ExitCode::CONFIG, message)
            .hint("name each database in `dbs`, or do with `--lease auto`"));
    }
    let folders: Vec<Database> = folders.iter().map(all_of).collect();
    for db in dbs.iter().chain(&folders) {
        // A folder of this machine has a lock.
        let is_local = db.replica_folder.as_ref().is_some_and(|folder| !mount::is_remote(folder));
        if !backup::has_lock(db) && !is_local {
            let why = "litekeeper can write a lock to S3, Azure's and Google's storage, and to a folder of this machine alone".to_owned();
            return Err(prepare::failure(&backup::Error::no_lease(db, why)));
        }
    }
    Ok(())
}

impl Held {
    /// Waits until they are this keeper's, and keeps them from then on.
    ///
    /// # Errors
    /// Another machine has one.
    pub(super) async fn take(&self, outbox: Outbox) -> Result<(), Failure> {
        self.leases.take(self.wait, self.patience).await.map_err(|error| prepare::failure(&error))?;
        let leases = self.leases.clone();
        let tell = outbox.clone();
        // The inbox lives as long as the driver. Who is launched later is told with the rest.
        let leased = move |until| drop(tell.send(Message::Leased(until)));
        let keeping = tokio::task::spawn_local(async move {
            let (lost, error) = leases.keep(leased).await;
            let failure = prepare::failure(&error);
            let event = match lost {
                Lost::ToAnother(db) => Event::LeaseLost(db),
                Lost::Over => Event::LeaseOver,
            };
            let _ = outbox.send(Message::Failed(event, Cause::Taken, failure));
        });
        self.keeping.replace(Some(keeping));
        Ok(())
    }

    /// Until when they are, as [`Leases::until`].
    pub(super) fn until(&self) -> Option<Duration> {
        self.leases.until()
    }

    /// What there is to be said when their time is over.
    pub(super) fn over(&self) -> Option<Failure> {
        self.leases.over().map(|error| prepare::failure(&error))
    }

    /// Gives them up.
    pub(super) async fn release(self) {
        if let Some(keeping) = self.keeping.take() {
            keeping.abort();
        }
        self.leases.release().await;
    }
}
