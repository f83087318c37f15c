//! A keeper's world whose clock jumps from one thing to the next.
//!
//! Each action takes the time that the plan gives it and brings about the events that the real
//! driver would hand to the machine, in its order: the shim's words are one queue that ends when its
//! link does, the reaper's word is for the latest Litestream only, and what waits in the inbox
//! may be older than the machine's last decision. After every step the invariants are checked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::plan::{Fault, Plan, ms, secs};
use super::processes::{App, Databases, Litestream, Shim};
use super::waits::Waits;
use crate::core::{Action, Db, Ended, Event, ExitCode, Machine, Note, Phase, Policy};

/// A message between two processes.
pub(super) const MESSAGE: Duration = ms(1);
/// Between two looks for what is left of a tree.
pub(super) const SWEEP: Duration = ms(10);
/// Between two uploads that Litestream makes by itself; the first is its first look at the file.
pub(super) const SYNC: Duration = secs(1);
/// Between a write and the look that notices it.
pub(super) const LOOK: Duration = ms(100);

/// What comes due in the world.
#[derive(Clone, Debug)]
pub(super) enum Due {
    Inbox(Event),
    /// From the shim of this launch.
    ShimSays(u64, Event),
    Reaped(u64, bool),
    ShimStarts(u64),
    LitestreamDies(u64),
    LitestreamCloses(u64),
    LitestreamSyncs(u64),
    /// The n-th gate gets its answer, or sees bytes go out.
    Gate(u64),
    GateMoves(u64),
    Drain(u64, Db),
    /// Somebody looks whether the Litestream of the n-th drain does anything.
    Notices(u64),
    /// An answer about a database from this launch, as of so many rows.
    Confirm(u64, Db, u64),
    Resolves,
    /// A database that was named has been looked at.
    Admits(Db),
    Cancels(u64, Db),
    /// An answer about a database's coming or going from this launch, and when it is given up.
    Registers(u64, Db, Instant),
    Unregisters(u64, Db, Instant),
    ToShim(u64, Order),
    LeaderEnds(u64, Ended),
    LeftoversEnd(u64),
    OrphanGraceEnds(u64),
    Writes(u64),
    Sweep,
    Fault(Fault),
}

/// What the keeper says to the shim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Start,
    AskLeader,
    AskTree,
    KillTree,
    Release,
}

/// What was seen of the machine, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    Heard(Event),
    Did(Action),
    Entered(Phase),
}

pub(super) struct World {
    pub(super) machine: Machine,
    pub(super) policy: Policy,
    pub(super) plan: Plan,
    pub(super) dbs: Databases,
    /// What the source names, and what of it the keeper knows by which number.
    pub(super) wanted: BTreeSet<u8>,
    pub(super) tenants: BTreeMap<u8, Db>,
    pub(super) epoch: Instant,
    pub(super) now: Instant,
    pub(super) due: BTreeMap<(Instant, u64), Due>,
    pub(super) made: u64,
    pub(super) launches: u64,
    pub(super) link: Option<u64>,
    pub(super) litestream: Option<Litestream>,
    pub(super) shim: Option<Shim>,
    pub(super) starts: u64,
    pub(super) app: Option<App>,
    pub(super) sweeping: bool,
    pub(super) gate: Option<u64>,
    pub(super) gates: u64,
    pub(super) drain: Option<(u64, Vec<Db>)>,
    pub(super) drains: u64,
    pub(super) kills: u64,
    pub(super) code: Option<ExitCode>,
    /// The phase that was seen last.
    pub(super) entered: Phase,
    pub(super) seen: Vec<(Duration, Seen)>,
    /// Who waits for what is in a database.
    pub(super) waits: Waits,
}

impl World {
    pub(super) fn new(policy: Policy, plan: Plan) -> Self {
        let epoch = Instant::now();
        let policy = Policy { before: plan.before.len(), ..policy };
        let mut world = Self {
            machine: Machine::new(policy.clone(), 7),
            dbs: Databases::new(policy.databases),
            policy,
            plan,
            wanted: BTreeSet::new(),
            tenants: BTreeMap::new(),
            epoch,
            now: epoch,
            due: BTreeMap::new(),
            made: 0,
            launches: 0,
            link: None,
            litestream: None,
            shim: None,
            starts: 0,
            app: None,
            sweeping: false,
            gate: None,
            gates: 0,
            drain: None,
            drains: 0,
            kills: 0,
            code: None,
            entered: Phase::Preparing,
            seen: Vec::new(),
            waits: Waits::default(),
        };
        world.tell(Event::Start);
        world
    }

    // What a scenario does.

    /// Lets something happen now.
    pub(super) fn suffer(&mut self, fault: Fault) {
        self.after(Duration::ZERO, Due::Fault(fault));
    }

    /// Lets something happen later.
    pub(super) fn suffer_in(&mut self, delay: Duration, fault: Fault) {
        self.after(delay, Due::Fault(fault));
    }

    pub(super) fn until(&mut self, phase: Phase) -> &mut Self {
        self.until_true(&format!("{phase:?}"), |world| world.phase() == phase)
    }

    pub(super) fn until_true(&mut self, what: &str, condition: impl Fn(&Self) -> bool) -> &mut Self {
        for _ in 0..200_000 {
            if condition(self) {
                return self;
            }
            assert!(
                self.step(),
                "the world stands still in {:?} before {what}:\n{}",
                self.phase(),
                self.story()
            );
        }
        panic!("no end in sight of {:?} before {what}:\n{}", self.phase(), self.story());
    }

    /// Lets so much time pass, or less when all is over.
    pub(super) fn pass(&mut self, time: Duration) -> &mut Self {
        let end = self.now + time;
        while self.next().is_some_and(|at| at <= end) && self.step() {}
        self.now = self.now.max(end);
        self
    }

    /// The keeper is stopped for so long, and all that comes meanwhile waits for it.
    pub(super) fn sleep(&mut self, time: Duration) {
        self.now += time;
        self.tell(Event::WasAway(time));
    }

    /// Lets the unit end, and tells with what.
    pub(super) fn end(&mut self) -> u8 {
        self.until_true("the end", |world| world.code.is_some());
        self.code.map_or(0, ExitCode::get)
    }

    // What a scenario asks.

    pub(super) fn phase(&self) -> Phase {
        self.machine.phase()
    }

    pub(super) fn code(&self) -> Option<u8> {
        self.code.map(ExitCode::get)
    }

    pub(super) fn time(&self) -> Duration {
        self.now - self.epoch
    }

    pub(super) fn app_lives(&self) -> bool {
        self.app.is_some()
    }

    pub(super) fn count(&self, wanted: impl Fn(&Action) -> bool) -> usize {
        self.seen.iter().filter(|(_, seen)| matches!(seen, Seen::Did(action) if wanted(action))).count()
    }

    pub(super) fn did(&self, action: &Action) -> usize {
        self.count(|other| other == action)
    }

    pub(super) fn noted(&self, note: Note) -> usize {
        self.did(&Action::Note(note))
    }

    /// When each action was taken.
    pub(super) fn times(&self, action: &Action) -> Vec<Duration> {
        let wanted = Seen::Did(action.clone());
        self.seen.iter().filter(|(_, seen)| *seen == wanted).map(|(at, _)| *at).collect()
    }

    pub(super) fn phases(&self) -> Vec<Phase> {
        let entered = |(_, seen): &(Duration, Seen)| match seen {
            Seen::Entered(phase) => Some(*phase),
            Seen::Heard(_) | Seen::Did(_) => None,
        };
        self.seen.iter().filter_map(entered).collect()
    }

    /// Everything that was seen, a line each, for the message of a test that failed.
    pub(super) fn story(&self) -> String {
        let boring = |seen: &Seen| {
            matches!(
                seen,
                Seen::Heard(Event::Changed(_) | Event::Confirmed { .. }) | Seen::Did(Action::Confirm(_))
            )
        };
        let lines = self.seen.iter().filter(|(_, seen)| !boring(seen));
        let lines: Vec<String> =
            lines.map(|(at, seen)| format!("{:>9.3} {seen:?}", at.as_secs_f64())).collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    // Time.

    pub(super) fn after(&mut self, delay: Duration, due: Due) {
        self.made += 1;
        self.due.insert((self.now + delay, self.made), due);
    }

    fn next(&self) -> Option<Instant> {
        let first = self.due.keys().next().map(|(at, _)| *at);
        first.into_iter().chain(self.machine.poll_timeout()).min()
    }

    /// Jumps to the next thing; whether there was one.
    pub(super) fn step(&mut self) -> bool {
        let Some(next) = self.next().filter(|_| self.code.is_none()) else { return false };
        self.now = self.now.max(next);
        match self.due.first_entry().filter(|entry| entry.key().0 <= self.now) {
            Some(entry) => {
                let due = entry.remove();
                self.happen(due);
            }
            None => self.machine.handle_timeout(self.now),
        }
        self.settle();
        true
    }

    fn settle(&mut self) {
        if self.phase() != self.entered {
            self.entered = self.phase();
            self.see(Seen::Entered(self.entered));
        }
        while let Some(action) = self.machine.poll_action() {
            assert_eq!(self.code, None, "{action:?} after the end:\n{}", self.story());
            self.see(Seen::Did(action.clone()));
            self.perform(action);
        }
        self.settle_waits();
        self.check();
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.see(Seen::Heard(event.clone()));
        self.machine.handle(self.now, event);
        self.settle();
    }

    fn see(&mut self, seen: Seen) {
        self.seen.push((self.now - self.epoch, seen));
    }

    // Actions.

    fn perform(&mut self, action: Action) {
        match action {
            Action::Prepare => {
                let owed = self.plan.owed;
                for db in self.dbs.all().into_iter().filter(|_| owed > 0) {
                    self.dbs.rows[db.0].written = owed;
                    self.after(MESSAGE, Due::Inbox(Event::Owed(db)));
                }
                self.after(self.plan.prepare, Due::Inbox(self.prepared()));
            }
            Action::Restore => {
                let restored = self.plan.restore_fails.map_or(Event::Restored, Event::RestoreFailed);
                self.after(self.plan.restore.unwrap_or_default(), Due::Inbox(restored));
            }
            Action::Resolve => self.after(self.plan.resolve, Due::Resolves),
            Action::Register(db) => self.register(db),
            Action::Unregister(db) => self.unregister(db),
            Action::Cancel(db) => {
                self.dbs.rows[db.0].here = false;
                self.after(self.plan.register, Due::Cancels(self.launches, db));
            }
            Action::Forget(db) => self.forget(db),
            Action::PutOff(db) => self.dbs.put_off(db),
            Action::Abort => self.abort(),
            Action::Launch => self.launch(),
            Action::OpenGate => self.open_gate(),
            Action::CloseGate => self.close_gate(),
            Action::StartBefore(_) | Action::StartApp => self.start(),
            Action::SignalApp(number) if number == self.policy.stop_signal => {
                self.tell_shim(Order::AskLeader)
            }
            Action::SignalApp(_) => {}
            Action::SignalTree(_) => self.tell_shim(Order::AskTree),
            Action::KillTree => self.kill_tree(),
            Action::KillShim => self.after(MESSAGE, Due::Fault(Fault::ShimDies)),
            Action::Confirm(db) => {
                self.wait_asks(db);
                let asked = self.dbs.rows[db.0].written;
                self.after(self.plan.confirm, Due::Confirm(self.launches, db, asked));
            }
            Action::Drain => self.open_drain(),
            Action::CloseDrain => self.close_drain(),
            Action::Release => {
                if self.plan.confirms {
                    self.check_release();
                }
                self.tell_shim(Order::Release);
            }
            Action::KillLitestream => {
                self.kills += 1;
                assert_eq!(self.kills, 1, "one Litestream gets one signal:\n{}", self.story());
                if !self.plan.litestream_unkillable {
                    self.after(MESSAGE, Due::LitestreamDies(self.launches));
                }
            }
            Action::Ready(_) | Action::Note(_) => {}
            Action::Exit(code, _) => self.code = Some(code),
        }
    }

    fn prepared(&self) -> Event {
        let (restore, confirms) = (self.plan.restore.is_some(), self.plan.confirms);
        self.plan.prepare_fails.map_or(Event::Prepared { restore, confirms }, Event::PrepareFailed)
    }

    fn abort(&mut self) {
        self.due.retain(|_, due| !matches!(due, Due::Inbox(_) | Due::Resolves));
        let failed = if self.phase() == Phase::Preparing {
            Event::PrepareFailed
        } else if self.phase() == Phase::Resolving {
            Event::ResolveFailed
        } else {
            Event::RestoreFailed
        }(ExitCode::UNAVAILABLE);
        if !self.plan.abort_hangs {
            self.after(MESSAGE, Due::Inbox(failed));
        }
    }

    fn launch(&mut self) {
        let living = self.litestream.filter(|_| !self.plan.litestream_unkillable);
        assert_eq!(living, None, "two Litestreams:\n{}", self.story());
        self.launches += 1;
        self.waits.relaunched();
        self.kills = 0;
        for rows in &mut self.dbs.rows {
            (rows.replaced, rows.diverged, rows.known) = (false, false, rows.here && !rows.outside);
        }
        let launch = self.launches;
        if self.plan.damaged == Some(launch) {
            return self.after(MESSAGE, Due::Inbox(Event::Damaged));
        }
        self.link = Some(launch);
        self.shim = None;
        self.litestream = Some(Litestream { launch, closing: false, hangs: false });
        if let Some(delay) = self.plan.launch {
            self.after(delay, Due::ShimStarts(launch));
        }
        if let Some(delay) = self.plan.launch_dies {
            self.after(delay, Due::LitestreamDies(launch));
        }
        self.after(SYNC, Due::LitestreamSyncs(launch));
    }

    fn start(&mut self) {
        let living = self.app.filter(|_| !self.plan.tree_unkillable);
        assert_eq!(living, None, "two apps:\n{}", self.story());
        self.tell_shim(Order::Start);
    }

    fn kill_tree(&mut self) {
        if self.link.is_some() {
            self.tell_shim(Order::KillTree);
            if self.shim.is_none() {
                // A hung Litestream holds the dead shim's end of the line.
                self.kill_adopted();
            }
        } else if !std::mem::replace(&mut self.sweeping, true) {
            self.after(SWEEP, Due::Sweep);
        }
    }

    /// What is said to a shim that is dead or ends meanwhile is lost.
    fn tell_shim(&mut self, order: Order) {
        self.after(MESSAGE, Due::ToShim(self.launches, order));
    }

    // What comes of them.

    fn happen(&mut self, due: Due) {
        match due {
            Due::Inbox(event) => self.tell(event),
            Due::ShimSays(launch, event) if self.link == Some(launch) => {
                if event == Event::ShimGone {
                    self.link = None;
                }
                self.tell(event);
            }
            Due::Reaped(launch, clean) if self.launches == launch => {
                self.tell(Event::LitestreamEnded { clean })
            }
            Due::ShimSays(..) | Due::Reaped(..) => {}
            Due::ShimStarts(launch) if self.lives(launch) => {
                self.shim = Some(Shim { launch, killing: false, alone: false, stopped: false });
                self.shim_says(Event::ShimReady);
            }
            Due::LitestreamSyncs(launch) if self.lives(launch) => {
                if self.answers() {
                    self.dbs.upload_all();
                }
                self.after(SYNC, Due::LitestreamSyncs(launch));
            }
            Due::LitestreamDies(launch) if self.lives(launch) => self.litestream_dies(false),
            Due::LitestreamCloses(launch) if self.lives(launch) => {
                // A database that it never looked at has no final sync.
                let looked = self.until_looked().is_zero();
                let synced = (looked || self.plan.confirms) && self.dbs.upload_all();
                self.litestream_dies(synced || !looked);
            }
            Due::ShimStarts(_)
            | Due::LitestreamSyncs(_)
            | Due::LitestreamDies(_)
            | Due::LitestreamCloses(_) => {}
            Due::Gate(gate) if self.gate == Some(gate) => self.gate_answers(gate),
            Due::GateMoves(gate) if self.gate == Some(gate) => {
                self.after(self.plan.gate_moves.unwrap_or(SYNC), Due::GateMoves(gate));
                self.tell(Event::GateProgress);
            }
            Due::Gate(_) | Due::GateMoves(_) => {}
            Due::Drain(drain, db) => self.drain_answers(drain, db),
            Due::Notices(drain) => self.notices(drain),
            Due::Resolves => self.resolves(),
            Due::Admits(db) => self.admits(db),
            Due::Cancels(launch, db) => {
                if launch == self.launches {
                    self.forget(db);
                    self.tell(Event::Unregistered { db, ok: true });
                }
            }
            Due::Registers(launch, db, until) => self.register_answers(launch, db, until),
            Due::Unregisters(launch, db, until) => self.unregister_answers(launch, db, until),
            Due::Confirm(launch, db, rows) => self.confirm_answers(launch, db, rows),
            Due::ToShim(launch, order)
                if self.shim.is_some_and(|shim| shim.launch == launch && !shim.stopped) =>
            {
                self.obey(order)
            }
            Due::ToShim(..) => {}
            Due::LeaderEnds(number, how) => self.leader_ends(number, how),
            Due::LeftoversEnd(number) => self.leftovers_end(number),
            Due::OrphanGraceEnds(launch) => self.orphan_grace_ends(launch),
            Due::Writes(number) => self.writes(number),
            Due::Sweep => self.sweep(),
            Due::Fault(fault) => self.befall(fault),
        }
    }

    fn lives(&self, launch: u64) -> bool {
        self.litestream.is_some_and(|litestream| litestream.launch == launch)
    }

    pub(super) fn answers(&self) -> bool {
        self.litestream.is_some_and(|litestream| !litestream.hangs && !litestream.closing)
    }
}
