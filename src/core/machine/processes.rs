//! What the machine believes of the processes.

use std::time::Instant;

/// The app's process tree, or a one-shot command's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum App {
    Gone,
    /// Its leader lives, or is being started, since then.
    Up(Instant),
    /// Its leader ended; what it started may live.
    Leftovers,
}

/// Litestream and the shim that it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Litestream {
    Down,
    Launching,
    /// Its shim is there.
    Up,
    /// The shim was let go or died: Litestream ends by itself.
    Ending {
        /// It had every database in hand, so that its final sync has something to sync.
        looked: bool,
    },
}

impl Litestream {
    pub(super) fn is_up(self) -> bool {
        match self {
            Self::Up => true,
            Self::Down | Self::Launching | Self::Ending { .. } => false,
        }
    }
}
