//! Where the unit is, and where it may go from there.

/// A phase of the unit's life.
///
/// ```text
/// Preparing ─ Restoring ─ Launching ─ Gating ─ Before ─ Gating ─ Running ─ Stopping ─ Draining ─ Closing ─ Exited
///                             ^                                     │          │           │         │
///                             │                                     │  app crash, Litestream stays   │
///                             └──────────── Backoff ────────────────┴──────────┘  Litestream died ───┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Looking at the databases, their replicas and Litestream.
    Preparing,
    /// Restoring what is missing.
    Restoring,
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
    pub const ALL: [Self; 11] = [
        Self::Preparing,
        Self::Restoring,
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
            Preparing => matches!(next, Restoring | Launching | Exited),
            Restoring => matches!(next, Launching | Exited),
            Launching => matches!(next, Gating | Draining | Closing | Backoff | Exited),
            Gating => matches!(next, Before | Running | Draining | Closing | Launching | Backoff | Exited),
            Before => matches!(next, Gating | Stopping | Exited),
            Running => matches!(next, Stopping | Exited),
            Stopping => matches!(next, Draining | Closing | Launching | Backoff | Exited),
            Draining => matches!(next, Closing | Launching | Backoff | Exited),
            Closing => matches!(next, Launching | Backoff | Exited),
            Backoff => matches!(next, Running | Launching | Draining | Closing | Backoff | Exited),
            Exited => false,
        }
    }

    /// Whether a process of the app may live in this phase.
    pub fn allows_app(self) -> bool {
        matches!(self, Self::Before | Self::Running | Self::Stopping)
    }
}
