//! What the user decided, as the machine needs it.

use std::time::Duration;

use super::BackoffPolicy;

/// A database: those of the configuration by their place in it, then those that sources name, each by
/// a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Db(pub usize);

/// When an app that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Its end is the end of the whole unit.
    Never,
    /// Started again unless it ended with 0.
    OnFailure,
    /// Started again however it ended.
    Always,
}

/// What must be true before the app starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Each existing database is confirmed on its replica.
    Replicated,
    /// Litestream is up and each replica answered.
    Reachable,
    /// Litestream is up.
    None,
}

/// What happens when a change stays unconfirmed for longer than `max_lag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLag {
    /// A log line.
    Warn,
    /// A log line, and the unit is not ready until the replica has caught up.
    Unready,
    /// The app is stopped and the unit ends.
    Stop,
}

/// The settings that the machine acts on.
#[derive(Clone, Debug)]
pub struct Policy {
    /// When an app that ended is started again.
    pub restart: Restart,
    /// How long to wait between restarts, and when to give up.
    pub backoff: BackoffPolicy,
    /// The whole time from the decision to stop to the last process gone.
    pub stop_timeout: Duration,
    /// The signal that asks the app to stop.
    pub stop_signal: i32,
    /// What must be true before the app starts.
    pub gate: Gate,
    /// How long Litestream and the gate may go without progress.
    pub gate_timeout: Duration,
    /// How old an unconfirmed change may become.
    pub max_lag: Duration,
    /// What happens when one becomes older.
    pub on_lag: OnLag,
    /// How many one-shot commands run before the app.
    pub before: usize,
    /// How many databases the configuration names itself.
    pub databases: usize,
    /// Sources name databases as well: they are asked before the first launch.
    pub resolves: bool,
    /// How long after an answer they are asked again while the app runs.
    pub resolve_interval: Option<Duration>,
    /// How long the app may live on when Litestream has died: the shim sees to it.
    pub orphan_grace: Duration,
    /// There is a terminal, whose Ctrl-C and Ctrl-\ may reach the app alone, so its 130 or 131 is a stop.
    pub terminal: bool,
}

/// How long a stop takes at most where nobody says otherwise.
pub const STOP: Duration = Duration::from_secs(10);
/// The same in a container: Docker's KILL comes 10 s after its TERM, and the last word on what is not on the replica has to come before.
pub const STOP_IN_CONTAINER: Duration = Duration::from_secs(9);
/// The same on Fly, which ends the machine 5 s after its INT unless `kill_timeout` says otherwise.
pub const STOP_ON_FLY: Duration = Duration::from_secs(5);

/// The share of a stop that uploads have, of which the app's grace never gets any: two fifths.
pub fn drain_of(stop: Duration) -> Duration {
    stop * 2 / 5
}

/// The stop whose share for uploads is that long.
pub fn stop_for(drain: Duration) -> Duration {
    drain * 5 / 2
}

impl Policy {
    /// The part of the stop budget that the app's grace never gets ([`drain_of`]).
    pub fn drain_reserve(&self) -> Duration {
        drain_of(self.stop_timeout)
    }

    /// The part of the stop budget that is left for Litestream's own end when the drain has failed.
    pub(super) fn close_reserve(&self) -> Duration {
        (self.stop_timeout / 10).min(Duration::from_millis(500))
    }

    /// How long after a change its confirmation is asked for: often enough to notice a lag in time,
    /// seldom enough that a replica that bills by request does not notice.
    pub(super) fn confirm_delay(&self) -> Duration {
        (self.max_lag / 4).clamp(Duration::from_millis(100), Duration::from_secs(15))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tests::policy;

    #[test]
    fn what_is_left_for_litestreams_end_is_half_a_second_or_a_tenth_of_a_short_stop() {
        for (stop, reserve) in [(60_000, 500), (5000, 500), (2000, 200)] {
            let policy = Policy { stop_timeout: Duration::from_millis(stop), ..policy() };
            assert_eq!(policy.close_reserve(), Duration::from_millis(reserve), "{stop}");
        }
    }
}
