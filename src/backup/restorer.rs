//! What a restore needs to know, and how it ends.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::chosen::Chosen;
use super::trial::Trials;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::litestream::version::Version;
use crate::sqlite::check::Depth;

/// How often a restore that is still under way is reported.
pub(super) const REPORT: Duration = Duration::from_secs(10);

/// How databases are restored.
#[derive(Clone)]
pub struct Restorer {
    /// Runs Litestream.
    pub runner: Runner,
    /// Which Litestream that is.
    pub version: Version,
    /// The user takes this version as it is, whatever is known of it.
    pub allowed: bool,
    /// The configuration that names the databases.
    pub config: PathBuf,
    /// How long one may go without progress.
    pub timeout: Duration,
    /// How many are restored side by side.
    pub parallel: usize,
    /// What is restored in place of the newest.
    pub chosen: Rc<Chosen>,
    /// Where backups may be that are not on the replica.
    pub elsewhere: Rc<Vec<Elsewhere>>,
    /// Configurations that name one of the databases each, by its path, and the variables that they refer to.
    pub apart: Rc<BTreeMap<PathBuf, Apart>>,
    /// How replicas are tried that nothing is restored from.
    pub trials: Trials,
    /// How it is done.
    pub manner: Rc<Manner>,
}

/// How a restore is done, and what of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Further options of Litestream's.
    pub options: Vec<OsString>,
    /// Those that choose a point which is not the newest, and no transaction.
    pub point: Vec<OsString>,
    /// How closely what was restored is looked at.
    pub depth: Depth,
}

/// A configuration for one database, and the variables that it refers to.
pub type Apart = (PathBuf, Rc<Vec<(String, String)>>);

/// How a restore ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The database is there.
    Restored {
        /// Its size in bytes.
        size: u64,
    },
    /// The replica answered that it holds no backup.
    NoBackup,
}

/// A place beside a database's replica.
#[derive(Clone)]
pub struct Elsewhere {
    /// The database, with that place for its replica.
    pub db: Database,
    /// It is to be restored from there; else it is only to be known whether a backup is there.
    pub is_source: bool,
    /// A configuration that says so.
    pub config: PathBuf,
    /// The variables that it refers to.
    pub env: Rc<Vec<(String, String)>>,
}
