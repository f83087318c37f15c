//! The suite: real processes, real Litestream, real SQLite. `support` is the harness.

mod ahead;
mod architecture;
mod behind;
mod config_generate;
mod demo;
mod exit_codes;
mod gate;
mod guestbook;
mod harness;
mod install;
mod kill;
mod lag;
mod readme;
mod restore;
mod signals;
mod stop;
mod support;
