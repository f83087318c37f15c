//! The end: signals to stop, the drain, what is left of the budget.

use std::time::{Duration, Instant};

use super::Machine;
use super::goal::{Goal, Stop};
use super::processes::App;
use crate::core::timer::Timer;
use crate::core::{Action, Cause, Db, ExitCode, Note, Phase};

/// Signals to stop that come sooner after each other are one: `timeout(1)` sends its TERM to its child and to the
/// group that this is in, a terminal to all of a job whose parts pass it on.
const ONE_BREATH: Duration = Duration::from_secs(1);

impl Machine {
    /// Decides that the unit ends; the budget runs from the first such decision.
    pub(super) fn aim_at_stop(&mut self, now: Instant, cause: Cause, code: ExitCode) {
        if self.goal.stop().is_none() {
            let deadline = now + self.policy.stop_timeout;
            self.goal = Goal::Stop(Stop { deadline, cause, code, relaunched: false });
            // Who could not begin at all has said so, and nobody waits for what another keeper has.
            if matches!(cause, Cause::App | Cause::NotDrained) {
                self.unconfirmed.append(&mut self.owed);
            }
        }
    }

    /// When the unit is to have ended; when a teardown that begins now is, if it is not to end.
    fn deadline(&self, now: Instant) -> Instant {
        self.goal.stop().map_or(now + self.policy.stop_timeout, |stop| stop.deadline)
    }

    /// The first begins the stop, the second skips the app's grace, the third ends everything. None
    /// is ever taken back, so they are counted over the whole life; those in one breath are one, whoever sent them.
    pub(super) fn stop_signal(&mut self, now: Instant, number: i32) {
        if self.stop_counted.is_some_and(|counted| now.saturating_duration_since(counted) < ONE_BREATH) {
            return;
        }
        self.stop_counted = Some(now);
        self.stop_signals += 1;
        match self.stop_signals {
            1 => self.begin_stop(now, Cause::App, ExitCode::of_signal(number)),
            2 => self.skip_grace(now),
            _ => self.end_now(now, (ExitCode::NOT_DRAINED, Cause::NotDrained), Note::EndingNow),
        }
    }

    /// Somebody else does the same work on a database, or believes that it does.
    pub(super) fn taken_by_another(&mut self, now: Instant, note: Note) {
        if self.goal.stop().is_none() {
            self.note(note);
            self.begin_stop(now, Cause::Taken, ExitCode::LOCKED);
        }
    }

    /// Whatever Litestream uploads from now on would be among another machine's files: nothing is drained.
    pub(super) fn lease_lost(&mut self, now: Instant, note: impl FnOnce(Vec<Db>) -> Note) {
        self.end_now(now, (ExitCode::LOCKED, Cause::Taken), note);
    }

    fn begin_stop(&mut self, now: Instant, cause: Cause, code: ExitCode) {
        if self.goal.stop().is_some() {
            return;
        }
        self.aim_at_stop(now, cause, code);
        self.note(Note::Stopping);
        // Of what is known it is said at the end what has become of it.
        if !self.opened && self.unconfirmed.is_empty() {
            self.note(Note::NotUp);
        }
        let deadline = self.deadline(now);
        let drained_by = deadline - self.policy.close_reserve();
        match self.phase {
            Phase::Preparing | Phase::Restoring | Phase::Resolving => {
                self.act(Action::Abort);
                self.timers.set(Timer::Abort, deadline);
            }
            Phase::Launching if self.unconfirmed.is_empty() => self.kill_litestream(now),
            Phase::Launching => self.timers.at_latest(Timer::Litestream, drained_by),
            Phase::Gating => self.drain(now),
            Phase::Before | Phase::Running => self.ask_app_to_stop(now),
            Phase::Stopping => self.timers.at_latest(Timer::Grace, self.grace_end(now)),
            Phase::Draining => self.timers.at_latest(Timer::Drain, drained_by),
            Phase::Closing => self.timers.at_latest(Timer::Litestream, deadline),
            Phase::Backoff if self.litestream.is_up() => self.drain(now),
            Phase::Backoff => self.litestream_down(now),
            Phase::Exited => {}
        }
    }

    fn skip_grace(&mut self, now: Instant) {
        if self.phase == Phase::Stopping {
            self.note(Note::GraceSkipped);
            self.kill_tree(now);
        }
    }

    /// Ends everything as it is: with this, unless it was to end, and all that there was is confirmed.
    fn end_now(&mut self, now: Instant, else_with: (ExitCode, Cause), note: impl FnOnce(Vec<Db>) -> Note) {
        let left: Vec<Db> = self.unconfirmed.iter().copied().chain(self.left_outside()).collect();
        let (code, cause) = match self.goal.stop() {
            Some(stop) if left.is_empty() => (stop.code, stop.cause),
            Some(_) | None => else_with,
        };
        self.note(note(left));
        if self.app != App::Gone {
            self.become_stopping();
            self.act(Action::KillTree);
        }
        self.kill_litestream(now);
        self.exit(code, cause);
    }

    /// Has every row of the app confirmed, then lets Litestream end.
    pub(super) fn drain(&mut self, now: Instant) {
        // What is outside has nobody to ask, but a last look tells whether there is something in it.
        if self.unconfirmed.is_empty() && self.members.outside().next().is_none() {
            self.disown_replaced();
            self.disown_wild();
            return self.close(now);
        }
        self.become_phase(Phase::Draining);
        self.undrained = self.unconfirmed.iter().copied().chain(self.members.outside()).collect();
        self.timers.set(Timer::Drain, self.deadline(now) - self.policy.close_reserve());
        self.act(Action::Drain);
    }

    pub(super) fn drained(&mut self, now: Instant, db: Db) {
        if self.phase != Phase::Draining || !self.undrained.remove(&db) {
            return;
        }
        // What is said of a file that is gone is left to the Litestream that opens the new one, and of a copy that has diverged to the
        // one that makes it anew.
        let is_meant = !self.lag.is_replaced(db) && !self.diverged.contains(&db);
        if self.confirms && is_meant && !self.members.is_outside(db) {
            self.unconfirmed.remove(&db);
        }
        self.drain_over(now);
    }

    /// The drain is over once nobody is left to answer.
    pub(super) fn drain_over(&mut self, now: Instant) {
        if self.undrained.is_empty() {
            // Without a socket Litestream only has all in hand now: its end is the answer.
            let is_whole = !self.disown_replaced() && !self.disown_wild();
            let is_whole = !self.disown_outside() && is_whole;
            let is_confirmed = is_whole && self.confirms && self.diverged.is_empty();
            if !self.say_never_made(is_confirmed) && is_confirmed {
                self.note(Note::Drained);
            }
            self.close(now);
        }
    }

    /// What is not there is on no replica, and nobody may believe that it is. Whether there is any; `rest` says that
    /// all else is confirmed.
    fn say_never_made(&mut self, rest: bool) -> bool {
        let dbs: Vec<Db> = self.absent.all().collect();
        let any = !dbs.is_empty();
        if any && self.goal.stop().is_some() {
            let rest = rest && self.databases().count() > dbs.len();
            self.note(Note::NeverMade { dbs, rest });
        }
        any
    }

    /// Whatever Litestream says of a database that was replaced, it says of another file. Whether
    /// there is one.
    fn disown_replaced(&mut self) -> bool {
        let replaced = self.lag.all_replaced();
        if replaced.is_empty() {
            return false;
        }
        self.note(Note::NotReplicated(replaced));
        self.end_undrained();
        true
    }

    /// What is confirmed now says nothing of what a process writes that is still there. Whether there may be one.
    fn disown_wild(&mut self) -> bool {
        if self.wild {
            let all: Vec<Db> = self.databases().collect();
            if !all.is_empty() {
                self.note(Note::NotDrained(all));
            }
            self.end_undrained();
        }
        self.wild
    }

    /// What is named and was never taken in is on no replica, nor what went while the app wrote to it. Whether there is any such.
    pub(super) fn disown_outside(&mut self) -> bool {
        let left = self.left_outside();
        let any = !left.is_empty() || !self.abandoned.is_empty();
        if any && self.goal.stop().is_some() {
            if !self.abandoned.is_empty() {
                self.note(Note::NotReplicated(self.abandoned.iter().copied().collect()));
            }
            if !left.is_empty() {
                self.note(Note::NotTakenIn(left));
            }
            self.end_undrained();
        }
        any
    }

    pub(super) fn drain_timed_out(&mut self, now: Instant) {
        self.not_drained();
        self.close(now);
    }

    pub(super) fn not_drained(&mut self) {
        let any_missed = self.disown_replaced() | self.say_never_made(false);
        // What was replaced is told as that.
        let there = |db: &&Db| !self.absent.is_missed(**db) && !self.lag.is_replaced(**db);
        let left: Vec<Db> = self.unconfirmed.iter().filter(there).copied().collect();
        let any_outside = self.disown_outside();
        // Where none of those is left that can be named, what is said of the others tells it.
        let left =
            if left.is_empty() && !any_missed && !any_outside { self.databases().collect() } else { left };
        if !left.is_empty() {
            self.note(Note::NotDrained(left));
        }
        self.end_undrained();
    }

    fn end_undrained(&mut self) {
        if let Goal::Stop(stop) = &mut self.goal {
            (stop.cause, stop.code) = (Cause::NotDrained, ExitCode::NOT_DRAINED);
        }
    }

    pub(super) fn databases(&self) -> impl Iterator<Item = Db> + '_ {
        self.members.all()
    }
}
