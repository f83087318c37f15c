//! Whom a shim has, and may lose.

/// Whom the shim still has.
///
/// ```text
///    ┌─────────────────────────────────────────┐
///    ├───────────────────────────┐             │
///    │                           v             v
/// Serving ──> WithoutKeeper ──> Draining ──> Over
///    │              │                         ^ ^
///    v              v                         │ │
/// WithoutLitestream ──> WithoutBoth ──────────┘ │
///    └──────────────────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Both: the keeper says what is done.
    Serving,
    /// The keeper is dead: the app is being stopped, in order.
    WithoutKeeper,
    /// Litestream is dead: the app is being ended, so that it writes nothing that nobody replicates.
    WithoutLitestream,
    /// The same, and nobody is left to be told.
    WithoutBoth,
    /// The keeper is dead and nothing of the app lives: Litestream is asked for the last of it.
    Draining,
    /// Over.
    Over,
}

impl Stage {
    #[cfg(test)]
    pub(super) const ALL: [Self; 6] = [
        Self::Serving,
        Self::WithoutKeeper,
        Self::WithoutLitestream,
        Self::WithoutBoth,
        Self::Draining,
        Self::Over,
    ];

    /// The one table of transitions.
    pub(super) fn may_become(self, next: Self) -> bool {
        use Stage::*;
        match self {
            Serving => matches!(next, WithoutKeeper | WithoutLitestream | Draining | Over),
            WithoutKeeper => matches!(next, WithoutBoth | Draining),
            WithoutLitestream => matches!(next, WithoutBoth | Over),
            WithoutBoth | Draining => matches!(next, Over),
            Over => false,
        }
    }

    pub(super) fn has_keeper(self) -> bool {
        matches!(self, Self::Serving | Self::WithoutLitestream)
    }

    pub(super) fn has_litestream(self) -> bool {
        matches!(self, Self::Serving | Self::WithoutKeeper | Self::Draining)
    }
}
