//! The suite: real processes, real Litestream, real SQLite. `support` is the harness.

mod ahead;
mod architecture;
mod before;
mod behind;
mod chaos;
mod config_generate;
mod demo;
mod drain;
mod exit_codes;
mod gate;
mod guestbook;
mod handover;
mod harness;
mod hung;
mod install;
mod kill;
mod lag;
mod pid_1;
mod readme;
mod restart;
mod restore;
mod signals;
mod stop;
mod support;
mod twins;
