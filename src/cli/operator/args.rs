//! The operator's commands as they are typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::duration;

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
