//! What a replica has, as we see it ourselves: Litestream counts what it has uploaded, and never looks whether that is still there.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::helper;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::litestream::{ltx, position};

/// How long one look may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The files that a replica has, as far as a restore can use them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    /// Up to this transaction there is one behind the other, from the first on; 0 if there is no beginning.
    pub(super) whole: u64,
    /// The newest transaction of all.
    pub(super) newest: u64,
}

impl Held {
    /// What files of these transactions are.
    pub(super) fn of(files: impl Iterator<Item = RangeInclusive<u64>>) -> Self {
        let mut files: Vec<_> = files.map(RangeInclusive::into_inner).collect();
        files.sort_unstable();
        let mut held = Self::default();
        for (min, max) in files {
            if min <= held.whole.saturating_add(1) {
                held.whole = held.whole.max(max);
            }
            held.newest = held.newest.max(max);
        }
        held
    }
}

/// What a look at a replica says of a database that is on it up to some transaction, by Litestream's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is, or nobody but Litestream can look there.
    There,
    /// It cannot be restored from there up to that: up to this at most, and not at all for 0.
    Lost(u64),
    /// It is further than the database: another one is copied there as well.
    Ahead {
        /// How far it is.
        there: u64,
        /// How far the database is.
        here: u64,
    },
    /// It cannot be looked at, for this reason.
    Unknown(String),
}

impl Seen {
    /// What it says of a replica that holds this, has to have `confirmed`, and gets what is `here` up to now.
    fn of(held: Held, confirmed: u64, here: Option<u64>) -> Self {
        match here {
            Some(here) if held.newest > here => Self::Ahead { there: held.newest, here },
            Some(_) | None if held.whole >= confirmed => Self::There,
            Some(_) | None => Self::Lost(held.whole),
        }
    }
}

/// Looks at the replica of a database.
pub async fn look(runner: &Runner, db: &Database, confirmed: u64) -> Seen {
    let held = if let Some(folder) = &db.replica_folder {
        in_folder(folder)
    } else if let Some(s3) = &db.s3 {
        match helper::held(runner, s3, LIMIT).await {
            Ok(held) => held,
            Err(reason) => return Seen::Unknown(reason),
        }
    } else {
        return Seen::There;
    };
    // What is made meanwhile is here before it is there.
    let here = position::txids(&ltx::folder(&db.meta)).max();
    Seen::of(held, confirmed, here)
}

/// What a backup in a folder has. From the lowest level to the highest, as files go: what is compacted meanwhile is seen
/// twice and not missed.
fn in_folder(replica: &Path) -> Held {
    Held::of(ltx::levels(replica).flat_map(|level| position::spans(&level)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(files: &[(u64, u64)]) -> Held {
        Held::of(files.iter().map(|(min, max)| *min..=*max))
    }

    #[test]
    fn a_restore_needs_one_file_behind_the_other_from_the_first_on() {
        for (files, whole, newest) in [
            (&[][..], 0, 0),
            (&[(1, 1), (2, 2), (3, 3)], 3, 3),
            (&[(3, 3), (1, 2)], 3, 3),
            (&[(1, 5), (4, 7), (2, 2)], 7, 7),
            (&[(2, 2), (3, 3)], 0, 3),
            (&[(1, 5), (7, 7)], 5, 7),
            (&[(1, u64::MAX), (2, 3)], u64::MAX, u64::MAX),
        ] {
            assert_eq!(held(files), Held { whole, newest }, "{files:?}");
        }
    }

    #[test]
    fn a_replica_has_what_was_confirmed_and_nothing_that_is_not_here() {
        for (files, here, seen) in [
            (&[(1, 7)][..], Some(7), Seen::There),
            (&[(1, 7)], Some(9), Seen::There),
            (&[(1, 5), (6, 8)], Some(9), Seen::There),
            (&[(1, 7)], None, Seen::There),
            (&[(1, 6)], Some(9), Seen::Lost(6)),
            (&[(5, 9)], Some(9), Seen::Lost(0)),
            (&[], Some(9), Seen::Lost(0)),
            (&[], None, Seen::Lost(0)),
            (&[(1, 10)], Some(9), Seen::Ahead { there: 10, here: 9 }),
        ] {
            assert_eq!(Seen::of(held(files), 7, here), seen, "{files:?} {here:?}");
        }
    }

    #[test]
    fn files_of_all_levels_count() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(in_folder(root.path()), Held::default());
        let (snapshots, single) = (ltx::levels(root.path()).last().unwrap(), ltx::folder(root.path()));
        for (folder, name) in
            [(snapshots, "0000000000000001-0000000000000004.ltx".to_owned()), (single, ltx::name(5))]
        {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(name), "").unwrap();
        }
        assert_eq!(in_folder(root.path()), Held { whole: 5, newest: 5 });
    }
}
