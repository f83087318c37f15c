//! Litestream's end, and what comes after it.

use std::time::{Duration, Instant};

use super::Machine;
use super::goal::{Goal, Stop};
use super::processes::{App, Litestream};
use crate::core::status::Lost;
use crate::core::timer::Timer;
use crate::core::{Action, Cause, Db, ExitCode, Note, OnLag, Phase};

/// How long Litestream may take to end when its shim is gone and nothing is stopping yet.
const ORPHANED_CLOSE: Duration = Duration::from_secs(30);

/// How long the kernel may take to carry out a SIGKILL.
const KILLED: Duration = Duration::from_secs(1);

/// Between two attempts to drain with a fresh Litestream.
const DRAIN_AGAIN: Duration = Duration::from_millis(200);

impl Machine {
    /// Somebody told it to stop: it waits for its shim.
    pub(super) fn litestream_asked(&mut self, now: Instant) {
        if !self.litestream.is_up() || !self.goal.keeps_litestream() {
            return;
        }
        self.note(Note::LitestreamAsked);
        self.aim_at_relaunch(now, Lost::Asked);
        if self.app == App::Gone {
            self.drain(now);
        } else if self.phase != Phase::Stopping {
            self.ask_app_to_stop(now);
        }
    }

    /// Only a fresh Litestream, started on a log that was emptied, copies this database anew.
    pub(super) fn diverged(&mut self, now: Instant, db: Db) {
        if !self.litestream.is_up() {
            return;
        }
        if self.diverged.insert(db) {
            self.note(Note::Diverged(db));
        }
        self.aim_at_relaunch(now, Lost::Diverged);
        if self.app == App::Gone {
            self.close(now);
        } else if self.phase != Phase::Stopping {
            self.ask_app_to_stop(now);
        }
    }

    /// A new copy of a database would take the place of a backup that may be whole, and no other launch changes that.
    pub(super) fn damaged(&mut self, now: Instant) {
        if self.phase != Phase::Launching || self.litestream != Litestream::Launching {
            return;
        }
        self.litestream = Litestream::Down;
        self.aim_at_stop(now, Cause::Damaged, ExitCode::UNAVAILABLE);
        if !self.unconfirmed.is_empty() {
            self.not_drained();
        } else {
            self.disown_outside();
        }
        self.exit_or(ExitCode::UNAVAILABLE, Cause::Damaged);
    }

    pub(super) fn shim_gone(&mut self, now: Instant) {
        match self.litestream {
            Litestream::Up => {
                if self.goal.keeps_litestream() {
                    self.note(Note::ShimDied);
                }
                self.litestream = Litestream::Ending { looked: false };
                self.lost(now, Lost::ShimDied);
            }
            // It never said a word: the end of Litestream, which comes with this, says what it means.
            Litestream::Launching => self.timers.at_latest(Timer::Litestream, now + ORPHANED_CLOSE),
            // Its end was wanted, or follows from Litestream's; what it left behind is not.
            Litestream::Ending { .. } | Litestream::Down => {
                if self.app != App::Gone {
                    self.kill_tree(now);
                }
            }
        }
    }

    pub(super) fn litestream_ended(&mut self, now: Instant, clean: bool) {
        let before = std::mem::replace(&mut self.litestream, Litestream::Down);
        if before == Litestream::Down {
            return;
        }
        if self.phase == Phase::Closing {
            let synced = clean && before == Litestream::Ending { looked: true };
            if synced && !self.confirms && self.lag.all_replaced().is_empty() {
                // Without a socket Litestream's own final sync is the drain.
                self.unconfirmed.clear();
            }
            return self.litestream_down(now);
        }
        if self.phase == Phase::Launching && !self.opened && self.goal == Goal::Run {
            self.note(Note::LitestreamNotStarted);
            return self.exit(ExitCode::LITESTREAM, Cause::Litestream);
        }
        if self.goal.keeps_litestream() {
            self.note(Note::LitestreamDied);
        }
        self.lost(now, Lost::Died);
    }

    /// Litestream or its shim is gone without having been asked: so is the app, or soon will be.
    fn lost(&mut self, now: Instant, why: Lost) {
        self.aim_at_relaunch(now, why);
        let ending = matches!(self.litestream, Litestream::Ending { .. });
        if self.app != App::Gone {
            self.become_stopping();
            if ending {
                // No shim is left to see to the app's tree.
                self.kill_tree(now);
            } else {
                // The shim has killed it already; this is for the shim that could not.
                self.timers.at_latest(Timer::Grace, now + self.policy.orphan_grace + KILLED);
            }
        } else if ending {
            self.close(now);
        } else {
            self.litestream_down(now);
        }
    }

    /// Nothing runs: start again, drain what a dead Litestream left, or end.
    pub(super) fn litestream_down(&mut self, now: Instant) {
        match self.goal {
            Goal::Stop(stop) if stop.is_not_drained() => self.exit(stop.code, stop.cause),
            // It died before those that it did not have yet could be tried.
            Goal::Stop(stop) if self.phase != Phase::Closing && !self.left_outside().is_empty() => {
                self.drain_again(now, stop);
            }
            Goal::Stop(stop) if self.unconfirmed.is_empty() => {
                // What was drained may have been all that there was; what is outside was never drained.
                self.disown_outside();
                let stop = self.goal.stop().unwrap_or(stop);
                self.exit(stop.code, stop.cause);
            }
            // A launch would copy another file over the backup: whether it may be is for a start to find out.
            Goal::Run | Goal::RestartApp(_) | Goal::Relaunch { .. } | Goal::Stop(_)
                if !self.lag.all_replaced().is_empty() =>
            {
                self.aim_at_stop(now, Cause::NotDrained, ExitCode::NOT_DRAINED);
                self.not_drained();
                self.exit(ExitCode::NOT_DRAINED, Cause::NotDrained);
            }
            Goal::Stop(stop) => self.drain_again(now, stop),
            Goal::Run | Goal::RestartApp(_) | Goal::Relaunch { .. } => self.relaunch_later(now),
        }
    }

    /// Its client may sleep for 20 s between two tries, and a fresh one asks at once. What it has copied stays; only where
    /// this Litestream ends anyway there is no reason to wait.
    pub(super) fn silent(&mut self, now: Instant) {
        let has_time = match self.goal {
            Goal::Stop(stop) => now + self.policy.close_reserve() < stop.deadline,
            Goal::Relaunch { .. } => true,
            Goal::Run | Goal::RestartApp(_) => false,
        };
        let is_waited_for =
            self.phase == Phase::Draining && !self.undrained.is_empty() && self.litestream.is_up();
        if has_time && is_waited_for && !self.killed {
            self.note(Note::DrainAfresh);
            self.kill_litestream(now);
        }
    }

    /// It may never go on: a fresh one does.
    pub(super) fn stalled(&mut self, now: Instant, db: Db) {
        if self.phase != Phase::Running || !self.litestream.is_up() || !self.lag.is_exceeded_by(db) {
            return;
        }
        self.note(Note::Stalled(db));
        if self.policy.on_lag != OnLag::Warn {
            self.aim_at_relaunch(now, Lost::Stalled);
            self.ask_app_to_stop(now);
        }
    }

    fn drain_again(&mut self, now: Instant, stop: Stop) {
        // The first time at once, and then not in a busy loop.
        let again = stop.relaunched || self.phase == Phase::Launching;
        let at = if again { now + DRAIN_AGAIN } else { now };
        if at + self.policy.close_reserve() >= stop.deadline {
            self.not_drained();
            return self.exit(ExitCode::NOT_DRAINED, Cause::NotDrained);
        }
        if again {
            self.become_phase(Phase::Backoff);
            self.timers.set(Timer::Backoff, at);
        } else {
            self.goal = Goal::Stop(Stop { relaunched: true, ..stop });
            self.note(Note::DrainRelaunch);
            self.launch(now);
        }
    }

    fn relaunch_later(&mut self, now: Instant) {
        self.aim_at_relaunch(now, Lost::Died);
        let lived = match self.goal {
            Goal::Relaunch { lived } => lived,
            Goal::Run | Goal::RestartApp(_) | Goal::Stop(_) => Duration::ZERO,
        };
        match self.litestream_backoff.next(now, lived) {
            Some(delay) => {
                self.note(Note::LitestreamRestart(delay));
                self.become_phase(Phase::Backoff);
                self.timers.set(Timer::Backoff, now + delay);
            }
            None => {
                self.note(Note::LitestreamGivenUp);
                self.exit(ExitCode::LITESTREAM, Cause::Litestream);
            }
        }
    }

    /// Decides that Litestream comes back, unless the unit ends; its life is over with this decision.
    pub(super) fn aim_at_relaunch(&mut self, now: Instant, why: Lost) {
        // Counted from the gate: what never got there is a failure, however long it took.
        let since = self.up_since.take();
        if self.goal.keeps_litestream() {
            let lived = since.map_or(Duration::ZERO, |since| now.duration_since(since));
            self.goal = Goal::Relaunch { lived };
            self.litestream_lives.end(why);
        }
    }

    /// Lets Litestream end by itself.
    pub(super) fn close(&mut self, now: Instant) {
        let looked = self.phase == Phase::Draining && self.undrained.is_empty();
        self.become_phase(Phase::Closing);
        if self.litestream.is_up() {
            self.litestream = Litestream::Ending { looked };
            self.act(Action::Release);
        }
        let limit = match self.goal.stop() {
            Some(stop) => stop.deadline.max(now + self.policy.close_reserve()),
            None => now + ORPHANED_CLOSE,
        };
        self.timers.set(Timer::Litestream, limit);
    }

    /// It did not come up, or did not end, in its time.
    pub(super) fn litestream_late(&mut self, now: Instant) {
        if self.killed {
            // It sleeps in the kernel; nobody waits for it any longer.
            return self.litestream_ended(now, false);
        }
        let launching = self.phase == Phase::Launching;
        self.note(if launching { Note::LaunchTimeout } else { Note::CloseTimeout });
        self.kill_litestream(now);
    }

    pub(super) fn kill_litestream(&mut self, now: Instant) {
        if self.litestream != Litestream::Down && !std::mem::replace(&mut self.killed, true) {
            self.act(Action::KillLitestream);
            self.timers.set(Timer::Litestream, now + KILLED);
        }
    }
}
