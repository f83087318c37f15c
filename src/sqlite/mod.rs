//! What Litekeeper itself does about SQLite's files: it reads the write-ahead log and its index, and has
//! a SQLite of its own put them right, in a process of its own.
//!
//! Architecture invariant: this room imports `os`.

pub mod check;
pub mod open;
pub mod repair;
pub mod wal;
