//! Databases that a source names and that Litestream does not have: each is looked at for itself, in its own time,
//! and tried again after each answer that still names it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::database_lock::{self, Source};
use super::message::{Message, Outbox};
use super::prepare::{self, Preparation};
use super::runtime_folder::Written;
use super::setup::OnLock;
use crate::backup::trial::Trials;
use crate::backup::{self, Freshness, Restorer};
use crate::core::{Db, ExitCode};
use crate::error::Failure;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::litestream::others::Others;
use crate::litestream::position::Position;
use crate::litestream::version::Version;
use crate::os::lock::Lock;
use crate::os::permit;
use crate::replica::mark;

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

    /// Begins to look whether one can be replicated to another place.
    pub(super) fn probe(
        &mut self,
        db: Db,
        number: u64,
        outbox: Outbox,
        probe: impl Future<Output = Result<(), Failure>> + 'static,
    ) {
        let looking = self.looking.clone();
        let asked = async move {
            let result = looking.take(probe).await;
            let _ = outbox.send(Message::Probed(db, number, result));
        };
        self.tasks.insert(number, (tokio::task::spawn_local(asked), Taken::default()));
    }

    /// Begins to look at one.
    pub(super) fn look_at(&mut self, db: Db, number: u64, outbox: Outbox, look: Look) {
        let (looking, restoring, taken) = (self.looking.clone(), self.restoring.clone(), Taken::default());
        let looked = look.look(looking, restoring, taken.clone());
        let task = tokio::task::spawn_local(async move {
            let result = looked.await;
            let _ = outbox.send(Message::LookedAt(db, number, result));
        });
        self.tasks.insert(number, (task, taken));
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
    database.exists() && !permit::theirs(|| database.path.metadata()).is_ok_and(|found| found.is_dir())
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
pub(super) struct Look {
    pub(super) preparation: Preparation,
    pub(super) restorer: Restorer,
    pub(super) database: Database,
    pub(super) version: Version,
    pub(super) socket: PathBuf,
    pub(super) keeper: PathBuf,
    pub(super) others: Rc<Others>,
    /// What both read, which goes with this.
    pub(super) _config: Written,
}

impl Look {
    /// Locks it, and restores it if it is missing.
    async fn look(self, looking: Room, restoring: Room, taken: Taken) -> Result<(), Failure> {
        if looking.take(self.lock(&taken)).await? {
            let restored = self.restorer.restore_all(std::slice::from_ref(&self.database));
            restoring.take(restored).await.map_err(|errors| prepare::failures(&errors))?;
        }
        Ok(())
    }

    /// Locks it, and tells whether it is missing.
    async fn lock(&self, taken: &Taken) -> Result<bool, Failure> {
        let db = std::slice::from_ref(&self.database);
        let children = self.preparation.runner.children.clone();
        let interrupted = || children.is_aborted().then_some(ExitCode::UNAVAILABLE);
        let none = Duration::ZERO;
        let locks = database_lock::lock_all(
            db,
            &self.socket,
            &self.keeper,
            Source::User,
            (none, OnLock::Fail),
            interrupted,
        )
        .await?;
        let lock = locks.into_iter().next();
        taken.set(lock);
        if let Some((_, failure)) = database_lock::other_litestream(&self.others, [(Db(0), &self.database)]) {
            return Err(failure);
        }
        self.preparation.is_missing(&self.database, self.version, None).await
    }
}

/// Whether a live database can be replicated to its new place: what is there is not in its way, and more can be written.
/// Nothing is changed, here or there.
pub(super) async fn takes_it(
    runner: Runner,
    version: Version,
    config: Written,
    database: Database,
    trials: Trials,
    limit: Duration,
    goes_on: bool,
) -> Result<(), Failure> {
    if let Some(mark) = mark::of_another(&runner, &database, limit).await {
        return Err(prepare::failure(&backup::Error::taken(&database, mark.owner())));
    }
    let freshness = backup::freshness(&runner, version, config.path(), &database, limit).await;
    let other = match freshness.map_err(|error| prepare::failure(&error))? {
        Freshness::Current | Freshness::Empty | Freshness::Cut { replica: None, .. } => None,
        Freshness::Behind { .. } | Freshness::Apart { .. } | Freshness::Unrelated { .. } if goes_on => None,
        Freshness::Behind { replica, .. }
        | Freshness::Apart { replica, .. }
        | Freshness::Unrelated { replica }
        | Freshness::Cut { replica: Some(replica), .. } => Some(replica),
    };
    let (path, place) = (database.path.display(), &database.replica);
    let is_passed = match &other {
        Some(Position::Txid(newest)) => backup::has_passed(&runner, &database, *newest, limit).await,
        Some(Position::Wal { .. }) | None => false,
    };
    if let Some(other) = other.filter(|_| !is_passed) {
        let message =
            format!("{path}: replica {place}: it ends at {other}, and is not what this database has there");
        return Err(Failure::new(ExitCode::UNAVAILABLE, message).hint("name an empty place"));
    }
    let written = trials.prove_written(&runner, version, &database, limit).await;
    written.map_err(|error| prepare::failure(&error))
}
