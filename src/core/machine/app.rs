//! The app and the one-shot commands before it: from their start to the last process of their tree.

use std::time::{Duration, Instant};

use super::Machine;
use super::goal::Goal;
use super::processes::{App, Litestream};
use crate::core::status::{AppEnd, WhyEnded};
use crate::core::timer::Timer;
use crate::core::{Action, Cause, Ended, ExitCode, NotStarted, Note, Phase, Restart};

/// How a process ends that got a SIGKILL (`signal(7)`).
const KILLED: Ended = Ended::Signal(9);

impl Machine {
    /// Runs the next one-shot command, or the app after the last.
    pub(super) fn run_next(&mut self, now: Instant) {
        if self.runs_before() {
            self.become_phase(Phase::Before);
            self.start(now, Action::StartBefore(self.before_done));
        } else {
            self.run(now);
        }
    }

    fn run(&mut self, now: Instant) {
        self.become_phase(Phase::Running);
        self.app_lives.begin();
        self.start(now, Action::StartApp);
        self.absent.restarted(now);
        self.set_ready(self.may_be_ready());
        self.asks_from_now_on(now);
    }

    fn start(&mut self, now: Instant, action: Action) {
        self.app = App::Up(now);
        self.unconfirmed = self.databases().collect();
        self.act(action);
    }

    /// What runs, or is next to run, is a one-shot command.
    fn runs_before(&self) -> bool {
        self.before_done < self.policy.before
    }

    pub(super) fn signal(&mut self, number: i32) {
        if matches!(self.app, App::Up(_)) {
            self.act(Action::SignalApp(number));
        }
    }

    pub(super) fn app_not_started(&mut self, now: Instant, why: NotStarted) {
        if !matches!(self.app, App::Up(_)) {
            return;
        }
        self.note(Note::AppNotStarted(why));
        // No restart mends a wrong command, nor brings a database back.
        let code = why.exit_code();
        self.aim_at_stop(now, Cause::NotStarted, code);
        self.become_stopping();
        self.torn_down(now);
    }

    pub(super) fn app_ended(&mut self, now: Instant, how: Ended, left: u32) {
        let App::Up(since) = self.app else { return };
        self.app = App::Leftovers;
        self.ended = Some(how);
        self.note_end(how);
        let by_itself = matches!(self.phase, Phase::Running | Phase::Before);
        if self.phase == Phase::Running {
            self.app_ended_by_itself(now, how, since);
        } else if self.phase == Phase::Stopping {
            self.app_ended_as_asked(how);
        }
        if left > 0 {
            if by_itself {
                self.note(Note::LeftBehind(left, how));
            }
            self.end_leftovers(now);
        } else {
            self.tree_over(now);
        }
    }

    /// Remembers how the app ended, for whoever asks.
    fn note_end(&mut self, how: Ended) {
        if self.runs_before() {
            return;
        }
        let why = match (self.phase, self.goal) {
            (Phase::Running, _) | (_, Goal::Run | Goal::RestartApp(_)) => WhyEnded::Itself,
            (_, Goal::Relaunch { .. }) => WhyEnded::Litestream,
            (_, Goal::Stop(_)) => WhyEnded::Stopped,
        };
        self.app_lives.end(AppEnd { how, why });
    }

    fn app_ended_by_itself(&mut self, now: Instant, how: Ended, since: Instant) {
        let delay =
            if self.restarts(how) { self.app_backoff.next(now, now.duration_since(since)) } else { None };
        match delay {
            Some(delay) => {
                self.note(Note::AppRestart(how, delay));
                self.goal = Goal::RestartApp(delay);
            }
            None => {
                self.note(if self.restarts(how) { Note::AppGivenUp(how) } else { Note::AppEnded(how) });
                self.aim_at_stop(now, Cause::App, how.exit_code());
            }
        }
        self.become_stopping();
        self.timers.set(Timer::Grace, self.grace_end(now));
    }

    fn restarts(&self, how: Ended) -> bool {
        match (self.policy.restart, how) {
            (Restart::Never, _) | (Restart::OnFailure, Ended::Code(0)) => false,
            // Ctrl-C or Ctrl-\ went to the app alone: 130 and 131 are how it passes it on.
            (_, Ended::Code(130 | 131) | Ended::Signal(2 | 3)) if self.policy.terminal => false,
            (Restart::OnFailure | Restart::Always, _) => true,
        }
    }

    fn app_ended_as_asked(&mut self, how: Ended) {
        let before = self.runs_before();
        let Goal::Stop(stop) = &mut self.goal else { return };
        if before && how == Ended::Code(0) {
            // A command that came to its end in time is no app that ended well: none ever ran.
            return;
        }
        if how == KILLED && !self.litestream.is_up() {
            // Its shim killed it when Litestream died: that is no answer to the stop.
            return;
        }
        // A reason of the keeper's own outweighs it.
        if stop.cause == Cause::App {
            stop.code = how.exit_code();
        }
        self.note(if before { Note::BeforeFailed(self.before_done, how) } else { Note::AppEnded(how) });
    }

    fn end_leftovers(&mut self, now: Instant) {
        match self.goal {
            Goal::Run | Goal::RestartApp(_) => self.kill_tree(now),
            // What a shell wrapper started may still want to end in order.
            Goal::Relaunch { .. } | Goal::Stop(_) => self.act(Action::SignalTree(self.policy.stop_signal)),
        }
    }

    pub(super) fn ask_app_to_stop(&mut self, now: Instant) {
        self.become_stopping();
        match self.app {
            App::Up(_) => self.act(Action::SignalApp(self.policy.stop_signal)),
            App::Leftovers | App::Gone => self.act(Action::SignalTree(self.policy.stop_signal)),
        }
        self.timers.set(Timer::Grace, self.grace_end(now));
    }

    pub(super) fn grace_end(&self, now: Instant) -> Instant {
        match self.goal.stop() {
            Some(stop) => stop.deadline - self.policy.drain_reserve(),
            None => now + self.policy.stop_timeout,
        }
    }

    /// How long the app may take to stop.
    fn grace(&self) -> Duration {
        match self.goal.stop() {
            Some(_) => self.policy.stop_timeout - self.policy.drain_reserve(),
            None => self.policy.stop_timeout,
        }
    }

    pub(super) fn grace_over(&mut self, now: Instant) {
        // With Litestream dead this is for the shim that could not kill the tree.
        if self.litestream.is_up() {
            self.note(Note::GraceOver(self.grace()));
        }
        self.kill_tree(now);
    }

    pub(super) fn kill_tree(&mut self, now: Instant) {
        self.act(Action::KillTree);
        self.timers.stop(Timer::Grace);
        self.timers.set(Timer::Tree, now + self.policy.drain_reserve() / 4);
    }

    /// The shim is to end the tree, but whoever it runs as can stop it (SIGSTOP). A dead one takes the app along.
    pub(super) fn tree_stuck(&mut self, now: Instant) {
        if self.litestream.is_up() && !std::mem::replace(&mut self.shim_killed, true) {
            self.note(Note::ShimStuck);
            self.act(Action::KillShim);
            self.timers.set(Timer::Tree, now + self.policy.drain_reserve() / 4);
            return;
        }
        match self.goal {
            // What sleeps in the kernel cannot be waited for: save what there is to save.
            Goal::Stop(_) => {
                self.note(Note::TreeStuck);
                self.wild = true;
                self.tree_over(now);
            }
            Goal::Run | Goal::RestartApp(_) | Goal::Relaunch { .. } => {
                self.note(Note::TreeStuck);
                self.kill_tree(now);
            }
        }
    }

    pub(super) fn tree_gone(&mut self, now: Instant) {
        let gone = match self.app {
            App::Gone => false,
            App::Leftovers => true,
            // Only a shim that is gone leaves its leader's end untold.
            App::Up(_) => !self.litestream.is_up(),
        };
        if gone && matches!(self.app, App::Up(_)) {
            self.note_end(KILLED);
        }
        if gone {
            self.tree_over(now);
        }
    }

    fn tree_over(&mut self, now: Instant) {
        let ended = self.ended.take();
        match ended {
            Some(how) if self.phase == Phase::Before => self.before_ended(now, how),
            Some(_) | None => self.torn_down(now),
        }
    }

    fn before_ended(&mut self, now: Instant, how: Ended) {
        self.app = App::Gone;
        if how != Ended::Code(0) {
            self.note(Note::BeforeFailed(self.before_done, how));
            self.aim_at_stop(now, Cause::Before, how.exit_code());
            self.become_stopping();
            return self.torn_down(now);
        }
        self.before_done += 1;
        if self.runs_before() {
            self.run_next(now);
        } else {
            // What the commands wrote is confirmed before the app adds to it.
            self.open_gate(now);
        }
    }

    /// The app's tree is gone: on to whatever this teardown is for.
    fn torn_down(&mut self, now: Instant) {
        self.app = App::Gone;
        match (self.litestream, self.goal) {
            // An app that comes back writes to a file that nobody replicates, or makes a new one in place of the old.
            (Litestream::Up, Goal::RestartApp(_)) if !self.lag.all_replaced().is_empty() => {
                self.aim_at_stop(now, Cause::NotDrained, ExitCode::NOT_DRAINED);
                self.drain(now);
            }
            (Litestream::Up, Goal::RestartApp(delay)) => {
                self.become_phase(Phase::Backoff);
                self.timers.set(Timer::Backoff, now + delay);
            }
            (Litestream::Up, Goal::Run | Goal::Relaunch { .. } | Goal::Stop(_)) => self.drain(now),
            (Litestream::Launching | Litestream::Ending { .. }, _) => self.close(now),
            (Litestream::Down, _) => self.litestream_down(now),
        }
    }

    pub(super) fn backoff_over(&mut self, now: Instant) {
        if self.litestream.is_up() {
            self.goal = Goal::Run;
            self.run(now);
        } else {
            self.launch(now);
        }
    }
}
