//! From nothing to a gate that is open.

use std::time::{Duration, Instant};

use super::Machine;
use super::goal::Goal;
use super::processes::Litestream;
use crate::core::status::Lost;
use crate::core::timer::Timer;
use crate::core::{Action, Cause, Db, ExitCode, Gate, Note, Phase};

/// How often a slow gate is reported.
const GATE_REPORT: Duration = Duration::from_secs(10);

impl Machine {
    pub(super) fn prepared(&mut self, now: Instant, restore: bool, confirms: bool) {
        if self.phase != Phase::Preparing {
            return;
        }
        self.confirms = confirms;
        self.prepare_next(now, restore);
    }

    /// Before anything is confirmed there is something to answer for.
    pub(super) fn owed(&mut self, db: Db) {
        if self.members.counts(db) && !self.opened && self.goal.stop().is_none() {
            self.owed.insert(db);
        }
    }

    /// Restores what is missing, asks the sources, restores what is missing of theirs, launches.
    pub(super) fn prepare_next(&mut self, now: Instant, restore: bool) {
        if self.goal.stop().is_some() {
            self.exit_unprepared(ExitCode::OK);
        } else if restore {
            self.become_phase(Phase::Restoring);
            self.act(Action::Restore);
        } else if self.policy.resolves && !std::mem::replace(&mut self.resolved, true) {
            self.become_phase(Phase::Resolving);
            self.act(Action::Resolve);
        } else {
            self.launch(now);
        }
    }

    pub(super) fn restored(&mut self, now: Instant) {
        if self.phase != Phase::Restoring {
            return;
        }
        self.prepare_next(now, false);
    }

    pub(super) fn not_prepared(&mut self, expected: Phase, code: ExitCode) {
        if self.phase == expected {
            self.exit_unprepared(code);
        }
    }

    /// Nothing was launched that could drain what an earlier run left.
    fn exit_unprepared(&mut self, code: ExitCode) {
        if self.goal.stop().is_some() && !self.unconfirmed.is_empty() {
            self.not_drained();
        }
        self.exit_or(code, Cause::Start);
    }

    /// What was aborted sleeps in the kernel; nobody waits for it any longer.
    pub(super) fn abort_timed_out(&mut self) {
        if self.goal.stop().is_some() {
            self.exit_unprepared(ExitCode::OK);
        }
    }

    pub(super) fn launch(&mut self, now: Instant) {
        self.become_phase(Phase::Launching);
        self.litestream = Litestream::Launching;
        self.litestream_lives.begin();
        self.killed = false;
        self.shim_killed = false;
        self.diverged.clear();
        self.relaunch_members();
        self.lag.relaunched();
        let limit = match self.goal.stop() {
            // It comes back only to drain, within what is left of the budget.
            Some(stop) => stop.deadline - self.policy.close_reserve(),
            None => {
                self.goal = Goal::Run;
                now + self.policy.gate_timeout
            }
        };
        self.timers.set(Timer::Litestream, limit);
        self.act(Action::Launch);
    }

    pub(super) fn shim_ready(&mut self, now: Instant) {
        // The word of a Litestream that was killed meanwhile comes too late.
        if self.phase != Phase::Launching || self.killed {
            return;
        }
        self.litestream = Litestream::Up;
        match self.goal.stop() {
            Some(_) => self.drain(now),
            None => self.open_gate(now),
        }
    }

    pub(super) fn open_gate(&mut self, now: Instant) {
        self.become_phase(Phase::Gating);
        if self.policy.gate == Gate::None {
            return self.gate_opened(now);
        }
        self.gate_since = Some(now);
        self.timers.set(Timer::Gate, now + self.policy.gate_timeout);
        self.timers.set(Timer::GateReport, now + GATE_REPORT);
        self.act(Action::OpenGate);
        self.asks_from_now_on(now);
    }

    pub(super) fn gate_progress(&mut self, now: Instant) {
        if self.phase == Phase::Gating {
            self.timers.set(Timer::Gate, now + self.policy.gate_timeout);
        }
    }

    pub(super) fn gate_report(&mut self, now: Instant) {
        if let Some(since) = self.gate_since {
            self.note(Note::GateWaiting(now.duration_since(since)));
            self.timers.set(Timer::GateReport, now + GATE_REPORT);
        }
    }

    pub(super) fn gate_opened(&mut self, now: Instant) {
        if self.phase != Phase::Gating {
            return;
        }
        self.note(Note::GateOpened);
        self.opened = true;
        self.up_since.get_or_insert(now);
        if self.policy.gate == Gate::Replicated && self.confirms {
            let unnamed = self.members.unnamed();
            self.unconfirmed.retain(|db| unnamed.contains(db));
            self.owed.retain(|db| unnamed.contains(db));
            self.lag.reset_but(unnamed);
            self.absent.all_confirmed();
        }
        self.run_next(now);
    }

    pub(super) fn gate_failed(&mut self, now: Instant, note: Note) {
        if self.phase != Phase::Gating {
            return;
        }
        self.note(note);
        if self.opened {
            self.aim_at_relaunch(now, Lost::Gate);
        } else {
            self.aim_at_stop(now, Cause::Gate, ExitCode::UNAVAILABLE);
        }
        self.close(now);
    }
}
