//! What "no backup" leaves open: whether nothing is there, or what is there has lost its beginning.
//!
//! A restore begins with a file that has transaction 1 (`CalcRestorePlan` in Litestream's replica.go). Is there none any
//! more, somebody has removed the oldest files, and Litestream says the same as of an empty place; it would upload behind
//! what is left for ever, and none of it could be restored.

use std::path::Path;
use std::time::Duration;

use super::empty;
use super::error::Error;
use super::search::Span;
use crate::litestream::argv;
use crate::litestream::command::{self, Output, Runner};
use crate::litestream::database::Database;
use crate::litestream::version::Version;
use crate::replica::again::Patience;

/// Refuses a place that holds no backup and is not empty, or not proven to be.
///
/// # Errors
/// [`Error::NoBeginning`]; or it could not be listed.
pub(super) async fn refuse(
    runner: &Runner,
    version: Version,
    config: &Path,
    db: &Database,
    limit: Duration,
) -> Result<(), Error> {
    let mut patience = Patience::new(limit);
    let found = loop {
        match of(runner, version, config, &db.path, limit).await {
            Err(Unlisted::Refused(reason)) if patience.waits(db, &reason).await => {}
            found => break found,
        }
    };
    match found {
        Ok(None) => empty::prove(runner, version, db, limit).await,
        Ok(Some(left)) => {
            let (db, replica) = (db.path.clone(), db.replica.clone());
            Err(Error::NoBeginning { db, replica, left })
        }
        Err(Unlisted::Command(error)) => Err(Error::of_command(db, error)),
        Err(Unlisted::Refused(reason)) => Err(Error::refused(db, reason)),
    }
}

/// Why what is there is not known.
#[derive(Debug, thiserror::Error)]
pub enum Unlisted {
    /// Litestream did not answer.
    #[error(transparent)]
    Command(#[from] command::Error),
    /// It refused, in these words.
    #[error("{0}")]
    Refused(String),
}

/// From which transaction to which a place has files from which nothing can be restored, if there are any.
///
/// # Errors
/// It could not be listed.
pub async fn of(
    runner: &Runner,
    version: Version,
    config: &Path,
    db: &Path,
    limit: Duration,
) -> Result<Option<Span>, Unlisted> {
    if !version.is_ltx() {
        return Ok(None);
    }
    let output = list(runner, config, db, limit).await?;
    let files = Span::listed(output.answer().map_err(Unlisted::Refused)?);
    Ok(files
        .into_iter()
        .reduce(|one, other| Span { min: one.min.min(other.min), max: one.max.max(other.max) }))
}

/// Lists the files of a backup.
pub(super) async fn list(
    runner: &Runner,
    config: &Path,
    db: &Path,
    limit: Duration,
) -> Result<Output, command::Error> {
    let all = runner.ask(&argv::files(config, db, true), limit).await?;
    if all.is_success() {
        return Ok(all);
    }
    // 0.5.5 knows of no levels here, and lists what is not compacted yet.
    runner.ask(&argv::files(config, db, false), limit).await
}
