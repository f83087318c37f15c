//! A database that is missing, and of which its replica holds no backup: where else one may be.

use std::path::Path;
use std::rc::Rc;

use indicatif::MultiProgress;

use super::again;
use super::error::Error;
use super::freshness::NO_BACKUP;
use super::restorer::{Elsewhere, Outcome, Restorer};
use crate::litestream::argv;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::litestream::position;

impl Restorer {
    /// Looks at, or takes, what is elsewhere of a database that is not on its replica; and from where it was taken.
    pub(super) async fn probe_elsewhere(
        &self,
        db: &Database,
        output: &Path,
        before: Option<(u64, u64)>,
        bars: Option<&MultiProgress>,
    ) -> Result<(Outcome, Option<(Self, &Elsewhere)>), Error> {
        for place in self.places(db) {
            let there = self.there(place);
            if place.is_source {
                let (path, from) = (db.path.display(), &place.db.replica);
                tracing::info!("{} holds no backup of {path}: restoring it from {from}", db.replica);
                there.fetch_whole(&place.db, output, bars).await?;
                return match there.put_in_place(&place.db, output, before).await? {
                    Outcome::NoBackup => Err(Error::NothingElsewhere {
                        db: db.path.clone(),
                        replica: db.replica.clone(),
                        from: from.clone(),
                    }),
                    restored => Ok((restored, Some((there, place)))),
                };
            }
            match there.holds_backup(&place.db).await {
                Ok(false) => {}
                Ok(true) => {
                    let (path, replica) = (db.path.clone(), db.replica.clone());
                    return Err(Error::Elsewhere { db: path, replica, other: place.db.replica.clone() });
                }
                // The replica itself has answered, and may be all that the key is for.
                Err(error) => tracing::warn!("{error}: whether a backup is there is not known"),
            }
        }
        Ok((Outcome::NoBackup, None))
    }

    /// Whether a database that is not on its replica is to come from elsewhere.
    pub(super) fn has_source(&self, db: &Database) -> bool {
        self.places(db).any(|place| place.is_source)
    }

    fn places(&self, db: &Database) -> impl Iterator<Item = &Elsewhere> {
        self.elsewhere.iter().filter(|place| place.db.path == db.path)
    }

    /// The same for another place.
    fn there(&self, place: &Elsewhere) -> Self {
        let runner = Runner { env: place.env.clone(), ..self.runner.clone() };
        Self { runner, config: place.config.clone(), elsewhere: Rc::default(), ..self.clone() }
    }

    /// Whether its replica does.
    pub(super) async fn holds_backup(&self, db: &Database) -> Result<bool, Error> {
        let listing = argv::listing(self.version, &self.config, &db.path);
        let output = again::ask(&self.runner, db, &listing, self.timeout).await?;
        match output.answer() {
            Ok(listing) => Ok(position::replicated(self.version, listing).is_some()),
            Err(reason) if reason.contains(NO_BACKUP) => Ok(false),
            Err(reason) => Err(Error::refused(db, reason)),
        }
    }
}
