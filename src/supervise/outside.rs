//! Databases that a source names and that Litestream does not have: each is looked at for itself, in its own time,
//! and tried again after each answer that still names it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::driver::{Driver, Message};
use super::effects::World;
use super::prepare::{self, Preparation};
use super::runtime_folder::Written;
use super::setup::OnLock;
use super::twins::{self, Source};
use crate::backup::{self, Restorer, Standing};
use crate::core::{Db, Event, ExitCode, Phase};
use crate::error::Failure;
use crate::inventory::Named;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::litestream::others::Others;
use crate::litestream::refusal::Refusal;
use crate::litestream::version::Version;
use crate::os::guarded;
use crate::os::lock::Lock;
use crate::os::place;

/// So many are looked at side by side, but for those that take long.
const LOOKS: usize = 16;
/// Who is looked at for longer than this makes room for the next: it may be waiting for a replica that never answers.
const LONG: Duration = Duration::from_secs(1);
/// The same of a restore, which may be a long one.
const LONG_RESTORE: Duration = Duration::from_secs(5);

/// One of them.
pub(super) struct Outsider {
    pub(super) named: Named,
    /// Where it was replicated until now: it goes back there if this comes to nothing.
    pub(super) before: Option<Named>,
    state: State,
}

/// What is done about it.
enum State {
    /// Its place is another one's that is on its way out.
    Waits,
    /// It is being looked at, for the n-th time of all.
    Looking(u64, JoinHandle<()>),
    /// It was refused, and is tried again after the next answer.
    Refused,
}

impl Drop for Outsider {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Outsider {
    fn stop(&mut self) {
        if let State::Looking(_, task) = std::mem::replace(&mut self.state, State::Refused) {
            task.abort();
        }
    }
}

/// All of them.
pub(super) struct Outside {
    all: BTreeMap<Db, Outsider>,
    looks: u64,
    looking: Room,
    restoring: Room,
}

impl Outside {
    /// None yet.
    pub(super) fn new(parallel: usize) -> Self {
        let (looking, restoring) = (Room::new(LOOKS, LONG), Room::new(parallel, LONG_RESTORE));
        Self { all: BTreeMap::new(), looks: 0, looking, restoring }
    }

    pub(super) fn get(&self, db: Db) -> Option<&Database> {
        self.all.get(&db).map(|outsider| &outsider.named.database)
    }

    /// The one of this path.
    pub(super) fn at(&self, path: &Path) -> Option<Db> {
        self.all().find(|(_, outsider)| outsider.named.database.path == path).map(|(db, _)| db)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (Db, &Outsider)> {
        self.all.iter().map(|(db, outsider)| (*db, outsider))
    }

    pub(super) fn add(&mut self, db: Db, named: Named, before: Option<Named>) {
        self.all.insert(db, Outsider { named, before, state: State::Refused });
    }

    /// What is under way for it ends as well.
    pub(super) fn remove(&mut self, db: Db) {
        self.all.remove(&db);
    }

    /// It is named otherwise now.
    pub(super) fn rename(&mut self, db: Db, named: Named) {
        if let Some(outsider) = self.all.get_mut(&db) {
            outsider.stop();
            outsider.named = named;
        }
    }

    /// Whether nothing is done about it just now.
    pub(super) fn is_idle(&self, db: Db) -> bool {
        self.all.get(&db).is_some_and(|outsider| !matches!(outsider.state, State::Looking(..)))
    }

    fn waiting(&self) -> Vec<Db> {
        let waits = |(_, outsider): &(&Db, &Outsider)| matches!(outsider.state, State::Waits);
        self.all.iter().filter(waits).map(|(db, _)| *db).collect()
    }

    /// Those in which there is something.
    pub(super) fn written(&self) -> Vec<Db> {
        self.all().filter(|(_, outsider)| has_any(&outsider.named.database)).map(|(db, _)| db).collect()
    }
}

/// Whether there is something in a database: a folder of that name is refused, and nothing of one is in it.
fn has_any(database: &Database) -> bool {
    database.exists() && !place::theirs(|| database.path.metadata()).is_ok_and(|found| found.is_dir())
}

/// Room for so many at once, of whom each has it for a while.
#[derive(Clone)]
struct Room {
    places: Rc<Semaphore>,
    long: Duration,
}

impl Room {
    fn new(places: usize, long: Duration) -> Self {
        Self { places: Rc::new(Semaphore::new(places.max(1))), long }
    }

    /// Does it when there is room, and makes room when it takes long.
    async fn take<T>(&self, work: impl Future<Output = T>) -> T {
        let place = self.places.acquire().await;
        let mut work = std::pin::pin!(work);
        match tokio::time::timeout(self.long, &mut work).await {
            Ok(done) => done,
            Err(_) => {
                drop(place);
                work.await
            }
        }
    }
}

/// What a look needs. No part of it is another database's.
struct Look {
    preparation: Preparation,
    restorer: Restorer,
    database: Database,
    version: Version,
    socket: PathBuf,
    keeper: PathBuf,
    others: Rc<Others>,
    looking: Room,
    restoring: Room,
    /// What both read, which goes with this.
    _config: Written,
}

impl Look {
    /// Locks it, and restores it if it is missing.
    async fn look(self) -> Result<Lock, Failure> {
        let (lock, is_missing) = self.looking.take(self.lock()).await?;
        if is_missing {
            let restored = self.restorer.restore_all(std::slice::from_ref(&self.database));
            self.restoring.take(restored).await.map_err(|errors| prepare::failures(&errors))?;
        }
        Ok(lock)
    }

    /// Locks it, and tells whether it is missing.
    async fn lock(&self) -> Result<(Lock, bool), Failure> {
        let db = std::slice::from_ref(&self.database);
        let children = self.preparation.runner.children.clone();
        let interrupted = || children.is_aborted().then_some(ExitCode::UNAVAILABLE);
        let none = Duration::ZERO;
        let locks =
            twins::lock_all(db, &self.socket, &self.keeper, Source::User, (none, OnLock::Fail), interrupted)
                .await?;
        let lock = locks.into_iter().next();
        let lock = lock.ok_or_else(|| Failure::new(ExitCode::LOCKED, "no lock was made"))?;
        if let Some((_, failure)) = twins::doubled(&self.others, [(Db(0), &self.database)]) {
            return Err(failure);
        }
        let is_missing = self.preparation.is_missing(&self.database, self.version, None).await?;
        Ok((lock, is_missing))
    }
}

/// Whether a live database can be replicated to its new place: what is there is not in its way, and more can be written.
/// Nothing is changed, here or there.
async fn takes_it(
    runner: Runner,
    version: Version,
    config: Written,
    database: Database,
    limit: Duration,
    goes_on: bool,
) -> Result<(), Failure> {
    let standing = backup::standing(&runner, version, config.path(), &database, limit).await;
    let other = match standing.map_err(|error| prepare::failure(&error))? {
        Standing::Current | Standing::Empty | Standing::Cut { replica: None, .. } => None,
        Standing::Behind { .. } | Standing::Apart { .. } if goes_on => None,
        Standing::Behind { replica, .. }
        | Standing::Apart { replica, .. }
        | Standing::Cut { replica: Some(replica), .. } => Some(replica),
    };
    let (path, place) = (database.path.display(), &database.replica);
    if let Some(other) = other {
        let message =
            format!("{path}: replica {place}: it ends at {other}, and is not what this database has there");
        return Err(Failure::new(ExitCode::UNAVAILABLE, message).hint("name an empty place"));
    }
    match backup::helper::write(&runner, &database, limit).await {
        Ok(None) => Ok(()),
        Ok(Some(name)) => {
            tracing::warn!("{path}: replica {place}: what was written to try it cannot be removed: {name}");
            Ok(())
        }
        Err(reason) => {
            let message = format!("{path}: replica {place}: {reason}");
            Err(Failure::new(ExitCode::UNAVAILABLE, message).hint(Refusal::of(&reason).hint()))
        }
    }
}

impl World {
    /// What a Litestream reads that is to know this one, and all that the configuration has itself.
    fn written_for(&mut self, named: &Named) -> Result<(Written, Runner), Failure> {
        self.outside.looks += 1;
        let entries = std::slice::from_ref(&named.entry);
        let (inventory, socket) = (&self.setup.inventory, self.folder.socket());
        let alone = inventory.apart(&socket, entries, &BTreeSet::from([named.database.path.clone()])).pop();
        let inputs = alone.map_or_else(|| inventory.lookup(&socket, entries), |(_, inputs)| inputs);
        let written = self.folder.write_look(self.outside.looks, &inputs.config).map_err(|error| {
            Failure::new(ExitCode::LITESTREAM, format!("{}: {error}", named.database.path.display()))
                .hint("free some space in the runtime folder, or set LITEKEEPER_RUNTIME_DIR")
        })?;
        Ok((written, Runner { env: Rc::new(inputs.env), ..self.runner.clone() }))
    }

    /// Looks whether a live database can be replicated to another place, before it is let go of.
    pub(super) fn probe(&mut self, db: Db, named: &Named) -> Result<(u64, JoinHandle<()>), Failure> {
        let (config, runner) = self.written_for(named)?;
        (self.setup.faults)(super::setup::Looked::Named(&named.database))?;
        let (number, version, limit) = (self.outside.looks, self.version, self.setup.policy.gate_timeout);
        let goes_on = self.setup.if_behind == super::setup::IfBehind::Ignore;
        let (database, outbox) = (named.database.clone(), self.outbox.clone());
        let looking = self.outside.looking.clone();
        let asked = async move {
            let result = looking.take(takes_it(runner, version, config, database, limit, goes_on)).await;
            let _ = outbox.send(Message::Probed(db, number, result));
        };
        Ok((number, tokio::task::spawn_local(asked)))
    }

    fn look_at(&mut self, db: Db, others: Rc<Others>) -> Result<(), String> {
        let Some(named) = self.outside.all.get(&db).map(|outsider| outsider.named.clone()) else {
            return Ok(());
        };
        if let Err(reason) = &named.url {
            return Err(format!("{}: {reason}", named.database.path.display()));
        }
        let (config, runner) = self.written_for(&named).map_err(|failure| failure.message)?;
        let path = config.path().to_owned();
        let look = Look {
            preparation: Preparation {
                runner: runner.clone(),
                ..self.preparation(path.clone(), Rc::default())
            },
            restorer: Restorer { runner, ..self.restorer(path) },
            database: named.database,
            version: self.version,
            socket: self.folder.socket(),
            keeper: self.folder.keeper_socket(),
            others,
            looking: self.outside.looking.clone(),
            restoring: self.outside.restoring.clone(),
            _config: config,
        };
        let (number, outbox) = (self.outside.looks, self.outbox.clone());
        let task = tokio::task::spawn_local(async move {
            let result = look.look().await;
            let _ = outbox.send(Message::LookedAt(db, number, result));
        });
        if let Some(outsider) = self.outside.all.get_mut(&db) {
            outsider.state = State::Looking(number, task);
        }
        Ok(())
    }

    /// One that sources name whose place, or whose file, is this one's.
    fn in_the_place_of(&self, named: &Named) -> Option<(Db, &Database)> {
        let database = &named.database;
        let path = twins::resolved(&database.path);
        // It was renamed, or has both names.
        let own = guarded::other_name(&database.path);
        // With thousands of them no file is asked about that is called otherwise.
        let is_it = |there: &Database| {
            there.replica == database.replica
                || there.meta == database.meta
                || own.as_ref() == Some(&there.path)
                || (there.path.file_name() == path.file_name() && twins::resolved(&there.path) == path)
        };
        self.roster
            .all_named()
            .find(|(_, there)| is_it(&there.database))
            .map(|(db, there)| (db, &there.database))
    }

    /// A move came to nothing.
    fn goes_back(&mut self, db: Db, failed: Named, before: &Named, reason: &str) {
        let path = &before.database.path;
        self.rounds.failed_moves.insert(twins::resolved(path), failed.entry);
        self.rounds.returning.insert(db);
        let reason = format!("{reason}; going back to {}", before.database.replica);
        self.refuse(&path.display().to_string(), reason);
    }

    /// A database that Litestream is not told of after all.
    pub(super) fn put_outside(&mut self, db: Db) {
        self.abort_registration(db);
        let before = self.rounds.coming.remove(&db).flatten();
        let Some(named) = self.roster.named(db).cloned() else { return };
        self.watch.remove(db);
        self.roster.remove(db);
        self.outside.add(db, named, before);
    }
}

impl Driver {
    /// A source names one that Litestream does not have: it counts from now on.
    pub(super) fn take_outside(&mut self, named: Named, before: Option<Named>, others: &Rc<Others>) {
        let db = self.count(named, before);
        // No drain waits for what has never been anywhere.
        self.handle(Event::Drained(db));
        self.try_outside(db, others);
    }

    /// As [`Driver::take_outside`], of one that was to move and has no time for it any more.
    pub(super) fn take_back(&mut self, before: Named, failed: &Named) {
        let reason = unconfirmed(&failed.database);
        let db = self.count(failed.clone(), Some(before));
        self.refuse_outside(db, reason);
    }

    fn count(&mut self, named: Named, before: Option<Named>) -> Db {
        let db = self.world.roster.next_number();
        let exists = has_any(&named.database);
        self.world.outside.add(db, named, before);
        self.handle(Event::Awaited(db));
        if exists {
            self.handle(Event::Changed(db));
        }
        db
    }

    /// Whether all comes to its end, and what is confirmed until the drain is over still counts.
    pub(super) fn is_ending(&self) -> bool {
        self.machine.stops() && matches!(self.machine.phase(), Phase::Stopping | Phase::Draining)
    }

    /// At the end, what no new place has confirmed goes back to the old one, which answered all the time.
    pub(super) fn give_up_moves(&mut self) {
        if !self.is_ending() {
            return;
        }
        let moving = self.world.outside.all().filter(|(_, outsider)| outsider.before.is_some());
        let moving: Vec<(Db, String)> =
            moving.map(|(db, outsider)| (db, unconfirmed(&outsider.named.database))).collect();
        moving.into_iter().for_each(|(db, reason)| self.refuse_outside(db, reason));
        let world = &mut self.world;
        let coming = world.rounds.coming.iter_mut();
        let coming: Vec<(Db, Named)> =
            coming.filter_map(|(db, before)| Some((*db, before.take()?))).collect();
        for (db, before) in coming {
            let Some(named) = world.roster.named(db).cloned() else { continue };
            let reason = unconfirmed(&named.database);
            world.goes_back(db, named, &before, &reason);
            world.register_again(db, before);
        }
    }

    /// Begins what has to be done before Litestream can be told of it.
    pub(super) fn try_outside(&mut self, db: Db, others: &Rc<Others>) {
        let world = &mut self.world;
        let Some(outsider) = world.outside.all.get(&db) else { return };
        let path = outsider.named.database.path.display().to_string();
        if let Some((other, there)) = world.in_the_place_of(&outsider.named) {
            // One that is kept goes with a later answer, and this one comes after it.
            let is_going = world.rounds.leaving.contains(&other);
            let (its, place) = (there.path.display(), &there.replica);
            let is_its_file =
                guarded::other_name(&outsider.named.database.path).as_ref() == Some(&there.path);
            let what = if is_its_file { "it is the file of " } else { "" };
            let which = if is_its_file { ", which is" } else { " is" };
            let reason = format!(
                "{path}: {what}{its}{which} still replicated to {place}: that has to be let go first"
            );
            if let Some(outsider) = world.outside.all.get_mut(&db) {
                outsider.state = State::Waits;
            }
            if is_going {
                world.rounds.open.insert(db);
            } else {
                world.rounds.open.remove(&db);
                world.refuse(&path, reason);
                self.handle(Event::Drained(db));
            }
            return;
        }
        match world.look_at(db, others.clone()) {
            Ok(()) => {
                world.rounds.open.insert(db);
            }
            Err(reason) => self.refuse_outside(db, reason),
        }
    }

    /// Somebody has gone, and made room.
    pub(super) fn try_waiting(&mut self) {
        let waiting = self.world.outside.waiting();
        if !waiting.is_empty() {
            let others = Rc::new(Others::now());
            waiting.into_iter().for_each(|db| self.try_outside(db, &others));
        }
    }

    /// It was looked at: Litestream can be told of it, or not.
    pub(super) fn looked_at(&mut self, db: Db, number: u64, result: Result<Lock, Failure>) {
        let world = &mut self.world;
        let is_this =
            |outsider: &Outsider| matches!(outsider.state, State::Looking(known, _) if known == number);
        if !world.outside.all.get(&db).is_some_and(is_this) {
            // It is another's by now, or nobody's.
            return drop(result.map(Lock::release));
        }
        match result {
            Err(failure) => self.refuse_outside(db, failure.message),
            Ok(lock) => {
                let Some(mut outsider) = world.outside.all.remove(&db) else { return };
                world.rounds.coming.insert(db, outsider.before.take());
                world.roster.put(db, outsider.named.clone(), lock);
                self.handle(Event::Named(db));
            }
        }
    }

    /// It cannot be taken in: if it was replicated elsewhere until now, it is so again.
    pub(super) fn refuse_outside(&mut self, db: Db, reason: String) {
        let world = &mut self.world;
        let Some(outsider) = world.outside.all.get_mut(&db) else { return };
        outsider.stop();
        let path = outsider.named.database.path.clone();
        world.rounds.open.remove(&db);
        let Some(before) = outsider.before.take() else {
            world.refuse(&path.display().to_string(), reason);
            return self.handle(Event::Drained(db));
        };
        let failed = std::mem::replace(&mut outsider.named, before.clone());
        world.goes_back(db, failed, &before, &reason);
        if self.machine.phase() == Phase::Running || self.is_ending() {
            self.try_outside(db, &Rc::default());
        }
    }
}

/// Why a move comes to nothing at the end.
fn unconfirmed(database: &Database) -> String {
    let (path, place) = (database.path.display(), &database.replica);
    format!("{path}: replica {place}: nothing was confirmed there before the end")
}
