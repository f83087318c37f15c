//! What the policy wants from the loop.

use std::time::Duration;

use super::wire::ToKeeper;
use crate::core::{Ended, ExitCode};

/// Whom a signal goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// A process, the leader.
    Leader(i32),
    /// Its process group.
    Group(i32),
    /// All that descends from the shim.
    Tree,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Tell the keeper.
    Tell(ToKeeper),
    /// Tell whoever reads the log.
    Say(Note),
    /// Speak in the keeper's place from now on, and have nobody wait for it.
    TakeOver,
    /// Start what the keeper has sent last.
    Start,
    /// Send a signal.
    Signal {
        /// To these.
        to: To,
        /// Its number.
        number: i32,
        /// Those of them that are stopped are continued, and with a leader those of its group: whoever is stopped hears of
        /// nothing.
        wakes: bool,
    },
    /// SIGKILL to all that descends from the shim.
    KillTree,
    /// SIGKILL to Litestream.
    KillLitestream,
    /// Take in which children ended.
    Reap,
    /// Ask Litestream for the last of each database, if it lives.
    Drain,
    /// End with this code.
    Exit(ExitCode),
}

/// What a shim tells whose keeper is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// That it is, and what becomes of the app, which has so long to stop.
    KeeperDied(Remains, Duration),
    /// Litestream is dead too.
    LitestreamDied,
    /// Another machine may have the places from now on.
    LeaseOver,
    /// The app did not stop in its time.
    GraceOver,
    /// The app ended, or was not started for this `errno`, and left so many processes.
    Ended { how: Ended, unborn: Option<i32>, left: u32 },
    /// Nothing of the app lives, and Litestream has confirmed so many databases.
    Drained { confirmed: usize, asked: usize },
}

/// What a keeper has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remains {
    /// An app.
    App,
    /// What an app left.
    Leftovers,
    /// Nothing.
    Nothing,
}
