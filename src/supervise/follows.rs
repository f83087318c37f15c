//! When the ledgers take in Litestream's files, which it deletes after a while.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::ledger::LOOK;
use crate::core::Db;

/// Litestream's files are taken in so often while they are kept, and for so long after a change.
const FOLLOWS: u32 = 4;
/// While nothing is said, they are kept for five minutes, and the confirmations come more often.
const OFTEN_ENOUGH: Duration = Duration::from_secs(60);

/// When the ledgers take in Litestream's files of changed databases, where those are not kept for long.
#[derive(Default)]
pub(super) struct Follows {
    every: Option<Duration>,
    last: Option<Instant>,
    /// Until when, of those that changed.
    until: BTreeMap<Db, Instant>,
}

impl Follows {
    /// Makes it for files that Litestream keeps so long; none for as long as it does by itself.
    pub(super) fn new(l0_retention: Option<Duration>) -> Self {
        let every = l0_retention.filter(|kept| *kept < OFTEN_ENOUGH).map(|kept| kept / FOLLOWS);
        Self { every, ..Self::default() }
    }

    /// Says how often they are due, if that is to be looked at.
    pub(super) fn every(&self) -> Option<Duration> {
        self.every
    }

    /// Notes that one changed.
    pub(super) fn changed(&mut self, db: Db, now: Instant) {
        if let Some(every) = self.every {
            // Litestream copies a change when it looks next, and that is the last of it that is deleted.
            self.until.insert(db, now + every * FOLLOWS + LOOK);
        }
    }

    /// Returns those whose turn it is.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Db> {
        if self.every.is_none_or(|every| self.last.is_some_and(|last| now < last + every)) {
            return Vec::new();
        }
        self.last = Some(now);
        self.until.retain(|_, until| now < *until);
        self.until.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_ones_are_followed_until_their_last_file_is_taken_in() {
        let (kept, start) = (Duration::from_secs(8), Instant::now());
        let mut follows = Follows::new(Some(kept));
        let every = follows.every().expect("they are kept for a short time");
        assert_eq!(every, kept / FOLLOWS);
        follows.changed(Db(1), start);
        assert_eq!(follows.due(start), [Db(1)]);
        assert!(follows.due(start + every / 2).is_empty(), "not more often than that");
        assert_eq!(follows.due(start + every), [Db(1)]);
        assert_eq!(follows.due(start + kept), [Db(1)], "a change is copied a moment later");
        assert!(follows.due(start + kept + LOOK).is_empty(), "all of it was taken in");
    }

    #[test]
    fn what_is_kept_for_long_is_followed_by_confirmations_alone() {
        for kept in [None, Some(OFTEN_ENOUGH), Some(OFTEN_ENOUGH * 5)] {
            let mut follows = Follows::new(kept);
            follows.changed(Db(1), Instant::now());
            assert_eq!((follows.every(), follows.due(Instant::now())), (None, Vec::new()));
        }
    }
}
