//! Restoring a database, and comparing one that is here with its backup.
//!
//! Architecture invariant: this room imports `core`, `os`, `sqlite`, `litestream` and `replica`. It decides nothing about
//! processes, and never waits without a limit.

mod again;
mod bars;
mod bring;
mod chosen;
mod copy;
mod elsewhere;
pub mod empty;
mod error;
mod formats;
mod freshness;
mod gap;
mod kin;
mod lease;
mod lineage;
mod newest;
mod quarantine;
pub mod reader;
pub mod remains;
mod restore;
mod restorer;
pub mod search;
mod small;
pub mod trial;
mod watched;
mod whole;

pub use bring::{Brought, Done, Errand, files, listed, target};
pub use chosen::Chosen;
pub use copy::Copied;
pub use error::Error;
pub use formats::{held as held_formats, refuse as refuse_newer_format};
pub use freshness::{Freshness, NO_BACKUP, NOT_ITS_OWN, against, freshness};
pub use kin::has_passed;
pub use lease::{Leases, Lost, RELEASE, has_lock};
pub use lineage::Lineages;
pub use newest::Newest;
pub use restore::{put_metadata_aside, quarantine_database, quarantine_metadata};
pub use restorer::{Apart, Elsewhere, Manner, Outcome, Restorer};

pub use crate::sqlite::check::Depth;
