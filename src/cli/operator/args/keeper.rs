//! What is asked of a running keeper, or done beside it, as it is typed.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;

use super::Given;
use crate::cli::duration;

/// `litekeeper sync`.
#[derive(Args, Debug)]
pub struct Sync {
    /// Only these: each a path, an alias, or a base name that only one has.
    #[arg(value_name = "DB")]
    pub dbs: Vec<String>,

    /// The settings.
    #[command(flatten)]
    pub given: Given,

    /// Wait until the replica has it, too.
    #[arg(long)]
    pub wait: bool,

    /// How long each database may take.
    #[arg(long, value_name = "DUR", value_parser = duration::some(), default_value = "30s")]
    pub timeout: Duration,

    /// Print a JSON array.
    #[arg(long)]
    pub json: bool,
}

/// `litekeeper wait`.
#[derive(Args, Debug)]
pub struct Wait {
    /// A path, an alias, or a base name that only one has; all without it.
    #[arg(value_name = "DB")]
    pub db: Option<String>,

    /// The settings.
    #[command(flatten)]
    pub given: Given,

    /// How long to wait.
    #[arg(long, value_name = "DUR", value_parser = duration::some(), default_value = "30s")]
    pub timeout: Duration,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `litekeeper exec`.
#[derive(Args, Debug)]
pub struct Exec {
    /// The settings.
    #[command(flatten)]
    pub given: Given,

    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `litekeeper status`.
#[derive(Args, Debug)]
pub struct Status {
    /// Only these: each a path, an alias, or a base name that only one has.
    #[arg(value_name = "DB")]
    pub dbs: Vec<String>,

    /// The settings.
    #[command(flatten)]
    pub given: Given,

    /// How long Litestream and each replica may take to answer.
    #[arg(long, value_name = "DUR", value_parser = duration::some(), default_value = "10s")]
    pub timeout: Duration,

    /// Print one line for Nagios, with performance data, and use its exit codes.
    #[arg(long, conflicts_with_all = ["json", "watch"])]
    pub nagios: bool,

    /// Look again after so long, until a signal comes.
    #[arg(long, value_name = "DUR", value_parser = duration::second(), num_args = 0..=1, require_equals = true, default_missing_value = "2s", conflicts_with = "json")]
    pub watch: Option<Duration>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `litekeeper healthcheck`.
#[derive(Args, Debug)]
pub struct Healthcheck {
    /// The settings.
    #[command(flatten)]
    pub given: Given,

    /// How long the keeper may take to answer.
    #[arg(long, value_name = "DUR", value_parser = duration::some(), default_value = "5s")]
    pub timeout: Duration,
}
