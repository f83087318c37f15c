//! Backups of databases that are in a folder, and may be missing here.

use std::path::PathBuf;
use std::time::Duration;

use crate::core::ExitCode;
use crate::error::Failure;
use crate::litestream::command::Runner;
use crate::litestream::folder::{Backups, Folder};
use crate::litestream::replica_error::ReplicaError;
use crate::printer;
use crate::replica::{helper, listing};

/// The databases that have a backup, each by the number of its folder and its path below that.
///
/// # Errors
/// The backups of a folder cannot be listed.
pub(super) async fn backups(
    runner: &Runner,
    folders: &[Folder],
    limit: Duration,
) -> Result<Vec<(usize, PathBuf)>, Failure> {
    let mut all = Vec::new();
    for (number, folder) in folders.iter().enumerate() {
        let unlisted = |why: &str| {
            let dir = folder.dir.display();
            printer::note(&format!(
                "{dir}: {why}: its backups are not listed, and those that are missing here are left out"
            ));
        };
        let found = match &folder.backups {
            Backups::Folder(base) => {
                let listed = listing::in_folder(base);
                listed.map_err(|error| refused(&base.display().to_string(), folder, &error.to_string()))?
            }
            Backups::There(name, place) => match helper::list(runner, place, folder.recursive, limit).await {
                Ok(found) => found,
                Err(reason) if helper::is_blind(&reason) => {
                    unlisted(&reason);
                    continue;
                }
                Err(reason) => return Err(refused(name, folder, &reason)),
            },
            Backups::Unlisted(why) => {
                unlisted(why);
                continue;
            }
        };
        let found = found.into_iter().map(|found| found.below).filter(|below| folder.matches(below));
        all.extend(found.map(|below| (number, below)));
    }
    Ok(all)
}

fn refused(place: &str, folder: &Folder, reason: &str) -> Failure {
    let message = format!("{place}: the backups of {} cannot be listed: {reason}", folder.dir.display());
    Failure::new(ExitCode::UNAVAILABLE, message).hint(ReplicaError::of(reason).hint())
}
