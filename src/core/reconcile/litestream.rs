//! Databases that Litestream has, or is being told of.

use super::member::{Member, MemberState};
use super::{Moment, Reconciliation, Step, Wanted, Why};
use crate::core::{Db, Event};

impl<W: Wanted> Reconciliation<W> {
    /// Litestream has taken one in, or it has not.
    pub(super) fn registered(&mut self, moment: Moment, db: Db, result: Result<(), W::Reason>) {
        let Some(member) = self.members.get_mut(&db) else { return };
        let MemberState::Coming { awaited } = member.state else { return };
        match result {
            Ok(()) => {
                let before = member.before.take();
                let returned = std::mem::take(&mut member.returning);
                let wanted = member.wanted.clone();
                self.become_state(db, MemberState::Here);
                self.step(Step::Came(db));
                // Who is back where it was neither came nor went.
                if !returned {
                    if before.is_some() {
                        self.step(Step::Removed(wanted.clone()));
                    }
                    self.step(Step::Added(wanted));
                }
                if moment.drains {
                    self.step(Step::Drain(db));
                }
                self.step(Step::Tell(Event::Registered { db, ok: true }));
            }
            // It was drained with the rest, and what was asked of a Litestream that has ended says nothing.
            Err(_) if moment.over => {
                self.remove(db);
                self.step(Step::LetGo(db));
                self.step(Step::Tell(Event::Registered { db, ok: false }));
            }
            Err(reason) if awaited => {
                self.become_state(db, MemberState::Refused);
                self.step(Step::LetGo(db));
                self.step(Step::Tell(Event::Registered { db, ok: false }));
                self.refuse(moment, db, Why::Told(reason));
            }
            Err(reason) => {
                let wanted = member.wanted.clone();
                self.become_state(db, MemberState::Refused);
                self.step(Step::LetGo(db));
                self.step(Step::Tell(Event::Registered { db, ok: false }));
                self.step(Step::Refuse(wanted, Why::Told(reason)));
                self.count_as_outside(db);
            }
        }
    }

    /// Litestream has let go of one, or it has not.
    pub(super) fn unregistered(&mut self, moment: Moment, db: Db, result: Result<(), W::Reason>) {
        let Some(member) = self.members.get(&db).filter(|member| member.is_leaving()) else { return };
        let given_up = matches!(member.state, MemberState::Leaving);
        match result {
            Ok(()) => {
                self.step(Step::Went { db, given_up });
                let Some(was) = self.remove(db) else { return };
                // What is let go last of all has been drained, and comes nowhere any more.
                let again = self.named.get(was.file()).filter(|_| !moment.over).cloned();
                // It is named otherwise now, or once more: it counts from this moment, wherever it goes.
                let moves = |again: &W| !given_up && !was.is_same(again);
                let before = again.as_ref().is_some_and(moves).then(|| was.clone());
                // A move is told of once it is over; and what never came has not gone.
                if before.is_none() && !given_up {
                    self.step(Step::Removed(was));
                }
                self.step(Step::LetGo(db));
                // A drain waits for it, if it is there before the other is gone.
                match (again, before) {
                    (Some(again), Some(before)) if moment.ends => self.take_back(moment, again, before),
                    (Some(again), before) => self.take_outside(again, before, true),
                    (None, _) => {}
                }
                self.step(Step::Tell(Event::Unregistered { db, ok: true }));
            }
            Err(reason) => {
                self.become_state(db, MemberState::Here);
                self.step(Step::Hold(db, reason));
                self.step(Step::Tell(Event::Unregistered { db, ok: false }));
            }
        }
        self.try_waiting();
    }

    /// The machine has it wait for the next answer: Litestream was not told of it, or a dead one was.
    pub(super) fn put_off(&mut self, db: Db) {
        if let Some(member) = self.members.get(&db).filter(|member| member.is_litestreams()) {
            // No answer says anything of what is in a folder.
            let next = if member.wanted.is_found() { MemberState::Refused } else { MemberState::Later };
            self.become_state(db, next);
            self.step(Step::LetGo(db));
        }
    }

    /// It is nobody's.
    pub(super) fn forgotten(&mut self, db: Db) {
        if self.remove(db).is_some() {
            self.step(Step::LetGo(db));
        }
    }

    /// What the last Litestream was being told of is void. One that was on its way to another place is where it was
    /// before, or the app would come back without its being replicated; the next answer moves it again.
    pub(super) fn relaunched(&mut self) {
        let litestreams = self.members.iter().filter(|(_, member)| member.is_litestreams());
        for db in litestreams.map(|(db, _)| *db).collect::<Vec<_>>() {
            self.become_state(db, MemberState::Here);
            if let Some(member) = self.members.get_mut(&db) {
                member.before = None;
            }
        }
        let moved = |(_, member): &(&Db, &Member<W>)| {
            !member.is_litestreams() && (member.before.is_some() || member.returning)
        };
        for db in self.members.iter().filter(moved).map(|(db, _)| *db).collect::<Vec<_>>() {
            self.return_with_the_launch(db);
        }
        let has = self.members.values_mut().filter(|member| member.is_litestreams());
        has.for_each(|member| member.returning = false);
    }

    /// The Litestream that is being started has it where it was, unless another has come there.
    fn return_with_the_launch(&mut self, db: Db) {
        let Some(member) = self.members.get(&db) else { return };
        let to = member.before.clone().unwrap_or_else(|| member.wanted.clone());
        if self.in_the_place_of(Some(db), &to).is_some() {
            return;
        }
        self.become_state(db, MemberState::Here);
        let Some(member) = self.members.get_mut(&db) else { return };
        if member.before.take().is_some()
            && let Some(from) = self.want(db, to.clone())
        {
            self.step(Step::GoBack { from, to, why: Why::Ended });
        }
        self.step(Step::Lock(db));
    }
}
