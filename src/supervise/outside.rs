//! Databases that a source names and that Litestream does not have: each is looked at for itself, in its own time,
//! and tried again after each answer that still names it.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::driver::Message;
use super::effects::World;
use super::prepare::{self, Preparation};
use super::reload::Reason;
use super::runtime_folder::Written;
use super::setup::OnLock;
use super::twins::{self, Source};
use crate::backup::{self, Restorer, Standing};
use crate::core::{Db, ExitCode};
use crate::error::Failure;
use crate::inventory::Named;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::litestream::others::Others;
use crate::litestream::refusal::Refusal;
use crate::litestream::version::Version;
use crate::os::lock::Lock;
use crate::os::place;

/// So many are looked at side by side, but for those that take long.
const LOOKS: usize = 16;
/// Who is looked at for longer than this makes room for the next: it may be waiting for a replica that never answers.
const LONG: Duration = Duration::from_secs(1);
/// The same of a restore, which may be a long one.
const LONG_RESTORE: Duration = Duration::from_secs(5);

/// A lock that a look has taken: whoever stops the look has let go of it by then.
type Taken = Rc<Cell<Option<Lock>>>;

/// The looks that are under way, by their numbers.
pub(super) struct Outside {
    tasks: BTreeMap<u64, (JoinHandle<()>, Taken)>,
    looking: Room,
    restoring: Room,
}

impl Outside {
    /// None yet.
    pub(super) fn new(parallel: usize) -> Self {
        let (looking, restoring) = (Room::new(LOOKS, LONG), Room::new(parallel, LONG_RESTORE));
        Self { tasks: BTreeMap::new(), looking, restoring }
    }

    /// It is over; the lock that it took.
    pub(super) fn done(&mut self, number: u64) -> Option<Lock> {
        self.tasks.remove(&number)?.1.take()
    }

    /// Nobody waits for it.
    pub(super) fn stop(&mut self, number: u64) {
        if let Some((task, taken)) = self.tasks.remove(&number) {
            // It ends when it is its turn, and its lock may be wanted before that.
            task.abort();
            drop(taken.take());
        }
    }
}

/// Whether there is something in a database: a folder of that name is refused, and nothing of one is in it.
pub(super) fn has_any(database: &Database) -> bool {
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
    taken: Taken,
    /// What both read, which goes with this.
    _config: Written,
}

impl Look {
    /// Locks it, and restores it if it is missing.
    async fn look(self) -> Result<(), Failure> {
        if self.looking.take(self.lock()).await? {
            let restored = self.restorer.restore_all(std::slice::from_ref(&self.database));
            self.restoring.take(restored).await.map_err(|errors| prepare::failures(&errors))?;
        }
        Ok(())
    }

    /// Locks it, and tells whether it is missing.
    async fn lock(&self) -> Result<bool, Failure> {
        let db = std::slice::from_ref(&self.database);
        let children = self.preparation.runner.children.clone();
        let interrupted = || children.is_aborted().then_some(ExitCode::UNAVAILABLE);
        let none = Duration::ZERO;
        let locks =
            twins::lock_all(db, &self.socket, &self.keeper, Source::User, (none, OnLock::Fail), interrupted)
                .await?;
        let lock = locks.into_iter().next();
        self.taken.set(lock);
        if let Some((_, failure)) = twins::doubled(&self.others, [(Db(0), &self.database)]) {
            return Err(failure);
        }
        self.preparation.is_missing(&self.database, self.version, None).await
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
    fn written_for(&mut self, number: u64, named: &Named) -> Result<(Written, Runner), Failure> {
        let entries = std::slice::from_ref(&named.entry);
        let (inventory, socket) = (&self.setup.inventory, self.folder.socket());
        let alone = inventory.apart(&socket, entries, &BTreeSet::from([named.database.path.clone()])).pop();
        let inputs = alone.map_or_else(|| inventory.lookup(&socket, entries), |(_, inputs)| inputs);
        let written = self.folder.write_look(number, &inputs.config).map_err(|error| {
            Failure::new(ExitCode::LITESTREAM, format!("{}: {error}", named.database.path.display()))
                .hint("free some space in the runtime folder, or set LITEKEEPER_RUNTIME_DIR")
        })?;
        Ok((written, Runner { env: Rc::new(inputs.env), ..self.runner.clone() }))
    }

    /// Looks whether a live database can be replicated to another place, before it is let go of.
    pub(super) fn probe(&mut self, db: Db, number: u64, named: &Named) -> Result<(), Reason> {
        has_url(named)?;
        let (config, runner) = self.written_for(number, named)?;
        (self.setup.faults)(super::setup::Looked::Named(&named.database))?;
        let (version, limit) = (self.version, self.setup.policy.gate_timeout);
        let goes_on = self.setup.if_behind == super::setup::IfBehind::Ignore;
        let (database, outbox) = (named.database.clone(), self.outbox.clone());
        let looking = self.outside.looking.clone();
        let asked = async move {
            let result = looking.take(takes_it(runner, version, config, database, limit, goes_on)).await;
            let _ = outbox.send(Message::Probed(db, number, result));
        };
        self.outside.tasks.insert(number, (tokio::task::spawn_local(asked), Taken::default()));
        Ok(())
    }

    /// Does what has to be done before Litestream can be told of it.
    pub(super) fn look_at(&mut self, db: Db, number: u64, others: Rc<Others>) -> Result<(), Reason> {
        let Some(named) = self.tenants.get(db).map(|tenant| tenant.named.clone()) else { return Ok(()) };
        has_url(&named)?;
        let (config, runner) = self.written_for(number, &named)?;
        let path = config.path().to_owned();
        let look = Look {
            preparation: Preparation {
                runner: runner.clone(),
                ..self.preparation(path.clone(), Rc::default())
            },
            restorer: Restorer { runner, ..self.restorer(path) },
            database: named.database.clone(),
            version: self.version,
            socket: self.folder.socket(),
            keeper: self.folder.keeper_socket(),
            others,
            looking: self.outside.looking.clone(),
            restoring: self.outside.restoring.clone(),
            taken: Taken::default(),
            _config: config,
        };
        let (outbox, taken) = (self.outbox.clone(), look.taken.clone());
        let task = tokio::task::spawn_local(async move {
            let result = look.look().await;
            let _ = outbox.send(Message::LookedAt(db, number, result));
        });
        self.outside.tasks.insert(number, (task, taken));
        Ok(())
    }
}

/// Whether a running Litestream can be told of it.
fn has_url(named: &Named) -> Result<(), String> {
    let cannot = |reason: &String| format!("{}: {reason}", named.database.path.display());
    named.url.as_ref().map(drop).map_err(cannot)
}
