//! How the world's processes live and die, and what must be true of them after every step.

use super::plan::Fault;
use super::processes::{App, Litestream, Shim};
use super::world::{Due, LOOK, MESSAGE, Order, SWEEP, Seen, World};
use crate::core::{Action, Ended, Event, Note, Phase};

const KILLED: Ended = Ended::Signal(9);

impl World {
    // The shim.

    pub(super) fn obey(&mut self, order: Order) {
        match order {
            Order::Start => self.start_app(),
            Order::AskLeader => self.ask_leader(),
            Order::AskTree => self.ask_leftovers(),
            Order::KillTree => self.shim_kills(),
            Order::Release => self.release(),
        }
    }

    fn start_app(&mut self) {
        // A shim that is on its own starts nothing.
        let Some(shim) = self.shim.as_mut().filter(|shim| !shim.alone) else { return };
        shim.killing = false;
        if let Some(why) = self.plan.not_started {
            return self.shim_says(Event::AppNotStarted(why));
        }
        self.starts += 1;
        let number = self.starts;
        self.app = Some(App { number, led: true, stuck: false });
        let life = match self.runs_before() {
            Some(place) => self.plan.before.get(place).copied(),
            None => self.plan.lives.pop_front(),
        };
        if let Some((time, how)) = life {
            self.after(time, Due::LeaderEnds(number, how));
        }
        self.writes(number);
    }

    fn ask_leader(&mut self) {
        if let (Some(app), Some((delay, how))) = (self.app.filter(|app| app.led), self.plan.stops) {
            self.after(delay, Due::LeaderEnds(app.number, how));
        }
    }

    fn ask_leftovers(&mut self) {
        if let (Some(app), Some(delay)) = (self.app.filter(|app| !app.led), self.plan.leftovers_stop) {
            self.after(delay, Due::LeftoversEnd(app.number));
        }
    }

    /// It ends with 0, whereupon Litestream ends in order.
    fn release(&mut self) {
        self.shim_ends();
        if let Some(litestream) = self.litestream.filter(|litestream| !litestream.hangs) {
            self.litestream = Some(Litestream { closing: true, ..litestream });
            self.after(self.plan.close, Due::LitestreamCloses(litestream.launch));
        }
    }

    /// Its words arrive in order, for as long as it lives.
    pub(super) fn shim_says(&mut self, event: Event) {
        // The end of its messages is its death's.
        if let Some(shim) = self.shim.filter(|shim| !shim.stopped || event == Event::ShimGone) {
            self.after(MESSAGE, Due::ShimSays(shim.launch, event));
        }
    }

    fn shim_kills(&mut self) {
        let (Some(shim), Some(app)) = (&mut self.shim, self.app) else { return };
        if shim.stopped {
            return;
        }
        shim.killing = true;
        if self.plan.tree_unkillable {
            self.app = Some(App { stuck: true, ..app });
            return;
        }
        let end = if app.led { Due::LeaderEnds(app.number, KILLED) } else { Due::LeftoversEnd(app.number) };
        self.after(MESSAGE, end);
    }

    pub(super) fn orphan_grace_ends(&mut self, launch: u64) {
        if self.shim.is_some_and(|shim| shim.launch == launch) {
            self.shim_kills();
        }
    }

    fn shim_may_end(&mut self) {
        if self.app.is_none() && self.shim.is_some_and(|shim| shim.alone && !shim.stopped) {
            self.shim_ends();
        }
    }

    /// The end of its messages: Litestream holds that end of the line as well.
    fn shim_ends(&mut self) {
        if self.plan.shim_gone_first || self.litestream.is_none() {
            self.shim_says(Event::ShimGone);
        }
        self.shim = None;
    }

    fn shim_dies(&mut self) {
        let (Some(_), Some(litestream)) = (self.shim, self.litestream) else { return };
        self.shim_ends();
        // The kernel kills the leader with it (PR_SET_PDEATHSIG); what it started lives on.
        if let Some(app) = self.app {
            let left = self.plan.leaves || !app.led || self.plan.tree_unkillable;
            self.app = left.then_some(App { led: false, stuck: app.led && !self.plan.leaves, ..app });
        }
        if !litestream.hangs {
            self.after(MESSAGE, Due::LitestreamDies(litestream.launch));
        }
    }

    // The app.

    fn runs_before(&self) -> Option<usize> {
        self.seen.iter().rev().find_map(|(_, seen)| match seen {
            Seen::Did(Action::StartBefore(place)) => Some(Some(*place)),
            Seen::Did(Action::StartApp) => Some(None),
            Seen::Did(_) | Seen::Heard(_) | Seen::Entered(_) => None,
        })?
    }

    pub(super) fn writes(&mut self, number: u64) {
        if self.app.is_none_or(|app| app.number != number || app.stuck) {
            return;
        }
        self.dbs.write();
        self.after(self.plan.writes, Due::Writes(number));
        for db in self.dbs.all() {
            let rows = self.dbs.rows[db.0];
            let event = match (rows.made, rows.replaced) {
                (false, _) => Event::Missing(db),
                (true, true) => Event::Replaced(db),
                (true, false) => Event::Changed(db),
            };
            self.after(LOOK, Due::Inbox(event));
        }
    }

    pub(super) fn leader_ends(&mut self, number: u64, how: Ended) {
        if self.app != Some(App { number, led: true, stuck: false }) {
            return;
        }
        // The last row is the one that is lost most easily.
        self.dbs.write();
        let left = self.plan.leaves;
        self.app = left.then_some(App { number, led: false, stuck: false });
        self.shim_says(Event::AppEnded { how, left: u32::from(left) });
        if self.shim.is_some_and(|shim| shim.killing) {
            self.shim_kills();
        }
        self.shim_may_end();
    }

    pub(super) fn leftovers_end(&mut self, number: u64) {
        if self.app != Some(App { number, led: false, stuck: false }) {
            return;
        }
        self.dbs.write();
        self.app = None;
        self.shim_says(Event::TreeGone);
        self.shim_may_end();
    }

    /// The keeper looks for what a dead shim left.
    pub(super) fn sweep(&mut self) {
        if self.app.is_none() {
            self.sweeping = false;
            return self.tell(Event::TreeGone);
        }
        self.kill_adopted();
        self.after(SWEEP, Due::Sweep);
    }

    pub(super) fn kill_adopted(&mut self) {
        let Some(app) = self.app else { return };
        self.app = self.plan.tree_unkillable.then_some(App { stuck: true, ..app });
    }

    // Litestream.

    pub(super) fn litestream_dies(&mut self, clean: bool) {
        let Some(litestream) = self.litestream.take() else { return };
        self.after(self.plan.reaped, Due::Reaped(litestream.launch, clean));
        if self.shim.is_none() {
            // Where the shim's end was told already this comes to nothing.
            return self.after(MESSAGE, Due::ShimSays(litestream.launch, Event::ShimGone));
        }
        self.shim_says(Event::LitestreamEnded { clean: false });
        if let Some(shim) = &mut self.shim {
            *shim = Shim { alone: true, ..*shim };
        }
        if self.policy.orphan_grace.is_zero() {
            self.shim_kills();
        } else {
            self.ask_leader();
            self.after(self.policy.orphan_grace, Due::OrphanGraceEnds(litestream.launch));
        }
        self.shim_may_end();
    }

    // What comes out of the blue.

    pub(super) fn befall(&mut self, fault: Fault) {
        match fault {
            Fault::Stop(number) => self.tell(Event::StopSignal(number)),
            Fault::Signal(number) => self.tell(Event::Signal(number)),
            Fault::LitestreamDies => self.litestream_dies(false),
            Fault::LitestreamAsked => self.shim_says(Event::LitestreamAsked),
            Fault::Parts(db) => {
                let up = self.litestream.is_some() && self.plan.confirms;
                if let Some(rows) = self.dbs.rows.get_mut(db.0).filter(|rows| up && rows.here && rows.known) {
                    rows.diverged = true;
                }
            }
            Fault::LitestreamHangs => self.hang(true),
            Fault::LitestreamWakes => self.hang(false),
            Fault::ShimDies => self.shim_dies(),
            Fault::ShimStops => {
                if let Some(shim) = &mut self.shim {
                    shim.stopped = true;
                }
            }
            Fault::AppDies(how) => {
                if let Some(app) = self.app {
                    self.leader_ends(app.number, how);
                }
            }
            Fault::Replica(replica) => self.dbs.replica = replica,
            Fault::Names(tenant) => {
                self.wanted.insert(tenant);
            }
            Fault::Drops(tenant) => {
                self.wanted.remove(&tenant);
            }
            Fault::Makes(db, made) => {
                if let Some(rows) = self.dbs.rows.get_mut(db.0).filter(|rows| rows.written == 0) {
                    rows.made = made;
                }
            }
            Fault::LockLost(db) => self.tell(Event::LockLost(db)),
            Fault::Doubled(db) => self.tell(Event::Doubled(db)),
            Fault::LeaseLost(db) => self.tell(Event::LeaseLost(Some(db))),
            Fault::Reload => self.tell(Event::Reload),
            Fault::Waits(db) => self.wait(db),
            Fault::Silent => self.tell(Event::Silent),
            Fault::Stalled(db) => self.tell(Event::Stalled(db)),
            Fault::Replaced(db) => {
                // The files are looked at while the app runs.
                let looks = self.phase() == Phase::Running && self.app.is_some();
                if let Some(rows) =
                    self.dbs.rows.get_mut(db.0).filter(|rows| looks && rows.here && rows.known)
                {
                    rows.replaced = true;
                    self.tell(Event::Replaced(db));
                }
            }
        }
    }

    fn hang(&mut self, hangs: bool) {
        if let Some(litestream) = self.litestream {
            self.litestream = Some(Litestream { hangs, ..litestream });
            if !hangs && self.shim.is_none() {
                // Its child ended meanwhile.
                self.after(self.plan.close, Due::LitestreamCloses(litestream.launch));
            }
        }
    }

    // What holds after every step.

    pub(super) fn check(&self) {
        let phase = self.phase();
        assert!(
            self.app.is_none() || phase.allows_app() || self.plan.tree_unkillable || phase == Phase::Exited,
            "an app lives in {phase:?}:\n{}",
            self.story()
        );
        let waits = !matches!(
            phase,
            Phase::Preparing
                | Phase::Restoring
                | Phase::Resolving
                | Phase::Before
                | Phase::Running
                | Phase::Exited
        );
        assert!(
            !waits || self.machine.poll_timeout().is_some(),
            "{phase:?} waits for ever:\n{}",
            self.story()
        );
        if let Some(code) = self.code() {
            let is_lost = |seen: &Seen| {
                matches!(seen, Seen::Did(Action::Note(Note::LeaseLost(..) | Note::LeaseOver(_))))
            };
            assert!(
                self.dbs.is_safe()
                    || [74, 70, 69].contains(&code)
                    || self.seen.iter().any(|(_, seen)| is_lost(seen)),
                "{code} with rows that are not on the replica: {:?}\n{}",
                self.dbs.rows,
                self.story()
            );
        }
    }

    /// The shim is let go once everything is confirmed, or the drain has had its time, or nothing
    /// was asked to be confirmed by this Litestream, or it cannot confirm any more.
    pub(super) fn check_release(&self) {
        let launched =
            self.seen.iter().rposition(|(_, seen)| *seen == Seen::Did(Action::Launch)).unwrap_or(0);
        let excused = self.seen[launched..].iter().any(|(_, seen)| {
            matches!(
                seen,
                Seen::Did(Action::Note(
                    Note::NotDrained(_)
                        | Note::NotReplicated(_)
                        | Note::NotTakenIn(_)
                        | Note::GateTimeout
                        | Note::GateRefused
                        | Note::Diverged(_)
                ))
            )
        });
        let asked_in_gate = self.phases().iter().rev().nth(1) == Some(&Phase::Gating);
        let stuck = self.plan.tree_unkillable;
        assert!(
            self.dbs.is_safe() || excused || asked_in_gate || stuck,
            "released before the drain: {:?}\n{}",
            self.dbs.rows,
            self.story()
        );
    }
}
