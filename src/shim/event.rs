//! What the loop tells the policy.

use super::wire::Target;
use crate::core::Ended;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The keeper wants an app to be started, and has sent what that takes.
    Start,
    /// The keeper wants it to have a signal.
    Signal(Target, i32),
    /// The keeper wants it to be killed.
    KillTree,
    /// The keeper says that all is drained.
    Release,
    /// A signal came to the shim itself.
    Received(i32),
    /// There is a child that is to become the leader.
    Born(i32),
    /// There is none, for this `errno`.
    NotBorn(i32),
    /// The child became the leader.
    Became,
    /// It will not, for this `errno`.
    NotBecome(i32),
    /// A child was stopped by a signal.
    Stopped(i32, i32),
    /// The leader ended, or who was to become it, and left so many processes.
    LeaderEnded(Ended, u32),
    /// There are no children.
    Childless,
    /// The keeper is dead.
    KeeperGone,
    /// Litestream is dead.
    LitestreamGone,
    /// The time is over for which this machine has the places of the databases.
    LeaseOver,
    /// Litestream was asked for so many databases as there are, and has confirmed so many.
    Drained { confirmed: usize, asked: usize },
}
