//! The policy, as a value: no tokio, no files, no processes, no clock, no environment.
//!
//! The driver tells the [`Machine`] what happened ([`Event`]) and when, and carries out what it
//! wants ([`Action`]); [`Machine::poll_timeout`] says when to come back without an event. Beside it the
//! [`Reconciliation`] decides which of the databases that sources name come and go ([`Turn`], [`Step`]).
//!
//! [`lineage`] says whose backup a place holds, [`lease`] who replicates to it now.
//!
//! Architecture invariant: this room imports no other room.

mod absent;
mod action;
mod backoff;
mod event;
mod exit;
mod lag;
pub mod lease;
pub mod lineage;
mod machine;
mod phase;
pub mod policy;
mod reconcile;
mod status;
#[cfg(test)]
mod tests;
mod timer;
mod wants;

pub use action::{Action, Cause, Note};
pub use backoff::{Backoff, BackoffPolicy};
pub use event::{Ended, Event, NotStarted};
pub use exit::ExitCode;
pub use machine::Machine;
use phase::Phase;
pub use policy::{Db, Gate, OnLag, Policy, Restart};
pub use reconcile::{Moment, Reconciliation, Step, Turn, Wanted, Why};
pub use status::{AppEnd, Lives, Lost, Standing, State, Status, Unready, WhyEnded};
