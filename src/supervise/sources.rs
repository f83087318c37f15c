//! What happens, as events for the machine.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::libc;

use super::driver::{Driver, sender_name, signal_name};
use super::durability::WaitAnswer;
use super::folders;
use super::lease::Held;
use super::link::Word;
use super::message::{Message, StatusAsked};
use super::prepare::Prepared;
use super::reload::Reason;
use super::round;
use super::status;
use super::waited;
use super::waits::WaitAsked;
use super::wal;
use crate::core::{Cause, Db, Ended, Event, ExitCode, NotStarted, State, Turn};
use crate::error::Failure;
use crate::foreign;
use crate::http::Ask;
use crate::os::permit;
use crate::os::signal::{self, Received, Sender, Signals};
use crate::os::terminal::Terminal;
use crate::shim::{Target, ToKeeper, ToShim};

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
            Some(ToKeeper::NotStarted(errno)) => self.app_not_started(errno),
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

    fn app_not_started(&mut self, errno: i32) {
        let refused = self.world.tree.unstarted(errno);
        let program = foreign::word(&refused.program.to_string_lossy());
        self.world.notices.because(format!("{program}: {}", refused.why));
        self.world.tree.take_terminal_back();
        let kind = if refused.found { NotStarted::NotExecutable } else { NotStarted::NotFound };
        self.handle(Event::AppNotStarted(kind));
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

    #[expect(clippy::too_many_lines, reason = "one table of what each message is to the machine")]
    pub(super) fn take_message(&mut self, message: Message) {
        match message {
            Message::Event(Event::Restored) => self.restored(),
            Message::Event(event) => self.happened(event),
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
            Message::Emptied(launch, emptied) => self.emptied(launch, emptied),
            Message::NotConfirmed(db, reason) => self.world.notices.behind(db, reason),
            Message::Confirmed(db, question, ok) => self.confirmed(db, question, ok),
            Message::Wait(asked) => self.wait(asked),
            Message::WaiterLeft => self.world.waits.look_for_gone(),
            Message::Prepared(prepared) => self.prepared(prepared),
            Message::Answered(answer) => self.answered(answer),
            Message::Admitted(admissions) => self.admitted(admissions),
            Message::LookedAt(db, number, result) => self.looked_at(db, number, result),
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
            Message::Asked(ask) => self.answer(ask),
            Message::ReloadLate => round::report_late(&mut self.world, self.machine.moment()),
            Message::NotLaunched(launch, _) | Message::LitestreamReaped(launch, _)
                if launch != self.world.litestream.launches() => {}
            Message::NotLaunched(_, failure) => {
                self.world.litestream.gone();
                self.not_launched(failure);
            }
            Message::LitestreamReaped(_, how) => {
                self.world.litestream.ended(how);
                // Else the shim has said so already.
                if self.world.litestream.pid().is_some() {
                    self.note_end_of_litestream(how);
                }
                self.litestream_ended(how == Ended::Code(0));
            }
        }
    }

    fn happened(&mut self, event: Event) {
        if event == Event::GateOpened {
            self.world.notices.gate_opened();
            self.world.mark_beside(None);
        }
        self.handle(event);
    }

    /// The watch's question about a database was answered.
    fn confirmed(&mut self, db: Db, question: u64, ok: bool) {
        // What a dead Litestream was asked is void.
        if !self.world.waits.is_answer(db, question) {
            return;
        }
        let is_waited_for = self.world.waits.has(db);
        // Whatever Litestream says of another file it does not say of the one that somebody has written to, and the last look
        // may be a second ago.
        let ok = ok && (!is_waited_for || self.stands(db));
        if ok {
            self.world.notices.confirmed(db);
            self.world.mark_beside(Some(db));
        }
        self.handle(Event::Confirmed { db, ok });
        match (is_waited_for, ok) {
            (true, true) => {
                let copied = waited::durable(&self.world, db);
                self.world.waits.confirmed(db, question, &copied);
            }
            (true, false) => self.look_at(&BTreeSet::from([db])),
            (false, _) => {}
        }
    }

    fn stands(&mut self, db: Db) -> bool {
        permit::theirs(|| Ok(self.world.databases.watch.stands(db))).unwrap_or(false)
    }

    /// Somebody waits for all that is in a database now, or in each, to be on its replica.
    fn wait(&mut self, asked: WaitAsked) {
        match waited::meant(&self.world, &asked) {
            Ok(dbs) => {
                self.look_at(&dbs);
                self.world.waits.add(Instant::now(), dbs.clone(), asked);
                dbs.into_iter().for_each(|db| self.tell_of_replaced(db));
            }
            // Who has gone meanwhile needs no answer.
            Err(answer) => drop(asked.sender.send(answer)),
        }
    }

    /// Whoever waits for a database that another file stands in the place of waits in vain.
    pub(super) fn tell_of_replaced(&mut self, db: Db) {
        if !self.world.waits.has(db) {
            return;
        }
        let now = Instant::now();
        let standing = self.machine.standing(now, db);
        if standing.state == State::Replaced {
            let copied = waited::one_behind(&self.world, &self.machine.status(now), db, standing);
            self.world.waits.replaced(db, &copied);
        }
    }

    /// Tells the machine for what somebody waits, and whoever waits where that has no end.
    pub(super) fn tell_of_waits(&mut self) {
        if !self.machine.moment().waits {
            self.world.waits.end(&WaitAnswer::Stopping);
        }
        let (wanted, unwanted) = self.world.waits.news();
        wanted.into_iter().for_each(|db| self.handle(Event::Wanted(db)));
        unwanted.into_iter().for_each(|db| self.handle(Event::Unwanted(db)));
    }

    /// Tells those whose time is over how far it is.
    pub(super) fn end_waits(&mut self, now: Instant) {
        let over = self.world.waits.over(now);
        let unit = self.machine.status(now);
        for one in over {
            let standing = |db| self.machine.standing(now, db);
            let told = waited::behind(&self.world, &unit, &one.left, standing);
            let gone = || WaitAnswer::Unknown { error: "it is named no more".to_owned(), hint: None };
            one.answer(if told.each.is_empty() { gone() } else { WaitAnswer::Timeout(told) });
        }
    }

    /// The WALs are as Litestream wants them, or why not.
    fn emptied(&mut self, launch: u64, emptied: Result<(), Failure>) {
        // A stop meanwhile has given it up.
        if launch != self.world.litestream.launches() || !self.machine.moment().launches {
            return;
        }
        match emptied {
            Ok(()) => self.start_litestream(),
            Err(failure) if failure.exit == ExitCode::UNAVAILABLE => {
                self.world.notices.damaged(failure);
                self.handle(Event::Damaged);
            }
            Err(failure) => self.not_launched(failure),
        }
    }

    fn prepared(&mut self, Prepared { version, missing, inspected, whole }: Prepared) {
        self.world.databases.prepared(inspected, whole);
        let event = Event::Prepared { restore: !missing.is_empty(), confirms: version.confirms() };
        self.world.litestream.version = version;
        if self.world.discovery.question.is_some() && !version.confirms() {
            tracing::warn!(
                "litestream {version} takes in no database while it runs: the resolver is asked at the start only"
            );
        }
        if let Some(version) = waited::cannot_confirm(&self.world) {
            self.world.waits.end(&WaitAnswer::NotConfirmable(version));
        }
        self.world.restores.miss(missing);
        self.tell_owed();
        self.handle(event);
    }

    fn looked_at(&mut self, db: Db, number: u64, result: Result<(), Failure>) {
        let lock = self.world.discovery.outside.done(number);
        let result = match (result, lock) {
            (Ok(()), Some(lock)) => Ok(lock),
            // It was stopped, and is another's by now.
            (Ok(()), None) => return,
            (Err(failure), _) => Err(failure.into()),
        };
        self.turn(Turn::LookedAt { db, number, result });
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

    fn answer(&self, ask: Ask) {
        let now = Instant::now();
        // Who has gone meanwhile needs no answer.
        match ask {
            Ask::Keeper(sender) => {
                let _ = sender.send(status::keeper(&self.world, &self.machine.status(now)));
            }
            // It is waited for beside the driver (`web.rs`).
            Ask::Wait(..) => {}
            Ask::Piece(from, sender) => {
                self.tell_status(StatusAsked { from: from.map(Db), holding: None, sender });
            }
        }
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
}
