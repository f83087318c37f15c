//! Litekeeper runs an app and Litestream as one unit.
//!
//! `ARCHITECTURE.md` is the map; each room below says what it may not know.

// Tests may be as long as their tables.
#![cfg_attr(not(test), warn(clippy::too_many_lines))]

pub mod backup;
pub mod check;
pub mod cli;
pub mod compose;
pub mod config;
#[deny(clippy::wildcard_enum_match_arm)]
pub mod core;
pub mod database_header;
pub mod database_url;
pub mod demo;
pub mod detect;
pub mod django;
pub mod dotenv;
pub mod env_vars;
pub mod error;
pub mod foreign;
pub mod holder;
#[deny(clippy::wildcard_enum_match_arm)]
pub mod http;
pub mod inventory;
pub mod ledger;
pub mod litestream;
pub mod os;
pub mod printer;
pub mod remote;
#[expect(clippy::too_many_lines, reason = "a kind of credentials of Azure's after the other")]
pub mod replica;
pub mod secrets;
#[deny(clippy::wildcard_enum_match_arm)]
pub mod shim;
pub mod sqlite;
pub mod status;
#[deny(clippy::wildcard_enum_match_arm)]
pub mod supervise;
pub mod toml;
pub mod vfs;
pub mod yaml;
