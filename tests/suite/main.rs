//! The suite: real processes, real Litestream, real SQLite. `support` is the harness.

mod architecture;
mod before;
mod exit_codes;
mod guestbook;
mod handover;
mod harness;
mod hung;
mod install;
mod kill;
mod pid_1;
mod restart;
mod signals;
mod stop;
mod support;
mod twins;
