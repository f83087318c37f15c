//! All that a run is made of.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use crate::backup::Chosen;
use crate::core::Policy;
use crate::error::Failure;
use crate::http;
use crate::inventory::Inventory;
use crate::litestream::database::Database;
use crate::litestream::folder::{Backups, Folder};
use crate::litestream::memory::MemoryLimit;
use crate::litestream::version::Version;
use crate::os::user::Identity;

/// What happens at the start while another keeper has a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLock {
    /// It is refused.
    Fail,
    /// It is waited for, with a limit or without one: deployments overlap.
    Wait(Option<Duration>),
}

/// How one machine has a place alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// How long one counts that says nothing.
    pub ttl: Duration,
    /// How long a start waits for another one.
    pub wait: Duration,
    /// Nothing runs without the server's word.
    pub is_strict: bool,
}

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

/// What is looked at before anything is tried.
#[derive(Clone, Copy, Debug)]
pub enum Looked<'a> {
    /// All that the configuration says of this machine.
    Configured,
    /// What is written there, for a Litestream of the LTX series (0.5) or the one before.
    Written(bool),
    /// A database that a source named.
    Named(&'a Database),
    /// So many databases that are there.
    Number(usize),
    /// A database that is there and not restored: whether it can be what it should.
    Staying(&'a Database),
}

/// Looks, and refuses.
pub type Faults = Rc<dyn Fn(Looked<'_>) -> Result<(), Failure>>;

/// The resolved settings of one run.
pub struct Setup {
    /// What the core decides by.
    pub policy: Policy,
    /// The databases, in the configuration's order: [`crate::core::Db`] counts them.
    pub dbs: Vec<Database>,
    /// Litestream.
    pub binary: PathBuf,
    /// A version of Litestream, as it prints it, that is run although it is known to be bad.
    pub allowed_version: Option<String>,
    /// The version that Litestream must be, if that was asked for.
    pub required_version: Option<Version>,
    /// How much memory it is to get along with.
    pub memory: MemoryLimit,
    /// Who Litestream and the app run as.
    pub user: Option<Identity>,
    /// The app.
    pub app: Vec<OsString>,
    /// The one-shot commands before it.
    pub before: Vec<Vec<OsString>>,
    /// The app's environment.
    pub env: Vec<(OsString, OsString)>,
    /// The app's working directory, if it is not simply the one that this process has.
    pub cwd: Option<PathBuf>,
    /// The descriptors of socket activation that this process has (`sd_listen_fds(3)`).
    pub listen_fds: Vec<OwnedFd>,
    /// What they are called.
    pub listen_names: Option<OsString>,
    /// What happens while another keeper has one of the databases.
    pub on_lock: OnLock,
    /// What happens to a database that is older than its backup.
    pub if_behind: IfBehind,
    /// The same to one without Litestream's own files, which is not what its backup has.
    pub if_unrelated: IfBehind,
    /// Such a one is compared with its backup if it has so many bytes at most.
    pub compare_limit: u64,
    /// An empty folder whose databases' backups cannot be listed is taken for a new one.
    pub allow_unlistable: bool,
    /// One machine alone replicates to a place at a time, if that is wanted.
    pub lease: Option<Lease>,
    /// How often the replicas are looked at while the app runs.
    pub look: Duration,
    /// How long Litestream keeps its own files of single transactions at least; none for its default.
    pub l0_retention: Option<Duration>,
    /// How long a restore may go without progress.
    pub restore_timeout: Duration,
    /// How many databases are restored side by side.
    pub restore_parallel: usize,
    /// What is restored in place of the newest.
    pub restore_txids: Rc<Chosen>,
    /// Refuses what the configuration asks of a Litestream that cannot do it; told whether it is of
    /// the LTX series (0.5).
    pub check: Rc<dyn Fn(bool) -> Result<(), Failure>>,
    /// Refuses what cannot come to anything on this machine.
    pub faults: Faults,
    /// What the configuration knows of its databases and of further ones.
    pub inventory: Rc<Inventory>,
    /// The folders whose databases Litestream finds itself, in the configuration's order.
    pub folders: Vec<Folder>,
    /// The places that those have in common which the resolver names, as far as they are known before.
    pub common: Vec<Backups>,
    /// The program that names further ones.
    pub resolver: Option<Vec<OsString>>,
    /// The configuration's file, with no link in its path; none where there is none.
    pub configuration: Option<PathBuf>,
    /// Where the user wants Litestream's control socket; else it is in the runtime folder.
    pub socket: Option<PathBuf>,
    /// What is told over HTTP, where and to whom.
    pub http: http::Settings,
    /// Log lines are JSON, those of a shim without a keeper as well.
    pub json_log: bool,
    /// Where the runtime folder is made.
    pub runtime_roots: Vec<PathBuf>,
}
