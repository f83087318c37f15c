//! The suite: real processes, real Litestream, real SQLite. `support` is the harness.

mod architecture;
mod config_generate;
mod demo;
mod guestbook;
mod harness;
mod install;
mod readme;
mod support;
