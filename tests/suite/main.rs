//! The suite: real processes, real Litestream, real SQLite. `support` is the harness.

mod behind;
mod gate;
mod guestbook;
mod harness;
mod install;
mod lag;
mod restore;
mod support;
