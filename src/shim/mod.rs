//! The resident parent of the app, between Litestream and it.
//!
//! Litestream starts `litekeeper __shim FD` as its `-exec` command. The shim gets the app from the
//! keeper over that descriptor, starts it, and stays: it reports how the app ended, kills the app's
//! tree the moment Litestream dies, stops the app in order when the keeper dies, and always ends
//! with 0 after a drain, because Litestream skips its final sync when its child fails.
//!
//! What it does when is decided in `policy.rs`, a value; `resident.rs` is the loop that feeds it.
//!
//! Architecture invariant: this room imports `core`, `os` and `printer`. No tokio, no Litestream: what the
//! shim has to say to a control socket it gets as bytes.

mod action;
mod app;
mod drain;
mod event;
mod policy;
mod resident;
mod stage;
#[cfg(test)]
mod tests;
mod voice;
mod wire;

pub use app::{App, LISTEN_FDNAMES, LISTEN_FDS, LISTEN_PID};
pub use resident::main;
pub use wire::{Log, ShimConfig, Target, ToKeeper, ToShim, Update, decode, receive, receive_from, send};
