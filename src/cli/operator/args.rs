//! The operator's commands as they are typed.

mod keeper;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

pub use keeper::{Exec, Healthcheck, Status, Sync, Wait};

use super::budget::Budget;
use super::moment;
use crate::backup::Depth;
use crate::cli::duration;
use crate::cli::txid;

/// Where the settings are that `run` has.
#[derive(Args, Clone, Debug, Default)]
pub struct Given {
    /// A litestream.yml; without it, it is looked for as `run` does [env: LITEKEEPER_CONFIG, LITESTREAM_CONFIG].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Take $ in the config file as it is [env: LITEKEEPER_NO_EXPAND_ENV].
    #[arg(long)]
    pub no_expand_env: bool,

    /// Variables that the configuration and Litestream look up, unless they are set already; repeatable [env: LITEKEEPER_ENV_FILE].
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,

    /// The Litestream to run [env: LITESTREAM_BINARY_PATH] [default: LITESTREAM_INSTALL_DIR, PATH, the installed one].
    #[arg(long, value_name = "FILE")]
    pub litestream_binary: Option<PathBuf>,
}

/// `litekeeper databases`.
#[derive(Args, Debug)]
pub struct Databases {
    /// Only these: each a path, an alias, or a base name that only one has.
    #[arg(value_name = "DB")]
    pub dbs: Vec<String>,

    /// The settings.
    #[command(flatten)]
    pub given: Given,

    /// Print a JSON array.
    #[arg(long)]
    pub json: bool,
}

/// What all lists of one backup take.
#[derive(Args, Debug)]
pub struct Listing {
    /// A path, an alias, a base name that only one has, or a replica's URL; not needed where there is one database.
    #[arg(value_name = "DB|URL")]
    pub db: Option<String>,

    /// The settings.
    #[command(flatten)]
    pub given: Given,

    /// How long the replica may take to answer.
    #[arg(long, value_name = "DUR", value_parser = duration::some(), default_value = "30s")]
    pub timeout: Duration,

    /// Print a JSON array.
    #[arg(long)]
    pub json: bool,
}

/// `litekeeper ltx`.
#[derive(Args, Debug)]
pub struct Ltx {
    /// Of what, and how.
    #[command(flatten)]
    pub listing: Listing,

    /// Only the files of this level, 0 to 9; 9 has the snapshots.
    #[arg(long, value_name = "LEVEL", value_parser = level, default_value = "all")]
    pub level: Level,
}

/// Which files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// All.
    All,
    /// Those of one level.
    Of(u64),
}

fn level(text: &str) -> Result<Level, String> {
    match text.parse() {
        Ok(level @ 0..=9) => Ok(Level::Of(level)),
        Err(_) if text == "all" => Ok(Level::All),
        Ok(_) | Err(_) => Err("it must be a level from 0 to 9, or all".to_owned()),
    }
}

/// `litekeeper snapshots` and `litekeeper generations`.
#[derive(Args, Debug)]
pub struct Replicated {
    /// Of what, and how.
    #[command(flatten)]
    pub listing: Listing,

    /// Only those of the replica of this name (Litestream 0.3).
    #[arg(long, value_name = "NAME")]
    pub replica: Option<String>,
}

/// `litekeeper wal`.
#[derive(Args, Debug)]
pub struct Wal {
    /// Of what, and how.
    #[command(flatten)]
    pub of: Replicated,

    /// Only those of this generation.
    #[arg(long, value_name = "NAME")]
    pub generation: Option<String>,
}

/// `litekeeper info` and `litekeeper list`: what a running keeper's Litestream says.
#[derive(Args, Debug)]
pub struct Running {
    /// A database that it runs on: a path, an alias, or a base name that only one has.
    #[arg(value_name = "DB")]
    pub db: Option<String>,

    /// The settings.
    #[command(flatten)]
    pub given: Given,

    /// How long it may take to answer.
    #[arg(long, value_name = "DUR", value_parser = duration::some(), default_value = "10s")]
    pub timeout: Duration,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `litekeeper verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// Only these: each a path, an alias, or a base name that only one has.
    #[arg(value_name = "DB")]
    pub dbs: Vec<String>,

    /// The settings.
    #[command(flatten)]
    pub given: Given,

    /// Write nothing to the database: compare its pages with those of the restored file.
    #[arg(long)]
    pub read_only: bool,

    /// Verify so much and no more, at least one: 1GiB, or 5% of all; the next time goes on with those whose turn is next.
    #[arg(long, value_name = "SIZE|SHARE", value_parser = Budget::parse, allow_hyphen_values = true)]
    pub budget: Option<Budget>,

    /// How long a row may take to the replica, and how long a restore may go without progress.
    #[arg(long, value_name = "DUR", value_parser = duration::some(), default_value = "60s")]
    pub timeout: Duration,

    /// Print a JSON array.
    #[arg(long)]
    pub json: bool,
}

/// `litekeeper query`.
#[derive(Args, Debug)]
pub struct Query {
    /// An alias of `litekeeper.vfs`; a database: its path, an alias, or a base name that only one has; or a replica's URL.
    #[arg(value_name = "ALIAS|DB|URL")]
    pub target: String,

    /// What is asked; without it, what standard input says: a shell where that is a terminal.
    #[arg(value_name = "SQL")]
    pub sql: Option<String>,

    /// The settings.
    #[command(flatten)]
    pub given: Given,

    /// The state at this time: 2026-01-02T03:04:05Z, '2h ago', 'yesterday 14:00'.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    pub at: Option<String>,

    /// How long the opening, and each statement from one row to the next, may take; whole seconds.
    #[arg(long, value_name = "DUR", value_parser = duration::some(), default_value = "30s")]
    pub timeout: Duration,

    /// Litestream's extension of SQLite [env: LITEKEEPER_VFS_LIBRARY] [default: the installed one].
    #[arg(long, value_name = "FILE")]
    pub vfs_library: Option<PathBuf>,

    /// Print CSV (RFC 4180).
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,

    /// Print a JSON array for each statement.
    #[arg(long)]
    pub json: bool,
}

/// `litekeeper drill`.
#[derive(Args, Debug)]
pub struct Drill {
    /// Only these: each a path, an alias, or a base name that only one has.
    #[arg(value_name = "DB")]
    pub dbs: Vec<String>,

    /// The settings.
    #[command(flatten)]
    pub given: Given,

    /// Leave what is restored in this folder, each under its name [default: a private folder, which goes].
    #[arg(long, value_name = "FOLDER")]
    pub to_dir: Option<PathBuf>,

    /// Write down as JSON what was done and what came of it; only its owner can read it.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,

    /// Write over a record that is there.
    #[arg(long, requires = "record")]
    pub force: bool,

    /// How closely SQLite looks at what was restored.
    #[arg(long, value_enum, value_name = "HOW", default_value = "quick")]
    pub integrity_check: IntegrityCheck,

    /// How many databases are restored side by side [env: LITEKEEPER_RESTORE_PARALLEL] [default: 4].
    #[arg(long, value_name = "N", value_parser = duration::count(1, 1024))]
    pub parallel: Option<usize>,

    /// How long each restore, and each look at what came of it, may go without progress.
    #[arg(long, value_name = "DUR", value_parser = duration::some(), default_value = "60s")]
    pub timeout: Duration,

    /// Print the record.
    #[arg(long)]
    pub json: bool,
}

/// `litekeeper version`.
#[derive(Args, Debug)]
pub struct Version {
    /// The settings.
    #[command(flatten)]
    pub given: Given,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `litekeeper restore`.
#[derive(Args, Debug)]
pub struct Restore {
    /// Which ones: each a path, an alias, or a base name that only one has; or one replica's URL, with -o; else all.
    #[arg(value_name = "DB|URL")]
    pub dbs: Vec<String>,

    /// The settings.
    #[command(flatten)]
    pub given: Given,

    /// Restore to this file, and leave the database as it is.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Restore to this folder, each under its name, and leave the databases as they are.
    #[arg(long, value_name = "FOLDER", conflicts_with = "output")]
    pub to_dir: Option<PathBuf>,

    /// The state at this time: 2026-01-02T03:04:05Z, '2h ago', 'yesterday 14:00'.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    pub timestamp: Option<String>,

    /// The state after this transaction (Litestream 0.5); `litekeeper ltx` lists them.
    #[arg(long, value_name = "TXID", value_parser = one_txid, conflicts_with = "timestamp")]
    pub txid: Option<u64>,

    /// The newest state of this generation (Litestream 0.3).
    #[arg(long, value_name = "NAME", conflicts_with = "txid")]
    pub generation: Option<String>,

    /// The state after the WAL of this index, in hex (Litestream 0.3).
    #[arg(long, value_name = "INDEX", conflicts_with_all = ["txid", "timestamp"])]
    pub index: Option<String>,

    /// From the replica of this name (Litestream 0.3).
    #[arg(long, value_name = "NAME")]
    pub replica: Option<String>,

    /// Leave a database that is there as it is, which is no failure.
    #[arg(long, visible_alias = "if-db-not-exists", conflicts_with = "force")]
    pub if_missing: bool,

    /// Take a replica without a backup for no failure.
    #[arg(long)]
    pub if_replica_exists: bool,

    /// Put aside what is there (nothing is removed), once the backup is there and looked at; asks on a terminal.
    #[arg(long)]
    pub force: bool,

    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,

    /// How closely SQLite looks at what was restored, before it is put in place.
    #[arg(long, value_enum, value_name = "HOW", default_value = "quick")]
    pub integrity_check: IntegrityCheck,

    /// How many files Litestream fetches side by side [default: Litestream's own, 8].
    #[arg(long, value_name = "N", value_parser = duration::count(1, 1024))]
    pub parallelism: Option<usize>,

    /// How many databases are restored side by side [env: LITEKEEPER_RESTORE_PARALLEL] [default: 4].
    #[arg(long, value_name = "N", value_parser = duration::count(1, 1024))]
    pub parallel: Option<usize>,

    /// Say what would be fetched, with sizes and times, and touch nothing (Litestream 0.5.12).
    #[arg(long)]
    pub dry_run: bool,

    /// How long each may go without progress.
    #[arg(long, value_name = "DUR", value_parser = duration::some(), default_value = "60s")]
    pub timeout: Duration,

    /// Go on with what comes, until it is told to stop (Litestream 0.5.9); the file is to be read only.
    #[arg(short = 'f', long, conflicts_with_all = ["timestamp", "txid", "generation", "index", "to_dir", "dry_run", "json", "if_missing", "if_replica_exists", "force", "yes", "timeout", "parallel", "replica"])]
    pub follow: bool,

    /// How often it looks for what comes [default: Litestream's own, 1s].
    #[arg(long, value_name = "DUR", value_parser = duration::some(), requires = "follow")]
    pub follow_interval: Option<Duration>,

    /// Print a JSON array.
    #[arg(long)]
    pub json: bool,
}

impl Restore {
    /// Whether another state than the newest is asked for.
    pub(super) fn is_past(&self) -> bool {
        self.timestamp.is_some() || self.txid.is_some() || self.generation.is_some() || self.index.is_some()
    }
}

/// How closely a restored file is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IntegrityCheck {
    /// It can be opened.
    None,
    /// Its pages fit together.
    Quick,
    /// So do its indexes.
    Full,
}

impl IntegrityCheck {
    pub(super) fn depth(self) -> Depth {
        match self {
            Self::None => Depth::Opens,
            Self::Quick => Depth::Quick,
            Self::Full => Depth::Full,
        }
    }
}

fn one_txid(text: &str) -> Result<u64, String> {
    let none = || "not a txid: write it as litestream does, 0000000000000012".to_owned();
    let found = txid::parse(text).map_err(|_| none())?;
    if found.db.is_some() { Err(none()) } else { Ok(found.txid) }
}

/// `litekeeper litestream`.
#[derive(Args, Debug)]
pub struct Litestream {
    /// The settings.
    #[command(flatten)]
    pub given: Given,

    /// A command of Litestream's and its arguments.
    #[arg(last = true, required = true, value_name = "ARGS")]
    pub args: Vec<OsString>,
}

/// `litekeeper reset`.
#[derive(Args, Debug)]
pub struct Reset {
    /// A path, an alias, or a base name that only one has.
    #[arg(value_name = "DB")]
    pub db: String,

    /// The settings.
    #[command(flatten)]
    pub given: Given,

    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// Do it without a question.
    #[arg(long, conflicts_with = "dry_run")]
    pub yes: bool,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `litekeeper start`, `stop`, `register` and `unregister`, which are refused whatever follows.
#[derive(Args, Debug)]
pub struct KeptOut {
    /// A database.
    #[arg(value_name = "DB", trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<OsString>,
}
