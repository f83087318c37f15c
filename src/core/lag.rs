//! How far the replicas are behind, as far as anybody knows.
//!
//! The honest lag is the age of the oldest change that no replica has confirmed. Litestream's own
//! counters do not tell it (an upload that fails moves none of them), so each change is followed
//! by one question, and there are never two at once to one database.
//!
//! That age counts only while there is somebody to ask and somebody who asks: a change that waits for Litestream to come
//! back, or for a keeper that was stopped, says nothing about the replica. So the lag has a clock of its own, which stands
//! still meanwhile ([`Lag::pass`]); all times in here are of that clock, but for one.
//!
//! Somebody may wait for all that is in a database to be on its replica. That is asked at once, by the same rule of one question
//! at a time, and is no change: an idle database does not lag because somebody asks about it. When to ask for whoever waits is a
//! time of the world: it is asked for also where no change would be, as while the app ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::Db;
use super::wants::Wants;

/// How soon it is asked again for whoever waits, after a question has failed: the change of nobody who waits can take its time.
const AGAIN: Duration = Duration::from_secs(1);

/// What is known of one database.
#[derive(Clone, Debug, Default)]
struct Watched {
    /// The oldest change that is not confirmed.
    since: Option<Instant>,
    /// The oldest change after the question that is under way was asked.
    after: Option<Instant>,
    /// A question is under way.
    asked: bool,
    /// When to ask next.
    ask_at: Option<Instant>,
    /// It was reported as lagging.
    reported: bool,
    /// Litestream replicates another file: nothing confirms this one.
    replaced: bool,
    /// Litestream does not have it: there is nobody to ask.
    outside: bool,
}

impl Watched {
    /// A new Litestream has it: what the last one did not confirm is asked again.
    fn begin_anew(&mut self) {
        let Self { since, reported, .. } = *self;
        *self = Self { since, reported, ask_at: since, ..Self::default() };
    }

    /// Whether a question about it would be the only one, and about this file.
    fn may_be_asked(&self) -> bool {
        !self.asked && !self.replaced && !self.outside
    }
}

/// The lag of each database.
#[derive(Clone, Debug)]
pub(super) struct Lag {
    dbs: BTreeMap<Db, Watched>,
    /// Those that somebody waits for.
    wants: Wants,
    delay: Duration,
    max: Duration,
    /// When it was last told the time.
    told: Option<Instant>,
    /// How far its own clock is behind.
    stood: Duration,
}

/// What the machine hears when time has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LagDue {
    /// Ask about this database.
    Ask(Db),
    /// This database's oldest unconfirmed change is older than allowed.
    Exceeded(Db, Duration),
}

impl Lag {
    /// Watches nothing yet; asks `delay` after a change, and reports changes older than `max`.
    pub(super) fn new(delay: Duration, max: Duration) -> Self {
        Self { dbs: BTreeMap::new(), wants: Wants::default(), delay, max, told: None, stood: Duration::ZERO }
    }

    /// Takes in that time has passed since the last call, in which a change could be confirmed or not.
    pub(super) fn pass(&mut self, now: Instant, counts: bool) {
        let passed = self.told.map_or(Duration::ZERO, |told| now.saturating_duration_since(told));
        self.told = Some(self.told.map_or(now, |told| told.max(now)));
        if !counts {
            self.stood += passed;
        }
    }

    /// Takes in that nobody was there for so long until now, although it was believed to count.
    pub(super) fn was_away(&mut self, time: Duration) {
        self.stood += time;
    }

    /// The time of its own clock. Never before its first moment: it stands no longer than time passes.
    fn own(&self, now: Instant) -> Instant {
        now.checked_sub(self.stood).unwrap_or(now)
    }

    /// Watches one more, of which all is confirmed.
    pub(super) fn watch(&mut self, db: Db) {
        self.dbs.entry(db).or_default();
    }

    /// Watches one more, which Litestream does not have: whatever is in it is confirmed by nobody.
    pub(super) fn watch_outside(&mut self, db: Db) {
        self.dbs.entry(db).or_insert(Watched { outside: true, ..Watched::default() });
    }

    /// Litestream has it now, with all that was in it. Whether a reported lag is over.
    pub(super) fn admitted(&mut self, db: Db) -> bool {
        self.wants.unasked(db);
        self.dbs.insert(db, Watched::default()).is_some_and(|watched| watched.reported)
    }

    /// A Litestream that is being started has it: what is in it is asked about as after any relaunch.
    pub(super) fn returned(&mut self, db: Db) {
        if let Some(watched) = self.dbs.get_mut(&db) {
            watched.begin_anew();
            self.wants.unasked(db);
        }
    }

    /// The age of the oldest change in it that nobody has confirmed; `counts` says whether one could be since it was last told
    /// the time.
    pub(super) fn age(&self, now: Instant, counts: bool, db: Db) -> Option<Duration> {
        let since = self.dbs.get(&db)?.since?;
        let passed =
            self.told.filter(|_| !counts).map_or(Duration::ZERO, |told| now.saturating_duration_since(told));
        Some(self.own(now).saturating_duration_since(since + passed))
    }

    /// Those that are reported as lagging.
    pub(super) fn all_exceeded(&self) -> impl Iterator<Item = Db> + '_ {
        self.dbs.iter().filter(|(_, watched)| watched.reported).map(|(db, _)| *db)
    }

    /// Whether there is a change in it that nobody has confirmed.
    pub(super) fn is_behind(&self, db: Db) -> bool {
        self.dbs.get(&db).is_some_and(|watched| watched.since.is_some())
    }

    /// Watches it no more; whether it was reported as lagging.
    pub(super) fn forget(&mut self, db: Db) -> bool {
        self.wants.remove(db);
        self.dbs.remove(&db).is_some_and(|watched| watched.reported)
    }

    /// Which are watched.
    pub(super) fn all(&self) -> impl Iterator<Item = Db> + '_ {
        self.dbs.keys().copied()
    }

    /// Forgets everything: all that Litestream has is confirmed, but for these.
    pub(super) fn reset_but(&mut self, these: &BTreeSet<Db>) {
        let has = self.dbs.iter_mut().filter(|(db, watched)| !watched.outside && !these.contains(db));
        // A question that is under way is one until it is answered.
        has.for_each(|(_, watched)| *watched = Watched { asked: watched.asked, ..Watched::default() });
    }

    /// A new Litestream opens the files that are there now. What the last one was asked is void, and
    /// what it did not confirm is asked again.
    pub(super) fn relaunched(&mut self) {
        self.dbs.values_mut().filter(|watched| !watched.outside).for_each(Watched::begin_anew);
        self.wants.all_unasked();
    }

    pub(super) fn changed(&mut self, now: Instant, db: Db) {
        let now = self.own(now);
        let Some(watched) = self.dbs.get_mut(&db) else { return };
        if watched.outside {
            watched.since.get_or_insert(now);
        } else if watched.asked {
            watched.after.get_or_insert(now);
            // Where somebody only wanted to know there was none before.
            watched.since.get_or_insert(now);
        } else if watched.since.is_none() {
            watched.since = Some(now);
            watched.ask_at = Some(now + self.delay);
        }
    }

    /// Does not wait with the question about a change: it is one that somebody waits for.
    pub(super) fn ask_soon(&mut self, now: Instant, db: Db) {
        let now = self.own(now);
        if let Some(watched) = self.dbs.get_mut(&db) {
            watched.ask_at = watched.ask_at.map(|at| at.min(now));
        }
    }

    /// Somebody waits for all that is in it now.
    pub(super) fn wanted(&mut self, now: Instant, db: Db) {
        self.wants.add(now, db);
    }

    /// Nobody does any more.
    pub(super) fn unwanted(&mut self, db: Db) {
        self.wants.remove(db);
    }

    /// Whether this is news.
    pub(super) fn replaced(&mut self, now: Instant, db: Db) -> bool {
        let now = self.own(now);
        let Some(watched) = self.dbs.get_mut(&db) else { return false };
        watched.since.get_or_insert(now);
        if watched.outside {
            return false;
        }
        watched.ask_at = None;
        !std::mem::replace(&mut watched.replaced, true)
    }

    /// Whether this database's file is not the one that Litestream replicates.
    pub(super) fn is_replaced(&self, db: Db) -> bool {
        self.dbs.get(&db).is_some_and(|watched| watched.replaced)
    }

    /// The databases whose file is not the one that Litestream replicates.
    pub(super) fn all_replaced(&self) -> Vec<Db> {
        self.dbs.iter().filter(|(_, watched)| watched.replaced).map(|(db, _)| *db).collect()
    }

    /// Takes an answer; whether a reported lag is over.
    pub(super) fn confirmed(&mut self, now: Instant, db: Db, ok: bool) -> bool {
        let again = now + self.delay.min(AGAIN);
        let now = self.own(now);
        let Some(watched) = self.dbs.get_mut(&db) else { return false };
        if !std::mem::take(&mut watched.asked) {
            return false;
        }
        let after = watched.after.take();
        if watched.replaced {
            self.wants.unasked(db);
            return false;
        }
        if !ok {
            watched.ask_at = watched.since.map(|_| now + self.delay);
            self.wants.failed(again, db);
            return false;
        }
        self.wants.answered(db);
        watched.since = after;
        watched.ask_at = after.map(|_| now + self.delay);
        // The answer took so long that what came after the question is too old as well, or nearly so before the next one: it has
        // not caught up yet.
        if after.is_some_and(|at| at + self.max * 3 / 4 <= now + self.delay) {
            return false;
        }
        std::mem::take(&mut watched.reported)
    }

    /// Whether any database is reported as lagging.
    pub(super) fn exceeded(&self) -> bool {
        self.dbs.values().any(|watched| watched.reported)
    }

    /// Whether this one is.
    pub(super) fn is_exceeded_by(&self, db: Db) -> bool {
        self.dbs.get(&db).is_some_and(|watched| watched.reported)
    }

    /// When [`Lag::due`] has something to say, if all time counts until then.
    pub(super) fn next(&self) -> Option<Instant> {
        let limit = |watched: &Watched| watched.since.filter(|_| !watched.reported).map(|at| at + self.max);
        let next = self.dbs.values().flat_map(|watched| [watched.ask_at, limit(watched)]).flatten().min();
        next.map(|at| at + self.stood)
    }

    /// When [`Lag::due_wanted`] has something to say.
    pub(super) fn next_wanted(&self) -> Option<Instant> {
        self.all_wanted().map(|(_, at)| at).min()
    }

    /// Takes one that is to be asked about since somebody waits for it.
    pub(super) fn due_wanted(&mut self, now: Instant) -> Option<Db> {
        let (db, _) = self.all_wanted().find(|(_, at)| *at <= now)?;
        self.ask(db);
        Some(db)
    }

    /// Those that can be asked about for whoever waits, and when.
    fn all_wanted(&self) -> impl Iterator<Item = (Db, Instant)> + '_ {
        let may_be_asked = |db: &Db| self.dbs.get(db).is_some_and(Watched::may_be_asked);
        self.wants.all().filter(move |(db, _)| may_be_asked(db))
    }

    /// It is being asked: the answer tells of all that was committed until now.
    fn ask(&mut self, db: Db) {
        if let Some(watched) = self.dbs.get_mut(&db) {
            (watched.asked, watched.ask_at) = (true, None);
        }
        self.wants.asked(db);
    }

    /// Takes one thing that is due.
    pub(super) fn due(&mut self, now: Instant) -> Option<LagDue> {
        let now = self.own(now);
        for (&db, watched) in &mut self.dbs {
            if watched.ask_at.is_some_and(|at| at <= now) {
                self.ask(db);
                return Some(LagDue::Ask(db));
            }
            if let Some(since) = watched.since.filter(|at| !watched.reported && *at + self.max <= now) {
                watched.reported = true;
                return Some(LagDue::Exceeded(db, now.duration_since(since)));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(4);
    const DB: Db = Db(0);

    fn lag() -> (Instant, Lag) {
        let mut lag = Lag::new(DELAY, MAX);
        lag.watch(DB);
        (Instant::now(), lag)
    }

    #[test]
    fn an_idle_database_is_never_asked_about() {
        let (now, mut lag) = lag();
        assert_eq!(lag.next(), None);
        assert_eq!(lag.due(now + MAX * 10), None);
    }

    #[test]
    fn many_changes_are_one_question() {
        let (now, mut lag) = lag();
        for tenth in 0..10 {
            lag.changed(now + DELAY * tenth / 10, DB);
        }
        assert_eq!(lag.due(now + DELAY), Some(LagDue::Ask(DB)));
        assert_eq!(lag.due(now + DELAY * 3), None, "one question at a time");
        assert!(!lag.confirmed(now + DELAY * 3, DB, true));
        assert_eq!(lag.next(), None);
    }

    #[test]
    fn a_change_during_the_question_needs_another() {
        let (now, mut lag) = lag();
        lag.changed(now, DB);
        assert_eq!(lag.due(now + DELAY), Some(LagDue::Ask(DB)));
        lag.changed(now + DELAY, DB);
        lag.confirmed(now + DELAY * 2, DB, true);
        assert_eq!(lag.next(), Some(now + DELAY * 3));
    }

    #[test]
    fn an_unanswered_question_exceeds_the_limit_once_and_recovers_once() {
        let (now, mut lag) = lag();
        lag.changed(now, DB);
        assert_eq!(lag.due(now + DELAY), Some(LagDue::Ask(DB)));
        assert_eq!(lag.due(now + MAX), Some(LagDue::Exceeded(DB, MAX)));
        assert_eq!(lag.due(now + MAX * 2), None);
        assert!(lag.exceeded());
        assert!(!lag.confirmed(now + MAX * 2, DB, false));
        assert_eq!(lag.due(now + MAX * 2 + DELAY), Some(LagDue::Ask(DB)));
        assert!(lag.confirmed(now + MAX * 3, DB, true), "the recovery is news");
        assert!(!lag.exceeded());
    }

    #[test]
    fn an_answer_that_took_too_long_is_no_recovery_of_what_came_meanwhile() {
        let (now, mut lag) = lag();
        lag.changed(now, DB);
        assert_eq!(lag.due(now + DELAY), Some(LagDue::Ask(DB)));
        lag.changed(now + DELAY, DB);
        assert_eq!(lag.due(now + MAX), Some(LagDue::Exceeded(DB, MAX)));
        let late = now + DELAY + MAX;
        assert!(!lag.confirmed(late, DB, true), "the second change is as old as the first one was");
        assert!(lag.exceeded());
        assert_eq!(lag.due(late), None, "and that is no news");
        assert_eq!(lag.due(late + DELAY), Some(LagDue::Ask(DB)));
        assert!(lag.confirmed(late + DELAY, DB, true), "this is");
    }

    #[test]
    fn what_would_be_too_late_again_with_the_next_slow_answer_has_not_caught_up() {
        let (now, mut lag) = lag();
        lag.changed(now, DB);
        assert_eq!(lag.due(now + DELAY), Some(LagDue::Ask(DB)));
        assert_eq!(lag.due(now + MAX), Some(LagDue::Exceeded(DB, MAX)));
        lag.changed(now + MAX, DB);
        assert!(
            !lag.confirmed(now + MAX + MAX / 2, DB, true),
            "the next question is asked a quarter of it before the end"
        );
        assert_eq!(lag.due(now + MAX * 2), Some(LagDue::Ask(DB)), "and says nothing in between");
        lag.changed(now + MAX * 2, DB);
        assert!(lag.confirmed(now + MAX * 2 + DELAY / 2, DB, true));
    }

    #[test]
    fn somebody_who_waits_is_asked_for_once_and_makes_no_lag() {
        let (now, mut lag) = lag();
        lag.wanted(now, DB);
        assert_eq!((lag.next(), lag.next_wanted(), lag.due_wanted(now)), (None, Some(now), Some(DB)));
        lag.wanted(now, DB);
        assert_eq!((lag.next_wanted(), lag.due_wanted(now + MAX)), (None, None), "one question at a time");
        lag.confirmed(now + MAX, DB, false);
        assert_eq!(lag.next_wanted(), Some(now + MAX + DELAY));
        assert_eq!((lag.next(), lag.due(now + MAX * 2)), (None, None), "nothing has changed");
    }

    #[test]
    fn time_in_which_nobody_asks_is_no_lag() {
        let (now, mut lag) = lag();
        lag.pass(now, false);
        lag.changed(now, DB);
        lag.pass(now + MAX * 3, false);
        assert_eq!(lag.next(), Some(now + MAX * 3 + DELAY));
        assert_eq!(lag.due(now + MAX * 3), None);
        lag.pass(now + MAX * 3 + DELAY, true);
        assert_eq!(lag.due(now + MAX * 3 + DELAY), Some(LagDue::Ask(DB)));
        lag.was_away(MAX * 2);
        assert_eq!(lag.due(now + MAX * 6 - Duration::from_millis(1)), None);
        assert_eq!(lag.due(now + MAX * 6), Some(LagDue::Exceeded(DB, MAX)));
    }

    #[test]
    fn nothing_confirms_a_replaced_file() {
        let (now, mut lag) = lag();
        assert!(lag.replaced(now, DB));
        assert!(!lag.replaced(now, DB), "it is news once");
        assert!(!lag.confirmed(now, DB, true));
        assert_eq!(lag.due(now + MAX), Some(LagDue::Exceeded(DB, MAX)));
        assert_eq!((lag.all_replaced(), lag.is_replaced(DB)), (vec![DB], true));
        lag.reset_but(&BTreeSet::from([DB]));
        assert!(lag.is_replaced(DB));
        lag.reset_but(&BTreeSet::new());
        assert_eq!((lag.all_replaced(), lag.is_replaced(DB)), (vec![], false));
        assert!(!lag.exceeded());
    }

    #[test]
    fn a_new_litestream_is_asked_what_the_last_one_did_not_confirm() {
        let (now, mut lag) = lag();
        lag.changed(now, DB);
        assert_eq!(lag.due(now + DELAY), Some(LagDue::Ask(DB)));
        lag.replaced(now + DELAY, DB);
        assert_eq!(lag.due(now + MAX), Some(LagDue::Exceeded(DB, MAX)));
        lag.relaunched();
        assert!(lag.exceeded());
        assert_eq!(lag.all_replaced(), []);
        assert!(!lag.confirmed(now + MAX, DB, true), "nobody was asked yet");
        assert_eq!(lag.due(now + MAX), Some(LagDue::Ask(DB)));
        assert!(lag.confirmed(now + MAX, DB, true));
        assert!(!lag.exceeded());
    }

    #[test]
    fn what_the_last_litestream_did_not_confirm_is_as_old_as_it_was() {
        let (now, mut lag) = lag();
        lag.changed(now, DB);
        lag.relaunched();
        assert!(lag.is_behind(DB));
        assert_eq!(lag.due(now), Some(LagDue::Ask(DB)), "it has waited already");
        assert_eq!(lag.due(now + MAX), Some(LagDue::Exceeded(DB, MAX)));
    }

    #[test]
    fn one_that_a_new_litestream_has_again_is_asked_about_at_once() {
        let (now, mut lag) = lag();
        lag.watch_outside(Db(1));
        lag.changed(now, Db(1));
        assert_eq!(lag.due(now + DELAY * 2), None, "there is nobody to ask");
        lag.returned(Db(1));
        assert_eq!(lag.due(now + DELAY * 2), Some(LagDue::Ask(Db(1))));
        lag.confirmed(now + DELAY * 2, Db(1), true);
        assert!(!lag.is_behind(Db(1)));
    }

    #[test]
    fn a_replica_that_is_away_is_asked_again_after_a_while_and_not_at_once() {
        let (now, mut lag) = lag();
        lag.changed(now, DB);
        assert_eq!(lag.due(now + DELAY), Some(LagDue::Ask(DB)));
        assert!(!lag.confirmed(now + DELAY * 3 / 2, DB, false));
        assert_eq!(lag.next(), Some(now + DELAY * 5 / 2));
    }
}
