//! What Litekeeper knows of Litestream: its binary and version, its command lines, its control
//! socket, its log lines, and where it keeps its position.
//!
//! Architecture invariant: this room imports `core`, `config`, `os` and `sqlite`.

pub mod argv;
pub mod binary;
pub mod command;
pub mod control;
mod crc;
pub mod database;
pub mod folder;
pub mod glob;
pub mod install;
pub mod log;
pub mod ltx;
pub mod memory;
pub mod others;
pub mod position;
pub mod replica_error;
pub mod restore_plan;
pub mod version;
pub mod wal;
