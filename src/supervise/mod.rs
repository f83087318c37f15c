//! The driver: turns what happens into events for the core, and carries out its actions.
//!
//! ```text
//! sources (signals, shim, children, files, Litestream's log) ─ Event ─> core ─ Action ─> effects
//! answers, looks, what Litestream says of a database          ─ Turn ──> core ─ Step ───> steps
//! ```
//!
//! Architecture invariant: this room decides nothing. It imports `core`, `os`, `shim`'s wire,
//! `litestream` and `backup`.

mod abandoned;
mod app_tree;
mod attempts;
mod beforehand;
mod claimed;
mod confirm;
mod control_socket;
mod database_lock;
mod databases;
mod discovery;
mod drain;
mod driver;
mod durability;
mod effects;
mod ending;
mod folders;
mod follows;
mod gate;
mod keeper_socket;
mod launch;
mod lease;
mod ledger;
mod link;
mod litestream;
mod litestream_log;
mod looks;
mod loudness;
mod manager;
mod message;
mod missing;
mod notes;
mod notices;
mod outside;
mod prepare;
mod proofs;
mod register;
mod reload;
mod repeats;
mod resolver;
mod restores;
mod round;
mod rounds;
mod runtime_folder;
mod settle;
mod setup;
mod snapshots;
mod sources;
mod status;
mod steps;
mod table;
mod tenants;
mod upload;
mod waited;
mod waiting;
mod waits;
mod wal;
mod watch;
mod web;
mod workplace;
mod world;

pub use claimed::{refuse_apart, refuse_strict};
pub use database_lock::text as lock_text;
pub use driver::supervise;
pub use reload::{Failed, HOLDING, RELOAD, Report, WITHIN};
pub use resolver::{Question, Said};
pub use runtime_folder::{RuntimeFolder, keeper_of, keeper_sockets};
pub use setup::{IfBehind, Lease, Looked, OnLock, Setup};
