//! The machine's timers: an enum and a slot each.

use std::time::Instant;

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// The end of what was aborted.
    Abort,
    /// The next start of the app or of Litestream.
    Backoff,
    /// Progress of the gate.
    Gate,
    /// The next word about a slow gate.
    GateReport,
    /// The end of the app's grace.
    Grace,
    /// The end of what was killed.
    Tree,
    /// The end of the drain.
    Drain,
    /// Litestream's first word by its shim, or its end.
    Litestream,
}

impl Timer {
    const ALL: [Self; 8] = [
        Self::Abort,
        Self::Backoff,
        Self::Gate,
        Self::GateReport,
        Self::Grace,
        Self::Tree,
        Self::Drain,
        Self::Litestream,
    ];
}

/// A deadline for each timer that runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers([Option<Instant>; Timer::ALL.len()]);

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    /// As [`Timers::set`], unless it runs out earlier already.
    pub(super) fn at_latest(&mut self, timer: Timer, at: Instant) {
        let earlier = self.0[timer as usize].filter(|set| *set <= at);
        self.set(timer, earlier.unwrap_or(at));
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(super) fn stop_all(&mut self) {
        self.0 = Default::default();
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes a timer that is due, the earliest first.
    pub(super) fn expired(&mut self, now: Instant) -> Option<Timer> {
        let due = Timer::ALL
            .into_iter()
            .filter_map(|timer| self.0[timer as usize].map(|at| (at, timer)))
            .filter(|(at, _)| *at <= now)
            .min_by_key(|(at, _)| *at)?;
        self.stop(due.1);
        Some(due.1)
    }
}
