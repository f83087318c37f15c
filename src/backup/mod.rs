//! Getting a database back, and knowing how it stands to its backup.
//!
//! Architecture invariant: this room imports `core`, `os` and `litestream`. It decides nothing about
//! processes, and never waits without a limit.

mod aside;
pub mod listing;
mod restore;
mod search;
pub mod s3;
mod standing;

pub use restore::{Error, Outcome, Restorer, move_aside};
pub use standing::{NO_BACKUP, Standing, standing};
