//! Backups of databases that are in a folder, and may be missing here.

use std::path::PathBuf;
use std::time::Duration;

use crate::core::ExitCode;
use crate::error::Failure;
use crate::litestream::command::Runner;
use crate::litestream::folder::Folder;
use crate::printer;
use crate::replica::{self, folders::Unlisted};

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
        let found = match replica::folders::backups(runner, folder, limit).await {
            Ok(found) => found,
            Err(Unlisted::FromHere(why)) => {
                let dir = folder.dir.display();
                printer::note(&format!(
                    "{dir}: {why}: its backups are not listed, and those that are missing here are left out"
                ));
                continue;
            }
            Err(refused @ Unlisted::Refused { .. }) => {
                return Err(Failure::new(ExitCode::UNAVAILABLE, refused.to_string()).hint(refused.hint()));
            }
        };
        let found = found.into_iter().map(|found| found.below).filter(|below| folder.matches(below));
        all.extend(found.map(|below| (number, below)));
    }
    Ok(all)
}
