//! One asking of the sources: from the question to the last database that came or went by it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use super::driver::{Driver, Message};
use super::effects::World;
use super::prepare::Preparation;
use super::reload::Report;
use super::setup::{Entry, Looked, Named, OnLock};
use super::twins::{self, Source};
use crate::backup::listing;
use crate::core::{Db, Event, ExitCode, Phase};
use crate::error::Failure;
use crate::litestream::database::Database;
use crate::litestream::others::Others;
use crate::os::lock::Lock;

/// A question that is under way, and who waits for what comes of it.
#[derive(Default)]
pub(super) struct Rounds {
    asking: bool,
    /// What the answer set going.
    pub(super) open: BTreeSet<Db>,
    /// The databases that the last answer names.
    named: BTreeSet<PathBuf>,
    /// What came of it so far.
    report: Report,
    waiting: Vec<oneshot::Sender<Report>>,
    /// These came when a question was under way already, whose answer may be older.
    next: Vec<oneshot::Sender<Report>>,
    /// The last complaint about each database, and about the answer as a whole: each is said once.
    said: BTreeMap<String, String>,
}

impl Rounds {
    /// Says what is wrong, unless it was the last that was said of it.
    fn complain(&mut self, about: &str, reason: &str) {
        if self.said.get(about).is_none_or(|said| said != reason) {
            tracing::error!("{reason}");
            self.said.insert(about.to_owned(), reason.to_owned());
        }
    }

    fn is_over(&self) -> bool {
        !self.asking && self.open.is_empty()
    }
}

/// What the sources say.
pub(super) struct Answer {
    /// What the resolver printed.
    said: Vec<u8>,
    /// At the start: the backups of each folder of databases, where they can be listed.
    backups: Vec<Option<Vec<listing::Found>>>,
}

/// What was found out about a database that a source named.
pub(super) struct Admission {
    named: Named,
    /// Its lock, and whether it is still missing.
    result: Result<(Lock, bool), Failure>,
}

impl World {
    /// Asks the source.
    pub(super) fn resolve(&mut self) {
        self.rounds.asking = true;
        self.rounds.waiting.append(&mut self.rounds.next);
        let (question, outbox) = (self.question.clone(), self.outbox.clone());
        let backups = self.backups();
        tokio::task::spawn_local(async move {
            let said = match question {
                Some(question) => question.ask().await,
                None => Ok(b"[]".to_vec()),
            };
            let answer = match said {
                Ok(said) => backups.await.map(|backups| Answer { said, backups }),
                Err(failure) => Err(failure),
            };
            let _ = outbox.send(Message::Answered(answer));
        });
    }

    /// Locks, looks at and (while the app runs) restores what was named; the others wait for the
    /// machine's own restore.
    fn admit(&mut self, named: Vec<Named>, restores: bool) {
        let preparation = self.preparation(self.folder.named_config(), Rc::default());
        let restorer = self.restorer(self.folder.named_config());
        let (socket, keeper) = (self.folder.socket(), self.folder.keeper_socket());
        let version = self.version;
        let patience = if restores { std::time::Duration::ZERO } else { self.setup.policy.stop_timeout * 2 };
        let places = Rc::new(Semaphore::new(self.setup.restore_parallel.max(1)));
        let outbox = self.outbox.clone();
        let newest = Rc::new(std::mem::take(&mut self.newest));
        tokio::task::spawn_local(async move {
            let preparation: Rc<Preparation> = Rc::new(preparation);
            let others = Rc::new(Others::now());
            let mut admitting = JoinSet::new();
            for (place, named) in named.into_iter().enumerate() {
                let (preparation, restorer, places) = (preparation.clone(), restorer.clone(), places.clone());
                let (newest, others) = (newest.clone(), others.clone());
                let (socket, keeper) = (socket.clone(), keeper.clone());
                admitting.spawn_local(async move {
                    let _place = places.acquire().await;
                    let children = preparation.runner.children.clone();
                    let interrupted = || children.is_aborted().then_some(ExitCode::UNAVAILABLE);
                    let result = async {
                        let db = std::slice::from_ref(&named.database);
                        let lock = twins::lock_all(
                            db,
                            &socket,
                            &keeper,
                            Source::User,
                            (patience, OnLock::Fail),
                            interrupted,
                        );
                        let lock = lock.await?.pop();
                        let lock = lock.ok_or_else(|| Failure::new(ExitCode::LOCKED, "no lock was made"))?;
                        if let Some((_, failure)) = twins::doubled(&others, [(Db(0), &named.database)]) {
                            return Err(failure);
                        }
                        let newest = newest.get(&named.database.path).cloned();
                        let missing = preparation.is_missing(&named.database, version, newest).await?;
                        if missing && restores {
                            restorer
                                .restore_all(db)
                                .await
                                .map_err(|errors| super::prepare::failures(&errors))?;
                        }
                        Ok((lock, missing && !restores))
                    };
                    let result = result.await;
                    (place, Admission { named, result })
                });
            }
            let mut admissions = Vec::new();
            while let Some(admission) = admitting.join_next().await {
                admissions.extend(admission);
            }
            admissions.sort_by_key(|(place, _)| *place);
            let admissions = admissions.into_iter().map(|(_, admission)| admission).collect();
            let _ = outbox.send(Message::Admitted(admissions));
        });
    }
}

impl Driver {
    /// Somebody wants the sources to be asked now.
    pub(super) fn reload(&mut self, asker: oneshot::Sender<Report>) {
        let refused = if !self.world.setup.policy.resolves {
            Some(
                Failure::new(ExitCode::CONFIG, "nothing to reload: no resolver and no folder is configured")
                    .hint("`litekeeper.resolver` names a program that prints the databases"),
            )
        } else if !self.world.version.confirms() {
            let message = format!("litestream {} takes in no database while it runs", self.world.version);
            Some(
                Failure::new(ExitCode::UNAVAILABLE, message)
                    .hint("run litestream 0.5.9 or later, or restart litekeeper"),
            )
        } else if self.machine.phase() != Phase::Running {
            Some(Failure::new(ExitCode::UNAVAILABLE, "the app is not running just now: try again once it is"))
        } else {
            None
        };
        match refused {
            // Who has gone meanwhile needs no answer.
            Some(failure) => drop(asker.send(Report::of_failure(&failure))),
            None => {
                self.world.rounds.next.push(asker);
                self.look_into_folders_now();
                self.handle(Event::Reload);
            }
        }
    }

    /// The resolver's answer came, or it failed.
    pub(super) fn answered(&mut self, answer: Result<Answer, Failure>) {
        let kept = self.world.entries();
        let named = answer.and_then(|answer| {
            let mut named = self.world.setup.catalogue.read(&answer.said, &kept)?;
            if !answer.backups.is_empty() {
                let kept: Vec<Entry> = named.iter().map(|named| named.entry.clone()).collect();
                named.extend(self.world.found_in_folders(answer.backups, &kept)?);
            }
            Ok(named)
        });
        match named {
            Ok(named) => self.take_named(named),
            Err(failure) => self.resolve_failed(failure),
        }
    }

    fn resolve_failed(&mut self, failure: Failure) {
        if self.machine.phase() != Phase::Resolving {
            let reason = format!("{}; nothing is changed", failure.message);
            self.world.rounds.complain("", &reason);
        }
        self.world.rounds.asking = false;
        self.world.rounds.report = Report::of_failure(&failure);
        self.settle_rounds();
        let event = Event::ResolveFailed(failure.exit);
        if self.machine.phase() == Phase::Resolving {
            return self.take_message(Message::Failed(event, failure));
        }
        self.handle(event);
    }

    /// Compares what is named with what is there.
    fn take_named(&mut self, named: Vec<Named>) {
        let world = &mut self.world;
        world.rounds.said.remove("");
        world.rounds.named = named.iter().map(|named| named.database.path.clone()).collect();
        // By path: with thousands of them nobody is compared with all.
        let by_path: HashMap<&Path, &Entry> =
            named.iter().map(|named| (named.database.path.as_path(), &named.entry)).collect();
        let is_named = |other: &Named| {
            matches!(other.entry, Entry::InFolder(..))
                || by_path.get(other.database.path.as_path()).is_some_and(|entry| **entry == other.entry)
        };
        world.gone =
            world.roster.all_named().filter(|(_, there)| !is_named(there)).map(|(db, _)| db).collect();
        // One that is named otherwise now has to go before it can come again.
        let there: HashSet<PathBuf> =
            world.roster.all_named().map(|(_, there)| there.database.path.clone()).collect();
        let new: Vec<Named> =
            named.into_iter().filter(|named| !there.contains(&named.database.path)).collect();
        let starting = self.machine.phase() == Phase::Resolving;
        let mut acceptable = Vec::new();
        for named in new {
            match &named.url {
                Err(reason) if !starting => {
                    let reason = format!("{}: {reason}", named.database.path.display());
                    world.refuse(&named.database.path.display().to_string(), reason);
                }
                _ => acceptable.push(named),
            }
        }
        if acceptable.is_empty() {
            return self.admitted(Vec::new());
        }
        let there = |database: &Database| usize::from(database.exists());
        let number = world.roster.listed().iter().map(|(_, database)| there(database)).sum::<usize>()
            + acceptable.iter().map(|named| there(&named.database)).sum::<usize>();
        if let Err(failure) = (world.setup.faults)(Looked::Number(number)) {
            return self.resolve_failed(failure);
        }
        let entries: Vec<Entry> = acceptable.iter().map(|named| named.entry.clone()).collect();
        let written = world.write_named(&entries);
        match written {
            Ok(()) => world.admit(acceptable, !starting),
            Err(failure) => self.resolve_failed(failure),
        }
    }

    /// What could be locked and is as it should be is taken in.
    pub(super) fn admitted(&mut self, admissions: Vec<Admission>) {
        let starting = self.machine.phase() == Phase::Resolving;
        let mut failures: Vec<Failure> = Vec::new();
        for Admission { named, result } in admissions {
            match result {
                Ok((lock, missing)) => {
                    if missing {
                        self.world.missing.push(named.database.clone());
                    }
                    let db = self.world.take_in(named, lock);
                    self.world.rounds.open.insert(db);
                    self.handle(Event::Named(db));
                }
                Err(failure) if starting => failures.push(failure),
                Err(failure) => {
                    self.world.refuse(&named.database.path.display().to_string(), failure.message);
                }
            }
        }
        if let Some(first) = failures.first() {
            let all: Vec<&str> = failures.iter().map(|failure| failure.message.as_str()).collect();
            let failure = Failure { message: all.join("\n"), ..first.clone() };
            return self.resolve_failed(failure);
        }
        for db in std::mem::take(&mut self.world.gone) {
            // It may have gone meanwhile, by an earlier answer.
            if self.world.roster.named(db).is_some() {
                self.world.rounds.open.insert(db);
                self.handle(Event::Dropped(db));
            }
        }
        self.world.rounds.asking = false;
        if starting {
            // They are launched with the rest.
            self.world.rounds.open.clear();
            self.world.restore_config = self.world.folder.named_config();
        }
        self.settle_rounds();
        self.handle(Event::Resolved { restore: starting && !self.world.missing.is_empty() });
    }

    /// Litestream has taken one in, or it has not.
    pub(super) fn registered(&mut self, launch: u64, db: Db, result: Result<(), Failure>) {
        if launch != self.world.launches || self.world.roster.named(db).is_none() {
            return;
        }
        let (path, replica) = self.world.place_of(db);
        let ok = result.is_ok();
        match result {
            Ok(()) => {
                tracing::info!("replicating {path} -> {replica}");
                self.world.warn_of_a_backup(db);
                self.world.rounds.said.remove(&path);
                self.world.rounds.report.added.push(path);
                self.world.watch_too(db);
            }
            Err(failure) => {
                self.world.refuse(&path, failure.message);
                self.world.roster.remove(db);
            }
        }
        self.world.rounds.open.remove(&db);
        self.handle(Event::Registered { db, ok });
    }

    /// Litestream has let go of one, or it has not.
    pub(super) fn unregistered(&mut self, launch: u64, db: Db, result: Result<(), Failure>) {
        if launch != self.world.launches || self.world.roster.named(db).is_none() {
            return;
        }
        let (path, replica) = self.world.place_of(db);
        let ok = result.is_ok();
        let comes_again = ok && self.world.rounds.named.contains(std::path::Path::new(&path));
        match result {
            Ok(()) => {
                tracing::info!("{path} is on {replica}, and not replicated any more");
                self.world.rounds.said.remove(&path);
                self.world.rounds.report.removed.push(path);
                self.world.forget(db);
            }
            Err(failure) => {
                let reason = format!("{}: kept until it can be drained", failure.message);
                self.world.refuse(&path, reason);
            }
        }
        self.world.rounds.open.remove(&db);
        self.handle(Event::Unregistered { db, ok });
        if comes_again {
            // What is said of it has changed: it comes as a new one.
            self.handle(Event::Reload);
        }
    }

    /// Tells those who wait once all has come true, or cannot any more; also before the machine hears
    /// of an answer, since it may ask again at once, and what came of this one is not said of the next.
    pub(super) fn settle_rounds(&mut self) {
        let running = self.machine.phase() == Phase::Running;
        let rounds = &mut self.world.rounds;
        if !running {
            rounds.open.clear();
        }
        if rounds.is_over() {
            let report = std::mem::take(&mut rounds.report);
            for waiting in rounds.waiting.drain(..) {
                // Who has gone meanwhile needs no answer.
                let _ = waiting.send(report.clone());
            }
            if !running {
                let failure = Failure::new(ExitCode::UNAVAILABLE, "the app is not running any more");
                for waiting in rounds.next.drain(..) {
                    let _ = waiting.send(Report::of_failure(&failure));
                }
            }
        }
    }
}

impl World {
    /// A database that cannot come, or not go.
    pub(super) fn refuse(&mut self, path: &str, reason: String) {
        self.rounds.complain(path, &reason);
        self.rounds.report.fail(path.to_owned(), reason);
    }
}
