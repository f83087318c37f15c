//! The options of `run`, which `check` and `config` have as well.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::duration;
use crate::cli::from::{self, RestoreFrom};
use crate::cli::txid::{self, RestoreTxid};
use crate::http;
use crate::litestream::memory::MemoryLimit;
use crate::litestream::version::Version;
use crate::printer::Format;
use crate::supervise::OnLock;

/// `litekeeper run`.
#[derive(Args, Debug)]
pub struct Run {
    /// A litestream.yml; without it ./litekeeper.yml, ./litestream.yml, ./config/litestream.yml,
    /// /etc/litekeeper.yml and /etc/litestream.yml are looked for [env: LITEKEEPER_CONFIG, LITESTREAM_CONFIG].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// A database, without a config file; each has its --replica; repeatable [env: LITEKEEPER_DB].
    #[arg(long, value_name = "PATH")]
    pub db: Vec<String>,

    /// Where the --db before it is replicated to: s3://bucket/path, file:///path, sftp://… [env: LITEKEEPER_REPLICA].
    #[arg(long, value_name = "URL")]
    pub replica: Vec<String>,

    /// Take $ in the config file as it is.
    #[arg(long, env = "LITEKEEPER_NO_EXPAND_ENV")]
    pub no_expand_env: bool,

    /// Run the app alone, with no backup, unless this variable is set.
    #[arg(long, value_name = "NAME", value_parser = variable_name, env = "LITEKEEPER_ENABLED_IF")]
    pub enabled_if: Option<String>,

    /// When the app is started again after it ended.
    #[arg(long, value_enum, default_value = "on-failure", env = "LITEKEEPER_RESTART")]
    pub restart: Restart,

    /// The wait before the first restart; doubles from then on.
    #[arg(long, value_name = "DUR", value_parser = duration::any(), default_value = "100ms", env = "LITEKEEPER_RESTART_DELAY")]
    pub restart_delay: Duration,

    /// The longest wait before a restart.
    #[arg(long, value_name = "DUR", value_parser = duration::any(), default_value = "30s", env = "LITEKEEPER_RESTART_DELAY_MAX")]
    pub restart_delay_max: Duration,

    /// After this long up, the next wait is the first one again.
    #[arg(long, value_name = "DUR", value_parser = duration::any(), default_value = "30s", env = "LITEKEEPER_RESTART_RESET")]
    pub restart_reset: Duration,

    /// Give up after this many restarts within --start-window.
    #[arg(long, value_name = "N", value_parser = duration::count(0, 1_000_000), default_value = "10", env = "LITEKEEPER_START_LIMIT")]
    pub start_limit: usize,

    /// The time over which restarts are counted.
    #[arg(long, value_name = "DUR", value_parser = duration::any(), default_value = "5m", env = "LITEKEEPER_START_WINDOW")]
    pub start_window: Duration,

    /// A one-shot command after the restore, under replication, before the app (migrations); repeatable.
    #[arg(long, value_name = "COMMAND", env = "LITEKEEPER_BEFORE")]
    pub before: Vec<String>,

    /// The signal that asks the app to stop.
    #[arg(long, value_name = "SIG", value_parser = stop_signal, default_value = "TERM", env = "LITEKEEPER_STOP_SIGNAL")]
    pub stop_signal: i32,

    /// The whole time of a stop: the app's grace, the drain, Litestream's end [default: 10s, 9s in a container, 5s on Fly].
    #[arg(long, value_name = "DUR", value_parser = duration::some(), env = "LITEKEEPER_STOP_TIMEOUT")]
    pub stop_timeout: Option<Duration>,

    /// What must be true before the app starts.
    #[arg(long, value_enum, default_value = "replicated", env = "LITEKEEPER_GATE")]
    pub gate: Gate,

    /// How long the gate may go without progress.
    #[arg(long, value_name = "DUR", value_parser = duration::some(), default_value = "60s", env = "LITEKEEPER_GATE_TIMEOUT")]
    pub gate_timeout: Duration,

    /// How old a change may become that no replica has confirmed.
    #[arg(long, value_name = "DUR", value_parser = duration::some(), default_value = "60s", env = "LITEKEEPER_MAX_LAG")]
    pub max_lag: Duration,

    /// What happens when one becomes older.
    #[arg(long, value_enum, default_value = "unready", env = "LITEKEEPER_ON_LAG")]
    pub on_lag: OnLag,

    /// How often it is looked at the replica itself whether it still has what was confirmed.
    #[arg(long, value_name = "DUR", value_parser = duration::some(), default_value = "5m", env = "LITEKEEPER_LOOK")]
    pub look: Duration,

    /// How long the app gets to stop by itself when Litestream has died.
    #[arg(long, value_name = "DUR", value_parser = duration::any(), default_value = "0s", env = "LITEKEEPER_ORPHAN_GRACE")]
    pub orphan_grace: Duration,

    /// How long a restore may go without progress.
    #[arg(long, value_name = "DUR", value_parser = duration::some(), default_value = "10m", env = "LITEKEEPER_RESTORE_TIMEOUT")]
    pub restore_timeout: Duration,

    /// How many databases are restored side by side.
    #[arg(long, value_name = "N", value_parser = duration::count(1, 1024), default_value = "4", env = "LITEKEEPER_RESTORE_PARALLEL")]
    pub restore_parallel: usize,

    /// Restore a missing database as it was at this txid, and leave out what came after; repeatable.
    #[arg(long, value_name = "[PATH=]TXID", value_parser = txid::parse, env = "LITEKEEPER_RESTORE_TXID")]
    pub restore_txid: Vec<RestoreTxid>,

    /// Restore a missing database from here if its replica holds no backup (a server that moves, staging); repeatable.
    #[arg(long, value_name = "[PATH=]URL", value_parser = from::parse, env = "LITEKEEPER_RESTORE_FROM")]
    pub restore_from: Vec<RestoreFrom>,

    /// What happens to a database that is older than its backup, or not what that was made of.
    #[arg(long, value_enum, default_value = "refuse", env = "LITEKEEPER_IF_BEHIND")]
    pub if_behind: IfBehind,

    /// What happens to a database without Litestream's own files beside it that is not what the replica's backup has.
    #[arg(long, value_enum, default_value = "refuse", env = "LITEKEEPER_IF_UNRELATED")]
    pub if_unrelated: IfUnrelated,

    /// A database without Litestream's own files that is larger is not compared with its replica's backup.
    #[arg(long, value_name = "SIZE", value_parser = duration::size, default_value = "1GiB", env = "LITEKEEPER_COMPARE_LIMIT")]
    pub compare_limit: u64,

    /// What happens to an empty folder of databases whose backups cannot be listed.
    #[arg(long, value_enum, default_value = "refuse", env = "LITEKEEPER_IF_UNLISTABLE")]
    pub if_unlistable: IfUnlistable,

    /// Whether one machine alone replicates to a place on S3, Azure or Google at a time.
    #[arg(long, value_enum, default_value = "auto", env = "LITEKEEPER_LEASE")]
    pub lease: Lease,

    /// How long a start waits for another machine that replicates to the same place.
    #[arg(long, value_name = "DUR", value_parser = duration::any(), default_value = "5m", env = "LITEKEEPER_LEASE_WAIT")]
    pub lease_wait: Duration,

    /// A machine that has said nothing for so long at a place is no owner of it any more.
    #[arg(long, value_name = "DUR", value_parser = duration::second(), default_value = "60s", env = "LITEKEEPER_LEASE_TTL")]
    pub lease_ttl: Duration,

    /// While another keeper has a database: `fail`, or `wait` until it ends, or `wait=DUR`.
    #[arg(long, value_name = "WHAT", value_parser = on_lock, default_value = "fail", env = "LITEKEEPER_ON_LOCK")]
    pub on_lock: OnLock,

    /// Run this version of Litestream although it is known to be bad.
    #[arg(long, value_name = "VERSION", env = "LITEKEEPER_ALLOW_LITESTREAM")]
    pub allow_litestream: Option<String>,

    /// The Litestream to run [env: LITESTREAM_BINARY_PATH] [default: LITESTREAM_INSTALL_DIR, PATH, the installed one].
    #[arg(long, value_name = "FILE")]
    pub litestream_binary: Option<PathBuf>,

    /// The version that Litestream must be.
    #[arg(long, value_name = "VERSION", value_parser = litestream_version, env = "LITEKEEPER_LITESTREAM_VERSION")]
    pub litestream_version: Option<Version>,

    /// Tell health, metrics and the page over HTTP: 127.0.0.1:9090, a port alone for this machine, :9090 for all addresses.
    #[arg(long, value_name = "ADDR", value_parser = http::Address::parse, env = "LITEKEEPER_HTTP")]
    pub http: Option<http::Address>,

    /// What everybody may ask for where --http leads; all else is for this machine, or for LITESTREAM_USERNAME with LITESTREAM_PASSWORD.
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',', env = "LITEKEEPER_HTTP_OPEN")]
    pub http_open: Vec<HttpOpen>,

    /// How much memory Litestream is to get along with (GOMEMLIMIT): a share of what the container may use, a size, or `off`.
    #[arg(long, value_name = "SIZE", value_parser = duration::memory, default_value = "40%", env = "LITEKEEPER_LITESTREAM_MEMORY")]
    pub litestream_memory: MemoryLimit,

    /// Variables for the app, --before, and what the configuration and Litestream look up, unless they are set already, in dotenv syntax; repeatable.
    #[arg(long, value_name = "FILE", env = "LITEKEEPER_ENV_FILE")]
    pub env_file: Vec<PathBuf>,

    /// Variables that the app and --before do not get: names, `*` for any part; repeatable.
    #[arg(long, value_name = "NAME", value_delimiter = ',', env = "LITEKEEPER_HIDE_ENV")]
    pub hide_env: Vec<String>,

    /// The folder that the app and --before start in.
    #[arg(long, value_name = "FOLDER", env = "LITEKEEPER_CWD")]
    pub cwd: Option<PathBuf>,

    /// Run Litestream and the app as this user.
    #[arg(long, value_name = "USER[:GROUP]", env = "LITEKEEPER_USER")]
    pub user: Option<String>,

    /// How log lines look.
    #[arg(long, value_enum, default_value = "text", env = "LITEKEEPER_LOG_FORMAT")]
    pub log_format: Format,

    /// Which log lines there are.
    #[arg(long, value_enum, default_value = "info", env = "LITEKEEPER_LOG_LEVEL")]
    pub log_level: LogLevel,

    /// The app and its arguments; without it, `app.command` or `exec` of the config file.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `litekeeper check`: with the options of `run`, whose settings it looks at.
#[derive(Args, Debug)]
pub struct Check {
    /// What would be run.
    #[command(flatten)]
    pub run: Run,

    /// Ask each replica too: list it, write a tiny database below it, and read that back; ask the resolver for its databases.
    #[arg(long)]
    pub online: bool,

    /// With --online: how long each answer may take.
    #[arg(long, value_name = "DUR", value_parser = duration::some(), default_value = "15s")]
    pub limit: Duration,

    /// Let warnings count as errors.
    #[arg(long)]
    pub strict: bool,

    /// Print the findings as a JSON array.
    #[arg(long)]
    pub json: bool,
}

/// `litekeeper config`: the options of `run`, and what it would do with them.
#[derive(Args, Debug)]
pub struct Config {
    /// The settings.
    #[command(flatten)]
    pub run: Run,

    /// As JSON.
    #[arg(long)]
    pub json: bool,

    /// Each value with its origin: the option, the variable, the line of the file.
    #[arg(long)]
    pub origin: bool,
}

/// When the app is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Restart {
    /// Its end is the end.
    Never,
    /// Unless it ended with 0.
    OnFailure,
    /// However it ended.
    Always,
}

/// What must be true before the app starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Gate {
    /// Each existing database is confirmed on its replica.
    Replicated,
    /// Litestream is up and each replica answers.
    Reachable,
    /// Litestream is up.
    None,
}

/// What happens when a change stays unconfirmed for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnLag {
    /// A log line.
    Warn,
    /// A log line, and the unit is not ready until the replica has caught up.
    Unready,
    /// The app is stopped, and litekeeper ends.
    Stop,
}

/// What happens to a database that is older than its backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IfBehind {
    /// The app is not started.
    Refuse,
    /// The file is kept under another name, and the backup restored.
    Restore,
    /// Litestream goes on from it; the newer rows leave the latest restore.
    Ignore,
}

/// What happens to a database that has nothing to do with its replica's backup, as far as anybody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IfUnrelated {
    /// The app is not started.
    Refuse,
    /// The file is kept under another name, and the backup restored.
    Restore,
    /// The file is the truth: what the backup has leaves the latest restore.
    Adopt,
}

/// Whether one machine alone replicates to a place at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lease {
    /// Where the server keeps to conditions.
    Auto,
    /// Nowhere else, and only as long as the server says so.
    Strict,
    /// Nobody looks.
    Off,
}

/// What happens to an empty folder whose databases may have backups that nobody but Litestream can look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IfUnlistable {
    /// The app is not started.
    Refuse,
    /// It is taken for a new one.
    Allow,
}

/// What can be opened to everybody over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HttpOpen {
    /// `/livez` and `/readyz`.
    Health,
    /// `/metrics`.
    Metrics,
}

/// Which log lines there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// And what to look at.
    Warn,
    /// And what happens.
    Info,
    /// And what Litestream says in normal running.
    Debug,
    /// Everything.
    Trace,
}

fn litestream_version(text: &str) -> Result<Version, String> {
    Version::parse(text).ok_or_else(|| "not a version: write it as 0.5.17".to_owned())
}

fn on_lock(text: &str) -> Result<OnLock, String> {
    match text.split_once('=') {
        None if text == "fail" => Ok(OnLock::Fail),
        None if text == "wait" => Ok(OnLock::Wait(None)),
        Some(("wait", limit)) => duration::some()(limit).map(|limit| OnLock::Wait(Some(limit))),
        _ => Err("it must be one of fail, wait, wait=DUR".to_owned()),
    }
}

/// The name of a variable, and not what a shell made of `$NAME`.
fn variable_name(text: &str) -> Result<String, String> {
    let is_name = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    match text {
        name if is_name(name) => Ok(name.to_owned()),
        "" => Err("a variable's name belongs here, as in `--enabled-if NAME`".to_owned()),
        text if text.starts_with('$') && is_name(text.trim_matches(['$', '{', '}'])) => {
            Err(format!("write the name itself: {}", text.trim_matches(['$', '{', '}'])))
        }
        _ => Err("no variable has such a name; write its name, not its value".to_owned()),
    }
}

fn stop_signal(text: &str) -> Result<i32, String> {
    let number = crate::os::signal::parse(text)
        .ok_or_else(|| "no such signal: write it as TERM, INT, QUIT or a number".to_owned())?;
    match crate::os::signal::can_ask(number) {
        true => Ok(number),
        false => Err("it asks nobody to stop: write TERM, INT, QUIT or what the app handles".to_owned()),
    }
}
