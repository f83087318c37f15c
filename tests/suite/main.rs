//! The suite: real processes, real Litestream, real SQLite. `support` is the harness.

mod architecture;
mod exit_codes;
mod guestbook;
mod harness;
mod install;
mod kill;
mod signals;
mod stop;
mod support;
