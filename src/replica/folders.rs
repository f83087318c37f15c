//! The backups of a folder's databases, by wherever they are.

use std::path::PathBuf;
use std::time::Duration;

use super::helper;
use super::listing::{self, Found};
use crate::litestream::command::Runner;
use crate::litestream::folder::{Backups, Folder};
use crate::litestream::replica_error::ReplicaError;

/// Why they are not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unlisted {
    /// They cannot be listed from here.
    #[error("{0}")]
    FromHere(String),
    /// Who has them does not say.
    #[error("{place}: the backups of {} cannot be listed: {reason}", dir.display())]
    Refused {
        /// The place.
        place: String,
        /// The folder.
        dir: PathBuf,
        /// In whose words.
        reason: String,
    },
}

impl Unlisted {
    /// The next step.
    pub fn hint(&self) -> &'static str {
        let (Self::FromHere(reason) | Self::Refused { reason, .. }) = self;
        ReplicaError::of(reason).hint()
    }
}

/// Lists the databases of a folder that have a backup.
///
/// # Errors
/// See [`Unlisted`].
pub async fn backups(runner: &Runner, folder: &Folder, limit: Duration) -> Result<Vec<Found>, Unlisted> {
    let refused =
        |place: String, reason: String| Unlisted::Refused { place, dir: folder.dir.clone(), reason };
    match &folder.backups {
        Backups::Folder(base) => {
            listing::in_folder(base).map_err(|error| refused(base.display().to_string(), error.to_string()))
        }
        Backups::There(name, place) => {
            helper::list(runner, place, folder.recursive, limit).await.map_err(|reason| {
                if helper::is_blind(&reason) {
                    Unlisted::FromHere(reason)
                } else {
                    refused(name.clone(), reason)
                }
            })
        }
        Backups::Unlisted(why) => Err(Unlisted::FromHere(why.clone())),
    }
}
