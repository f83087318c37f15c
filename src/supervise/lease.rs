//! That this machine alone replicates to the places of its databases: they are taken before anything is believed of them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::claimed;
use super::database_lock;
use super::message::{Message, Outbox};
use super::prepare;
use super::runtime_folder::RuntimeFolder;
use super::setup::{OnLock, Setup};
use crate::backup::{self, Leases, Lost};
use crate::core::{Cause, Db, Event, ExitCode};
use crate::error::Failure;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::os::here;
use crate::os::lock::{Lock, Refused};

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
        let common = setup.resolver.is_some().then_some(setup.common.as_slice());
        claimed::refuse_strict(common, &setup.dbs, &setup.folders)?;
    }
    let own = own.to_owned();
    // Whoever waits for the server anyway says more about it than this.
    let patience = (wanted.ttl / 3).max(PATIENCE).min(setup.restore_timeout).min(setup.policy.gate_timeout);
    let dbs = (0..).map(Db).zip(&setup.dbs).zip(locks);
    let dbs =
        dbs.map(|((db, database), lock)| (Some(db), database.clone(), database_lock::predecessor(lock)));
    let mut kept = Vec::new();
    let mut wait = wanted.wait;
    let of_folders = setup.folders.iter().map(|folder| (claimed::all_of(folder), true));
    let in_common = claimed::all_in_common(setup).map(|database| (database, false));
    let of_many = of_folders.chain(in_common).filter(|(database, _)| backup::has_lock(database));
    let of_many: Vec<Claim> = of_many
        .map(|(database, is_folder)| {
            // It tells of the one before. Who cannot have it waits for the place.
            let lock = is_folder.then(|| database_lock::lock_folder(&database.path, folder)).flatten();
            let before = lock.as_ref().and_then(database_lock::predecessor);
            kept.extend(lock);
            (None, database, before)
        })
        .collect();
    let mut all = one_of_each(of_many.into_iter().chain(dbs));
    for (number, database, before) in &mut all {
        let Some(place) = database.place.as_ref().filter(|_| number.is_none()) else { continue };
        match database_lock::lock_place(place, folder) {
            Ok(lock) => {
                *before = before.take().or_else(|| database_lock::predecessor(&lock));
                kept.push(lock);
            }
            // It lives, and on this machine, where nobody waits for another keeper.
            Err(Refused::Held(_)) if setup.on_lock == OnLock::Fail => wait = Duration::ZERO,
            Err(Refused::Held(_) | Refused::Io(_)) => {}
        }
    }
    let leases = Rc::new(Leases::new(runner.clone(), own, all, (wanted.ttl, wanted.is_strict)));
    let locks = Rc::new(kept);
    let held = || Held { leases: leases.clone(), wait, patience, keeping: Rc::default(), _locks: locks };
    Ok((!leases.is_empty()).then(held))
}

/// A place, whose it is, and the owner before, as [`Leases::new`] takes them.
type Claim = (Option<Db>, Database, Option<String>);

/// Leaves one of those that have one place, whose lock is one: the first.
fn one_of_each(claims: impl Iterator<Item = Claim>) -> Vec<Claim> {
    let mut each: Vec<Claim> = Vec::new();
    // Only what several databases have in common can be another one's as well, and of that there is little.
    let is_of_many = |(number, ..): &Claim| number.is_none();
    for claim in claims {
        let is_one = |known: &&mut Claim| match (&known.1.place, &claim.1.place) {
            (Some(one), Some(other)) => one.has(other) && other.has(one),
            (None, _) | (_, None) => false,
        };
        match each.iter_mut().take_while(|known| is_of_many(known)).find(is_one) {
            // Who let a database go may still have what several have in common.
            Some(known) if is_of_many(&claim) => known.2 = known.2.take().or(claim.2),
            Some(_) => {}
            None => each.push(claim),
        }
    }
    each
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::{Gcs, Place};

    #[test]
    fn one_place_is_claimed_once() {
        let claim = |number: Option<usize>, prefix: &str, dead: Option<&str>| {
            let place = Place::Gcs(Gcs { bucket: "b".into(), prefix: prefix.into() });
            let database = Database { place: Some(place), ..Database::at("/x".into()) };
            (number.map(Db), database, dead.map(str::to_owned))
        };
        let claims = [
            claim(None, "t", None),
            claim(None, "t", Some("one")),
            claim(None, "u", None),
            claim(Some(0), "u", Some("two")),
            claim(Some(1), "u/a", Some("three")),
        ];
        let each = one_of_each(claims.into_iter()).into_iter();
        let each: Vec<_> =
            each.map(|(number, db, dead)| (number, db.place.map(|p| p.prefix().to_owned()), dead)).collect();
        let expected = [(None, "t", Some("one")), (None, "u", None), (Some(Db(1)), "u/a", Some("three"))];
        assert_eq!(
            each,
            expected.map(|(number, prefix, dead)| (number, Some(prefix.to_owned()), dead.map(str::to_owned)))
        );
    }
}
