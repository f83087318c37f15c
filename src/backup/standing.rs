//! How a database that is here stands to its backup.

use std::path::Path;
use std::time::Duration;

use super::Error;
use crate::litestream::argv;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::litestream::position::{self, Position};
use crate::litestream::version::Version;

/// What Litestream 0.5 answers for a replica without a backup.
pub const NO_BACKUP: &str = "no matching backup files available";

/// How a database stands to its backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The replica answered, and holds nothing newer.
    Current,
    /// The replica holds newer rows: Litestream would overwrite them.
    Behind {
        /// Where the database is.
        local: Position,
        /// Where the replica is.
        replica: Position,
    },
}

impl Standing {
    /// How a database stands, by what its own metadata says and what is on its replica.
    pub fn of(local: Option<Position>, replica: Option<Position>) -> Self {
        match (local, replica) {
            (Some(local), Some(replica)) if local.is_behind(&replica) => Self::Behind { local, replica },
            _ => Self::Current,
        }
    }
}

/// Asks the replica, with a `limit`, and the database's own metadata.
///
/// A database whose metadata is lost cannot be compared, and counts as current; so does one whose
/// replica says nothing, which for a release that hides refusals may be one.
///
/// # Errors
/// The replica did not answer, or refused.
pub async fn standing(
    runner: &Runner,
    version: Version,
    config: &Path,
    db: &Database,
    limit: Duration,
) -> Result<Standing, Error> {
    let local = position::local(version, &db.meta);
    let output = runner.ask(&argv::listing(version, config, &db.path), limit).await;
    let output = output.map_err(|error| Error::of_command(db, error))?;
    let replica = match output.answer() {
        Ok(listing) => position::replicated(version, listing),
        Err(reason) if reason.contains(NO_BACKUP) => None,
        Err(reason) => return Err(Error::refused(db, reason)),
    };
    Ok(Standing::of(local, replica))
}
