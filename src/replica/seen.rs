//! What a replica has, as we see it ourselves: Litestream counts what it has uploaded, and never looks whether that is still there.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::RangeInclusive;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::helper;
use super::mark::{self, Marked};
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::litestream::{ltx, position};
use crate::remote::Place;

/// How long a look waits for others that are to be looked at in the same moment.
const TOGETHER: Duration = Duration::from_millis(5);
/// How long one look may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The files that a replica has, as far as a restore can use them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Up to this transaction there is one behind the other, from the first on; 0 if there is no beginning.
    pub whole: u64,
    /// The newest transaction of all.
    pub newest: u64,
}

impl Held {
    /// What files of these transactions are.
    pub fn of(files: impl Iterator<Item = RangeInclusive<u64>>) -> Self {
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
    /// The place is another database's by now: this one's.
    Taken(String),
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

/// Looks at replicas. Of those on one server who is to be looked at together is, by one process; and who comes meanwhile is by the next.
#[derive(Clone, Default)]
pub struct Looks(Rc<RefCell<HashMap<Place, Waiting>>>);

/// Those who wait for a look at one bucket, as long as there is one.
type Waiting = Vec<(Place, oneshot::Sender<Result<Seeing, String>>)>;

/// What a replica has, and what its mark says.
type Seeing = (Held, Option<String>);

impl Looks {
    /// Looks at the replica of a database.
    pub async fn look(&self, runner: &Runner, db: &Database, confirmed: u64) -> Seen {
        let (held, marked) = if let Some(folder) = &db.replica_folder {
            (in_folder(folder), mark::in_folder(folder))
        } else if let Some(place) = &db.place {
            match self.there(runner, place).await {
                Ok((held, text)) => (held, Marked::of(text)),
                Err(reason) if helper::is_blind(&reason) => return Seen::There,
                Err(reason) => return Seen::Unknown(reason),
            }
        } else {
            return Seen::There;
        };
        if let Some(mark) = marked.of_another(db) {
            return Seen::Taken(mark.owner());
        }
        // What is made meanwhile is here before it is there.
        let here = position::txids(&ltx::folder(&db.meta)).max();
        Seen::of(held, confirmed, here)
    }

    async fn there(&self, runner: &Runner, place: &Place) -> Result<Seeing, String> {
        let bucket = place.bucket();
        let (tell, told) = oneshot::channel();
        match self.0.borrow_mut().entry(bucket.clone()) {
            Entry::Occupied(mut waiting) => waiting.get_mut().push((place.clone(), tell)),
            Entry::Vacant(waiting) => {
                waiting.insert(vec![(place.clone(), tell)]);
                tokio::task::spawn_local(self.clone().go_on(runner.clone(), bucket));
            }
        }
        told.await.unwrap_or_else(|_| Err("nobody has looked".to_owned()))
    }

    async fn go_on(self, runner: Runner, bucket: Place) {
        loop {
            // What is confirmed in one moment is looked at together.
            tokio::time::sleep(TOGETHER).await;
            let waiting = self.0.borrow_mut().get_mut(&bucket).map(std::mem::take).unwrap_or_default();
            if waiting.is_empty() {
                self.0.borrow_mut().remove(&bucket);
                return;
            }
            let (places, tell): (Vec<Place>, Vec<_>) = waiting.into_iter().unzip();
            let held = match helper::held(&runner, places, LIMIT).await {
                Ok(held) => held,
                Err(reason) => vec![Err(reason); tell.len()],
            };
            // Who has gone meanwhile needs no answer.
            tell.into_iter().zip(held).for_each(|(tell, held)| drop(tell.send(held)));
        }
    }
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
