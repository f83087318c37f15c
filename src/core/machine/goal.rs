//! What the machine is after.

use std::time::{Duration, Instant};

use crate::core::{Cause, ExitCode};

/// What the current teardown leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Nothing is being torn down.
    Run,
    /// The app comes back after this delay; Litestream stays.
    RestartApp(Duration),
    /// Litestream comes back, and the app with it.
    Relaunch {
        /// How long the lost Litestream had been of use.
        lived: Duration,
    },
    /// The unit ends.
    Stop(Stop),
}

impl Goal {
    /// How the unit ends, if it is to end.
    pub(super) fn stop(self) -> Option<Stop> {
        match self {
            Self::Stop(stop) => Some(stop),
            Self::Run | Self::RestartApp(_) | Self::Relaunch { .. } => None,
        }
    }

    /// Whether this Litestream is to stay.
    pub(super) fn keeps_litestream(self) -> bool {
        match self {
            Self::Run | Self::RestartApp(_) => true,
            Self::Relaunch { .. } | Self::Stop(_) => false,
        }
    }
}

/// How the unit ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    pub(super) deadline: Instant,
    /// Whose word the code is.
    pub(super) cause: Cause,
    /// What the app ended with, the signal that came before there was an app, or a reason of the keeper's own.
    pub(super) code: ExitCode,
    /// Litestream was started again to drain.
    pub(super) relaunched: bool,
}

impl Stop {
    /// Waiting longer would not help: the drain has had its time.
    pub(super) fn is_not_drained(self) -> bool {
        self.cause == Cause::NotDrained
    }
}
