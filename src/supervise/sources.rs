//! What happens, as events for the machine.

use std::time::Duration;

use nix::libc;

use super::driver::{Driver, Message, sender_name, signal_name};
use super::link::Word;
use super::outside::has_any;
use super::prepare::Prepared;
use super::reload::Reason;
use super::twins::{self, Look};
use super::wal;
use crate::core::{Cause, Ended, Event, ExitCode, NotStarted, Phase, Turn};
use crate::foreign;
use crate::litestream::others::Others;
use crate::os::signal::{self, Received, Sender, Signals};
use crate::os::terminal::{self, Terminal};
use crate::os::{event, fork, memory, pidfd, place, proc};
use crate::shim::{Target, ToKeeper, ToShim};

/// After so many looks the start has come to its end: most of the memory that it took is not needed again.
const SETTLED: u32 = 5;

/// Often at first: what an app starts it starts then. All processes are looked at, so it gets rare.
fn is_turn(looks: u32) -> bool {
    looks.is_power_of_two() || looks.is_multiple_of(64)
}

/// How long a process may take to die that has begun to.
const DYING: Duration = Duration::from_millis(50);

impl Driver {
    pub(super) fn take_signals(&mut self, signals: &Signals) {
        while let Some(received) = signals.take() {
            self.take_signal(received);
        }
    }

    fn take_signal(&mut self, Received { number, sender }: Received) {
        match number {
            libc::SIGCHLD => self.reap(),
            // Under nohup(1), or in the background of a shell without job control, a terminal has no say. Whoever sends one on
            // purpose has.
            _ if sender == Sender::Kernel && signal::ignored_at_start().has(number) => {}
            // It went to all of the job, and the app with what it started is a part of it.
            libc::SIGINT | libc::SIGQUIT | libc::SIGTSTP | libc::SIGWINCH
                if sender == Sender::Kernel && self.is_part_of_job() =>
            {
                tracing::debug!("{} from the terminal: passed on", signal_name(number));
                self.world.tell_shim(&ToShim::Signal(Target::Group, number));
            }
            libc::SIGTERM | libc::SIGINT => self.stop_signal(number, sender),
            // A terminal that was closed takes all its jobs with it. A HUP from elsewhere is for the app: read the settings anew.
            libc::SIGHUP if self.world.terminal.is_some() && sender == Sender::Kernel => {
                self.stop_signal(number, sender)
            }
            libc::SIGCONT if self.resume() => {}
            _ => {
                tracing::debug!("{} from {}: passed on", signal_name(number), sender_name(sender));
                self.handle(Event::Signal(number));
            }
        }
    }

    fn stop_signal(&mut self, number: i32, sender: Sender) {
        tracing::info!("{} from {}: stopping", signal_name(number), sender_name(sender));
        self.tell_owed();
        self.handle(Event::StopSignal(number));
    }

    /// Whether a key that reached this process is for the app: it runs, and nobody has asked it to stop.
    fn is_part_of_job(&self) -> bool {
        let runs = matches!(self.machine.phase(), Phase::Before | Phase::Running);
        runs && self.world.terminal.is_some() && self.world.app.is_some()
    }

    /// Tells the machine what is known by now of what earlier runs left.
    pub(super) fn tell_owed(&mut self) {
        let listed = self.world.roster.listed();
        let owed = std::mem::take(&mut *self.world.owing.borrow_mut());
        let owed = listed.iter().filter(|(_, database)| owed.contains(&database.path));
        owed.for_each(|(db, _)| self.handle(Event::Owed(*db)));
    }

    fn reap(&mut self) {
        self.world.runner.children.reap();
        if self.world.sweeping {
            self.sweep();
        }
    }

    /// Kills what a dead shim left, until nothing is left.
    pub(super) fn sweep(&mut self) {
        self.world.runner.children.reap();
        if !self.world.runner.children.kill_adopted() {
            (self.world.sweeping, self.world.leftovers) = (false, false);
            self.world.app = None;
            self.clear_wal_indexes();
            self.handle(Event::TreeGone);
        }
    }

    pub(super) fn take_shim_message(&mut self, word: Option<Word>) {
        let message = match word {
            Some(Word::Said(message)) => Some(message),
            Some(Word::Forged(sender)) if self.world.unmask(sender) => return,
            // Before there is a shim it is as good as gone.
            Some(Word::Forged(_)) | None => None,
        };
        if message.as_ref().is_some_and(ToKeeper::says_that_all_are_gone) && self.world.refute() {
            return;
        }
        match message {
            Some(ToKeeper::Ready(pid)) => {
                self.world.shim_pid = Some(pid);
                self.world.shim = pidfd::open(pid).and_then(|shim| event::readable(shim).ok());
                let listed = self.world.roster.listed();
                let goes: Vec<_> = listed.iter().map(|(db, _)| self.world.is_watched_folders(*db)).collect();
                self.world.watch.set(&listed, &goes);
                self.world.watch.reset();
                self.handle(Event::ShimReady);
            }
            Some(ToKeeper::Started(pid)) => {
                self.world.app = Some(pid);
                if self.machine.phase() == Phase::Running {
                    self.world.watch_use();
                }
                tracing::info!("{} runs as pid {pid}", self.world.running_name());
            }
            Some(ToKeeper::NotStarted(errno)) => {
                let error = match errno {
                    libc::ETIME => {
                        let late = format!("its process had not become it after {} s", fork::LIMIT.as_secs());
                        std::io::Error::new(std::io::ErrorKind::TimedOut, late)
                    }
                    errno => std::io::Error::from_raw_os_error(errno),
                };
                let refused = self.world.unstarted(&error);
                let program = foreign::word(&refused.program.to_string_lossy());
                self.world.reason = Some(format!("{program}: {}", refused.why));
                self.take_terminal_back();
                let kind = if refused.found { NotStarted::NotExecutable } else { NotStarted::NotFound };
                self.handle(Event::AppNotStarted(kind));
            }
            Some(ToKeeper::Exited { code, left }) => self.app_ended(Ended::Code(code), left),
            Some(ToKeeper::Signaled { number, left }) => self.app_ended(Ended::Signal(number), left),
            Some(ToKeeper::TreeGone) => {
                self.world.leftovers = false;
                self.clear_wal_indexes();
                self.handle(Event::TreeGone);
            }
            Some(ToKeeper::Stopped(number)) => self.job_stopped(number),
            Some(ToKeeper::Asked(_)) => self.handle(Event::LitestreamAsked),
            Some(ToKeeper::LitestreamGone) => {
                // The shim is heard before Litestream's own end is. What it saw can be another process than this one's child,
                // too: a wrapper around Litestream lives on.
                let children = &self.world.runner.children;
                if let Some(how) = self.world.litestream.and_then(|pid| children.how_ended(pid, DYING)) {
                    self.note_end_of_litestream(how);
                }
                self.litestream_ended(false);
            }
            None => {
                self.world.link = None;
                self.handle(Event::ShimGone);
            }
        }
    }

    fn app_ended(&mut self, how: Ended, left: u32) {
        self.take_terminal_back();
        if how == Ended::Signal(libc::SIGHUP) && self.is_hung_up() {
            // There may be no shell that passes it on to this process as well.
            self.stop_signal(libc::SIGHUP, Sender::Kernel);
        }
        self.world.app = None;
        tracing::debug!("{} ended: {how:?}", self.world.running_name());
        self.world.leftovers = left > 0;
        self.clear_wal_indexes();
        self.handle(Event::AppEnded { how, left });
    }

    /// A shim that is killed takes the app's leader along; what that started was adopted by this process
    /// before its end shows here. Litestream ends in order now, and lets go of the WAL, which nobody may write to
    /// any more when it does.
    pub(super) fn shim_died(&mut self) {
        (self.world.shim, self.world.shim_pid, self.world.link) = (None, None, None);
        self.world.runner.children.kill_adopted();
        self.handle(Event::ShimGone);
    }

    /// The app's leader is gone, or all that it started, whatever they were just doing.
    fn clear_wal_indexes(&mut self) {
        if let Some((_, held)) = self.world.held.take() {
            held.clear();
        }
        // It may have made a database since the last look, or another one in its place.
        self.world.folders.look_soon();
        self.look(false);
        for (_, database) in self.world.roster.listed().iter() {
            wal::settle(&self.world.runner, &database.path);
        }
    }

    pub(super) fn take_terminal_back(&self) {
        if let Some(terminal) = &self.world.terminal {
            terminal.take_from(self.world.app);
        }
    }

    fn is_hung_up(&self) -> bool {
        self.world.terminal.as_ref().is_some_and(Terminal::is_hung_up)
    }

    /// Ctrl-Z stopped the app alone; a shell has to see its whole job stop.
    fn job_stopped(&mut self, number: i32) {
        let Some(terminal) = &self.world.terminal else { return };
        // The job has the terminal, and of its parts it is the app that reads from it, or wants other settings of it. It may have
        // been stopped more than once before it was given the terminal.
        if let (libc::SIGTTIN | libc::SIGTTOU, Some(app)) = (number, self.world.app) {
            if terminal.is_own() {
                terminal.give_to(app);
            }
            if terminal.is_with(app) {
                self.world.tell_shim(&ToShim::Signal(Target::Group, libc::SIGCONT));
                return;
            }
        }
        self.take_terminal_back();
        if terminal::is_shell_job() {
            signal::stop_own_group();
        }
        // Somebody has continued this process, or nobody ever would have.
        self.resume();
    }

    /// Hands the terminal back to the app after `fg`; whether there was anything to do.
    fn resume(&mut self) -> bool {
        let (Some(terminal), Some(app)) = (&self.world.terminal, self.world.app) else { return false };
        if self.world.lends_terminal() {
            terminal.give_to(app);
        }
        self.world.tell_shim(&ToShim::Signal(Target::Group, libc::SIGCONT));
        true
    }

    pub(super) fn take_message(&mut self, message: Message) {
        match message {
            Message::Event(Event::Restored) => self.restored(),
            Message::Event(event) => {
                match event {
                    Event::GateOpened => {
                        self.world.failures.clear();
                        self.world.reason = None;
                    }
                    Event::Confirmed { db, ok: true } => {
                        self.world.reasons.remove(&db);
                        self.world.reason = None;
                    }
                    _ => {}
                }
                self.handle(event);
            }
            Message::Failed(event, cause, failure) => {
                if cause == Cause::Start {
                    self.tell_owed();
                }
                self.world.failures.insert(cause, failure);
                self.handle(event);
            }
            Message::Reason(cause, failure) => {
                self.world.reason = Some(failure.message.clone());
                self.world.failures.insert(cause, failure);
            }
            Message::Parted(launch, ..) | Message::Unknown(launch, _) | Message::ProofDue(launch, _)
                if launch != self.world.launches => {}
            Message::Parted(_, db, why) => {
                let path = self.world.roster.get(db).map(|database| database.path.clone());
                self.world.parted.extend(path.map(|path| (path, why.clone())));
                self.world.reason = Some(why);
                self.handle(Event::Parted(db));
            }
            Message::ProofDue(_, db) => self.world.proofs.due(db),
            Message::Proved(db, took) => self.world.proofs.done(db, took),
            Message::Kill(start, held) => self.world.kill_tree(start, held),
            Message::LookAtUse => self.world.look_at_use(),
            Message::LetGo(hold) => {
                self.world.held = self.world.held.take().filter(|(held, _)| *held != hold);
            }
            // A new file can have the number of the deleted one.
            Message::Unknown(_, db) if self.world.is_watched_folders(db) => {
                self.file_went(db);
                self.handle(Event::Unregistered { db, ok: true });
            }
            Message::Unknown(..) => {}
            Message::Emptied(launch, emptied) => {
                // A stop meanwhile has given it up.
                if launch == self.world.launches && self.machine.phase() == Phase::Launching {
                    match emptied {
                        Ok(()) => self.world.start_litestream(),
                        Err(failure) if failure.exit == ExitCode::UNAVAILABLE => {
                            self.world.damage = Some(failure);
                            self.handle(Event::Damaged);
                        }
                        Err(failure) => self.world.not_launched(failure),
                    }
                }
            }
            Message::NotConfirmed(db, reason) => {
                self.world.reasons.insert(db, reason.clone());
                self.world.reason = Some(reason);
            }
            Message::Prepared(Prepared { version, missing, inspected, whole }) => {
                self.world.inspected.extend(inspected);
                self.world.parted.extend(whole);
                let event = Event::Prepared { restore: !missing.is_empty(), confirms: version.confirms() };
                self.world.version = version;
                if self.world.question.is_some() && !version.confirms() {
                    tracing::warn!(
                        "litestream {version} takes in no database while it runs: the resolver is asked at the start only"
                    );
                }
                self.world.missing = missing;
                self.tell_owed();
                self.handle(event);
            }
            Message::Answered(answer) => self.answered(answer),
            Message::Admitted(admissions) => self.admitted(admissions),
            Message::LookedAt(db, number, result) => {
                let lock = self.world.outside.done(number);
                let result = match (result, lock) {
                    (Ok(()), Some(lock)) => Ok(lock),
                    // It was stopped, and is another's by now.
                    (Ok(()), None) => return,
                    (Err(failure), _) => Err(failure.into()),
                };
                self.turn(Turn::LookedAt { db, number, result });
            }
            Message::Probed(db, number, result) => {
                self.world.outside.done(number);
                let result = result.map_err(Reason::from);
                self.turn(Turn::Probed { db, number, result });
            }
            // What a dead one was told is void.
            Message::Registered(launch, ..) | Message::Unregistered(launch, ..)
                if launch != self.world.launches => {}
            Message::Registered(_, db, result) => {
                let result = result.map_err(Reason::from);
                self.turn(Turn::Registered { db, result });
            }
            Message::Unregistered(_, db, result) => {
                let result = result.map_err(Reason::from);
                self.turn(Turn::Unregistered { db, result });
            }
            Message::Reload(asker) => self.reload(asker),
            Message::ReloadLate => self.report_late(),
            Message::NotLaunched(launch, failure) => {
                if launch == self.world.launches {
                    self.world.litestream = None;
                    self.world.not_launched(failure);
                }
            }
            Message::LitestreamReaped(launch, how) => {
                if launch == self.world.launches {
                    // Else the shim has said so already.
                    if self.world.litestream.is_some() {
                        self.note_end_of_litestream(how);
                    }
                    self.litestream_ended(how == Ended::Code(0));
                }
            }
        }
    }

    fn note_end_of_litestream(&mut self, how: Ended) {
        if let (Ended::Signal(number), false) = (how, self.world.killed_litestream) {
            // What it said last has nothing to do with it.
            let why = if number == libc::SIGKILL { self.world.why_killed() } else { "" };
            self.world.reason = Some(format!("by SIG{}{why}", crate::os::signal::name(number)));
        }
    }

    fn litestream_ended(&mut self, well: bool) {
        self.world.litestream = None;
        self.world.reason = self.world.reason.take().or_else(|| self.world.heard.error.take());
        let clean = well && !self.world.heard.unclean.get();
        self.handle(Event::LitestreamEnded { clean });
    }

    /// Looks at the databases, as is done once a second while the app runs.
    pub(super) fn look_again(&mut self) {
        self.look(false);
        self.world.follow();
        if self.machine.phase() == Phase::Running {
            self.world.prove();
            self.world.look_at_snapshots();
        }
        self.world.looks += 1;
        if is_turn(self.world.looks) {
            self.look_for_doubles();
        }
        if self.world.looks == SETTLED {
            memory::trim();
        }
    }

    /// Looks for what a process left that was just killed, before Litestream looks at it.
    pub(super) fn look_at_leftovers(&mut self) {
        for (db, _) in self.world.roster.listed().iter() {
            self.world.look_for_orphans(*db);
        }
    }

    pub(super) fn look(&mut self, last: bool) {
        let looked = place::theirs(|| {
            self.look_at_files(last);
            Ok(())
        });
        if let Err(error) = looked {
            tracing::error!("the databases cannot be looked at: {error}");
        }
        self.look_into_folders();
    }

    fn look_at_files(&mut self, last: bool) {
        self.look_at_locks();
        let litestream = self.world.litestream;
        let mut suspects = self.world.suspects.all();
        let has_open = |file| litestream.and_then(|pid| proc::has_open_file(pid, file)).unwrap_or(true);
        let (shim, has_app) = (self.world.shim_pid, self.world.app.is_some());
        let listed = self.world.roster.listed();
        for event in self.world.abandoned.look(shim, has_app, &listed) {
            self.handle(event);
        }
        for event in self.world.watch.look(has_open, last) {
            if let Event::Changed(db) = event {
                suspects.push(db);
                self.world.follows.changed(db);
            }
            if let Event::Unregistered { db, .. } = event {
                self.file_went(db);
            }
            self.handle(event);
        }
        for db in suspects {
            self.world.look_for_orphans(db);
        }
        let outside = self.world.tenants.outside();
        let written = outside.filter(|(_, tenant)| has_any(&tenant.named.database));
        for db in written.map(|(db, _)| db).collect::<Vec<_>>() {
            self.handle(Event::Changed(db));
        }
    }

    /// Whether the app has started a Litestream of its own, or somebody else has.
    fn look_for_doubles(&mut self) {
        let listed = self.world.roster.listed();
        if let Some((db, failure)) =
            twins::doubled(&Others::now(), listed.iter().map(|(db, database)| (*db, database)))
        {
            self.world.failures.insert(Cause::Taken, failure);
            self.handle(Event::Doubled(db));
        }
    }

    /// Whether all locks are held that another keeper would look for.
    fn look_at_locks(&mut self) {
        let world = &mut self.world;
        // That nobody takes the run's folder for one that was left: its name is this process's own number.
        let _ = world.folder.lock().keep();
        let (mut anew, mut lost) = (Vec::new(), Vec::new());
        for (db, database, lock) in world.roster.locked() {
            let path = database.path.display();
            match twins::look(database, lock, &world.folder) {
                Look::Held => drop(world.barred.remove(&db)),
                Look::Ours(other) => {
                    if world.barred.insert(db) {
                        let other = other.display();
                        tracing::error!(
                            "{path}: the file of {other} stands there now, which this keeper has as well"
                        );
                    }
                }
                Look::Anew(lock) => {
                    tracing::warn!("{path}: its lock was removed while litekeeper runs: taken anew");
                    anew.push((db, lock));
                }
                Look::Lost(failure) => lost.push((db, failure)),
                Look::Barred(error) => {
                    if world.barred.insert(db) {
                        tracing::error!("{path}: its lock was replaced by what is none: {error}");
                    }
                }
            }
        }
        for (db, lock) in anew {
            world.roster.renew(db, lock);
        }
        for (db, failure) in lost {
            self.world.failures.insert(Cause::Taken, failure);
            self.handle(Event::LockLost(db));
        }
    }
}
