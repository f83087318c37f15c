//! One owner of a place in a bucket at a time ([`crate::core::lease`]): the lock there is written and read, and held as long as the keeper runs.
//!
//! The file has the form that Litestream's own leaser gives it (`Lease` in its leaser.go), whatever else is in it is kept.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::error::Error;
use crate::core::Db;
use crate::core::lease::{Lease, Lock, Next};
use crate::foreign::piece;
use crate::litestream::command::{self, Runner};
use crate::litestream::database::Database;
use crate::litestream::replica_error::ReplicaError;
use crate::os::alarm;
use crate::remote::Place;
use crate::replica::helper::{self, LockSaid, LockTask};

/// How long one round of requests may take.
const LIMIT: Duration = Duration::from_secs(5);
/// How often somebody else's lock is looked at, while it is waited for.
const LOOK: Duration = Duration::from_secs(2);
/// How often it is tried again where there was no answer.
const AGAIN: Duration = Duration::from_secs(1);
/// In less no process has an answer.
const LEAST: Duration = Duration::from_secs(1);
/// So often at most is it written at once where something else was found than was expected.
const AT_ONCE: u32 = 3;
/// So often is it asked who has a place while nobody does, after longer and longer times.
const MOST_CONTRADICTIONS: u32 = 20;
/// The first of these.
const BREATH: Duration = Duration::from_millis(10);
/// How long the end may take, in which a server that is asked too often is asked once more.
pub const RELEASE: Duration = Duration::from_secs(3);
/// How long each of its rounds.
const RELEASE_ROUND: Duration = Duration::from_secs(1);
/// Of Google's storage an object may be written once a second (<https://cloud.google.com/storage/quotas>).
const TOO_SOON: Duration = Duration::from_millis(1100);

/// The locks of all places of a keeper.
pub struct Leases {
    runner: Runner,
    own: String,
    ttl: Duration,
    /// Nothing may run without.
    is_strict: bool,
    claims: RefCell<Vec<Claim>>,
}

/// The lock of one place.
struct Claim {
    /// None of a place that several databases have in common: a folder's, or a resolver's.
    number: Option<Db>,
    db: Database,
    place: Place,
    lease: Lease<String, String>,
    /// What stood there last, as far as it is anybody's.
    record: Map<String, Value>,
    /// The server keeps to conditions; none as long as nobody knows.
    kept: Option<bool>,
    /// When the last write was asked for that was carried out, since the machine was booted.
    asked: Option<Duration>,
    /// Somebody was told of what happens just now.
    told: bool,
    /// Why there was no answer.
    reason: Option<String>,
    /// The last thing that was seen there is of this keeper.
    is_own: bool,
    /// A write that nobody has answered may be done, or come to be.
    is_unanswered: bool,
}

/// What has become of places that were this keeper's.
pub enum Lost {
    /// Another machine has that of this database, or one that several have in common.
    ToAnother(Option<Db>),
    /// Nobody has said for too long that they still are.
    Over,
}

/// A time, also by the clock that goes on while the machine sleeps.
#[derive(Clone, Copy)]
struct At(Instant, Duration);

impl At {
    fn now() -> Self {
        // The one that says when it is over has to be the earlier one.
        let since_boot = alarm::now();
        Self(Instant::now(), since_boot)
    }
}

/// Who was asked for what, when, with which text.
struct Asked {
    number: usize,
    at: At,
    task: LockTask,
}

impl Leases {
    /// Those of these databases, as far as they are in buckets, for this keeper: `own` names it as nobody else is or was. With a database
    /// goes the owner before this one, if it is known and dead.
    pub fn new(
        runner: Runner,
        own: String,
        dbs: impl IntoIterator<Item = (Option<Db>, Database, Option<String>)>,
        (ttl, is_strict): (Duration, bool),
    ) -> Self {
        let claims = dbs.into_iter().filter_map(|(number, db, dead)| {
            let (place, lease) = (db.place.clone()?, Lease::new(own.clone(), dead, ttl));
            Some(Claim {
                number,
                db,
                place,
                lease,
                record: Map::new(),
                kept: None,
                asked: None,
                told: false,
                reason: None,
                is_own: false,
                is_unanswered: false,
            })
        });
        let claims = RefCell::new(claims.collect());
        Self { runner, own, ttl, is_strict, claims }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.claims.borrow().is_empty()
    }

    /// Waits until each is this keeper's, or nobody can tell: who does not answer is asked again for `patience`, or where nothing may run
    /// without for as long as somebody else is waited for.
    ///
    /// # Errors
    /// Somebody else has one, for longer than `wait`; or nobody can tell, where nothing may run without.
    pub async fn take(&self, wait: Duration, patience: Duration) -> Result<(), Error> {
        let began = Instant::now();
        let patience = if self.is_strict { wait } else { patience };
        let (mut contradictions, mut failures) = (0, 0);
        loop {
            let answered = self.round(LIMIT.min(patience.max(LEAST))).await;
            let mut rival = None;
            for claim in self.claims.borrow_mut().iter_mut() {
                let Some(error) = claim.rival() else { continue };
                if !std::mem::replace(&mut claim.told, true) && !wait.is_zero() {
                    tracing::info!(
                        "{error}: waiting until it ends, or has said nothing for {} s (--lease-wait)",
                        self.ttl.as_secs()
                    );
                }
                rival = Some(error);
            }
            if self.runner.children.is_aborted() {
                return Err(command::Error::Aborted.into());
            }
            match rival {
                None if self.claims.borrow().iter().all(|claim| claim.is_settled()) => {
                    return self.refuse_without();
                }
                None if !answered => {
                    let (error, kind) = self.unanswered();
                    let patience = self.patience(kind, patience);
                    if began.elapsed() >= patience {
                        // Nothing is confirmed before there is an answer, and whoever starts has his own words for that.
                        return if self.is_strict { Err(error) } else { Ok(()) };
                    }
                    failures += 1;
                    if failures == 2 {
                        tracing::warn!(
                            "{error}: asking again, for {} s at most, whether another machine replicates there",
                            patience.as_secs()
                        );
                    }
                    tokio::time::sleep(BREATH * failures * 20).await;
                }
                // Somebody was quicker, or the server says one thing and does another.
                None if contradictions < MOST_CONTRADICTIONS => {
                    contradictions += 1;
                    // The first three are how it begins: found, taken, and tried.
                    tokio::time::sleep(BREATH * contradictions.saturating_sub(3)).await;
                }
                None => {
                    self.claims.borrow_mut().iter_mut().filter(|claim| !claim.is_settled()).for_each(
                        |claim| {
                            let why = "it does not do what it says of a lock there".to_owned();
                            claim.take(&self.own, At::now(), LockSaid::NotKept(why));
                        },
                    );
                }
                Some(error) if began.elapsed() >= wait => return Err(error),
                Some(_) => tokio::time::sleep(self.pause().min(wait.saturating_sub(began.elapsed()))).await,
            }
        }
    }

    /// How long it is asked again where there was no answer, for this reason.
    fn patience(&self, kind: ReplicaError, patience: Duration) -> Duration {
        match () {
            () if kind.is_final() => Duration::ZERO,
            () if kind.may_pass() || self.is_strict => patience,
            // Such as a connection that was cut, or a page that stays one.
            () => patience.min(LIMIT),
        }
    }

    /// Nothing runs on a server that cannot say whose a place is, if that is wanted.
    fn refuse_without(&self) -> Result<(), Error> {
        let claims = self.claims.borrow();
        let without = claims.iter().find(|claim| self.is_strict && claim.kept == Some(false));
        match without {
            Some(Claim { db, reason, .. }) => Err(Error::no_lease(db, reason.clone().unwrap_or_default())),
            None => Ok(()),
        }
    }

    /// Why nothing is known of one.
    fn unanswered(&self) -> (Error, ReplicaError) {
        let claims = self.claims.borrow();
        let of = |claim: &Claim| {
            let reason = claim.reason.clone()?;
            let kind = ReplicaError::of_asked(&reason);
            Some((Error::refused(&claim.db, reason), kind))
        };
        claims.iter().find_map(of).unwrap_or((command::Error::Aborted.into(), ReplicaError::Other))
    }

    /// Until when, since the machine was booted, all are this keeper's, where nothing may run without.
    pub fn until(&self) -> Option<Duration> {
        let claims = self.claims.borrow();
        let asked = claims.iter().map(|claim| claim.asked).min()?;
        Some(asked? + self.ttl).filter(|_| self.is_strict)
    }

    /// That their time is over, of the first.
    pub fn over(&self) -> Option<Error> {
        self.claims.borrow().first().map(|claim| Error::lease_over(&claim.db, self.ttl))
    }

    /// How long to wait before the next look at what somebody else has.
    fn pause(&self) -> Duration {
        let now = Instant::now();
        let claims = self.claims.borrow();
        let free = claims.iter().filter_map(|claim| claim.lease.rival()?.1);
        free.map(|at| at.saturating_duration_since(now)).min().unwrap_or(LOOK).min(LOOK)
    }

    /// Holds them, and takes those that could not be asked for, until one is somebody else's, or may be; and why. `leased` is told until
    /// when they are held, as [`Leases::until`].
    pub async fn keep(&self, leased: impl Fn(Duration)) -> (Lost, Error) {
        let mut pause = self.ttl / 3;
        loop {
            let left = || self.until().map_or(Duration::MAX, |until| until.saturating_sub(alarm::now()));
            tokio::time::sleep(pause.min(left() / 2)).await;
            let before = self.until();
            let limit = || LIMIT.min(self.ttl / 3).min(left());
            let mut answered = self.round(limit()).await;
            // What stands there is its own, by an answer that was lost: it is written anew.
            for _ in 0..AT_ONCE {
                if answered && !self.is_due() {
                    break;
                }
                answered = answered && self.round(limit()).await;
            }
            let is_due = self.is_due();
            let is_early = answered && !is_due || !answered && self.is_refused();
            pause = if is_early { self.ttl / 3 } else { AGAIN.min(self.ttl / 3) };
            let is_over = left().is_zero();
            for claim in self.claims.borrow_mut().iter_mut() {
                if let Some(error) = claim.rival() {
                    return (Lost::ToAnother(claim.number), error);
                }
                claim.say_unknown(self.ttl, self.is_strict);
                if is_over {
                    return (Lost::Over, Error::lease_over(&claim.db, self.ttl));
                }
            }
            self.until().filter(|until| before != Some(*until)).into_iter().for_each(&leased);
        }
    }

    /// Whether waiting changes nothing of what is answered instead: who may not write there is not asked all the time, as long as nothing
    /// ends for it.
    fn is_refused(&self) -> bool {
        let claims = self.claims.borrow();
        let mut reasons =
            claims.iter().filter(|claim| claim.kept != Some(false)).filter_map(|claim| claim.reason.as_ref());
        !self.is_strict && reasons.all(|reason| ReplicaError::of_asked(reason).is_final())
    }

    /// Whether one is to be written, or written again, since its last write is a while ago.
    fn is_due(&self) -> bool {
        self.claims.borrow().iter().any(|claim| claim.is_due(self.ttl))
    }

    /// Gives them up.
    pub async fn release(&self) {
        // An answer may have been lost at the end, and with it the version that stands there.
        for _ in 0..3 {
            let (tasks, claims): (Vec<_>, Vec<_>) = self.releases().into_iter().unzip();
            if tasks.is_empty() {
                return;
            }
            // Whoever comes next waits as it does for one that died.
            let Ok(said) = helper::locks(&self.runner, tasks, RELEASE_ROUND).await else { return };
            if said.iter().any(|said| said.as_ref().err().is_some_and(|reason| is_too_soon(reason))) {
                tokio::time::sleep(TOO_SOON).await;
            }
            for (number, said) in claims.into_iter().zip(said) {
                let claim = &mut self.claims.borrow_mut()[number];
                match said {
                    Ok(LockSaid::Written(_)) => claim.kept = Some(false),
                    // It may be done, which the next one finds out.
                    Err(_) => {}
                    Ok(said @ (LockSaid::Found(..) | LockSaid::Nothing)) => {
                        claim.is_unanswered = false;
                        claim.take(&self.own, At::now(), said);
                    }
                    Ok(said) => claim.take(&self.own, At::now(), said),
                }
            }
        }
    }

    /// What has to be written for that, and of which.
    fn releases(&self) -> Vec<((Place, LockTask), usize)> {
        let mut releases = Vec::new();
        for (number, claim) in self.claims.borrow().iter().enumerate() {
            if claim.kept == Some(false) {
                continue;
            }
            // A write whose answer was lost may have been done.
            if claim.lease.held_until().is_none() && claim.is_unanswered {
                releases.push(((claim.place.clone(), LockTask::Read), number));
                continue;
            }
            if let Next::Write(Some(over)) = claim.lease.next(Instant::now())
                && claim.is_own
            {
                let mut record = claim.record.clone();
                record.insert("expires_at".to_owned(), time(Duration::ZERO).into());
                record.insert(RELEASED.to_owned(), true.into());
                releases.push(((claim.place.clone(), LockTask::Write(text(&record), Some(over))), number));
            }
        }
        releases
    }

    /// Does what is to be done about each; whether all have answered.
    async fn round(&self, limit: Duration) -> bool {
        let asked = self.asked();
        let tasks: Vec<_> = {
            let claims = self.claims.borrow();
            asked.iter().map(|asked| (claims[asked.number].place.clone(), asked.task.clone())).collect()
        };
        if tasks.is_empty() {
            return true;
        }
        let said = match helper::locks(&self.runner, tasks, limit).await {
            Ok(said) => said,
            Err(reason) => vec![Err(reason); asked.len()],
        };
        let mut claims = self.claims.borrow_mut();
        let mut answered = true;
        for (asked, said) in asked.into_iter().zip(said) {
            let claim = &mut claims[asked.number];
            match said {
                Ok(said) => {
                    claim.reason = None;
                    claim.take(&self.own, asked.at, said);
                }
                Err(reason) if helper::is_blind(&reason) => {
                    (claim.kept, claim.reason) = (Some(false), Some(reason));
                }
                Err(reason) => {
                    answered = false;
                    claim.is_unanswered |= matches!(asked.task, LockTask::Write(..));
                    claim.reason = Some(reason);
                }
            }
        }
        answered
    }

    /// What is to be asked now. Of each server one is tried, whether it keeps to conditions.
    fn asked(&self) -> Vec<Asked> {
        let mut claims = self.claims.borrow_mut();
        let known: HashMap<Place, bool> =
            claims.iter().filter_map(|claim| Some((claim.place.bucket(), claim.kept?))).collect();
        let mut tried = HashSet::new();
        let at = At::now();
        let mut asked = Vec::new();
        for (number, claim) in claims.iter_mut().enumerate() {
            let held = claim.lease.held_until().is_some();
            claim.kept = claim.kept.or_else(|| known.get(&claim.place.bucket()).copied());
            let task = match (claim.kept, claim.lease.next(at.0)) {
                (Some(false), _) | (_, Next::Leave) => continue,
                (None, _) if held && !claim.is_due(self.ttl) => {
                    // The others wait for the answer of the first.
                    if !tried.insert(claim.place.bucket()) {
                        continue;
                    }
                    LockTask::Try(text(&claim.record))
                }
                (_, Next::Look) => LockTask::Read,
                (_, Next::Write(over)) => {
                    claim.write_down(&self.own, self.ttl);
                    LockTask::Write(text(&claim.record), over)
                }
            };
            asked.push(Asked { number, at, task });
        }
        asked
    }
}

/// Whether a lock can be written where a database is replicated to.
pub fn has_lock(db: &Database) -> bool {
    db.place.is_some()
}

/// Whether an answer says that it is too many.
fn is_too_soon(reason: &str) -> bool {
    reason.contains("429 Too Many Requests")
}

/// Not one of Litestream's: it removes what it releases, which cannot be done on condition everywhere.
const RELEASED: &str = "released";

impl Claim {
    /// It is this keeper's, or the server has no locks.
    fn is_settled(&self) -> bool {
        self.kept == Some(false) || self.kept == Some(true) && self.lease.held_until().is_some()
    }

    /// What is to stand there while it is this keeper's.
    fn write_down(&mut self, own: &str, ttl: Duration) {
        let generation = self.record.get("generation").and_then(Value::as_u64).unwrap_or(0);
        // However often it has to be written until an answer comes.
        let is_new = self.record.get("owner").and_then(Value::as_str) != Some(own);
        let generation = if is_new { generation.saturating_add(1) } else { generation };
        self.record.insert("generation".to_owned(), generation.into());
        self.record.insert("expires_at".to_owned(), time(ttl).into());
        self.record.insert("owner".to_owned(), own.into());
        self.record.insert("database".to_owned(), self.db.path.display().to_string().into());
        self.record.remove(RELEASED);
    }

    fn take(&mut self, own: &str, asked: At, said: LockSaid) {
        match said {
            LockSaid::Nothing => self.lease.saw(Instant::now(), Lock::Nothing),
            LockSaid::Found(text, version) => {
                let record = record(&text);
                let owner = record.get("owner").and_then(Value::as_str).unwrap_or_default().to_owned();
                let is_released = record.get(RELEASED).and_then(Value::as_bool).unwrap_or(false);
                if version.is_empty() {
                    let why = "what it has there has no version".to_owned();
                    return self.take(own, asked, LockSaid::NotKept(why));
                }
                // Rubbish is nobody's, and whoever has the place writes over it.
                let is_rubbish = owner.is_empty() && self.lease.held_until().is_some();
                let owner = if is_rubbish { own.to_owned() } else { owner };
                self.is_own = owner == own && !is_released;
                self.record = record;
                self.lease.saw(Instant::now(), Lock::Of { owner, version, is_released });
            }
            LockSaid::Written(version) => {
                self.lease.written(asked.0, version);
                self.asked = Some(asked.1);
                (self.told, self.is_own, self.is_unanswered) = (false, true, false);
            }
            LockSaid::Kept => self.kept = Some(true),
            LockSaid::NotKept(why) => {
                (self.kept, self.reason) = (Some(false), Some(why.clone()));
                tracing::info!(
                    "{}: replica {}: {why}: two machines that replicate there at once are not kept apart",
                    self.db.path.display(),
                    self.db.replica
                );
            }
        }
    }

    /// Somebody else's it is.
    fn rival(&self) -> Option<Error> {
        let (owner, _) = self.lease.rival()?;
        Some(Error::leased(&self.db, owner_of(&self.record, owner), self.number.is_none()))
    }

    /// Its last write is a while ago, or there was none.
    fn is_due(&self, ttl: Duration) -> bool {
        let is_young = |asked: Duration| alarm::now().saturating_sub(asked) < ttl / 4;
        self.kept != Some(false) && !self.asked.is_some_and(is_young)
    }

    /// Says once why it is not this keeper's, although the app runs, or soon will not be.
    fn say_unknown(&mut self, ttl: Duration, is_strict: bool) {
        let late = if is_strict { ttl * 2 / 3 } else { ttl };
        let is_late = self.asked.is_none_or(|asked| alarm::now().saturating_sub(asked) >= late);
        let Some(reason) = self.reason.as_ref().filter(|_| is_late && self.kept != Some(false)) else {
            return;
        };
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let (path, replica, reason) = (self.db.path.display(), &self.db.replica, piece(reason));
        let left = self.asked.map_or(0, |asked| (asked + ttl).saturating_sub(alarm::now()).as_secs());
        if is_strict {
            tracing::warn!(
                "{path}: replica {replica}: nobody says that it is still this machine's, and in {left} s all ends: {reason}"
            );
        } else {
            tracing::warn!(
                "{path}: replica {replica}: nobody knows whether another machine replicates there: {reason}"
            );
        }
    }
}

/// When that is, as Go writes it down.
fn time(from_now: Duration) -> String {
    let at = jiff::Timestamp::now();
    at.checked_add(from_now).unwrap_or(at).to_string()
}

fn text(record: &Map<String, Value>) -> String {
    Value::Object(record.clone()).to_string()
}

/// What is no lock is nobody's, and goes as one that says nothing any more.
fn record(text: &str) -> Map<String, Value> {
    match serde_json::from_str(text) {
        Ok(Value::Object(record)) => record,
        Ok(_) | Err(_) => Map::new(),
    }
}

/// Who that is, for people.
fn owner_of(record: &Map<String, Value>, owner: &str) -> String {
    // What makes it another one than all before it says nothing.
    let name = owner.rsplit_once('#').map_or(owner, |(name, _)| name);
    let name = if name.is_empty() { "somebody" } else { name };
    match record.get("database").and_then(Value::as_str) {
        Some(database) => format!("{} for {}", piece(name), piece(database)),
        None => piece(name),
    }
}
