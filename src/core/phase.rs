//! Where the unit is, and where it may go from there.

/// A phase of the unit's life.
///
/// ```text
/// Preparing ── Restoring ── Resolving ── Restoring
///     └───────────┼─────────────┴───────────┘
///                 v
///   ┌─────────> Launching ─────────────────────────────┐
///   │             v                                    │ to drain what a dead
///   │           Gating <──> Before ─┐                  │ Litestream left
///   │             v                 v                  v
///   │           Running ────────> Stopping ────────> Draining ──> Closing ──> Exited
///   │             ^                 │                  │            │
///   │             │ the app alone   v                  │            │
///   └───────────Backoff <───────────┴──────────────────┴────────────┘
/// ```
///
/// Besides:
/// - `Launching` and `Gating` may go to `Backoff`, `Gating` and `Backoff` to `Draining` and
///   `Closing`: Litestream fails, or the unit stops there.
/// - `Stopping`, `Draining` and `Closing` may go straight to `Launching`: Litestream died during a
///   stop and comes back at once, only to drain.
/// - `Before` follows itself, once for each command, and `Backoff` itself: Litestream dies while the
///   app's restart is waited for.
/// - All but `Before` and `Running` may go to `Exited`: a living app is always torn down first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Looking at the databases, their replicas and Litestream.
    Preparing,
    /// Restoring what is missing.
    Restoring,
    /// Asking the sources for further databases.
    Resolving,
    /// Waiting for Litestream to start the shim.
    Launching,
    /// Waiting for the replicas to confirm.
    Gating,
    /// Running the one-shot commands.
    Before,
    /// Running the app.
    Running,
    /// Ending the app's tree.
    Stopping,
    /// Waiting for the replicas to confirm the last writes.
    Draining,
    /// Waiting for Litestream to end.
    Closing,
    /// Waiting to start the app or Litestream again.
    Backoff,
    /// Over.
    Exited,
}

impl Phase {
    /// All phases, in the order of a life without faults.
    #[cfg(test)]
    pub const ALL: [Self; 12] = [
        Self::Preparing,
        Self::Restoring,
        Self::Resolving,
        Self::Launching,
        Self::Gating,
        Self::Before,
        Self::Running,
        Self::Stopping,
        Self::Draining,
        Self::Closing,
        Self::Backoff,
        Self::Exited,
    ];

    /// The one table of transitions.
    pub fn may_become(self, next: Self) -> bool {
        use Phase::*;
        match self {
            Preparing => matches!(next, Restoring | Resolving | Launching | Exited),
            Restoring => matches!(next, Resolving | Launching | Exited),
            Resolving => matches!(next, Restoring | Launching | Exited),
            Launching => matches!(next, Gating | Draining | Closing | Backoff | Exited),
            Gating => matches!(next, Before | Running | Draining | Closing | Backoff | Exited),
            Before => matches!(next, Before | Gating | Stopping),
            Running => matches!(next, Stopping),
            Stopping => matches!(next, Draining | Closing | Launching | Backoff | Exited),
            Draining => matches!(next, Closing | Launching | Backoff | Exited),
            Closing => matches!(next, Launching | Backoff | Exited),
            Backoff => matches!(next, Running | Launching | Draining | Closing | Backoff | Exited),
            Exited => false,
        }
    }

    /// Whether a process of the app may live in this phase; in no other does one.
    pub fn allows_app(self) -> bool {
        matches!(self, Self::Before | Self::Running | Self::Stopping)
    }

    /// Whether there is no such phase without a Litestream that is up.
    pub(super) fn needs_litestream(self) -> bool {
        matches!(self, Self::Gating | Self::Before | Self::Running | Self::Draining)
    }

    /// Whether it ends by itself after some time. The others wait for what a user's command does;
    /// each of them has a deadline as soon as the unit is to stop.
    pub(super) fn has_deadline(self) -> bool {
        !matches!(
            self,
            Self::Preparing | Self::Restoring | Self::Resolving | Self::Before | Self::Running | Self::Exited
        )
    }

    /// Returns it in a word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Restoring => "restoring",
            Self::Resolving => "resolving",
            Self::Launching => "launching",
            Self::Gating => "gating",
            Self::Before => "before",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Draining => "draining",
            Self::Closing => "closing",
            Self::Backoff => "backoff",
            Self::Exited => "exited",
        }
    }

    /// Returns it in a sentence.
    pub(super) fn told(self) -> &'static str {
        match self {
            Self::Preparing => "the databases and their replicas are being looked at",
            Self::Restoring => "databases are being restored",
            Self::Resolving => "the sources are being asked for databases",
            Self::Launching => "litestream is being started",
            Self::Gating => "the replicas have not confirmed the databases yet",
            Self::Before => "a one-shot command runs before the app",
            Self::Running => "the app runs",
            Self::Stopping => "the app is being stopped",
            Self::Draining => "the last writes are being confirmed",
            Self::Closing => "litestream is ending",
            Self::Backoff => "the next start is being waited for",
            Self::Exited => "all is over",
        }
    }
}
