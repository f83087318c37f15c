//! A litestream.yml that the project has already.
//!
//! ```text
//! file        where it is, and what its values are
//! whole       one that is all that is needed
//! replicas    the replicas of an older one, so that a backup goes on where it is
//! ```

mod file;
mod replicas;
mod whole;

pub use file::FILES;
pub(super) use file::of_others;
pub(super) use replicas::{carry_over, replica_of, several};
pub(super) use whole::{covers, read};
