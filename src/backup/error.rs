//! Why a backup could not be had.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::newest::Newest;
use super::search::Span;
use crate::core::ExitCode;
use crate::litestream::argv;
use crate::litestream::command::{self, Runner};
use crate::litestream::database::Database;
use crate::litestream::replica_error::ReplicaError;
use crate::litestream::version::Version;
use crate::replica::{helper, reach};

/// Why a database could not be restored, or its replica not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The replica refused, or Litestream failed.
    #[error("{}: replica {replica}: {reason}", db.display())]
    Refused {
        /// The database.
        db: PathBuf,
        /// Its replica.
        replica: String,
        /// Litestream's words.
        reason: String,
    },
    /// It did not answer in time.
    #[error("{}: replica {replica}: {}", db.display(), reach::told(&command::Error::Timeout(*after).to_string(), cause.as_deref()))]
    Timeout {
        /// The database.
        db: PathBuf,
        /// Its replica.
        replica: String,
        /// The limit.
        after: Duration,
        /// What a connection to the server says, with its host and port.
        cause: Option<String>,
    },
    /// What Litestream makes of the backup is no sound database.
    #[error("{}: replica {replica}: {what}", db.display())]
    Spoiled {
        /// The database.
        db: PathBuf,
        /// Its replica.
        replica: String,
        /// In SQLite's words, or in Litestream's.
        what: String,
        /// What can be had.
        newest: Newest,
    },
    /// It is not known whether it is.
    #[error("{}: the restored file cannot be checked: {why}", path.display())]
    Unchecked {
        /// The database.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The chosen transaction is not in the backup.
    #[error("{}: replica {replica}: there is no txid {} to be restored", db.display(), argv::txid_text(*txid))]
    NoSuchTxid {
        /// The database.
        db: PathBuf,
        /// Its replica.
        replica: String,
        /// The transaction.
        txid: u64,
        /// The nearest that are: older and newer.
        near: [Option<u64>; 2],
    },
    /// Litestream restored another transaction than the one that was asked for.
    #[error("{}: txid {} was asked for, and litestream restored {}", db.display(), argv::txid_text(*wanted), argv::txid_text(*found))]
    OtherTxid {
        /// The database.
        db: PathBuf,
        /// The one that was asked for.
        wanted: u64,
        /// The one that was restored.
        found: u64,
    },
    /// The backup has nothing of the time, or of the place in it, that was asked for.
    #[error("{}: replica {replica}: its backup has nothing of the point that was asked for", db.display())]
    NothingThen {
        /// The database.
        db: PathBuf,
        /// Its replica.
        replica: String,
        /// When its oldest file was made.
        begins: Option<String>,
    },
    /// The variables that name the replica can also mean a place that does hold a backup.
    #[error("{}: replica {replica} holds no backup, but {other} does, and that may be the place that was meant", db.display())]
    Elsewhere {
        /// The database.
        db: PathBuf,
        /// Its replica.
        replica: String,
        /// The other place.
        other: String,
    },
    /// Neither the replica nor the place that it was to come from holds a backup.
    #[error("{}: neither its replica {replica} nor {from}, from where it is to be restored, holds a backup", db.display())]
    NothingElsewhere {
        /// The database.
        db: PathBuf,
        /// Its replica.
        replica: String,
        /// The other place.
        from: String,
    },
    /// The replica holds backups that this Litestream cannot read.
    #[error("{}: replica {replica} holds backups of litestream {held}, which litestream {running} takes for none", db.display())]
    OtherFormat {
        /// The database.
        db: PathBuf,
        /// Its replica.
        replica: String,
        /// The series that wrote them.
        held: &'static str,
        /// The version that runs.
        running: Version,
    },
    /// The replica holds newer backups that this Litestream cannot read, beside what it can.
    #[error("{}: replica {replica} holds backups of litestream {held} that are newer than all that litestream {running} reads there", db.display())]
    NewerFormat {
        /// The database.
        db: PathBuf,
        /// Its replica.
        replica: String,
        /// The series that wrote them.
        held: &'static str,
        /// The version that runs.
        running: Version,
    },
    /// The replica holds files of a backup, and nothing that a restore could begin with.
    #[error(
        "{}: replica {replica} holds txid {} to {}, and nothing that a restore could begin with: what was before that is gone there",
        db.display(),
        argv::txid_text(left.min),
        argv::txid_text(left.max)
    )]
    NoBeginning {
        /// The database.
        db: PathBuf,
        /// Its replica.
        replica: String,
        /// What it holds.
        left: Span,
    },
    /// "No backup" is what this Litestream also says of a replica that refused.
    #[error("{}: litestream {running} finds no backup on {replica}, but it says so of a missing bucket or a wrong key as well", db.display())]
    NotBelieved {
        /// The database.
        db: PathBuf,
        /// Its replica.
        replica: String,
        /// The version that runs.
        running: Version,
    },
    /// Another database is replicated there.
    #[error("{}: its replica {replica} belongs to another database: {owner}", db.display())]
    Taken {
        /// The database.
        db: PathBuf,
        /// Its replica.
        replica: String,
        /// Whose it is.
        owner: String,
    },
    /// Another machine replicates there now.
    #[error("{}: another machine replicates to {replica} ({owner})", db.display())]
    Leased {
        /// The database.
        db: PathBuf,
        /// Its replica.
        replica: String,
        /// Who.
        owner: String,
        /// Its place is that of several databases.
        is_of_many: bool,
    },
    /// Nothing is to run without the server's word that nobody else does, and it gave none.
    #[error("{}: nobody has said for {} s that {replica} is this machine's alone (--lease strict)", db.display(), ttl.as_secs())]
    LeaseOver {
        /// The database.
        db: PathBuf,
        /// Its replica.
        replica: String,
        /// How long a word counts.
        ttl: Duration,
    },
    /// The same, and there cannot be one.
    #[error("{}: replica {replica}: nobody can hold it for one machine alone, as --lease strict wants it: {why}", db.display())]
    NoLease {
        /// The database.
        db: PathBuf,
        /// Its replica.
        replica: String,
        /// Why not.
        why: String,
    },
    /// Somebody made the database while it was restored.
    #[error("{}: somebody has made it while its backup was restored, which is not put over it", db.display())]
    Appeared {
        /// The database.
        db: PathBuf,
    },
    /// This machine refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// Litestream could not be run.
    #[error(transparent)]
    Command(#[from] command::Error),
}

impl Error {
    pub(super) fn of_command(db: &Database, error: command::Error) -> Self {
        match error {
            command::Error::Timeout(after) => {
                Self::Timeout { db: db.path.clone(), replica: db.replica.clone(), after, cause: None }
            }
            other @ (command::Error::Start { .. } | command::Error::Aborted) => Self::Command(other),
        }
    }

    pub(super) fn refused(db: &Database, reason: String) -> Self {
        Self::Refused { db: db.path.clone(), replica: db.replica.clone(), reason }
    }

    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { path: path.to_owned(), error }
    }

    /// The place of a database is another one's: this one's, as its mark says.
    pub fn taken(db: &Database, owner: String) -> Self {
        Self::Taken { db: db.path.clone(), replica: db.replica.clone(), owner }
    }

    /// A place can be nobody's alone.
    pub fn no_lease(db: &Database, why: String) -> Self {
        Self::NoLease { db: db.path.clone(), replica: db.replica.clone(), why }
    }

    /// It was this machine's, and nobody has said so for that long.
    pub(super) fn lease_over(db: &Database, ttl: Duration) -> Self {
        Self::LeaseOver { db: db.path.clone(), replica: db.replica.clone(), ttl }
    }

    /// Another machine replicates to the place of a database.
    pub(super) fn leased(db: &Database, owner: String, is_of_many: bool) -> Self {
        Self::Leased { db: db.path.clone(), replica: db.replica.clone(), owner, is_of_many }
    }

    /// The same with the reason, where it is that nobody answered in time and a connection tells why.
    pub(super) async fn explained(self, runner: &Runner, db: &Database) -> Self {
        match (self, &db.place) {
            (Self::Timeout { db, replica, after, cause: None }, Some(place)) => {
                let cause = helper::reach(runner, place).await;
                Self::Timeout { db, replica, after, cause }
            }
            (other, _) => other,
        }
    }

    /// The next step.
    #[expect(clippy::too_many_lines, reason = "one table of words")]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { reason, .. } => Some(ReplicaError::of(reason).hint().to_owned()),
            Self::Timeout { cause, replica, .. } => {
                let known = cause.as_deref().map(ReplicaError::of).filter(|kind| *kind != ReplicaError::Other);
                Some(known.unwrap_or(ReplicaError::Unreachable).asked_of(replica.starts_with("s3:")).hint().to_owned())
            }
            Self::Spoiled { newest, .. } => Some(newest.hint()),
            Self::Unchecked { .. } => None,
            Self::NoSuchTxid { near, .. } => {
                let near: Vec<_> = near.iter().flatten().map(|txid| argv::txid_text(*txid)).collect();
                (!near.is_empty()).then(|| format!("the nearest that are there: {}", near.join(" and ")))
            }
            Self::OtherTxid { .. } => Some("the file was not put in place; `litekeeper ltx` lists what is there".to_owned()),
            Self::NothingThen { begins: Some(begins), .. } => Some(format!("it begins at {begins}")),
            Self::NothingThen { begins: None, .. } => None,
            Self::Elsewhere { other, .. } => Some(format!(
                "name it in the configuration as the database's own `replica`, or with --replica: {other} to go on with that \
                 backup, the other one to start without"
            )),
            Self::NothingElsewhere { .. } => Some(
                "correct --restore-from (`litekeeper.restore.from`), or take it away to start with a new database".to_owned(),
            ),
            Self::OtherFormat { held, .. } => {
                Some(format!("run litestream {held}, or 0.5.17, which reads both"))
            }
            Self::NewerFormat { held, .. } => {
                let theirs = if *held == "0.3" { "`generations`" } else { "its `ltx` files" };
                Some(format!(
                    "run litestream {held}, or 0.5.17, which takes the newer of both; to go back to the older one all the same, move {theirs} \
                     away"
                ))
            }
            Self::NoBeginning { replica, .. } => Some(format!(
                "bring back what was removed from {replica}, or name another place; to begin there with a fresh copy, move \
                 what is left there away"
            )),
            Self::NotBelieved { running, .. } => Some(format!(
                "run litestream 0.5.17, which tells them apart (`litekeeper install` gets it); \
                 `--allow-litestream {running}` takes this one's word and starts without the database"
            )),
            Self::Taken { .. } => Some(
                "name a place of this database's own: nothing was changed there; if it is the same one, moved or restored by hand, remove \
                 `litekeeper.json` from litestream's folder beside it, and what is in it decides"
                    .to_owned(),
            ),
            Self::Leased { is_of_many, .. } => {
                let many = "; machines that have databases of their own there need a place each, or `--lease off`";
                Some(format!(
                    "stop the other one first: two would overwrite each other's backup; where deployments overlap, `--lease-wait` says how long \
                     this one waits for its end{}",
                    if *is_of_many { many } else { "" }
                ))
            }
            Self::LeaseOver { .. } => Some("a start waits for the server, and has the place again if nobody else has taken it".to_owned()),
            Self::NoLease { .. } => {
                Some("`--lease auto` (LITEKEEPER_LEASE) does without where nobody can: two machines are not kept apart there".to_owned())
            }
            Self::Appeared { .. } => Some(
                "have the app wait until the file is there, or `litekeeper reload` has said `added`; to take the backup, move the \
                 new file away"
                    .to_owned(),
            ),
            Self::Io { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => {
                Some(ReplicaError::Permission.hint().to_owned())
            }
            Self::Io { error, .. } => match error.kind() {
                io::ErrorKind::StorageFull => Some("free some space there, or name another place".to_owned()),
                io::ErrorKind::ReadOnlyFilesystem => Some("name a place that can be written".to_owned()),
                _ => None,
            },
            Self::Command(command::Error::Start { .. }) => {
                Some("`litekeeper install` gets a litestream that runs here".into())
            }
            Self::Command(command::Error::Aborted | command::Error::Timeout(_)) => None,
        }
    }

    /// Whether it says more of this machine than of the backup.
    pub fn is_of_this_machine(&self) -> bool {
        match self {
            Self::Refused { reason, .. } => matches!(
                ReplicaError::of(reason),
                ReplicaError::DiskFull | ReplicaError::NoMemory | ReplicaError::CaBundle
            ),
            Self::Unchecked { .. } | Self::Io { .. } | Self::Command(_) => true,
            Self::Timeout { .. }
            | Self::Spoiled { .. }
            | Self::NoSuchTxid { .. }
            | Self::OtherTxid { .. }
            | Self::NothingThen { .. }
            | Self::Elsewhere { .. }
            | Self::NothingElsewhere { .. }
            | Self::OtherFormat { .. }
            | Self::NewerFormat { .. }
            | Self::NoBeginning { .. }
            | Self::NotBelieved { .. }
            | Self::Taken { .. }
            | Self::Leased { .. }
            | Self::LeaseOver { .. }
            | Self::NoLease { .. }
            | Self::Appeared { .. } => false,
        }
    }

    /// The exit code.
    pub fn exit(&self) -> ExitCode {
        match self {
            Self::Command(command::Error::Start { .. }) => ExitCode::LITESTREAM,
            Self::Elsewhere { .. } => ExitCode::CONFIG,
            Self::Taken { .. } | Self::Leased { .. } | Self::LeaseOver { .. } => ExitCode::LOCKED,
            Self::NoLease { .. } => ExitCode::CONFIG,
            Self::Refused { .. }
            | Self::Timeout { .. }
            | Self::Spoiled { .. }
            | Self::Unchecked { .. }
            | Self::NoSuchTxid { .. }
            | Self::OtherTxid { .. }
            | Self::NothingThen { .. }
            | Self::OtherFormat { .. }
            | Self::NewerFormat { .. }
            | Self::NothingElsewhere { .. }
            | Self::NoBeginning { .. }
            | Self::NotBelieved { .. }
            | Self::Appeared { .. }
            | Self::Io { .. }
            | Self::Command(command::Error::Aborted | command::Error::Timeout(_)) => ExitCode::UNAVAILABLE,
        }
    }
}
