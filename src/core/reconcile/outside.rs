//! Databases that Litestream does not have: each is looked at for itself, and tried again after each answer that still names it.

use std::collections::BTreeSet;

use super::member::{Member, MemberState};
use super::{Moment, Reconciliation, Step, Wanted, Why};
use crate::core::{Db, Event};

impl<W: Wanted> Reconciliation<W> {
    /// Litestream does not have it: it counts from now on.
    pub(super) fn take_outside(&mut self, wanted: W, before: Option<W>, had: bool) {
        let db = self.count(wanted, before);
        // No drain waits for what has never been anywhere.
        self.step(Step::Tell(Event::Drained(db)));
        self.try_outside(db, had);
    }

    /// As [`Self::take_outside`], of one that was to move and has no time for it any more.
    pub(super) fn take_back(&mut self, moment: Moment, failed: W, before: W) {
        let db = self.count(failed, Some(before));
        self.refuse(moment, db, Why::Unconfirmed);
    }

    /// It counts from now on, and nobody comes just now.
    pub(super) fn take_later(&mut self, wanted: W) {
        let db = self.count(wanted, None);
        self.become_state(db, MemberState::Later);
    }

    fn count(&mut self, wanted: W, before: Option<W>) -> Db {
        let db = self.add(wanted, before, MemberState::Refused);
        self.step(Step::Await(db));
        db
    }

    /// It is named otherwise now.
    pub(super) fn rename_outsider(&mut self, db: Db, wanted: W) {
        self.become_state(db, MemberState::Refused);
        self.want(db, wanted);
        if let Some(member) = self.members.get_mut(&db) {
            member.returning = false;
        }
    }

    /// Nobody wants it any more.
    pub(super) fn drop_outsider(&mut self, db: Db) {
        if let Some(wanted) = self.remove(db) {
            self.step(Step::Dropped(wanted));
            self.step(Step::Tell(Event::Dropped(db)));
        }
    }

    /// Begins what has to be done before Litestream can be told of it, unless that has begun.
    pub(super) fn try_outside(&mut self, db: Db, had: bool) {
        let Some(member) = self.members.get(&db) else { return };
        match member.state {
            MemberState::Waits(_) | MemberState::Refused | MemberState::Later => {}
            MemberState::Looking(_)
            | MemberState::Coming { .. }
            | MemberState::Here
            | MemberState::Probing(..)
            | MemberState::Going
            | MemberState::Leaving => return,
        }
        if !self.waits(db) {
            let number = self.next_look();
            self.become_state(db, MemberState::Looking(number));
            self.step(Step::Look { db, number, had });
        }
    }

    /// Has it wait for one that has what it needs, if there is one.
    fn waits(&mut self, db: Db) -> bool {
        let Some(wanted) = self.get(db).cloned() else { return false };
        let Some((other, there)) = self.in_the_place_of(Some(db), &wanted) else { return false };
        // One that is kept goes with a later answer, and this one comes after it.
        let is_going = there.is_leaving();
        let occupied = Why::Occupied(there.wanted.clone());
        self.become_state(db, MemberState::Waits(other));
        if !is_going {
            self.step(Step::Refuse(wanted, occupied));
            self.step(Step::Tell(Event::Drained(db)));
        }
        true
    }

    /// Somebody has gone, and made room.
    pub(super) fn try_waiting(&mut self) {
        let waits = |(_, member): &(&Db, &Member<W>)| matches!(member.state, MemberState::Waits(_));
        let waiting: Vec<Db> = self.members.iter().filter(waits).map(|(db, _)| *db).collect();
        waiting.into_iter().for_each(|db| self.try_outside(db, false));
    }

    /// It was looked at: Litestream can be told of it, or not.
    pub(super) fn looked_at(
        &mut self,
        moment: Moment,
        db: Db,
        number: u64,
        result: Result<W::Lock, W::Reason>,
    ) {
        let is_this =
            |member: &Member<W>| matches!(member.state, MemberState::Looking(known) if known == number);
        match result {
            // It is another's by now, or nobody's.
            Ok(lock) if !self.members.get(&db).is_some_and(is_this) => self.step(Step::Release(lock)),
            Err(_) if !self.members.get(&db).is_some_and(is_this) => {}
            // It began when the app still ran, and what it met may be over.
            Err(_) if moment.drains && number <= self.looks_before_drain => {
                self.become_state(db, MemberState::Refused);
                self.try_outside(db, false);
            }
            Err(reason) => self.refuse(moment, db, Why::Told(reason)),
            // Somebody has gone back there meanwhile.
            Ok(lock) if self.waits(db) => self.step(Step::Release(lock)),
            Ok(lock) => {
                self.become_state(db, MemberState::Coming { awaited: true });
                self.step(Step::Take(db, lock));
                self.step(Step::Tell(Event::Named(db)));
            }
        }
    }

    /// It cannot be taken in: if it was replicated elsewhere until now, it is so again.
    pub(super) fn refuse(&mut self, moment: Moment, db: Db, why: Why<W>) {
        self.become_state(db, MemberState::Refused);
        let Some(member) = self.members.get_mut(&db) else { return };
        let Some(before) = member.before.take() else {
            let wanted = member.wanted.clone();
            self.step(Step::Refuse(wanted, why));
            return self.step(Step::Tell(Event::Drained(db)));
        };
        self.goes_back(db, before, why);
        if moment.runs || moment.ends {
            self.try_outside(db, true);
        }
    }

    /// Its move came to nothing.
    fn goes_back(&mut self, db: Db, to: W, why: Why<W>) {
        let Some(from) = self.want(db, to.clone()) else { return };
        if let Some(member) = self.members.get_mut(&db) {
            member.returning = true;
        }
        self.failed.insert(to.file().clone(), from.clone());
        self.step(Step::GoBack { from, to, why });
    }

    /// At the end, what no new place has confirmed goes back to the old one, which answered all the time.
    pub(super) fn give_up_moves(&mut self, moment: Moment) {
        if !moment.ends {
            return;
        }
        let moving = self.members.iter().filter(|(_, member)| member.before.is_some());
        let moving: Vec<(Db, bool)> = moving.map(|(db, member)| (*db, member.is_litestreams())).collect();
        for (db, is_litestreams) in moving {
            if is_litestreams {
                self.come_back(db);
            } else {
                self.refuse(moment, db, Why::Unconfirmed);
            }
        }
    }

    /// Litestream is being told of its new place: it is told of the old one, unless another has come there.
    fn come_back(&mut self, db: Db) {
        let Some(before) = self.members.get(&db).and_then(|member| member.before.clone()) else { return };
        if self.in_the_place_of(Some(db), &before).is_none() {
            if let Some(member) = self.members.get_mut(&db) {
                member.before = None;
            }
            self.goes_back(db, before.clone(), Why::Unconfirmed);
            self.step(Step::RegisterAgain(db, before));
        }
    }

    /// The drain waits for what goes back, and for one more look at each of those that have something in them: what the last one
    /// met may be over by now. Nobody else who is not taken in is waited for.
    pub(super) fn draining(&mut self, moment: Moment, written: &BTreeSet<Db>) {
        self.give_up_moves(moment);
        self.looks_before_drain = self.looks;
        let outside = self.members.iter().filter(|(_, member)| !member.is_litestreams());
        for (db, returning) in outside.map(|(db, member)| (*db, member.returning)).collect::<Vec<_>>() {
            // After a relaunch the next answer does the same.
            let is_written = moment.ends && written.contains(&db);
            if is_written {
                self.try_outside(db, false);
            }
            let is_answered_for = (is_written || returning) && self.is_waited_for(db);
            if !is_answered_for {
                self.step(Step::Tell(Event::Drained(db)));
            }
        }
    }

    /// It is looked at, or will be once another has gone.
    fn is_waited_for(&self, db: Db) -> bool {
        let Some(member) = self.members.get(&db) else { return false };
        match &member.state {
            MemberState::Looking(_) => true,
            MemberState::Waits(other) => self.members.get(other).is_some_and(Member::is_leaving),
            MemberState::Refused
            | MemberState::Later
            | MemberState::Coming { .. }
            | MemberState::Here
            | MemberState::Probing(..)
            | MemberState::Going
            | MemberState::Leaving => false,
        }
    }

    /// Litestream takes in whatever appears in a folder. What it cannot replicate as it is counts as named, and not taken in.
    pub(super) fn found(&mut self, moment: Moment, wanted: W, result: Result<(), W::Reason>) {
        let at = |(_, member): &(&Db, &Member<W>)| {
            !member.is_litestreams() && member.wanted.file() == wanted.file()
        };
        let outsider = self.members.iter().find(at).map(|(db, _)| *db);
        let occupied = || {
            let (_, there) = self.in_the_place_of(None, &wanted)?;
            Some(Why::Occupied(there.wanted.clone()))
        };
        if let Some(why) = result.err().map(Why::Told).or_else(occupied) {
            self.step(Step::Refuse(wanted.clone(), why));
            if outsider.is_none() {
                self.count(wanted, None);
            }
            return;
        }
        // Who is found again was refused, and lags since then.
        let Some(db) = outsider else {
            let db = self.add(wanted, None, MemberState::Coming { awaited: false });
            return self.step(Step::Lock(db));
        };
        if moment.runs {
            self.become_state(db, MemberState::Coming { awaited: true });
            self.want(db, wanted);
            if let Some(member) = self.members.get_mut(&db) {
                (member.before, member.returning) = (None, false);
            }
            self.step(Step::Lock(db));
        }
    }

    /// What was found, or goes back with the launch, is locked, or another keeper has it.
    pub(super) fn locked(&mut self, db: Db, result: Result<W::Lock, W::Reason>) {
        let Some(member) = self.members.get_mut(&db) else { return };
        let goes_back = matches!(member.state, MemberState::Here);
        match result {
            Ok(lock) => {
                self.step(Step::Take(db, lock));
                self.step(Step::Tell(if goes_back { Event::Returned(db) } else { Event::Named(db) }));
            }
            // Litestream may have it, and nobody knows what it does with it.
            Err(reason) => {
                member.returning |= goes_back;
                let is_new = matches!(member.state, MemberState::Coming { awaited: false });
                let wanted = member.wanted.clone();
                self.become_state(db, MemberState::Refused);
                self.step(Step::Refuse(wanted, Why::Told(reason)));
                if is_new {
                    self.count_as_outside(db);
                } else {
                    self.step(Step::Tell(Event::Drained(db)));
                }
            }
        }
    }

    /// The machine did not know it, or has forgotten it: it counts as named, and no drain waits for it.
    pub(super) fn count_as_outside(&mut self, db: Db) {
        self.step(Step::Await(db));
        self.step(Step::Tell(Event::Drained(db)));
    }

    /// What was found is not in its folder any more.
    pub(super) fn vanished(&mut self, moment: Moment, db: Db) {
        if moment.runs && self.members.get(&db).is_some_and(|member| !member.is_litestreams()) {
            self.drop_outsider(db);
        }
    }
}
