//! What lies at a replica, looked at by a client of our own: which backups there are, what is in them, whose a place is.
//!
//! ```text
//! helper        the client, in a process of its own
//! listing       the backups below one place
//! folders       those of a folder's databases
//! seen          whether what was confirmed lies there
//! mark          whose a place is: a file there and one beside the database
//! reach         why nobody answers there, in words
//! again         asking once more
//! ```
//!
//! Architecture invariant: nothing here restores, or asks Litestream; a replica is read and, but for marks, locks and trials, never written to.

pub mod again;
pub mod folders;
pub mod helper;
pub mod listing;
pub mod mark;
pub mod reach;
pub mod seen;
