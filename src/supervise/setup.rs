//! All that a run is made of.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::core::Policy;
use crate::error::Failure;
use crate::litestream::database::Database;
use crate::litestream::version::Version;
use crate::os::user::Identity;

/// What happens to a database that is older than its backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfBehind {
    /// The app is not started.
    Refuse,
    /// The old file is kept under another name, and the backup restored.
    Restore,
    /// Litestream goes on from the old file; the newer rows leave the latest restore.
    Ignore,
}

/// What Litestream is started with. No `Debug`: both parts may hold secrets.
pub struct Inputs {
    /// Its configuration.
    pub config: String,
    /// The variables that it needs beside those of the environment.
    pub env: Vec<(String, String)>,
}

/// The resolved settings of one run.
pub struct Setup {
    /// What the core decides by.
    pub policy: Policy,
    /// The databases, in the configuration's order: [`crate::core::Db`] counts them.
    pub dbs: Vec<Database>,
    /// Whether Litestream has anything to replicate: a database, or a folder of them.
    pub replicates: bool,
    /// Litestream.
    pub binary: PathBuf,
    /// A version of Litestream, as it prints it, that is run although it is known to be bad.
    pub allowed_version: Option<String>,
    /// The version that Litestream must be, if that was asked for.
    pub required_version: Option<Version>,
    /// Who Litestream and the app run as.
    pub user: Option<Identity>,
    /// The app.
    pub app: Vec<OsString>,
    /// The one-shot commands before it.
    pub before: Vec<Vec<OsString>>,
    /// The app's environment.
    pub env: Vec<(OsString, OsString)>,
    /// The app's working directory.
    pub cwd: PathBuf,
    /// The descriptors of socket activation that this process has (`sd_listen_fds(3)`).
    pub listen_fds: usize,
    /// What happens to a database that is older than its backup.
    pub if_behind: IfBehind,
    /// How long a restore may go without progress.
    pub restore_timeout: Duration,
    /// How many databases are restored side by side.
    pub restore_parallel: usize,
    /// Refuses what the configuration asks of a Litestream that cannot do it; told whether it is of
    /// the LTX series (0.5).
    pub check: Box<dyn Fn(bool) -> Result<(), Failure>>,
    /// Makes the configuration that Litestream gets, from the path of the control socket.
    pub generate: Box<dyn Fn(&std::path::Path) -> Inputs>,
    /// Where the runtime folder is made.
    pub runtime_roots: Vec<PathBuf>,
}
