//! What happens, as events for the machine.

use std::time::{Duration, Instant};

use nix::libc;

use super::abandoned::Opened;
use super::driver::{Driver, sender_name, signal_name};
use super::folders;
use super::lease::Held;
use super::link::Word;
use super::message::{Message, StatusAsked};
use super::prepare::Prepared;
use super::reload::Reason;
use super::round;
use super::status;
use super::wal;
use crate::core::{Cause, Db, Ended, Event, ExitCode, NotStarted, Turn};
use crate::foreign;
use crate::os::signal::{self, Received, Sender, Signals};
use crate::os::terminal::Terminal;
use crate::os::{memory, permit, proc};
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
                if sender == Sender::Kernel
                    && self.machine.moment().has_app
                    && self.world.tree.is_in_job() =>
            {
                tracing::debug!("{} from the terminal: passed on", signal_name(number));
                self.world.tree.tell_shim(&ToShim::Signal(Target::Group, number));
            }
            libc::SIGTERM | libc::SIGINT => self.stop_signal(number, sender),
            // A terminal that was closed takes all its jobs with it. A HUP from elsewhere is for the app: read the settings anew.
            libc::SIGHUP if self.world.tree.terminal().is_some() && sender == Sender::Kernel => {
                self.stop_signal(number, sender)
            }
            libc::SIGCONT if self.world.tree.resume() => {}
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

    /// Tells the machine what is known by now of what earlier runs left.
    pub(super) fn tell_owed(&mut self) {
        let listed = self.world.databases.table.listed();
        let owed = self.world.restores.take_owed(&listed);
        owed.into_iter().for_each(|db| self.handle(Event::Owed(db)));
    }

    fn reap(&mut self) {
        self.world.runner.children.reap();
        if self.world.tree.is_swept() {
            self.sweep();
        }
    }

    /// Kills what a dead shim left, until nothing is left.
    pub(super) fn sweep(&mut self) {
        self.world.runner.children.reap();
        if !self.world.runner.children.kill_adopted() {
            self.world.tree.swept();
            self.clear_wal_indexes();
            self.handle(Event::TreeGone);
        }
    }

    pub(super) fn take_shim_message(&mut self, word: Option<Word>) {
        let litestream = self.world.litestream.pid();
        let message = match word {
            Some(Word::Said(message)) => Some(message),
            Some(Word::Forged(sender)) if self.world.tree.unmask(sender, litestream) => return,
            // Before there is a shim it is as good as gone.
            Some(Word::Forged(_)) | None => None,
        };
        if message.as_ref().is_some_and(ToKeeper::says_that_all_are_gone)
            && self.world.tree.refute(litestream)
        {
            return;
        }
        match message {
            Some(ToKeeper::Ready(pid)) => {
                self.world.tree.greeted(pid);
                self.world.databases.opened(&self.world.setup.folders);
                self.handle(Event::ShimReady);
            }
            Some(ToKeeper::Started(pid)) => {
                self.world.tree.runs_as(pid);
                if self.machine.moment().runs {
                    let soonest = self.world.setup.policy.max_lag / 2;
                    self.world.used.watch(self.world.outbox.clone(), soonest);
                }
                tracing::info!("{} runs as pid {pid}", self.world.tree.running_name());
            }
            Some(ToKeeper::NotStarted(errno)) => {
                let refused = self.world.tree.unstarted(errno);
                let program = foreign::word(&refused.program.to_string_lossy());
                self.world.notices.because(format!("{program}: {}", refused.why));
                self.world.tree.take_terminal_back();
                let kind = if refused.found { NotStarted::NotExecutable } else { NotStarted::NotFound };
                self.handle(Event::AppNotStarted(kind));
            }
            Some(ToKeeper::Exited { code, left }) => self.app_ended(Ended::Code(code), left),
            Some(ToKeeper::Signaled { number, left }) => self.app_ended(Ended::Signal(number), left),
            Some(ToKeeper::TreeGone) => {
                self.world.tree.left_nothing();
                self.clear_wal_indexes();
                self.handle(Event::TreeGone);
            }
            Some(ToKeeper::Stopped(number)) => self.world.tree.job_stopped(number),
            Some(ToKeeper::LeaseOver) => {
                if let Some(failure) = self.world.leases.as_ref().and_then(Held::over) {
                    self.world.notices.fail(Cause::Taken, failure);
                }
                self.handle(Event::LeaseOver);
            }
            Some(ToKeeper::Asked(_)) => self.handle(Event::LitestreamAsked),
            Some(ToKeeper::LitestreamGone) => {
                // The shim is heard before Litestream's own end is. What it saw can be another process than this one's child,
                // too: a wrapper around Litestream lives on.
                let children = &self.world.runner.children;
                if let Some(how) = self.world.litestream.pid().and_then(|pid| children.how_ended(pid, DYING))
                {
                    self.note_end_of_litestream(how);
                }
                self.litestream_ended(false);
            }
            None => {
                self.world.tree.disconnect();
                self.handle(Event::ShimGone);
            }
        }
    }

    fn app_ended(&mut self, how: Ended, left: u32) {
        self.world.tree.take_terminal_back();
        if how == Ended::Signal(libc::SIGHUP) && self.world.tree.terminal().is_some_and(Terminal::is_hung_up)
        {
            // There may be no shell that passes it on to this process as well.
            self.stop_signal(libc::SIGHUP, Sender::Kernel);
        }
        tracing::debug!("{} ended: {how:?}", self.world.tree.running_name());
        self.world.tree.ended(left);
        self.clear_wal_indexes();
        self.handle(Event::AppEnded { how, left });
    }

    /// A shim that is killed takes the app's leader along; what that started was adopted by this process
    /// before its end shows here. Litestream ends in order now, and lets go of the WAL, which nobody may write to
    /// any more when it does.
    pub(super) fn shim_died(&mut self) {
        self.world.tree.shim_gone();
        self.world.runner.children.kill_adopted();
        self.handle(Event::ShimGone);
    }

    /// The app's leader is gone, or all that it started, whatever they were just doing.
    fn clear_wal_indexes(&mut self) {
        if let Some(held) = self.world.tree.take_held() {
            held.clear();
        }
        // It may have made a database since the last look, or another one in its place.
        self.world.discovery.folders.scan_soon();
        self.look(false);
        for (_, database) in self.world.databases.table.listed().iter() {
            wal::settle(&self.world.runner, &database.path);
        }
    }

    pub(super) fn take_message(&mut self, message: Message) {
        match message {
            Message::Event(Event::Restored) => self.restored(),
            Message::Event(event) => {
                if let Event::Confirmed { db, ok: true } = event {
                    self.world.notices.confirmed(db);
                    self.world.mark_beside(Some(db));
                } else if event == Event::GateOpened {
                    self.world.notices.gate_opened();
                    self.world.mark_beside(None);
                }
                self.handle(event);
            }
            Message::Failed(event, cause, failure) => {
                if cause == Cause::Start {
                    self.tell_owed();
                }
                self.world.notices.fail(cause, failure);
                self.handle(event);
            }
            Message::Leased(until) => self.world.tree.tell_shim(&ToShim::Lease(until)),
            Message::Reason(cause, failure) => self.world.notices.hold_up(cause, failure),
            Message::Diverged(launch, ..)
            | Message::Unknown(launch, _)
            | Message::Gone(launch, _)
            | Message::ProofDue(launch, _)
                if launch != self.world.litestream.launches() => {}
            Message::Diverged(_, db, why) => {
                self.world.databases.diverged(db, why.clone());
                self.world.notices.because(why);
                self.handle(Event::Diverged(db));
            }
            Message::ProofDue(_, db) => self.world.databases.proofs.due(db),
            Message::Proved(db, took) => self.world.databases.proofs.done(db, took, Instant::now()),
            Message::Kill(start, held) => {
                if self.world.tree.kill(start, held, &self.world.outbox) {
                    // A hung Litestream holds a dead shim's end of the line: what that shim left is here.
                    self.world.runner.children.kill_adopted();
                }
            }
            Message::LookAtUse => {
                let world = &self.world;
                world.used.look(world.databases.table.listed(), &world.runner, &world.tree);
            }
            Message::LetGo(hold) => self.world.tree.let_go(hold),
            // A new file can have the number of the deleted one.
            Message::Unknown(_, db)
                if self.world.databases.is_watched_folders(db, &self.world.setup.folders) =>
            {
                self.went(db);
            }
            Message::Unknown(..) => {}
            Message::Gone(_, db)
                if self.world.is_gated() && self.world.databases.has_gone(db, &self.world.setup.folders) =>
            {
                self.went(db);
            }
            Message::Gone(..) => {}
            Message::Emptied(launch, emptied) => {
                // A stop meanwhile has given it up.
                if launch == self.world.litestream.launches() && self.machine.moment().launches {
                    match emptied {
                        Ok(()) => self.start_litestream(),
                        Err(failure) if failure.exit == ExitCode::UNAVAILABLE => {
                            self.world.notices.damaged(failure);
                            self.handle(Event::Damaged);
                        }
                        Err(failure) => self.not_launched(failure),
                    }
                }
            }
            Message::NotConfirmed(db, reason) => self.world.notices.behind(db, reason),
            Message::Prepared(Prepared { version, missing, inspected, whole }) => {
                self.world.databases.prepared(inspected, whole);
                let event = Event::Prepared { restore: !missing.is_empty(), confirms: version.confirms() };
                self.world.litestream.version = version;
                if self.world.discovery.question.is_some() && !version.confirms() {
                    tracing::warn!(
                        "litestream {version} takes in no database while it runs: the resolver is asked at the start only"
                    );
                }
                self.world.restores.miss(missing);
                self.tell_owed();
                self.handle(event);
            }
            Message::Answered(answer) => self.answered(answer),
            Message::Admitted(admissions) => self.admitted(admissions),
            Message::LookedAt(db, number, result) => {
                let lock = self.world.discovery.outside.done(number);
                let result = match (result, lock) {
                    (Ok(()), Some(lock)) => Ok(lock),
                    // It was stopped, and is another's by now.
                    (Ok(()), None) => return,
                    (Err(failure), _) => Err(failure.into()),
                };
                self.turn(Turn::LookedAt { db, number, result });
            }
            Message::Probed(db, number, result) => {
                self.world.discovery.outside.done(number);
                let result = result.map_err(Reason::from);
                self.turn(Turn::Probed { db, number, result });
            }
            // What a dead one was told is void.
            Message::Registered(launch, ..) | Message::Unregistered(launch, ..)
                if launch != self.world.litestream.launches() => {}
            Message::Registered(_, db, result) => {
                let result = result.map_err(Reason::from);
                self.turn(Turn::Registered { db, result });
            }
            Message::Unregistered(_, db, result) => {
                let result = result.map_err(Reason::from);
                self.turn(Turn::Unregistered { db, result });
            }
            Message::Reload(asker) => self.reload(asker),
            Message::Status(asked) => self.tell_status(asked),
            Message::ReloadLate => round::report_late(&mut self.world, self.machine.moment()),
            Message::NotLaunched(launch, failure) => {
                if launch == self.world.litestream.launches() {
                    self.world.litestream.gone();
                    self.not_launched(failure);
                }
            }
            Message::LitestreamReaped(launch, how) => {
                if launch == self.world.litestream.launches() {
                    self.world.litestream.ended(how);
                    // Else the shim has said so already.
                    if self.world.litestream.pid().is_some() {
                        self.note_end_of_litestream(how);
                    }
                    self.litestream_ended(how == Ended::Code(0));
                }
            }
        }
    }

    fn tell_status(&self, asked: StatusAsked) {
        let now = Instant::now();
        let piece = match asked.holding {
            Some(lock) if !self.world.databases.table.has_lock(lock) => status::of_another(),
            Some(_) | None => {
                let standing = |db| self.machine.standing(now, db);
                match asked.from {
                    Some(from) => status::next(&self.world, from, standing),
                    None => status::first(&self.world, &self.machine.status(now), standing),
                }
            }
        };
        // Who has gone meanwhile needs no answer.
        let _ = asked.sender.send(piece);
    }

    fn note_end_of_litestream(&mut self, how: Ended) {
        self.world.litestream.ended(how);
        if let Some(why) = self.world.litestream.why_ended(how) {
            // What it said last has nothing to do with it.
            self.world.notices.because(why);
        }
    }

    fn litestream_ended(&mut self, well: bool) {
        self.world.litestream.gone();
        self.world.notices.otherwise(self.world.litestream.heard.error.as_ref());
        let clean = well && !self.world.litestream.heard.unclean.get();
        self.handle(Event::LitestreamEnded { clean });
    }

    /// Looks at the databases, as is done once a second while the app runs.
    pub(super) fn look_again(&mut self) {
        self.look(false);
        self.world.databases.follow(&self.world.runner);
        if self.machine.moment().runs {
            self.world.prove();
            self.world.see();
            self.world.litestream.heard.snapshots.look(&self.world.runner);
        }
        let looks = self.world.databases.looked();
        if is_turn(looks) {
            // The app may have started a Litestream of its own, or somebody else has.
            if let Some((db, failure)) = self.world.databases.doubled() {
                self.world.notices.fail(Cause::Taken, failure);
                self.handle(Event::Doubled(db));
            }
        }
        if looks == SETTLED {
            memory::trim();
        }
    }

    /// Looks for what a process left that was just killed, before Litestream looks at it.
    pub(super) fn scan_for_leftovers(&mut self) {
        for (db, _) in self.world.databases.table.listed().iter() {
            self.scan_for_orphans(*db);
        }
    }

    fn scan_for_orphans(&mut self, db: Db) {
        let is_ltx = self.world.litestream.version.is_ltx();
        self.world.databases.scan_for_orphans(db, &self.world.runner, is_ltx);
    }

    pub(super) fn look(&mut self, last: bool) {
        let looked = permit::theirs(|| {
            self.poll_files(last);
            Ok(())
        });
        if let Err(error) = looked {
            tracing::error!("the databases cannot be looked at: {error}");
        }
        self.scan_folders();
        // Whatever was renamed is there by its new name now.
        for event in self.world.databases.scan_for_abandoned(self.world.tree.shim_pid()) {
            self.handle(event);
        }
    }

    fn poll_files(&mut self, last: bool) {
        for (db, failure) in self.world.databases.check_locks(&self.world.folder) {
            self.world.notices.fail(Cause::Taken, failure);
            self.handle(Event::LockLost(db));
        }
        let litestream = self.world.litestream.pid();
        let mut suspects = self.world.databases.suspects.all();
        let has_open = |file| litestream.and_then(|pid| proc::has_open_file(pid, file)).unwrap_or(true);
        // A whole folder may be gone: they are looked for once.
        let (shim, mut opened) = (self.world.tree.shim_pid(), None);
        for event in self.world.databases.watch.look(has_open, last) {
            if let Event::Changed(db) = event {
                suspects.push(db);
                self.world.databases.follows.changed(db, Instant::now());
            }
            // The app could not write to it any more: the launch finds it gone.
            if let Event::Replaced(db) = event
                && self.machine.moment().relaunches
                && self.world.databases.has_gone(db, &self.world.setup.folders)
            {
                continue;
            }
            if let Event::Unregistered { db, .. } = event {
                let opened = opened.get_or_insert_with(|| Opened::below(shim));
                self.file_went(db, opened);
            }
            self.handle(event);
        }
        for db in suspects {
            self.scan_for_orphans(db);
        }
        for db in self.world.discovery.written_outside() {
            self.handle(Event::Changed(db));
        }
    }

    /// What could be restored is there.
    pub(super) fn restored(&mut self) {
        let lost = folders::not_restored(&self.world);
        let is_over = !lost.is_empty();
        for db in lost {
            self.turn(Turn::Forgotten(db));
            self.handle(Event::Unregistered { db, ok: true });
        }
        let none = if is_over { folders::folder_without_any(&self.world) } else { None };
        match none {
            Some(failure) => {
                self.take_message(Message::Failed(Event::RestoreFailed(failure.exit), Cause::Start, failure))
            }
            None => self.handle(Event::Restored),
        }
    }

    /// The file of such a database was deleted.
    pub(super) fn file_went(&mut self, db: Db, opened: &Opened) {
        self.world.discovery.folders.scan_soon();
        let (path, replica) = self.world.place_of(db);
        tracing::warn!(
            "{path} was deleted or moved, and is not replicated any more; what was on {replica} stays there"
        );
        self.world.databases.went(db, opened);
        self.turn(Turn::Forgotten(db));
    }

    /// One that comes and goes is gone: it is waited for no more, and asked about again with the rest of its source.
    pub(super) fn went(&mut self, db: Db) {
        // What a folder has is whoever's who puts it there; what a resolver has named is the app's.
        let event = if self.world.databases.is_said(db) {
            Event::Removed(db)
        } else {
            Event::Unregistered { db, ok: true }
        };
        self.file_went(db, &Opened::below(self.world.tree.shim_pid()));
        self.handle(event);
    }

    /// Takes in what has appeared in the folders.
    pub(super) fn scan_folders(&mut self) {
        if self.machine.moment().finds {
            folders::scan(&mut self.world).into_iter().for_each(|turn| self.turn(turn));
        }
    }
}
