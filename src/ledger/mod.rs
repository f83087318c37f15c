//! What the backup of a database has, page by page: a checksum of each, kept from Litestream's own files,
//! to hold the database against.
//!
//! Litestream's word that all is replicated says that its files are on the replica. Whether they are the
//! database is another question: it takes for a commit what SQLite does not count, and it can miss what was
//! checkpointed while it did not look. No timing wins against that, so it is not prevented but found:
//!
//! - `follow` takes in each of Litestream's files as it is made; a file that holds the whole database
//!   begins the ledger, whatever was before;
//! - `compare` holds the database, file and WAL as far as its index counts it, against the ledger;
//! - `owed` tells what of it was never confirmed to be on the replica;
//! - `freshness` tells, at a start, what a file is that differs from the one that was left;
//! - `copy` holds the database against what its backup restores to, for `verify`, and `whole` reads the files of a backup to the end.
//!
//! All of it is done by `litekeeper __ledger`, a process of its own which runs as the user that Litestream
//! runs as ([`command`]): it reads megabytes, and files in folders that others can write.
//!
//! Architecture invariant: this room imports `core`, `os`, `sqlite` and `litestream`; nothing here runs in the
//! keeper but [`Request::args`], [`Copy::args`], [`Whole::args`] and [`Answer::parse`].

mod answer;
mod book;
pub mod command;
mod compare;
mod copy;
mod damage;
mod follow;
mod freshness;
mod history;
mod look;
mod owed;
mod page_size;
mod restored;
mod seq;
mod size;
#[cfg(test)]
mod tests;
mod whole;

pub use answer::{Answer, FileState, Request, Task};
pub use command::main;
pub use copy::Copy;
pub use whole::Whole;
