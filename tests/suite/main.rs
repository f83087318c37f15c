//! The suite: real processes, real Litestream, real SQLite. `support` is the harness.

mod guestbook;
mod harness;
mod install;
mod support;
