//! Databases that are meant, also those of a folder that have a backup and are missing here.

use std::path::PathBuf;
use std::time::Duration;

use super::asker::Asker;
use super::candidate::{Candidate, Candidates};
use super::opened::Opened;
use crate::cli::one_shot;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::inventory::{self, Inventory};
use crate::litestream::command::Runner;
use crate::litestream::folder::Folder;
use crate::printer;
use crate::replica::{self, folders::Unlisted};

/// The databases that are meant by these words; without any all, and those of folders that are only on the replica.
///
/// # Errors
/// A word means none, or several; or the backups of a folder cannot be listed.
pub(super) fn choose(
    words: &[String],
    opened: &Opened,
    inventory: &Inventory,
    limit: Duration,
) -> Result<Vec<Candidate>, Failure> {
    let mut candidates = Candidates::look(opened, inventory)?;
    let folders = inventory::folders(&opened.said.configured);
    let is_unknown = |candidates: &mut Candidates<'_>| words.is_empty() || candidates.choose(words).is_err();
    if !folders.is_empty() && is_unknown(&mut candidates) {
        let found = one_shot::block_on(async |children| {
            let asker = Asker::start(opened, children).await?;
            backups(&asker.runner, &folders, limit).await
        })??;
        candidates.add(found)?;
    }
    candidates.choose(words)
}

/// The databases that have a backup, each by the number of its folder and its path below that.
///
/// # Errors
/// The backups of a folder cannot be listed.
async fn backups(
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
