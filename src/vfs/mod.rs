//! SQL on a replica, through Litestream's extension of SQLite (VFS), in a process of its own: `__query JOB REPORT`.
//!
//! | file | what it is |
//! |---|---|
//! | `library` | the extension's file: named, or beside the Litestream that was installed |
//! | `access` | a replica as the extension is told of it: a URL, and variables with the keys |
//! | `job` | what that process is told, and what it leaves behind; both in memory that goes with it |
//! | `session` | that process |
//! | `statements` | SQL as it comes, one statement after the other |
//! | `rows` | what is printed of rows |
//!
//! The extension is code of others, 80 MB of it, which never comes back from a replica without a backup, and crashes where a
//! replica does not answer: it lives and dies by itself, under a limit of the kernel's (`os::watchdog`).

pub mod access;
pub mod job;
pub mod library;
mod rows;
mod session;
mod statements;

pub use session::{main, try_it};
