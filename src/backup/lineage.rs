//! Whose the places are that databases are replicated to: what their ids say ([`crate::core::lineage`]) is read, and written down.

use std::collections::HashSet;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::error::Error;
use super::freshness::Freshness;
use crate::core::lineage::{Here, Lineage, There};
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::replica::mark::{self, Mark, Marked, NotPut, Over};

/// So many are written at once: on S3 each takes a process.
const AT_ONCE: usize = 8;

/// What is known of a database and its place, where its mark can be read.
struct Known {
    db: Database,
    lineage: Lineage,
    beside: Option<Mark>,
    there: Option<Mark>,
    /// Nothing beside the database says what it has to do with what is there.
    is_unrelated: bool,
}

/// Of all databases that are here, what their ids say.
pub struct Lineages(Vec<Known>);

impl Lineages {
    /// Reads the marks of these places, each of which has been listed.
    ///
    /// # Errors
    /// One is another database's.
    pub async fn read(runner: &Runner, listed: &[(&Database, &Freshness)]) -> Result<Self, Error> {
        let dbs: Vec<Database> = listed.iter().map(|(db, _)| Database::clone(db)).collect();
        let marked = mark::all(runner, &dbs, mark::LIMIT).await;
        let mut known = Vec::new();
        for ((db, (_, freshness)), marked) in dbs.into_iter().zip(listed).zip(marked) {
            let beside = Mark::beside(&db);
            let here = beside.as_ref().map_or(Here::Unmarked, |mark| Here::Marked(mark.id));
            let is_empty = matches!(freshness, Freshness::Empty | Freshness::Cut { replica: None, .. });
            let Some(one) = Known::of(db, (here, beside), marked, is_empty) else { continue };
            if let (Lineage::Another(_), Some(mark)) = (one.lineage, &one.there) {
                return Err(Error::taken(&one.db, mark.owner()));
            }
            let is_unrelated = matches!(freshness, Freshness::Unrelated { .. });
            known.push(Known { is_unrelated, ..one });
        }
        Ok(Self(known))
    }

    /// Writes down whose the places are from now on of those that stay as they are.
    ///
    /// # Errors
    /// Another database began at one of them in this moment.
    pub async fn write(self, runner: &Runner, missing: &[Database]) -> Result<(), Error> {
        let missing: HashSet<&Path> = missing.iter().map(|db| db.path.as_path()).collect();
        let (mut writing, at_once) = (JoinSet::new(), Rc::new(Semaphore::new(AT_ONCE)));
        for known in self.0 {
            if known.is_to_be_written() && !missing.contains(known.db.path.as_path()) {
                let (runner, at_once) = (runner.clone(), at_once.clone());
                writing.spawn_local(async move {
                    let _one = at_once.acquire().await;
                    known.write(&runner, mark::LIMIT).await
                });
            }
        }
        let mut all = Ok(());
        while let Some(written) = writing.join_next().await {
            all = all.and(written.unwrap_or(Ok(())));
        }
        all
    }
}

/// Writes down whose the place of a database is from now on that was missing: `is_empty` says that it has no backup.
///
/// # Errors
/// Another database began there in this moment.
pub(super) async fn take(
    runner: &Runner,
    db: &Database,
    is_empty: bool,
    limit: Duration,
) -> Result<(), Error> {
    let marked = mark::at(runner, db, limit).await;
    match Known::of(db.clone(), (Here::Missing, None), marked, is_empty) {
        Some(known) => known.write(runner, limit).await,
        None => Ok(()),
    }
}

impl Known {
    /// None where nobody can tell; why not is said.
    fn of(
        db: Database,
        (here, beside): (Here, Option<Mark>),
        marked: Marked,
        is_empty: bool,
    ) -> Option<Self> {
        let there = match marked {
            Marked::Unseen => return None,
            Marked::Unread(reason) => {
                mark::say_unmarked(&db, &reason);
                return None;
            }
            Marked::Nobody => None,
            Marked::By(mark) => Some(mark),
        };
        let at = match &there {
            Some(mark) if is_empty => There::Reserved(mark.id),
            Some(mark) => There::Marked(mark.id),
            None if is_empty => There::Nothing,
            None => There::Backup,
        };
        Some(Self { db, lineage: Lineage::of(here, at), beside, there, is_unrelated: false })
    }

    fn is_to_be_written(&self) -> bool {
        self.is_unrelated || self.lineage != Lineage::Same
    }

    async fn write(self, runner: &Runner, limit: Duration) -> Result<(), Error> {
        let Self { db, lineage, beside, there, is_unrelated } = self;
        // Whoever was to come there never did.
        let is_reserved = matches!(lineage, Lineage::Emptied(_)) && there.is_some();
        let over = if is_unrelated || is_reserved { Over::Yes } else { Over::No };
        let (mark, is_new) = match lineage {
            Lineage::Same | Lineage::Take(_) if !is_unrelated => (there, false),
            Lineage::Adopt(_) | Lineage::Emptied(_) => (beside, true),
            // What goes on over a backup that it has nothing to do with is a history of its own.
            Lineage::Same | Lineage::Take(_) | Lineage::New | Lineage::Another(_) => match Mark::begin(&db) {
                Ok(mark) => (Some(mark), true),
                Err(error) => {
                    mark::say_unmarked(&db, &error.to_string());
                    return Ok(());
                }
            },
        };
        let Some(mark) = mark else { return Ok(()) };
        if let Lineage::Emptied(_) = lineage {
            tracing::warn!(
                "{}: {} has nothing of what this database had on its replica (since {}): it was emptied, or is another place than \
                 before: all of it is copied there",
                db.path.display(),
                db.replica,
                mark.made
            );
        }
        let put = if is_new { mark.put_there(runner, &db, over, limit).await } else { Ok(()) };
        match put {
            Ok(()) => {
                // It is only the sooner known again.
                if let Err(error) = mark.put_beside(&db) {
                    tracing::debug!("{}: {error}", db.meta.display());
                }
                Ok(())
            }
            Err(NotPut::Taken(mark)) => Err(Error::taken(&db, mark.owner())),
            Err(NotPut::Failed(reason)) => {
                mark::say_unmarked(&db, &reason);
                Ok(())
            }
        }
    }
}
