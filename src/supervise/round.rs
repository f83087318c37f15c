//! One asking of the sources: from the question to the last database that came or went by it.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::claimed;
use super::database_lock::{self, Source};
use super::driver::Driver;
use super::folders;
use super::message::Message;
use super::prepare::Preparation;
use super::reload::{Asking, Reason, Report};
use super::rounds::{Admission, Answer};
use super::setup::{Looked, OnLock};
use super::tenants::Tenant;
use super::world::World;
use crate::core::{Cause, Db, Event, ExitCode, Moment, Turn};
use crate::error::Failure;
use crate::inventory::{Entry, Named};
use crate::litestream::database::Database;
use crate::litestream::others::Others;

impl Driver {
    /// Somebody wants the sources to be asked now.
    pub(super) fn reload(&mut self, asker: Asking) {
        if asker.holding().is_some_and(|lock| !self.world.databases.table.has_lock(lock)) {
            return asker.refuse();
        }
        match cannot_ask(&self.world, self.machine.moment()) {
            Some(failure) => asker.answer(Report::of_failure(&failure)),
            None => {
                let outbox = self.world.outbox.clone();
                // A closed inbox means that the driver is gone.
                asker.wake(move || drop(outbox.send(Message::ReloadLate)));
                self.world.discovery.rounds.next.push(asker);
                if self.machine.moment().runs {
                    // Whoever wants to know now should not wait for the next look.
                    self.world.discovery.folders.scan_soon();
                    self.scan_folders();
                }
                self.handle(Event::Reload);
            }
        }
    }

    /// The resolver's answer came, or it failed.
    pub(super) fn answered(&mut self, answer: Result<Answer, Failure>) {
        // What the resolver named before may be on its way out, and is no reason to refuse what it names now.
        let in_folder = |entry: &Entry| matches!(entry, Entry::InFolder(..));
        let kept: Vec<Entry> = self.world.databases.entries().into_iter().filter(in_folder).collect();
        let named = answer.and_then(|answer| {
            let mut named = self.world.setup.inventory.read(&answer.said, &kept)?;
            one_name_each(&self.world.setup.dbs, &named)?;
            let (setup, is_told) = (&self.world.setup, &mut self.world.discovery.has_told_of_no_lease);
            claimed::look_at_named(setup, &named, is_told)?;
            if !answer.backups.is_empty() {
                let kept: Vec<Entry> = named.iter().map(|named| named.entry.clone()).collect();
                named.extend(folders::found_in_folders(&mut self.world, answer.backups, &kept)?);
            }
            Ok(named)
        });
        match named {
            Ok(named) if self.world.is_starting() => self.take_first(named),
            Ok(named) => self.take_named(named),
            Err(failure) => self.resolve_failed(failure),
        }
    }

    pub(super) fn resolve_failed(&mut self, failure: Failure) {
        if !self.world.is_starting() {
            let reason = Reason::from(failure.clone()).and("; nothing is changed");
            self.world.discovery.rounds.complain("", &reason);
        }
        self.world.discovery.rounds.asking = false;
        self.world.discovery.rounds.report = Report::of_failure(&failure);
        self.settle_rounds();
        let event = Event::ResolveFailed(failure.exit);
        if self.world.is_starting() {
            return self.take_message(Message::Failed(event, Cause::Start, failure));
        }
        self.handle(event);
    }

    /// Compares what is named with what is there.
    fn take_named(&mut self, named: Vec<Named>) {
        if let Err(failure) = refuse_many(&self.world, &strangers(&self.world, &named)) {
            return self.resolve_failed(failure);
        }
        let rounds = &mut self.world.discovery.rounds;
        rounds.said.remove("");
        rounds.asking = false;
        let by_hand = rounds.by_hand;
        self.world.discovery.tenants.refile(Tenant::refile);
        self.turn(Turn::Answered { wanted: named.into_iter().map(Tenant::new).collect(), by_hand });
        self.settle_rounds();
        self.handle(Event::Resolved { restore: false });
    }

    /// What is named at the start is launched with the rest, or nothing is.
    fn take_first(&mut self, named: Vec<Named>) {
        if named.is_empty() {
            return self.admitted(Vec::new());
        }
        let entries: Vec<Entry> = named.iter().map(|named| named.entry.clone()).collect();
        let written = refuse_many(&self.world, &named).and_then(|()| self.world.write_named(&entries));
        match written {
            Ok(()) => admit(&mut self.world, named),
            Err(failure) => self.resolve_failed(failure),
        }
    }

    /// What could be locked and is as it should be is taken in.
    pub(super) fn admitted(&mut self, admissions: Vec<Admission>) {
        let mut failures: Vec<Failure> = Vec::new();
        for Admission { named, result } in admissions {
            match result {
                Ok((lock, missing)) => {
                    if missing {
                        self.world.restores.miss([named.database.clone()]);
                    }
                    self.turn(Turn::Admitted(Tenant::new(named), lock));
                }
                Err(failure) => failures.push(failure),
            }
        }
        if let Some(first) = failures.first() {
            let all: Vec<&str> = failures.iter().map(|failure| failure.message.as_str()).collect();
            let failure = Failure { message: all.join("\n"), ..first.clone() };
            return self.resolve_failed(failure);
        }
        self.world.discovery.rounds.asking = false;
        self.world.restores.config = self.world.folder.named_config();
        self.settle_rounds();
        self.tell_owed();
        self.handle(Event::Resolved { restore: self.world.restores.is_any_missing() });
    }

    /// Tells those who wait once all has come true, or cannot any more; also before the machine hears
    /// of an answer, since it may ask again at once, and what came of this one is not said of the next.
    pub(super) fn settle_rounds(&mut self) {
        let moment = self.machine.moment();
        if moment.ends {
            self.turn(Turn::Ending);
        }
        if !self.world.discovery.rounds.next.is_empty()
            && let Some(failure) = cannot_ask(&self.world, self.machine.moment())
        {
            // It was not known yet when somebody asked.
            let next = &mut self.world.discovery.rounds.next;
            next.drain(..).for_each(|asking| asking.answer(Report::of_failure(&failure)));
        }
        let world = &mut self.world;
        let rounds = &world.discovery.rounds;
        if rounds.asking || (rounds.waiting.is_empty() && rounds.next.is_empty()) {
            return;
        }
        let under_way: Vec<Db> = world.discovery.tenants.under_way().collect();
        // Who comes waits for the app, and so does whoever asked for it.
        let is_unanswered = !rounds.next.is_empty() && !moment.runs;
        if moment.goes_on && rounds.report.error.is_none() && (is_unanswered || !under_way.is_empty()) {
            return;
        }
        for db in under_way {
            let (path, _) = world.place_of(db);
            let reason = format!("{path}: not done when the app ended");
            world.discovery.rounds.report.fail(path, reason);
        }
        let rounds = &mut world.discovery.rounds;
        let report = std::mem::take(&mut rounds.report);
        for waiting in rounds.waiting.drain(..) {
            waiting.answer(report.clone());
        }
    }
}

/// Asks the source.
pub(super) fn ask(world: &mut World) {
    world.discovery.rounds.asking = true;
    if world.discovery.rounds.waiting.is_empty() {
        // What still goes on came of earlier answers.
        world.discovery.rounds.report = Report::default();
        world.discovery.report_folders();
    }
    // What is named at the start comes with the launch, and is no news: who asked for it is told by the next answer.
    if !world.is_starting() {
        world.discovery.rounds.by_hand = !world.discovery.rounds.next.is_empty();
        world.discovery.rounds.waiting.append(&mut world.discovery.rounds.next);
    }
    let (question, outbox) = (world.discovery.question.clone(), world.outbox.clone());
    let backups = folders::backups(world);
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

/// Locks and looks at what was named at the start; what is missing waits for the machine's own restore.
pub(super) fn admit(world: &mut World, named: Vec<Named>) {
    let preparation = world.preparation(world.folder.named_config(), Rc::default());
    let (socket, keeper) = (world.folder.socket(), world.folder.keeper_socket());
    let version = world.litestream.version;
    let patience = world.setup.policy.stop_timeout * 2;
    let places = Rc::new(Semaphore::new(world.setup.restore_parallel.max(1)));
    let outbox = world.outbox.clone();
    let newest = Rc::new(world.restores.take_newest());
    tokio::task::spawn_local(async move {
        let preparation: Rc<Preparation> = Rc::new(preparation);
        let others = Rc::new(Others::now());
        let mut admitting = JoinSet::new();
        for (place, named) in named.into_iter().enumerate() {
            let (preparation, places) = (preparation.clone(), places.clone());
            let (newest, others) = (newest.clone(), others.clone());
            let (socket, keeper) = (socket.clone(), keeper.clone());
            admitting.spawn_local(async move {
                let _place = places.acquire().await;
                let children = preparation.runner.children.clone();
                let interrupted = || children.is_aborted().then_some(ExitCode::UNAVAILABLE);
                let result = async {
                    let db = std::slice::from_ref(&named.database);
                    let lock = database_lock::lock_all(
                        db,
                        &socket,
                        &keeper,
                        Source::User,
                        (patience, OnLock::Fail),
                        interrupted,
                    );
                    let lock = lock.await?.pop();
                    let lock = lock.ok_or_else(|| Failure::new(ExitCode::LOCKED, "no lock was made"))?;
                    if let Some((_, failure)) =
                        database_lock::other_litestream(&others, [(Db(0), &named.database)])
                    {
                        return Err(failure);
                    }
                    let newest = newest.get(&named.database.path).cloned();
                    let missing = preparation.is_missing(&named.database, version, newest).await?;
                    Ok((lock, missing))
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

/// Refuses more databases than there can be, with these.
pub(super) fn refuse_many(world: &World, named: &[Named]) -> Result<(), Failure> {
    let there = |database: &Database| usize::from(database.exists());
    let number = world.databases.table.listed().iter().map(|(_, database)| there(database)).sum::<usize>()
        + named.iter().map(|named| there(&named.database)).sum::<usize>();
    (world.setup.faults)(Looked::Number(number))
}

/// Why nobody can be asked, now or later.
pub(super) fn cannot_ask(world: &World, moment: Moment) -> Option<Failure> {
    if !world.setup.policy.resolves {
        Some(
            Failure::new(ExitCode::CONFIG, "nothing to reload: no resolver and no folder is configured")
                .hint("`litekeeper.resolver` names a program that prints the databases"),
        )
    } else if world.litestream.launches() > 0 && !world.litestream.version.confirms() {
        let message = format!("litestream {} takes in no database while it runs", world.litestream.version);
        Some(
            Failure::new(ExitCode::UNAVAILABLE, message)
                .hint("run litestream 0.5.9 or later, or restart litekeeper"),
        )
    } else if !moment.goes_on {
        Some(Failure::new(ExitCode::UNAVAILABLE, "litekeeper is stopping"))
    } else {
        None
    }
}

/// Those that are not there yet.
pub(super) fn strangers(world: &World, named: &[Named]) -> Vec<Named> {
    let listed = world.databases.table.listed();
    let there: HashSet<&Path> = listed.iter().map(|(_, database)| database.path.as_path()).collect();
    named.iter().filter(|named| !there.contains(named.database.path.as_path())).cloned().collect()
}

/// Tells those who cannot wait any longer what has come true by now.
pub(super) fn report_late(world: &mut World, moment: Moment) {
    let mut report = world.discovery.rounds.report.clone();
    for db in world.discovery.tenants.under_way() {
        let (path, replica) = world.place_of(db);
        let reason = format!("{path}: replica {replica}: not done within --timeout, and going on");
        report.fail(path, reason);
    }
    let asking = Failure::new(ExitCode::UNAVAILABLE, "the resolver has not answered within --timeout")
        .hint("its answer is taken when it comes, and the log tells; --timeout waits longer");
    let waiting = Failure::new(ExitCode::UNAVAILABLE, "the app does not run within --timeout")
        .hint("the sources are asked again once it does, and the log tells; --timeout waits longer");
    let runs = moment.runs;
    if world.discovery.rounds.asking {
        report.fail("the resolver".to_owned(), asking.clone());
    } else if !runs {
        report.fail("the app".to_owned(), waiting.clone());
    }
    let now = Instant::now();
    let late = |asking: &mut Asking| asking.is_late(now);
    world.discovery.rounds.waiting.extract_if(.., late).for_each(|asking| asking.answer(report.clone()));
    let asked = Report::of_failure(if runs { &asking } else { &waiting });
    world.discovery.rounds.next.extract_if(.., late).for_each(|asking| asking.answer(asked.clone()));
}

/// Whoever names one database by two names would have it replicated twice.
pub(super) fn one_name_each(configured: &[Database], named: &[Named]) -> Result<(), Failure> {
    let mut known: BTreeMap<PathBuf, &Path> = BTreeMap::new();
    for database in configured.iter().chain(named.iter().map(|named| &named.database)) {
        if let Some(first) = known.insert(database_lock::resolved(&database.path), &database.path) {
            let (first, second) = (first.display(), database.path.display());
            let message = format!("resolver: {first} and {second} are one database");
            return Err(Failure::new(ExitCode::CONFIG, message).hint("name each by one path only"));
        }
    }
    Ok(())
}
