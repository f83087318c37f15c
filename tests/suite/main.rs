//! The suite: real processes, real Litestream, real SQLite. `support` is the harness.

mod architecture;
mod behind;
mod config_generate;
mod drain;
mod gate;
mod guestbook;
mod harness;
mod install;
mod lag;
mod old_litestream;
mod readme;
mod restore;
mod support;
