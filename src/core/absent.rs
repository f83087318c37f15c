//! Databases whose files are not there while the app runs.
//!
//! Litestream waits for such a file for ever and calls nothing wrong, and a wrong path is the most usual
//! mistake: the app then writes to another file. So a file that is missed is told after a while, and counts as
//! a lag from when it is first missed below a running app until it is there and confirmed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Db;

/// How long after the app's start a file may be missing without a word: apps take their time to make it.
const TELL: Duration = Duration::from_secs(5);

/// What is known of one of them.
#[derive(Clone, Copy, Debug)]
struct Missed {
    /// Since when, in this life of the app.
    since: Instant,
    /// It is the configuration's own: what sources name may wait for its first visitor.
    counts: bool,
    /// The operator knows.
    told: bool,
    /// It was reported as lagging.
    reported: bool,
    /// It is there by now, and not yet confirmed.
    made: bool,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Absent {
    dbs: BTreeMap<Db, Missed>,
    tell: Duration,
    max: Duration,
}

/// What the machine hears when time has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AbsentDue {
    /// This one is still not there.
    Tell(Db),
    /// It is not there for longer than a change may be unconfirmed.
    Exceeded(Db, Duration),
}

impl Absent {
    /// Misses nothing yet; a file that is missing for `max` lags.
    pub(super) fn new(max: Duration) -> Self {
        Self { dbs: BTreeMap::new(), tell: TELL.min(max / 2), max }
    }

    /// It is not there; `counts` says whether that is a lag.
    pub(super) fn missed(&mut self, now: Instant, db: Db, counts: bool) {
        let new = Missed { since: now, counts, told: false, reported: false, made: false };
        self.dbs.entry(db).or_insert(new).made = false;
    }

    /// The app is started: how long its last life has missed a file says nothing of this one.
    pub(super) fn restarted(&mut self, now: Instant) {
        self.dbs.values_mut().for_each(|missed| missed.since = now);
    }

    /// It is there. Where nothing ever `confirms`, that is all there is to wait for.
    pub(super) fn made(&mut self, db: Db, confirms: bool) {
        if !confirms {
            self.dbs.remove(&db);
        } else if let Some(missed) = self.dbs.get_mut(&db) {
            missed.made = true;
        }
    }

    /// It is on its replica. Whether it was missed until now.
    pub(super) fn confirmed(&mut self, db: Db) -> bool {
        self.dbs.get(&db).is_some_and(|missed| missed.made) && self.dbs.remove(&db).is_some()
    }

    /// All that is there is on its replica.
    pub(super) fn all_confirmed(&mut self) {
        self.dbs.retain(|_, missed| !missed.made);
    }

    /// Whether it was reported as lagging.
    pub(super) fn forget(&mut self, db: Db) -> bool {
        self.dbs.remove(&db).is_some_and(|missed| missed.reported)
    }

    /// Those that are not there.
    pub(super) fn all(&self) -> impl Iterator<Item = Db> + '_ {
        self.dbs.iter().filter(|(_, missed)| !missed.made).map(|(db, _)| *db)
    }

    /// Whether this one is not there.
    pub(super) fn is_missed(&self, db: Db) -> bool {
        self.dbs.get(&db).is_some_and(|missed| !missed.made)
    }

    /// Whether any is reported as lagging.
    pub(super) fn exceeded(&self) -> bool {
        self.dbs.values().any(|missed| missed.reported)
    }

    /// Those that are reported as lagging: since when, and whether they are there by now.
    pub(super) fn all_exceeded(&self) -> impl Iterator<Item = (Db, Instant, bool)> + '_ {
        let reported = self.dbs.iter().filter(|(_, missed)| missed.reported);
        reported.map(|(db, missed)| (*db, missed.since, missed.made))
    }

    /// Whether this one is.
    pub(super) fn is_exceeded_by(&self, db: Db) -> bool {
        self.dbs.get(&db).is_some_and(|missed| missed.reported)
    }

    /// When [`Absent::due`] has something to say.
    pub(super) fn next(&self) -> Option<Instant> {
        self.open().filter_map(|(_, missed)| self.next_of(missed)).min()
    }

    /// Takes one thing that is due.
    pub(super) fn due(&mut self, now: Instant) -> Option<AbsentDue> {
        let is_due = |missed: &Missed| self.next_of(missed).is_some_and(|at| at <= now);
        let (db, missed) = self.open().find(|(_, missed)| is_due(missed))?;
        let since = missed.since;
        let missed = self.dbs.get_mut(&db)?;
        if std::mem::replace(&mut missed.told, true) {
            missed.reported = true;
            return Some(AbsentDue::Exceeded(db, now.duration_since(since)));
        }
        Some(AbsentDue::Tell(db))
    }

    fn open(&self) -> impl Iterator<Item = (Db, &Missed)> {
        self.dbs.iter().filter(|(_, missed)| missed.counts && !missed.made).map(|(db, missed)| (*db, missed))
    }

    fn next_of(&self, missed: &Missed) -> Option<Instant> {
        match (missed.told, missed.reported) {
            (false, _) => Some(missed.since + self.tell),
            (true, false) => Some(missed.since + self.max),
            (true, true) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(60);
    const DB: Db = Db(0);

    #[test]
    fn a_missing_file_is_told_and_then_lags_once() {
        let (now, mut absent) = (Instant::now(), Absent::new(MAX));
        assert_eq!(absent.next(), None);
        absent.missed(now, DB, true);
        absent.missed(now + TELL / 2, DB, true);
        assert_eq!(absent.due(now + TELL / 2), None);
        assert_eq!(absent.due(now + TELL), Some(AbsentDue::Tell(DB)));
        assert_eq!((absent.due(now + TELL), absent.exceeded()), (None, false));
        assert_eq!(absent.due(now + MAX), Some(AbsentDue::Exceeded(DB, MAX)));
        assert_eq!((absent.due(now + MAX * 2), absent.next()), (None, None));
        assert!(absent.exceeded() && absent.is_missed(DB));
        absent.made(DB, true);
        assert!(absent.exceeded() && !absent.is_missed(DB), "it is there, and on no replica");
        assert!(absent.confirmed(DB) && !absent.confirmed(DB));
        assert!(!absent.exceeded());
    }

    #[test]
    fn each_life_of_the_app_has_its_own_time_and_sources_may_wait() {
        let (now, mut absent) = (Instant::now(), Absent::new(MAX));
        absent.missed(now, DB, true);
        absent.missed(now, Db(1), false);
        absent.restarted(now + MAX);
        assert_eq!(absent.due(now + MAX), None);
        assert_eq!(absent.due(now + MAX + TELL), Some(AbsentDue::Tell(DB)));
        assert_eq!(absent.due(now + MAX * 2), Some(AbsentDue::Exceeded(DB, MAX)));
        assert_eq!(absent.due(now + MAX * 9), None);
        assert_eq!(absent.all().collect::<Vec<_>>(), [DB, Db(1)]);
    }

    #[test]
    fn what_nobody_confirms_is_there_when_it_is_made() {
        let (now, mut absent) = (Instant::now(), Absent::new(MAX));
        absent.missed(now, DB, true);
        absent.made(DB, false);
        assert_eq!(absent.all().count(), 0);
        assert!(!absent.confirmed(DB));
    }

    #[test]
    fn what_is_there_is_confirmed_with_all_the_rest_and_what_is_not_is_missed_as_before() {
        let (now, mut absent) = (Instant::now(), Absent::new(MAX));
        absent.missed(now, DB, true);
        absent.missed(now, Db(1), true);
        absent.made(DB, true);
        absent.all_confirmed();
        assert!(!absent.confirmed(DB), "it is already");
        assert!(absent.is_missed(Db(1)));
    }

    #[test]
    fn forgetting_one_tells_whether_it_was_a_lag() {
        let (now, mut absent) = (Instant::now(), Absent::new(MAX));
        absent.missed(now, DB, true);
        absent.missed(now, Db(1), true);
        assert_eq!(absent.due(now + TELL), Some(AbsentDue::Tell(DB)));
        assert_eq!(absent.due(now + MAX), Some(AbsentDue::Exceeded(DB, MAX)));
        assert!(absent.forget(DB), "it was");
        assert!(!absent.forget(Db(1)), "of that one nobody knows");
        assert!(!absent.forget(Db(2)), "nobody missed it");
    }
}
