//! Getting a database back, and knowing how it stands to its backup.
//!
//! Architecture invariant: this room imports `core`, `os`, `sqlite` and `litestream`. It decides nothing about
//! processes, and never waits without a limit.

mod again;
mod aside;
mod bars;
mod chosen;
mod elsewhere;
pub mod empty;
mod error;
mod formats;
pub mod helper;
mod kin;
pub mod listing;
mod newest;
pub mod reach;
pub mod remains;
mod restore;
mod restorer;
pub mod search;
pub mod seen;
mod standing;
mod whole;

pub use chosen::Chosen;
pub use error::Error;
pub use newest::Newest;
pub use restore::{move_aside, move_metadata_aside};
pub use restorer::{Apart, Elsewhere, Outcome, Restorer};
pub use standing::{NO_BACKUP, NOT_ITS_OWN, Standing, against, standing};
