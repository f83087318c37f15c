//! What a running keeper says of itself, as a document: its names are those that `litekeeper status --json` prints.
//!
//! Architecture invariant: these are names and limits alone; nothing is asked or decided here.

use serde::{Deserialize, Serialize};

/// The word that asks for it at the keeper's own control socket.
pub const ASK: &str = "status";

/// Which form of the document this is. Further names may come within one.
pub const VERSION: u32 = 1;

/// What answers [`ASK`], in one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// See [`VERSION`].
    pub version: u32,
    /// The keeper has the lock that it was asked for; without it nothing else is said.
    pub holds: bool,
    /// The keeper.
    pub keeper: Option<Keeper>,
    /// The app.
    pub app: Option<App>,
    /// Litestream.
    pub litestream: Option<Litestream>,
    /// What the container may use, and does; none where nobody limits it.
    #[serde(default)]
    pub memory: Option<Memory>,
    /// All that it has or should have.
    #[serde(default)]
    pub databases: Vec<Database>,
}

impl Document {
    /// A keeper that is not the one that is meant.
    pub fn of_another() -> Self {
        Self {
            version: VERSION,
            holds: false,
            keeper: None,
            app: None,
            litestream: None,
            memory: None,
            databases: Vec::new(),
        }
    }
}

/// The keeper itself. Times are RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Keeper {
    /// Its process, as it sees itself.
    pub pid: i32,
    /// Which one it is.
    pub version: String,
    /// Since when it runs.
    pub started_at: Option<String>,
    /// Where the unit is.
    pub phase: String,
    /// The app runs, and no replica is further behind than is allowed.
    pub ready: bool,
    /// Why not.
    pub reasons: Vec<String>,
}

/// The app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// Its leader; none while there is none.
    pub pid: Option<i32>,
    /// Its words, without secrets.
    pub command: String,
    /// Since when it runs.
    pub started_at: Option<String>,
    /// How often it was started again.
    pub restarts: u64,
    /// How it ended last, and what for.
    pub last_exit: Option<String>,
}

/// Litestream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Litestream {
    /// Its process; none while there is none.
    pub pid: Option<i32>,
    /// Which one it is.
    pub version: Option<String>,
    /// Since when it runs.
    pub started_at: Option<String>,
    /// How often it was started again.
    pub restarts: u64,
    /// How it ended last, and what for.
    pub last_exit: Option<String>,
    /// So much of it is in memory.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
}

/// The memory of the container, or of whatever else limits it: the unit's, with its caches that the kernel would not drop at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// So much is used.
    pub used_bytes: u64,
    /// So much may be.
    pub limit_bytes: u64,
}

/// A database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Database {
    /// Its file.
    pub path: String,
    /// What else it is called.
    pub alias: Option<String>,
    /// Where its backup is, without secrets.
    pub replica: Option<String>,
    /// How it compares with that: `replicated`, `lagging`, `missing`, `replaced` or `unknown`.
    pub state: String,
    /// How large its file is.
    pub size_bytes: Option<u64>,
    /// How large its WAL is.
    pub wal_bytes: Option<u64>,
    /// How far Litestream has copied it.
    pub txid: Option<String>,
    /// How far that was confirmed on its replica.
    pub replicated_txid: Option<String>,
    /// The age of the oldest change that is not confirmed.
    pub lag_seconds: Option<f64>,
    /// When a change was confirmed last.
    pub last_confirmed_at: Option<String>,
    /// What keeps it from being replicated.
    pub error: Option<String>,
    /// From when to when it can be restored.
    #[serde(default)]
    pub restorable: Option<Restorable>,
    /// What came of looking whether its backup restores to it.
    #[serde(default)]
    pub verified: Option<Verification>,
}

/// What came of a verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// When it ended.
    pub at: String,
    /// `in-sync`, `out-of-sync` or `not-restorable`.
    pub verdict: String,
}

/// From when to when something can be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restorable {
    /// The first moment.
    pub from: String,
    /// The last one.
    pub to: String,
}
