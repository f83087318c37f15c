//! How a database that is here compares with its backup.

use std::path::Path;
use std::time::Duration;

use super::error::Error;
use super::{again, kin, remains};
use crate::litestream::argv;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::litestream::position::{self, Position};
use crate::litestream::version::Version;

/// What Litestream 0.5 answers for a replica without a backup.
pub const NO_BACKUP: &str = "no matching backup files available";

/// How a database compares with its backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The replica answered, and holds nothing newer.
    Current,
    /// The replica answered, and holds nothing.
    Empty,
    /// The replica holds newer rows: Litestream would overwrite them.
    Behind {
        /// Where the database is.
        local: Position,
        /// Where the replica is.
        replica: Position,
    },
    /// The replica holds nothing newer, but what it holds is not the beginning of what is here.
    Apart {
        /// Where the replica is.
        replica: Position,
        /// Unless that is known: the first transaction that there is a local file of, right behind where the replica is.
        first: Option<u64>,
    },
    /// The replica holds a backup, and nothing beside the database says what it has to do with that.
    Unrelated {
        /// Where the replica is.
        replica: Position,
    },
    /// What the replica needs next is not among the local files any more: it was emptied, or is another one.
    Cut {
        /// The first transaction that there is a local file of.
        first: u64,
        /// Where the replica is, if it holds anything.
        replica: Option<Position>,
    },
}

impl Freshness {
    /// Compares what a database's own metadata says (up to where it is, and from where on it has files) with what is on
    /// its replica.
    pub fn of(local: Option<Position>, first: Option<u64>, replica: Option<Position>) -> Self {
        // Litestream uploads one file after the other (`Replica.syncOnce` in its replica.go).
        let next = match &replica {
            None => Some(1),
            // A listing without a transaction is as good as none.
            Some(Position::Txid(0)) => None,
            Some(Position::Txid(txid)) => txid.checked_add(1),
            Some(Position::Wal { .. }) => None,
        };
        if let (Some(first), Some(next)) = (first, next)
            && first >= next
        {
            match replica {
                // It was the newest there, and nobody deletes that one here.
                Some(replica) if first == next => return Self::Apart { replica, first: Some(first) },
                None if first == next => {}
                replica => return Self::Cut { first, replica },
            }
        }
        match (local, replica) {
            (_, None) if first.is_some() => Self::Empty,
            // A listing without a transaction is as good as none.
            (None, Some(replica)) if replica != Position::Txid(0) => Self::Unrelated { replica },
            (Some(local), Some(replica)) if local.is_behind(&replica) => Self::Behind { local, replica },
            _ => Self::Current,
        }
    }
}

/// Compares a database with its backup: asks the replica, with a `limit`, and the database's own metadata.
///
/// One whose replica says nothing counts as current, which for a release that hides refusals may be one.
///
/// # Errors
/// The replica did not answer, or refused; or what it holds cannot be restored, nor gone on with.
pub async fn freshness(
    runner: &Runner,
    version: Version,
    config: &Path,
    db: &Database,
    limit: Duration,
) -> Result<Freshness, Error> {
    let local = position::local(version, &db.meta);
    let output = again::ask(runner, db, &argv::listing(version, config, &db.path), limit).await?;
    let (first, mut is_empty) = (position::first(version, &db.meta), false);
    let replica = match output.answer() {
        Ok(listing) => position::replicated(version, listing),
        // Who takes a refusal for an empty listing proves nothing by one.
        Err(reason)
            if reason.contains(NO_BACKUP) && (version.admits_refusals() || db.replica_folder.is_some()) =>
        {
            remains::refuse(runner, version, config, db, limit).await?;
            is_empty = true;
            None
        }
        Err(reason) if reason.contains(NO_BACKUP) => return Ok(Freshness::Current),
        Err(reason) => return Err(Error::refused(db, reason)),
    };
    // An answer without a listing says nothing of what is there.
    let first = first.filter(|_| replica.is_some() || is_empty);
    let freshness = Freshness::of(local, first, replica.clone());
    Ok(match compared(runner, config, db, freshness, replica, limit).await {
        Freshness::Current if is_empty => Freshness::Empty,
        freshness => freshness,
    })
}

/// What a backup is that ends with another transaction than its database had then.
pub const NOT_ITS_OWN: &str =
    "it is another database's backup, or one that another copy of this database went on with";

/// Compares as [`freshness`] does, where the replica has answered already.
pub async fn against(
    runner: &Runner,
    version: Version,
    config: &Path,
    db: &Database,
    replica: Option<Position>,
    limit: Duration,
) -> Freshness {
    let (local, first) = (position::local(version, &db.meta), position::first(version, &db.meta));
    compared(runner, config, db, Freshness::of(local, first, replica.clone()), replica, limit).await
}

/// Whether what is current by its number is so by what it is.
async fn compared(
    runner: &Runner,
    config: &Path,
    db: &Database,
    freshness: Freshness,
    replica: Option<Position>,
    limit: Duration,
) -> Freshness {
    match (&freshness, replica) {
        (Freshness::Current, Some(replica @ Position::Txid(newest)))
            if kin::is_another(runner, config, db, newest, limit).await =>
        {
            Freshness::Apart { replica, first: None }
        }
        _ => freshness,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_replica_needs_next_has_to_be_there() {
        let at = |txid| Some(Position::Txid(txid));
        let stands = |local, first, replica| Freshness::of(local, first, replica);
        assert_eq!(stands(at(9), Some(1), None), Freshness::Empty);
        assert_eq!(stands(at(9), Some(7), at(7)), Freshness::Current);
        let unknown = Freshness::Apart { replica: Position::Txid(6), first: Some(7) };
        assert_eq!(stands(at(9), Some(7), at(6)), unknown);
        assert_eq!(stands(at(9), Some(1), at(0)), Freshness::Current);
        assert_eq!(stands(None, None, None), Freshness::Current);
        assert_eq!(stands(None, None, at(0)), Freshness::Current);
        assert_eq!(stands(None, None, at(6)), Freshness::Unrelated { replica: Position::Txid(6) });
        assert_eq!(stands(at(9), Some(7), None), Freshness::Cut { first: 7, replica: None });
        assert_eq!(stands(at(9), Some(7), at(5)), Freshness::Cut { first: 7, replica: at(5) });
        let behind = Freshness::Behind { local: Position::Txid(9), replica: Position::Txid(10) };
        assert_eq!(stands(at(9), Some(7), at(10)), behind);
    }
}
