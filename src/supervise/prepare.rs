//! Before anything runs: which Litestream this is, which databases are missing, and how those that
//! are there stand to their backups.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::setup::IfBehind;
use crate::backup::{self, Standing};
use crate::core::{ExitCode, Gate};
use crate::error::Failure;
use crate::litestream::argv;
use crate::litestream::command::{Error, Runner};
use crate::litestream::database::Database;
use crate::litestream::position::{self, Position};
use crate::litestream::version::Version;

/// How long `litestream version` may take.
const VERSION_LIMIT: Duration = Duration::from_secs(20);
/// Asked first, so that a start need not wait for one process to start another.
const EXPECTED: Version = Version::new(0, 5, 17);

/// What is looked at.
pub(super) struct Preparation {
    pub(super) runner: Runner,
    pub(super) config: PathBuf,
    pub(super) dbs: Rc<Vec<Database>>,
    pub(super) allowed_version: Option<String>,
    pub(super) required_version: Option<Version>,
    pub(super) if_behind: IfBehind,
    pub(super) gate: Gate,
    pub(super) limit: Duration,
    pub(super) parallel: usize,
}

/// What was found.
pub(super) struct Prepared {
    pub(super) version: Version,
    pub(super) missing: Vec<Database>,
}

impl Preparation {
    /// Looks.
    ///
    /// # Errors
    /// Why the app must not be started.
    pub(super) async fn look(&self) -> Result<Prepared, Failure> {
        let present: Vec<Database> = self.dbs.iter().filter(|db| db.exists()).cloned().collect();
        let expected = async {
            // Asking costs a process for each database, so not before the version is known to matter.
            if present.is_empty() { Vec::new() } else { self.standings(&present, EXPECTED).await }
        };
        let (version, mut standings) = tokio::join!(self.version(), expected);
        let version = version?;
        if !version.plans() && !present.is_empty() {
            standings = self.standings(&present, version).await;
        }
        let missing = self.settle_all(&self.dbs, &present, standings)?;
        Ok(Prepared { version, missing })
    }

    /// As [`Preparation::look`], for one database more once the version is known: whether it is missing.
    /// `listed` is how new its backup is, where somebody has seen that already.
    ///
    /// # Errors
    /// As for [`Preparation::look`].
    pub(super) async fn is_missing(
        &self,
        db: &Database,
        version: Version,
        listed: Option<Option<Position>>,
    ) -> Result<bool, Failure> {
        let db = std::slice::from_ref(db);
        let present = if db[0].exists() { db } else { &[] };
        let standings = match listed {
            Some(replica) => {
                let standing =
                    |db: &Database| Ok(Standing::of(position::local(version, &db.meta), replica.clone()));
                present.iter().map(standing).collect()
            }
            None => self.standings(present, version).await,
        };
        Ok(!self.settle_all(db, present, standings)?.is_empty())
    }

    fn settle_all(
        &self,
        dbs: &[Database],
        present: &[Database],
        standings: Vec<Result<Standing, backup::Error>>,
    ) -> Result<Vec<Database>, Failure> {
        let mut missing: Vec<Database> = dbs.iter().filter(|db| !db.exists()).cloned().collect();
        for (db, standing) in present.iter().zip(standings) {
            match standing {
                Ok(Standing::Current) => {}
                Ok(Standing::Behind { local, replica }) => {
                    if self.settle_behind(db, &local.to_string(), &replica.to_string())? {
                        missing.push(db.clone());
                    }
                }
                Err(error) if self.gate == Gate::None => {
                    tracing::warn!("{error}: starting all the same, as --gate none says");
                }
                Err(error) => return Err(failure(&error)),
            }
        }
        Ok(missing)
    }

    async fn version(&self) -> Result<Version, Failure> {
        let output = self
            .runner
            .ask_offline(&argv::version(), VERSION_LIMIT)
            .await
            .map_err(|error| self.unusable(&error))?;
        let text = output.stdout.trim();
        let allowed = self.allowed_version.as_deref().map(|text| text.trim_start_matches('v'));
        let is_allowed = allowed == Some(text.trim_start_matches('v'));
        match (Version::parse(text), self.required_version) {
            (Some(version), Some(required)) if version != required => {
                let binary = self.runner.binary().display();
                let message = format!("{binary} is litestream {version}, but it must be {required}");
                Err(Failure::new(ExitCode::CONFIG, message).hint(format!(
                    "`litekeeper install --version {required}` gets that one and says where it is, \
                     which LITESTREAM_BINARY_PATH may name"
                )))
            }
            (Some(version), _) if version.is_known_bad() && !is_allowed => {
                let message = format!("litestream {version} is known to stop replicating without a word");
                Err(Failure::new(ExitCode::CONFIG, message).hint(format!(
                    "`litekeeper install` gets a good one; `--allow-litestream {version}` runs this one all the same"
                )))
            }
            (Some(version), _) => Ok(version),
            (None, _) if is_allowed => Ok(EXPECTED),
            (None, _) => {
                let binary = self.runner.binary().display();
                let message =
                    format!("`{binary} version` says `{}`, which is no version", text.escape_debug());
                let hint = if text.is_empty() {
                    "name litestream itself with LITESTREAM_BINARY_PATH".to_owned()
                } else {
                    format!(
                        "if that is a litestream of 0.5.12 or later, `--allow-litestream '{text}'` runs it"
                    )
                };
                Err(Failure::new(ExitCode::CONFIG, message).hint(hint))
            }
        }
    }

    fn unusable(&self, error: &Error) -> Failure {
        match error {
            Error::Start { .. } | Error::Timeout(_) => Failure::new(
                ExitCode::CONFIG,
                format!("`{} version`: {error}", self.runner.binary().display()),
            )
            .hint("`litekeeper install` gets a litestream that runs here"),
            Error::Aborted => Failure::new(ExitCode::UNAVAILABLE, "interrupted"),
        }
    }

    async fn standings(
        &self,
        present: &[Database],
        version: Version,
    ) -> Vec<Result<Standing, backup::Error>> {
        let places = Rc::new(Semaphore::new(self.parallel.max(1)));
        let mut asking = JoinSet::new();
        for (place, db) in present.iter().enumerate() {
            let (runner, config, db, limit, places) =
                (self.runner.clone(), self.config.clone(), db.clone(), self.limit, places.clone());
            asking.spawn_local(async move {
                let _place = places.acquire().await;
                (place, backup::standing(&runner, version, &config, &db, limit).await)
            });
        }
        let mut answers = Vec::new();
        while let Some(answer) = asking.join_next().await {
            answers.extend(answer);
        }
        answers.sort_by_key(|(place, _)| *place);
        answers.into_iter().map(|(_, standing)| standing).collect()
    }

    /// Whether the database is to be restored.
    fn settle_behind(&self, db: &Database, local: &str, replica: &str) -> Result<bool, Failure> {
        let path = db.path.display();
        let behind = format!("{path} ({local}) is older than its backup on {} ({replica})", db.replica);
        match self.if_behind {
            IfBehind::Refuse => Err(Failure::new(ExitCode::UNAVAILABLE, behind).hint(
                "`--if-behind restore` keeps this file under another name and restores the backup; `--if-behind ignore` \
                 goes on from it, and the newer rows leave the latest restore",
            )),
            IfBehind::Ignore => {
                tracing::warn!("{behind}: going on from it, as --if-behind ignore says");
                Ok(false)
            }
            IfBehind::Restore => {
                let moved = backup::move_aside(db).map_err(|error| failure(&error))?;
                let kept = moved.first().map_or_else(String::new, |kept| kept.display().to_string());
                tracing::warn!("{behind}: kept as {kept}, and the backup restored");
                Ok(true)
            }
        }
    }
}

/// A backup's error, as the program's end.
pub(super) fn failure(error: &backup::Error) -> Failure {
    let failure = Failure::new(error.exit(), error.to_string());
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Several, as one end: the first one's code and hint, everybody's words.
pub(super) fn failures(errors: &[backup::Error]) -> Failure {
    let Some(first) = errors.first() else {
        return Failure::new(ExitCode::UNAVAILABLE, "a restore failed and left no reason");
    };
    let all = Failure::lines(first.exit(), errors.iter().map(ToString::to_string));
    Failure { hint: failure(first).hint, ..all }
}
