//! The suite: real processes, real Litestream, real SQLite. `support` is the harness.

mod architecture;
mod config_generate;
mod demo;
mod exit_codes;
mod guestbook;
mod harness;
mod install;
mod kill;
mod readme;
mod signals;
mod stop;
mod support;
