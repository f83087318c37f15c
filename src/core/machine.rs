//! The state machine: every decision that Litekeeper makes about processes.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::lag::{Due, Lag};
use super::timer::{Timer, Timers};
use super::{
    Action, Backoff, Db, Ended, Event, ExitCode, Gate, NotStarted, Note, OnLag, Phase, Policy, Restart,
};

/// How often a slow gate is reported.
const GATE_REPORT: Duration = Duration::from_secs(10);

/// How long Litestream may take to end when its shim is gone and nothing is stopping yet.
const ORPHANED_CLOSE: Duration = Duration::from_secs(30);

/// The app's process tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum App {
    Gone,
    /// Its leader lives, or is being started.
    Up(Instant),
    /// Its leader ended; what it started may live.
    Leftovers,
}

/// Litestream and the shim that it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Litestream {
    Down,
    Launching,
    Up,
    /// The shim was let go or died: Litestream ends by itself.
    Ending,
}

/// What the current teardown leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// Nothing is being torn down.
    Run,
    /// The app comes back; Litestream stays.
    RestartApp(Duration),
    /// Litestream comes back, and the app with it.
    Relaunch,
    /// The unit ends.
    Stop(Stop),
}

/// How the unit ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stop {
    deadline: Instant,
    /// A reason of the keeper's own, which outweighs the app's code.
    reason: Option<ExitCode>,
    /// What the app ended with, or the signal that came before there was an app.
    code: ExitCode,
}

/// The pure core of Litekeeper; see the module's page for how it is driven.
#[derive(Clone, Debug)]
pub struct Machine {
    policy: Policy,
    phase: Phase,
    goal: Goal,
    app: App,
    litestream: Litestream,
    /// The gate has opened once, so a failure from now on is an outage and no wrong setting.
    opened: bool,
    /// The app ran since each database was last confirmed.
    dirty: bool,
    /// This Litestream can confirm.
    confirms: bool,
    /// Litestream has had its only signal.
    killed: bool,
    /// When the gate last opened.
    up_since: Option<Instant>,
    ready: bool,
    before_done: usize,
    /// How the leader ended whose tree is not gone yet.
    ended: Option<Ended>,
    undrained: BTreeSet<Db>,
    stop_signals: u32,
    gate_since: Option<Instant>,
    app_backoff: Backoff,
    litestream_backoff: Backoff,
    lag: Lag,
    timers: Timers,
    actions: VecDeque<Action>,
}

impl Machine {
    /// A machine that has done nothing yet; `seed` makes the jitter of its backoff.
    pub fn new(policy: Policy, seed: u64) -> Self {
        Self {
            phase: Phase::Preparing,
            goal: Goal::Run,
            app: App::Gone,
            litestream: Litestream::Down,
            opened: false,
            dirty: false,
            confirms: false,
            killed: false,
            up_since: None,
            ready: false,
            before_done: 0,
            ended: None,
            undrained: BTreeSet::new(),
            stop_signals: 0,
            gate_since: None,
            app_backoff: Backoff::new(policy.backoff.clone(), seed),
            litestream_backoff: Backoff::new(policy.backoff.clone(), seed.rotate_left(32)),
            lag: Lag::new(policy.databases, policy.confirm_delay(), policy.max_lag),
            timers: Timers::default(),
            actions: VecDeque::new(),
            policy,
        }
    }

    /// Where the unit is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The next thing that the driver has to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Machine::handle_timeout`] has to be called, unless an event comes first.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let lag = if self.phase == Phase::Running { self.lag.next() } else { None };
        self.timers.next().into_iter().chain(lag).min()
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Instant, event: Event) {
        if self.phase == Phase::Exited {
            return;
        }
        match event {
            Event::Start => self.act(Action::Prepare),
            Event::Prepared { restore, confirms } => self.prepared(now, restore, confirms),
            Event::PrepareFailed(code) => self.not_prepared(Phase::Preparing, code),
            Event::Restored => self.restored(now),
            Event::RestoreFailed(code) => self.not_prepared(Phase::Restoring, code),
            Event::ShimReady => self.shim_ready(now),
            Event::LitestreamAsked => self.litestream_asked(now),
            Event::ShimGone => self.shim_gone(now),
            Event::LitestreamEnded { clean } => self.litestream_ended(now, clean),
            Event::GateProgress => self.gate_progress(now),
            Event::GateOpened => self.gate_opened(now),
            Event::GateRefused => self.gate_failed(now, Note::GateRefused),
            Event::AppNotStarted(why) => self.app_not_started(now, why),
            Event::AppEnded { how, left } => self.app_ended(now, how, left),
            Event::TreeGone => self.tree_gone(now),
            Event::Changed(db) => self.changed(now, db),
            Event::Replaced(db) => self.replaced(now, db),
            Event::Confirmed { db, ok } => self.confirmed(now, db, ok),
            Event::Drained(db) => self.drained(now, db),
            Event::StopSignal(number) => self.stop_signal(now, number),
            Event::Signal(number) => self.signal(number),
        }
        self.check();
    }

    /// Takes in that time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.expired(now) {
            match timer {
                Timer::Backoff => self.backoff_over(now),
                Timer::Launch => self.launch_timed_out(),
                Timer::Gate => self.gate_failed(now, Note::GateTimeout),
                Timer::GateReport => self.gate_report(now),
                Timer::Grace => self.grace_over(now),
                Timer::Tree => self.tree_stuck(now),
                Timer::Drain => self.drain_timed_out(now),
                Timer::Close => self.close_timed_out(now),
            }
            self.check();
        }
        while self.phase == Phase::Running {
            let Some(due) = self.lag.due(now) else { break };
            match due {
                Due::Ask(db) => self.act(Action::Confirm(db)),
                Due::Exceeded(db, age) => self.lag_exceeded(now, db, age),
            }
            self.check();
        }
    }

    // Before the app.

    fn prepared(&mut self, now: Instant, restore: bool, confirms: bool) {
        if self.phase != Phase::Preparing {
            return;
        }
        self.confirms = confirms;
        if let Goal::Stop(stop) = self.goal {
            self.exit(stop.code);
        } else if restore {
            self.become_phase(Phase::Restoring);
            self.act(Action::Restore);
        } else {
            self.launch(now);
        }
    }

    fn restored(&mut self, now: Instant) {
        if self.phase != Phase::Restoring {
            return;
        }
        match self.goal {
            Goal::Stop(stop) => self.exit(stop.code),
            Goal::Run | Goal::RestartApp(_) | Goal::Relaunch => self.launch(now),
        }
    }

    fn not_prepared(&mut self, expected: Phase, code: ExitCode) {
        if self.phase != expected {
            return;
        }
        match self.goal {
            Goal::Stop(stop) => self.exit(stop.code),
            Goal::Run | Goal::RestartApp(_) | Goal::Relaunch => self.exit(code),
        }
    }

    fn launch(&mut self, now: Instant) {
        self.become_phase(Phase::Launching);
        self.litestream = Litestream::Launching;
        self.killed = false;
        self.lag.reset();
        match self.goal {
            Goal::Stop(stop) => {
                // It comes back only to drain, within what is left of the budget.
                self.timers.set(Timer::Close, stop.deadline);
            }
            Goal::Run | Goal::RestartApp(_) | Goal::Relaunch => {
                self.goal = Goal::Run;
                self.timers.set(Timer::Launch, now + self.policy.gate_timeout);
            }
        }
        self.act(Action::Launch);
    }

    fn launch_timed_out(&mut self) {
        self.note(Note::LaunchTimeout);
        self.kill_litestream();
    }

    fn shim_ready(&mut self, now: Instant) {
        if self.phase != Phase::Launching {
            return;
        }
        self.timers.stop(Timer::Launch);
        self.timers.stop(Timer::Close);
        self.litestream = Litestream::Up;
        match self.goal {
            Goal::Stop(_) if self.dirty => self.drain(now),
            Goal::Stop(_) => self.close(now),
            Goal::Run | Goal::RestartApp(_) | Goal::Relaunch => self.open_gate(now),
        }
    }

    fn open_gate(&mut self, now: Instant) {
        self.become_phase(Phase::Gating);
        if self.policy.gate == Gate::None {
            return self.gate_opened(now);
        }
        self.gate_since = Some(now);
        self.timers.set(Timer::Gate, now + self.policy.gate_timeout);
        self.timers.set(Timer::GateReport, now + GATE_REPORT);
        self.act(Action::OpenGate);
    }

    fn gate_progress(&mut self, now: Instant) {
        if self.phase == Phase::Gating {
            self.timers.set(Timer::Gate, now + self.policy.gate_timeout);
        }
    }

    fn gate_report(&mut self, now: Instant) {
        if let Some(since) = self.gate_since {
            self.note(Note::GateWaiting(now.duration_since(since)));
            self.timers.set(Timer::GateReport, now + GATE_REPORT);
        }
    }

    fn gate_opened(&mut self, now: Instant) {
        if self.phase != Phase::Gating {
            return;
        }
        self.leave_gate();
        self.note(Note::GateOpened);
        self.opened = true;
        self.up_since.get_or_insert(now);
        if self.policy.gate == Gate::Replicated {
            self.dirty = false;
        }
        if self.before_done < self.policy.before {
            self.become_phase(Phase::Before);
            self.start(now, Action::StartBefore(self.before_done));
        } else {
            self.run(now);
        }
    }

    fn gate_failed(&mut self, now: Instant, note: Note) {
        if self.phase != Phase::Gating {
            return;
        }
        self.leave_gate();
        self.act(Action::CloseGate);
        self.note(note);
        if self.opened {
            self.goal = Goal::Relaunch;
        } else {
            self.stop(now, Some(ExitCode::UNAVAILABLE), ExitCode::UNAVAILABLE);
        }
        self.close(now);
    }

    fn leave_gate(&mut self) {
        self.gate_since = None;
        self.timers.stop(Timer::Gate);
        self.timers.stop(Timer::GateReport);
    }

    // The app.

    fn start(&mut self, now: Instant, action: Action) {
        self.app = App::Up(now);
        self.dirty = true;
        self.act(action);
    }

    fn run(&mut self, now: Instant) {
        self.become_phase(Phase::Running);
        self.start(now, Action::StartApp);
        self.set_ready(!self.lag.exceeded());
    }

    fn app_not_started(&mut self, now: Instant, why: NotStarted) {
        if !matches!(self.app, App::Up(_)) {
            return;
        }
        self.note(Note::AppNotStarted(why));
        self.app = App::Gone;
        // No restart mends a wrong command.
        let code = why.exit_code();
        self.stop(now, Some(code), code);
        self.become_stopping();
        self.torn_down(now);
    }

    fn app_ended(&mut self, now: Instant, how: Ended, left: bool) {
        let App::Up(since) = self.app else { return };
        self.ended = Some(how);
        self.app = if left { App::Leftovers } else { App::Gone };
        match self.phase {
            Phase::Before => {
                if left {
                    self.kill_tree(now);
                }
            }
            Phase::Running => self.running_app_ended(now, how, since),
            Phase::Stopping => {
                if let Goal::Stop(stop) = &mut self.goal {
                    stop.code = how.exit_code();
                    self.note(Note::AppEnded(how));
                }
                // What a shell wrapper started may still want to end in order.
                if left {
                    self.act(Action::SignalTree(self.policy.stop_signal));
                }
            }
            Phase::Preparing
            | Phase::Restoring
            | Phase::Launching
            | Phase::Gating
            | Phase::Draining
            | Phase::Closing
            | Phase::Backoff
            | Phase::Exited => {}
        }
        if !left {
            self.tree_gone(now);
        }
    }

    fn running_app_ended(&mut self, now: Instant, how: Ended, since: Instant) {
        let again = match (self.policy.restart, how) {
            (Restart::Never, _) | (Restart::OnFailure, Ended::Code(0)) => false,
            // Ctrl-C or Ctrl-\ went to the app alone: 130 and 131 are how it passes it on.
            (_, Ended::Code(130 | 131) | Ended::Signal(2 | 3)) if self.policy.terminal => false,
            (Restart::OnFailure | Restart::Always, _) => true,
        };
        let delay = if again { self.app_backoff.next(now, now.duration_since(since)) } else { None };
        if let Some(delay) = delay {
            self.note(Note::AppRestart(how, delay));
            self.goal = Goal::RestartApp(delay);
            if self.app == App::Leftovers {
                self.kill_tree(now);
            }
        } else {
            self.note(if again { Note::AppGivenUp(how) } else { Note::AppEnded(how) });
            self.stop(now, None, how.exit_code());
            if self.app == App::Leftovers {
                self.act(Action::SignalTree(self.policy.stop_signal));
            }
        }
        self.become_stopping();
    }

    fn tree_gone(&mut self, now: Instant) {
        if self.app == App::Gone && self.ended.is_none() {
            return;
        }
        self.app = App::Gone;
        let ended = self.ended.take();
        match self.phase {
            Phase::Before => self.before_ended(now, ended),
            Phase::Stopping => self.torn_down(now),
            Phase::Preparing
            | Phase::Restoring
            | Phase::Launching
            | Phase::Gating
            | Phase::Running
            | Phase::Draining
            | Phase::Closing
            | Phase::Backoff
            | Phase::Exited => {}
        }
    }

    fn before_ended(&mut self, now: Instant, ended: Option<Ended>) {
        let Some(how) = ended else { return };
        if how != Ended::Code(0) {
            self.note(Note::BeforeFailed(self.before_done, how));
            let code = how.exit_code();
            self.stop(now, Some(code), code);
            self.become_stopping();
            return self.torn_down(now);
        }
        self.before_done += 1;
        if self.before_done < self.policy.before {
            self.start(now, Action::StartBefore(self.before_done));
        } else {
            // What the commands wrote is confirmed before the app adds to it.
            self.open_gate(now);
        }
    }

    /// The app's tree is gone: on to whatever this teardown is for.
    fn torn_down(&mut self, now: Instant) {
        self.timers.stop(Timer::Grace);
        self.timers.stop(Timer::Tree);
        match (self.goal, self.litestream) {
            (Goal::RestartApp(delay), Litestream::Up) => {
                self.become_phase(Phase::Backoff);
                self.timers.set(Timer::Backoff, now + delay);
            }
            (_, Litestream::Up) => self.drain(now),
            (_, Litestream::Ending | Litestream::Launching) => self.close(now),
            (_, Litestream::Down) => self.litestream_down(now),
        }
    }

    fn backoff_over(&mut self, now: Instant) {
        match self.litestream {
            Litestream::Up => {
                self.goal = Goal::Run;
                self.run(now);
            }
            Litestream::Down | Litestream::Launching | Litestream::Ending => self.launch(now),
        }
    }

    // Litestream's end.

    fn litestream_asked(&mut self, now: Instant) {
        if !matches!(self.litestream, Litestream::Up) || self.goal != Goal::Run {
            return;
        }
        match self.phase {
            Phase::Gating => {
                self.note(Note::LitestreamAsked);
                self.leave_gate();
                self.act(Action::CloseGate);
                self.goal = Goal::Relaunch;
                self.close(now);
            }
            Phase::Before | Phase::Running => {
                self.note(Note::LitestreamAsked);
                self.goal = Goal::Relaunch;
                self.ask_app_to_stop(now, now + self.policy.stop_timeout);
            }
            Phase::Preparing
            | Phase::Restoring
            | Phase::Launching
            | Phase::Stopping
            | Phase::Draining
            | Phase::Closing
            | Phase::Backoff
            | Phase::Exited => {}
        }
    }

    fn shim_gone(&mut self, now: Instant) {
        if !matches!(self.litestream, Litestream::Up | Litestream::Launching) {
            // Its end was wanted, or follows from Litestream's; what it left behind is not.
            if self.app != App::Gone {
                self.act(Action::KillTree);
            }
            return;
        }
        self.note(Note::ShimDied);
        self.litestream = Litestream::Ending;
        self.lost(now);
    }

    fn litestream_ended(&mut self, now: Instant, clean: bool) {
        let before = std::mem::replace(&mut self.litestream, Litestream::Down);
        self.timers.stop(Timer::Launch);
        self.timers.stop(Timer::Close);
        match (before, self.phase) {
            (Litestream::Down, _) => {}
            (_, Phase::Closing) => self.closed(now, clean),
            (_, Phase::Stopping) => {}
            (_, Phase::Draining) => {
                self.act(Action::CloseDrain);
                self.timers.stop(Timer::Drain);
                self.litestream_down(now);
            }
            (Litestream::Launching, Phase::Launching) if !self.opened && self.goal == Goal::Run => {
                self.note(Note::LitestreamNotStarted);
                self.exit(ExitCode::LITESTREAM);
            }
            (Litestream::Launching | Litestream::Up | Litestream::Ending, _) => {
                if self.goal == Goal::Run {
                    self.note(Note::LitestreamDied);
                }
                self.lost(now);
            }
        }
    }

    /// Litestream or its shim is gone without having been asked: so is the app, or soon will be.
    fn lost(&mut self, now: Instant) {
        if self.phase == Phase::Gating {
            self.leave_gate();
            self.act(Action::CloseGate);
        }
        if !matches!(self.goal, Goal::Stop(_)) {
            self.goal = Goal::Relaunch;
        }
        match self.phase {
            Phase::Before | Phase::Running | Phase::Stopping if self.app != App::Gone => {
                self.become_stopping();
                if self.litestream == Litestream::Ending {
                    // No shim is left to see to the app's tree.
                    self.kill_tree(now);
                } else {
                    // The shim has killed it already; this is for the shim that could not.
                    self.timers.set(Timer::Grace, now + self.policy.orphan_grace + Duration::from_secs(1));
                }
            }
            _ if self.litestream == Litestream::Ending => {
                if self.phase == Phase::Draining {
                    self.act(Action::CloseDrain);
                }
                self.close(now);
            }
            _ => self.litestream_down(now),
        }
    }

    /// Nothing runs: start again, drain what a dead Litestream left, or end.
    fn litestream_down(&mut self, now: Instant) {
        self.timers.stop_all();
        match self.goal {
            Goal::Stop(stop) if self.dirty && self.policy.databases > 0 => {
                if now + self.policy.close_reserve() >= stop.deadline {
                    self.not_drained();
                    return self.exit(ExitCode::NOT_DRAINED);
                }
                if self.phase == Phase::Launching {
                    // It did not even come up: not in a busy loop.
                    self.become_phase(Phase::Backoff);
                    let delay = Duration::from_millis(200);
                    self.timers.set(Timer::Backoff, (now + delay).min(stop.deadline));
                    return;
                }
                self.note(Note::DrainRelaunch);
                self.launch(now);
            }
            Goal::Stop(stop) => self.exit(stop.reason.unwrap_or(stop.code)),
            Goal::Run | Goal::RestartApp(_) | Goal::Relaunch => {
                self.goal = Goal::Relaunch;
                self.relaunch_later(now);
            }
        }
    }

    fn relaunch_later(&mut self, now: Instant) {
        // A life is counted from the last gate that opened: whatever never got there is a failure.
        let up_for = self.up_since.take().map_or(Duration::ZERO, |since| now.duration_since(since));
        match self.litestream_backoff.next(now, up_for) {
            Some(delay) => {
                self.note(Note::LitestreamRestart(delay));
                self.become_phase(Phase::Backoff);
                self.timers.set(Timer::Backoff, now + delay);
            }
            None => {
                self.note(Note::LitestreamGivenUp);
                self.exit(ExitCode::LITESTREAM);
            }
        }
    }

    // The end.

    /// Decides that the unit ends; the budget runs from the first such decision.
    fn stop(&mut self, now: Instant, reason: Option<ExitCode>, code: ExitCode) {
        if !matches!(self.goal, Goal::Stop(_)) {
            self.goal = Goal::Stop(Stop { deadline: now + self.policy.stop_timeout, reason, code });
        }
    }

    fn deadline(&self, now: Instant) -> Instant {
        match self.goal {
            Goal::Stop(stop) => stop.deadline,
            Goal::Run | Goal::RestartApp(_) | Goal::Relaunch => now + self.policy.stop_timeout,
        }
    }

    fn stop_signal(&mut self, now: Instant, number: i32) {
        self.stop_signals += 1;
        match self.stop_signals {
            1 => self.first_stop_signal(now, ExitCode::of_signal(number)),
            2 => self.skip_grace(now),
            _ => self.end_now(),
        }
    }

    fn first_stop_signal(&mut self, now: Instant, code: ExitCode) {
        if matches!(self.goal, Goal::Stop(_)) {
            return;
        }
        self.stop(now, None, code);
        self.note(Note::Stopping);
        let deadline = self.deadline(now);
        match self.phase {
            Phase::Preparing | Phase::Restoring => self.act(Action::Abort),
            Phase::Launching => {
                self.timers.stop(Timer::Launch);
                self.timers.set(Timer::Close, deadline);
                if !self.dirty {
                    self.kill_litestream();
                }
            }
            Phase::Gating => {
                self.leave_gate();
                self.act(Action::CloseGate);
                self.drain(now);
            }
            Phase::Before | Phase::Running => {
                self.ask_app_to_stop(now, deadline - self.policy.drain_reserve())
            }
            Phase::Stopping => {
                if matches!(self.app, App::Up(_)) && self.litestream == Litestream::Up {
                    self.timers.set(Timer::Grace, deadline - self.policy.drain_reserve());
                }
            }
            Phase::Draining => self.timers.set(Timer::Drain, deadline - self.policy.close_reserve()),
            Phase::Closing => self.timers.set(Timer::Close, deadline),
            Phase::Backoff => match self.litestream {
                Litestream::Up => self.drain(now),
                Litestream::Down | Litestream::Launching | Litestream::Ending => self.litestream_down(now),
            },
            Phase::Exited => {}
        }
    }

    fn skip_grace(&mut self, now: Instant) {
        if self.phase == Phase::Stopping && self.app != App::Gone {
            self.note(Note::GraceSkipped);
            self.kill_tree(now);
        }
    }

    fn end_now(&mut self) {
        let left = if self.dirty { self.unconfirmed() } else { Vec::new() };
        let code = match self.goal {
            Goal::Stop(stop) if left.is_empty() => stop.reason.unwrap_or(stop.code),
            _ => ExitCode::NOT_DRAINED,
        };
        self.note(Note::EndingNow(left));
        self.act(Action::KillTree);
        self.kill_litestream();
        self.exit(code);
    }

    fn signal(&mut self, number: i32) {
        if matches!(self.app, App::Up(_)) {
            self.act(Action::SignalApp(number));
        }
    }

    fn ask_app_to_stop(&mut self, now: Instant, grace_end: Instant) {
        self.become_stopping();
        match self.app {
            App::Up(_) => self.act(Action::SignalApp(self.policy.stop_signal)),
            App::Leftovers => self.act(Action::SignalTree(self.policy.stop_signal)),
            App::Gone => return self.torn_down(now),
        }
        self.timers.set(Timer::Grace, grace_end);
    }

    fn grace_over(&mut self, now: Instant) {
        if self.phase == Phase::Stopping && self.app != App::Gone {
            if self.litestream == Litestream::Up {
                self.note(Note::GraceOver);
            }
            self.kill_tree(now);
        }
    }

    fn kill_tree(&mut self, now: Instant) {
        self.act(Action::KillTree);
        self.timers.stop(Timer::Grace);
        self.timers.set(Timer::Tree, now + self.policy.drain_reserve() / 2);
    }

    fn tree_stuck(&mut self, now: Instant) {
        self.note(Note::TreeStuck);
        match self.goal {
            // What sleeps in the kernel cannot be waited for: save what there is to save.
            Goal::Stop(_) => self.tree_gone(now),
            Goal::Run | Goal::RestartApp(_) | Goal::Relaunch => self.kill_tree(now),
        }
    }

    fn drain(&mut self, now: Instant) {
        if !self.dirty || !self.confirms || self.policy.databases == 0 {
            self.disown_replaced();
            return self.close(now);
        }
        self.become_phase(Phase::Draining);
        self.undrained = self.databases().collect();
        self.timers.set(Timer::Drain, self.deadline(now) - self.policy.close_reserve());
        self.act(Action::Drain);
    }

    fn drained(&mut self, now: Instant, db: Db) {
        if self.phase != Phase::Draining {
            return;
        }
        self.undrained.remove(&db);
        if self.undrained.is_empty() {
            self.dirty = false;
            if !self.disown_replaced() {
                self.note(Note::Drained);
            }
            self.timers.stop(Timer::Drain);
            self.close(now);
        }
    }

    /// Whatever Litestream says of a database that was replaced, it says of another file.
    fn disown_replaced(&mut self) -> bool {
        let replaced = self.lag.all_replaced();
        if replaced.is_empty() {
            return false;
        }
        self.note(Note::NotReplicated(replaced));
        if let Goal::Stop(stop) = &mut self.goal {
            stop.reason = Some(ExitCode::NOT_DRAINED);
        }
        true
    }

    fn drain_timed_out(&mut self, now: Instant) {
        self.act(Action::CloseDrain);
        self.disown_replaced();
        self.not_drained();
        self.close(now);
    }

    fn not_drained(&mut self) {
        self.note(Note::NotDrained(self.unconfirmed()));
        if let Goal::Stop(stop) = &mut self.goal {
            stop.reason = Some(ExitCode::NOT_DRAINED);
        }
    }

    fn close(&mut self, now: Instant) {
        self.become_phase(Phase::Closing);
        self.timers.stop(Timer::Launch);
        if self.litestream == Litestream::Up {
            self.litestream = Litestream::Ending;
            self.act(Action::Release);
        }
        let at = match self.goal {
            Goal::Stop(stop) => stop.deadline.max(now + self.policy.close_reserve()),
            Goal::Run | Goal::RestartApp(_) | Goal::Relaunch => now + ORPHANED_CLOSE,
        };
        self.timers.set(Timer::Close, at);
    }

    fn closed(&mut self, now: Instant, clean: bool) {
        if !self.confirms && clean {
            // Without a socket Litestream's own final sync is the drain.
            self.dirty = false;
        }
        match self.goal {
            Goal::Stop(Stop { reason: Some(ExitCode::NOT_DRAINED), .. }) => self.exit(ExitCode::NOT_DRAINED),
            Goal::Stop(_) | Goal::Run | Goal::RestartApp(_) | Goal::Relaunch => self.litestream_down(now),
        }
    }

    fn close_timed_out(&mut self, now: Instant) {
        if self.killed {
            // It sleeps in the kernel; nobody waits for it any longer.
            return self.litestream_ended(now, false);
        }
        if self.phase == Phase::Closing {
            self.note(Note::CloseTimeout);
        }
        self.kill_litestream();
        self.timers.set(Timer::Close, now + Duration::from_secs(1));
    }

    // The watch.

    fn changed(&mut self, now: Instant, db: Db) {
        if self.confirms && self.litestream == Litestream::Up {
            self.lag.changed(now, db);
        }
    }

    fn replaced(&mut self, now: Instant, db: Db) {
        let may_be_written = matches!(self.phase, Phase::Running | Phase::Stopping | Phase::Draining);
        if may_be_written && self.lag.replaced(now, db) {
            self.note(Note::Replaced(db));
        }
    }

    fn confirmed(&mut self, now: Instant, db: Db, ok: bool) {
        if self.lag.confirmed(now, db, ok) {
            self.note(Note::CaughtUp(db));
            if self.phase == Phase::Running {
                self.set_ready(!self.lag.exceeded());
            }
        }
    }

    fn lag_exceeded(&mut self, now: Instant, db: Db, age: Duration) {
        self.note(Note::Lagging(db, age));
        match self.policy.on_lag {
            OnLag::Warn => {}
            OnLag::Unready => self.set_ready(false),
            OnLag::Stop => {
                self.stop(now, Some(ExitCode::LITESTREAM), ExitCode::LITESTREAM);
                let grace_end = self.deadline(now) - self.policy.drain_reserve();
                self.ask_app_to_stop(now, grace_end);
            }
        }
    }

    // The one place for each kind of state.

    fn become_phase(&mut self, next: Phase) {
        debug_assert!(self.phase.may_become(next), "{:?} may not become {next:?}", self.phase);
        self.phase = next;
    }

    fn become_stopping(&mut self) {
        self.set_ready(false);
        if self.phase != Phase::Stopping {
            self.become_phase(Phase::Stopping);
        }
        if let (Goal::Stop(stop), App::Leftovers) = (self.goal, self.app) {
            self.timers.set(Timer::Grace, stop.deadline - self.policy.drain_reserve());
        }
    }

    fn set_ready(&mut self, ready: bool) {
        if self.ready != ready {
            self.ready = ready;
            self.act(Action::Ready(ready));
        }
    }

    fn kill_litestream(&mut self) {
        let lives = matches!(self.litestream, Litestream::Launching | Litestream::Up | Litestream::Ending);
        if lives && !std::mem::replace(&mut self.killed, true) {
            self.act(Action::KillLitestream);
        }
    }

    fn exit(&mut self, code: ExitCode) {
        self.set_ready(false);
        self.become_phase(Phase::Exited);
        self.app = App::Gone;
        self.litestream = Litestream::Down;
        self.timers.stop_all();
        self.act(Action::Exit(code));
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    fn note(&mut self, note: Note) {
        self.act(Action::Note(note));
    }

    fn databases(&self) -> impl Iterator<Item = Db> + use<> {
        (0..self.policy.databases).map(Db)
    }

    fn unconfirmed(&self) -> Vec<Db> {
        match self.phase {
            Phase::Draining => self.undrained.iter().copied().collect(),
            Phase::Preparing
            | Phase::Restoring
            | Phase::Launching
            | Phase::Gating
            | Phase::Before
            | Phase::Running
            | Phase::Stopping
            | Phase::Closing
            | Phase::Backoff
            | Phase::Exited => self.databases().collect(),
        }
    }

    /// What holds after every event.
    fn check(&self) {
        debug_assert!(
            self.app == App::Gone || self.phase.allows_app(),
            "an app ({:?}) in phase {:?}",
            self.app,
            self.phase
        );
        debug_assert!(
            self.litestream == Litestream::Up
                || !matches!(self.phase, Phase::Gating | Phase::Before | Phase::Running | Phase::Draining),
            "{:?} without Litestream",
            self.phase
        );
        debug_assert!(
            self.phase != Phase::Exited || self.timers.next().is_none(),
            "a timer runs after the end"
        );
        debug_assert!(
            matches!(self.phase, Phase::Preparing | Phase::Restoring | Phase::Running | Phase::Exited)
                || self.phase == Phase::Before
                || self.timers.next().is_some(),
            "{:?} waits without a deadline",
            self.phase
        );
    }
}
