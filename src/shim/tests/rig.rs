//! A policy, its time, and what it wanted last.

use std::time::{Duration, Instant};

use nix::libc;

use crate::core::Ended;
use crate::shim::action::{Action, To};
use crate::shim::event::Event;
use crate::shim::policy::{Limits, Policy};
use crate::shim::stage::Stage;
use crate::shim::wire::ToKeeper;

pub(super) const APP: i32 = 70;
pub(super) const STOP: i32 = libc::SIGQUIT;

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// No grace for an orphan, as is the default.
pub(super) const LIMITS: Limits =
    Limits { birth: ms(30_000), orphan_grace: Duration::ZERO, grace: ms(9000), stop_signal: STOP };

pub(super) struct Rig {
    policy: Policy,
    now: Instant,
}

impl Rig {
    /// Nothing was ordered yet.
    pub(super) fn new(limits: Limits) -> Self {
        Self { policy: Policy::new(limits), now: Instant::now() }
    }

    /// A child is on its way to become the app.
    pub(super) fn becoming(limits: Limits) -> Self {
        let mut rig = Self::new(limits);
        assert_eq!(rig.sees(Event::Start), [Action::Start]);
        assert_eq!(rig.sees(Event::Born(APP)), []);
        rig
    }

    /// The app runs.
    pub(super) fn led(limits: Limits) -> Self {
        let mut rig = Self::becoming(limits);
        assert_eq!(rig.sees(Event::Became), [Action::Tell(ToKeeper::Started(APP)), Action::GiveBackMemory]);
        rig
    }

    /// The app's leader has ended, and two processes of it live.
    pub(super) fn left(limits: Limits) -> Self {
        let mut rig = Self::led(limits);
        assert_eq!(
            rig.sees(Event::LeaderEnded(Ended::Code(0), 2)),
            [Action::Tell(ToKeeper::Exited { code: 0, left: 2 })]
        );
        rig
    }

    /// What follows at once.
    pub(super) fn sees(&mut self, event: Event) -> Vec<Action> {
        self.policy.handle(self.now, event);
        self.wants()
    }

    /// What follows of a look after some time.
    pub(super) fn passes(&mut self, time: Duration) -> Vec<Action> {
        self.now += time;
        self.policy.handle_timeout(self.now);
        self.wants()
    }

    fn wants(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.policy.poll_action()).collect()
    }

    /// How long it can be left alone.
    pub(super) fn sleeps(&self) -> Option<Duration> {
        self.policy.poll_timeout().map(|at| at.saturating_duration_since(self.now))
    }

    pub(super) fn stage(&self) -> Stage {
        self.policy.stage()
    }

    pub(super) fn leader(&self) -> Option<i32> {
        self.policy.leader()
    }
}

/// A signal that wakes nobody.
pub(super) fn plain(to: To, number: i32) -> Action {
    Action::Signal { to, number, wakes: false }
}

/// The signal to stop, which whoever is stopped is to hear.
pub(super) fn stop(to: To) -> Action {
    Action::Signal { to, number: STOP, wakes: true }
}
