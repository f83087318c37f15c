//! The command line: as typed ([`args`]), as meant (`settings`), and a file for each command.
//!
//! Architecture invariant: this room imports all others, and nobody imports it.

mod alone;
mod app_env;
pub mod args;
mod check;
mod commands;
mod config;
mod databases;
mod demo;
mod duration;
mod examples;
mod faults;
mod findings;
mod from;
mod given;
mod http;
mod init;
mod install;
mod keeper_socket;
mod layers;
mod listen;
mod manual;
mod mounted;
mod one_shot;
mod opened;
#[expect(clippy::too_many_lines, reason = "what restores and what verifies go step by step")]
pub mod operator;
mod policy;
mod process;
pub mod reload;
mod restored;
mod run;
mod settings;
mod switch;
mod tour;
mod txid;
mod typed;
mod uninstall;
mod unread;
mod words;
mod written;

pub use commands::main;
