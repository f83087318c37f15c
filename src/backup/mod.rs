//! Getting a database back, and knowing how it stands to its backup.
//!
//! Architecture invariant: this room imports `core`, `os`, `sqlite` and `litestream`. It decides nothing about
//! processes, and never waits without a limit.

mod again;
mod aside;
mod aws;
mod bars;
mod certificates;
mod chosen;
mod elsewhere;
mod formats;
mod kin;
pub mod listing;
pub mod reach;
pub mod remains;
mod restore;
pub mod s3;
pub mod search;
mod standing;
pub mod trial;
pub mod webdav;
mod whole;

pub use certificates::{CERTIFICATE_FILES, CERTIFICATE_FOLDERS};
pub use chosen::Chosen;
pub use elsewhere::Elsewhere;
pub use restore::{Apart, Error, Outcome, Restorer, move_aside, move_metadata_aside};
pub use standing::{NO_BACKUP, NOT_ITS_OWN, Standing, against, standing};
pub use whole::Newest;
