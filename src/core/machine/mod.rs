//! The state machine: every decision that Litekeeper makes about processes.
//!
//! Here are its state, its entry points, and the one place for each kind of change; what it decides
//! is by what it decides about: [`start`], [`app`], [`litestream`], [`stop`], [`watch`] and [`membership`];
//! [`status`] tells of it.
//!
//! Rules that hold throughout:
//! - a timer never outlives the phase that set it;
//! - leaving `Gating` closes the gate and leaving `Draining` closes the drain, whatever the reason,
//!   and what either says afterwards is too late;
//! - once the goal is to stop, nothing but the end is aimed at, and no later decision moves its
//!   deadline.

mod app;
mod goal;
mod litestream;
mod membership;
mod processes;
mod start;
mod status;
mod stop;
mod watch;

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use super::absent::{Absent, AbsentDue};
use super::lag::{Lag, LagDue};
use super::status::{AppEnd, Lives, Lost};
use super::timer::{Timer, Timers};
use super::{Action, Backoff, Cause, Db, Ended, Event, ExitCode, Gate, Moment, Note, Phase, Policy};
use goal::Goal;
use membership::Members;
#[cfg(test)]
pub(super) use membership::Membership;
use processes::{App, Litestream};

/// The pure core of Litekeeper; see the module's page for how it is driven.
#[derive(Clone, Debug)]
pub struct Machine {
    policy: Policy,
    phase: Phase,
    goal: Goal,
    app: App,
    litestream: Litestream,
    /// This Litestream can confirm.
    confirms: bool,
    /// Litestream has had its only signal.
    killed: bool,
    /// The gate has opened once, so a failure from now on is an outage and no wrong setting.
    opened: bool,
    /// When the gate of this Litestream first opened.
    up_since: Option<Instant>,
    gate_since: Option<Instant>,
    /// The sources were asked for the first time.
    resolved: bool,
    before_done: usize,
    /// How the leader ended whose tree is not gone yet.
    ended: Option<Ended>,
    /// Its shim was killed, since nothing else ended the tree.
    shim_killed: bool,
    /// Something of the app could not be killed, and may write whatever it likes.
    wild: bool,
    /// The databases that are counted.
    members: Members,
    /// These may hold rows of the app that no replica confirmed.
    unconfirmed: BTreeSet<Db>,
    /// These hold something of an earlier run that no replica confirmed, which a stop answers for.
    owed: BTreeSet<Db>,
    /// Nobody has these any more, and what the app wrote to them last is on no replica.
    abandoned: BTreeSet<Db>,
    /// The drain asked for these and has no answer yet.
    undrained: BTreeSet<Db>,
    /// This Litestream's copies of these have diverged from them.
    diverged: BTreeSet<Db>,
    ready: bool,
    stop_signals: u32,
    /// When the last of them came that counted.
    stop_counted: Option<Instant>,
    app_lives: Lives<AppEnd>,
    litestream_lives: Lives<Lost>,
    app_backoff: Backoff,
    litestream_backoff: Backoff,
    lag: Lag,
    absent: Absent,
    timers: Timers,
    actions: VecDeque<Action>,
}

impl Machine {
    /// A machine that has done nothing yet; `seed` makes the jitter of its backoff.
    pub fn new(policy: Policy, seed: u64) -> Self {
        let mut lag = Lag::new(policy.confirm_delay(), policy.max_lag);
        (0..policy.databases).for_each(|place| lag.watch(Db(place)));
        Self {
            phase: Phase::Preparing,
            goal: Goal::Run,
            app: App::Gone,
            litestream: Litestream::Down,
            confirms: false,
            killed: false,
            opened: false,
            up_since: None,
            gate_since: None,
            resolved: false,
            before_done: 0,
            ended: None,
            shim_killed: false,
            wild: false,
            members: Members::new(policy.databases),
            unconfirmed: BTreeSet::new(),
            owed: BTreeSet::new(),
            abandoned: BTreeSet::new(),
            undrained: BTreeSet::new(),
            diverged: BTreeSet::new(),
            ready: false,
            stop_signals: 0,
            stop_counted: None,
            app_lives: Lives::default(),
            litestream_lives: Lives::default(),
            app_backoff: Backoff::new(policy.backoff.clone(), seed),
            litestream_backoff: Backoff::new(policy.backoff.clone(), seed.rotate_left(32)),
            lag,
            absent: Absent::new(policy.max_lag),
            timers: Timers::default(),
            actions: VecDeque::new(),
            policy,
        }
    }

    /// Where the unit is, for tests: whoever drives it needs no more than [`Machine::moment`].
    #[cfg(test)]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Where the unit is, for those who do not know phases.
    pub fn moment(&self) -> Moment {
        let (stops, drains) = (self.goal.stop().is_some(), self.phase == Phase::Draining);
        Moment {
            runs: self.phase == Phase::Running,
            gates: self.phase == Phase::Gating && self.confirms,
            has_app: matches!(self.phase, Phase::Before | Phase::Running),
            launches: self.phase == Phase::Launching,
            relaunches: matches!(self.phase, Phase::Backoff | Phase::Launching | Phase::Gating),
            finds: matches!(self.phase, Phase::Running | Phase::Stopping),
            goes_on: !stops && self.phase != Phase::Exited,
            ends: stops && (drains || self.phase == Phase::Stopping),
            drains,
            over: stops && self.phase == Phase::Closing,
            waits: match self.phase {
                Phase::Exited => false,
                Phase::Stopping => true,
                Phase::Preparing
                | Phase::Restoring
                | Phase::Resolving
                | Phase::Launching
                | Phase::Gating
                | Phase::Before
                | Phase::Running
                | Phase::Draining
                | Phase::Closing
                | Phase::Backoff => !stops,
            },
        }
    }

    /// The next thing that the driver has to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Machine::handle_timeout`] has to be called, unless an event comes first.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let running = self.phase == Phase::Running;
        let lag = if self.can_confirm() { self.lag.next() } else { None };
        let wanted = if self.asks_for_waiters() { self.lag.next_wanted() } else { None };
        let absent = self.absent.next().filter(|_| running);
        let ask = self.members.next_ask().filter(|_| self.may_ask());
        self.timers.next().into_iter().chain(lag).chain(wanted).chain(absent).chain(ask).min()
    }

    /// Whether what changes is asked about: only then is it a lag that nobody confirms it. What an app left that crashed is
    /// confirmed while its restart is waited for.
    fn can_confirm(&self) -> bool {
        self.litestream.is_up() && matches!(self.phase, Phase::Running | Phase::Backoff)
    }

    /// Whether it is asked for whoever waits for a confirmation: also for an app that comes to its end in order, and for a
    /// command before it. No change counts as a lag there; and where gate or drain ask, nobody else does.
    fn asks_for_waiters(&self) -> bool {
        let may_wait =
            matches!(self.phase, Phase::Before | Phase::Running | Phase::Stopping | Phase::Backoff);
        self.confirms && self.litestream.is_up() && may_wait
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Instant, event: Event) {
        if self.phase == Phase::Exited {
            return;
        }
        self.lag.pass(now, self.can_confirm());
        match event {
            Event::Start => self.act(Action::Prepare),
            Event::Prepared { restore, confirms } => self.prepared(now, restore, confirms),
            Event::PrepareFailed(code) => self.not_prepared(Phase::Preparing, code),
            Event::Owed(db) => self.owed(db),
            Event::Restored => self.restored(now),
            Event::RestoreFailed(code) => self.not_prepared(Phase::Restoring, code),
            Event::Awaited(db) => self.awaited(db),
            Event::Named(db) => self.named(db),
            Event::Returned(db) => self.returned(db),
            Event::Abandoned(db) => self.abandon(now, db),
            Event::FoundAgain(db) => self.found_again(db),
            Event::Dropped(db) => self.dropped(now, db),
            Event::Resolved { restore } => self.resolved(now, restore),
            Event::ResolveFailed(code) => self.resolve_failed(now, code),
            Event::Reload => self.reload(),
            Event::Registered { db, ok } => self.registered(now, db, ok),
            Event::Unregistered { db, ok } => self.unregistered(now, db, ok),
            Event::Removed(db) => self.removed(now, db),
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
            Event::Missing(db) => self.missing(now, db),
            Event::Replaced(db) => self.replaced(now, db),
            Event::LockLost(db) => self.taken_by_another(now, Note::LockLost(db)),
            Event::Doubled(db) => self.taken_by_another(now, Note::Doubled(db)),
            Event::LeaseLost(db) => self.lease_lost(now, |left| Note::LeaseLost(db, left)),
            Event::LeaseOver => self.lease_lost(now, Note::LeaseOver),
            Event::Wanted(db) => self.wanted(now, db),
            Event::Unwanted(db) => self.lag.unwanted(db),
            Event::Confirmed { db, ok } => self.confirmed(now, db, ok),
            Event::Diverged(db) => self.diverged(now, db),
            Event::Damaged => self.damaged(now),
            Event::Drained(db) => self.drained(now, db),
            Event::Silent => self.silent(now),
            Event::Stalled(db) => self.stalled(now, db),
            Event::WasAway(time) if self.can_confirm() => self.lag.was_away(time),
            Event::WasAway(_) => {}
            Event::StopSignal(number) => self.stop_signal(now, number),
            Event::Signal(number) => self.signal(number),
        }
        self.check();
    }

    /// Takes in that time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.lag.pass(now, self.can_confirm());
        while let Some(timer) = self.timers.expired(now) {
            match timer {
                Timer::Abort => self.abort_timed_out(),
                Timer::Backoff => self.backoff_over(now),
                Timer::Gate => self.gate_failed(now, Note::GateTimeout),
                Timer::GateReport => self.gate_report(now),
                Timer::Grace => self.grace_over(now),
                Timer::Tree => self.tree_stuck(now),
                Timer::Drain => self.drain_timed_out(now),
                Timer::Litestream => self.litestream_late(now),
            }
            self.check();
        }
        while self.asks_for_waiters() {
            let Some(db) = self.lag.due_wanted(now) else { break };
            self.act(Action::Confirm(db));
            self.check();
        }
        while self.can_confirm() {
            let Some(due) = self.lag.due(now) else { break };
            match due {
                LagDue::Ask(db) => self.act(Action::Confirm(db)),
                LagDue::Exceeded(db, age) => self.lag_exceeded(now, Note::Lagging(db, age)),
            }
            self.check();
        }
        while self.phase == Phase::Running {
            let Some(due) = self.absent.due(now) else { break };
            match due {
                AbsentDue::Tell(db) => self.note(Note::Missing(db)),
                AbsentDue::Exceeded(db, age) => self.lag_exceeded(now, Note::StillMissing(db, age)),
            }
            self.check();
        }
        if self.may_ask() && self.members.next_ask().is_some_and(|at| at <= now) {
            self.ask();
            self.check();
        }
    }

    // The one place for each kind of change.

    fn become_phase(&mut self, next: Phase) {
        debug_assert!(self.phase.may_become(next), "{:?} may not become {next:?}", self.phase);
        if self.phase == Phase::Gating && self.policy.gate != Gate::None {
            self.act(Action::CloseGate);
        }
        if self.phase == Phase::Draining {
            self.undrained.clear();
            self.act(Action::CloseDrain);
        }
        self.timers.stop_all();
        self.phase = next;
    }

    fn become_stopping(&mut self) {
        self.set_ready(false);
        if self.phase != Phase::Stopping {
            self.become_phase(Phase::Stopping);
        }
    }

    fn set_ready(&mut self, ready: bool) {
        if self.ready != ready {
            self.ready = ready;
            self.act(Action::Ready(ready));
        }
    }

    fn exit(&mut self, code: ExitCode, cause: Cause) {
        // Whatever was confirmed, something of the app may go on writing.
        let (code, cause) =
            if self.wild { (ExitCode::NOT_DRAINED, Cause::NotDrained) } else { (code, cause) };
        debug_assert!(cause.code().is_none_or(|own| own == code), "{code} for {cause:?}");
        if !self.owed.is_empty() && cause != Cause::NotDrained {
            self.note(Note::StillOwed(self.owed.iter().copied().collect()));
        }
        self.set_ready(false);
        self.become_phase(Phase::Exited);
        self.app = App::Gone;
        self.litestream = Litestream::Down;
        self.act(Action::Exit(code, cause));
    }

    /// Exits as the stop says that is wanted, or else with this.
    fn exit_or(&mut self, code: ExitCode, cause: Cause) {
        match self.goal.stop() {
            Some(stop) => self.exit(stop.code, stop.cause),
            None => self.exit(code, cause),
        }
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    fn note(&mut self, note: Note) {
        if let Note::NeverMade { dbs, .. }
        | Note::NotReplicated(dbs)
        | Note::NotDrained(dbs)
        | Note::NotTakenIn(dbs) = &note
        {
            debug_assert!(!dbs.is_empty(), "a loss of nothing: {note:?}");
        }
        self.act(Action::Note(note));
    }

    /// What holds after every event.
    fn check(&self) {
        let (phase, app) = (self.phase, self.app);
        debug_assert!(app == App::Gone || phase.allows_app(), "an app ({app:?}) in {phase:?}");
        debug_assert!(app != App::Gone || !phase.allows_app(), "no app in {phase:?}");
        debug_assert!(
            phase != Phase::Running || matches!(app, App::Up(_)),
            "an app without leader in {phase:?}"
        );
        let counted = |db: &Db| self.members.counts(*db);
        debug_assert!(self.unconfirmed.iter().all(counted), "unconfirmed, but not counted");
        debug_assert!(self.owed.iter().all(counted), "owed, but not counted");
        let is_drained = |db: &Db| counted(db) || self.members.is_outside(*db);
        debug_assert!(self.undrained.iter().all(is_drained), "drained, but not counted");
        let watched = |db: Db| self.members.is_named(db) || self.abandoned.contains(&db);
        debug_assert!(self.lag.all().all(watched), "watched, but not named");
        debug_assert!(self.absent.all().all(|db| counted(&db)), "missed, but not counted");
        debug_assert!(self.litestream.is_up() || !phase.needs_litestream(), "{phase:?} without Litestream");
        debug_assert!(phase != Phase::Exited || self.timers.next().is_none(), "a timer after the end");
        debug_assert!(!phase.has_deadline() || self.timers.next().is_some(), "{phase:?} without a deadline");
    }
}
