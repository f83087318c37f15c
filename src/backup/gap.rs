//! What Litestream restores without a word although something is missing, or stands where it does not belong.

use super::error::Error;
use super::restorer::Restorer;
use crate::litestream::argv;
use crate::litestream::command::Output;
use crate::litestream::database::Database;
use crate::litestream::wal::{self, Said};
use crate::replica::helper::{self, Pieces, Segments};

impl Restorer {
    /// Refuses what was restored where a piece of its WAL is missing: SQLite has read no further. Where nobody can tell, that is said.
    pub(super) async fn refuse_gap(&self, db: &Database, restored: &Output) -> Result<(), Error> {
        if self.version.is_ltx() {
            return Ok(());
        }
        let seen = match Said::read(&restored.stderr) {
            Some(Said::Nothing) => {
                tracing::warn!(
                    "{}: {} holds a snapshot and nothing of the WAL behind it: what was written after it is not there",
                    db.path.display(),
                    db.replica
                );
                return Ok(());
            }
            // It may be from another one than the first.
            Some(Said::Applied(_)) if db.is_on_several => Ok(None),
            Some(Said::Applied(applied)) => {
                if let Some(index) = self.index().filter(|index| *index > applied.index_max) {
                    let last = applied.index_max;
                    return Err(Error::refused(
                        db,
                        format!("there is no index {index:08x}: the last is {last:08x}"),
                    ));
                }
                self.tell_overlap(db, &applied.generation).await;
                let segments = Segments { applied, until: self.until() };
                helper::segments(&self.runner, db, segments, self.timeout).await
            }
            None => Ok(None),
        };
        let why = match seen {
            Ok(Some(Pieces::Whole)) => return Ok(()),
            Ok(Some(Pieces::Missing(what))) => return Err(Error::refused(db, what)),
            Ok(Some(Pieces::Encrypted)) => "its files are encrypted".to_owned(),
            Ok(None) if db.is_on_several => "it has several replicas".to_owned(),
            Ok(None) => "only litestream gets there".to_owned(),
            Err(reason) if helper::is_blind(&reason) => reason,
            Err(reason) => return Err(Error::refused(db, reason)),
        };
        tracing::warn!(
            "{}: litestream {} does not see whether a piece of the WAL is missing, and nobody else can ({why}): look at \
             whether its newest rows are there",
            db.path.display(),
            self.version
        );
        Ok(())
    }

    /// Refuses what was restored from a file that holds something else than its name says. On a server, and of a time, that is not looked at.
    pub(super) async fn refuse_misnamed(&self, db: &Database, txid: Option<u64>) -> Result<(), Error> {
        let Some(folder) = db.replica_folder.as_deref().filter(|_| self.version.is_ltx()) else {
            return Ok(());
        };
        if txid.is_none() && !self.manner.point.is_empty() {
            return Ok(());
        }
        match helper::misnamed(&self.runner, folder, txid, self.timeout).await {
            Ok(None) => Ok(()),
            Ok(Some(what)) => Err(Error::refused(db, what)),
            Err(reason) => {
                tracing::debug!("{}: {reason}", db.path.display());
                Ok(())
            }
        }
    }

    /// Tells of a generation that may be newer than the one that was taken: this Litestream goes by the times of the files.
    async fn tell_overlap(&self, db: &Database, chosen: &str) {
        if !self.manner.point.is_empty() {
            return;
        }
        let args = argv::list("generations", &self.config, &db.path, &[]);
        let Ok(listing) = self.runner.ask(&args, self.timeout).await else { return };
        if let Some(other) = listing.answer().ok().and_then(|listing| wal::overlapping(listing, chosen)) {
            tracing::warn!(
                "{}: restored from generation {chosen}, the newest by the times of its files; generation {other} was written to after \
                 that began: if {} was copied without its times, `litekeeper restore -o FILE --generation {other}` may have newer rows",
                db.path.display(),
                db.replica
            );
        }
    }

    /// The index that was chosen: this Litestream takes the last one for any that is not there (`Restore` in replica.go of 0.3.13).
    fn index(&self) -> Option<u64> {
        u64::from_str_radix(self.chosen_as("-index")?, 16).ok()
    }

    fn chosen_as(&self, option: &str) -> Option<&str> {
        let at = self.manner.point.iter().position(|word| word == option)?;
        self.manner.point.get(at + 1)?.to_str()
    }

    /// The time that was chosen, in milliseconds since 1970.
    fn until(&self) -> Option<u64> {
        let time: jiff::Timestamp = self.chosen_as("-timestamp")?.parse().ok()?;
        u64::try_from(time.as_millisecond()).ok()
    }
}
