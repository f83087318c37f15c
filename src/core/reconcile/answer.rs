//! What an answer changes while the app runs: each database goes its own way, and departures come first.

use std::collections::BTreeMap;

use super::member::MemberState;
use super::{Moment, Reconciliation, Step, Wanted};
use crate::core::{Db, Event};

impl<W: Wanted> Reconciliation<W> {
    pub(super) fn admitted(&mut self, wanted: W, lock: W::Lock) {
        let db = self.add(wanted, None, MemberState::Here);
        self.step(Step::Take(db, lock));
        self.step(Step::Tell(Event::Named(db)));
    }

    /// Compares what is named with what is there.
    pub(super) fn answered(&mut self, moment: Moment, wanted: Vec<W>, by_hand: bool) {
        self.named = wanted.into_iter().map(|wanted| (wanted.file().clone(), wanted)).collect();
        // A stop in the middle of it changes nothing but what has to be answered for.
        if moment.runs || moment.gates {
            self.let_go();
        }
        let by_file = |(db, member): (&Db, &super::Member<W>)| (member.wanted.file().clone(), *db);
        let there: BTreeMap<W::File, Db> = self.members.iter().map(by_file).collect();
        for (file, wanted) in self.named.clone() {
            match there.get(&file) {
                Some(db) => self.say_again(moment, *db, wanted, by_hand),
                // The sources are asked once more when the app runs.
                None if moment.gates => self.take_later(wanted),
                None => self.take_outside(wanted, None, false),
            }
        }
    }

    /// Lets go of what is named no more, and gives up what was begun for it.
    fn let_go(&mut self) {
        let Self { members, named, failed, .. } = self;
        failed.retain(|file, _| named.contains_key(file));
        let is_gone = |member: &super::Member<W>| {
            !member.wanted.is_found() && !named.contains_key(member.wanted.file())
        };
        let gone = members.iter().filter(|(_, member)| is_gone(member));
        let (litestreams, outside): (Vec<_>, Vec<_>) =
            gone.map(|(db, member)| (*db, member.is_litestreams())).partition(|(_, has)| *has);
        outside.into_iter().for_each(|(db, _)| self.drop_outsider(db));
        litestreams.into_iter().for_each(|(db, _)| self.let_one_go(db));
    }

    /// Has Litestream let go of one, once, if it has it.
    fn let_one_go(&mut self, db: Db) {
        let Some(member) = self.members.get_mut(&db) else { return };
        let next = match member.state {
            MemberState::Coming { .. } => MemberState::Leaving,
            MemberState::Here | MemberState::Probing(..) => MemberState::Going,
            MemberState::Waits(_)
            | MemberState::Looking(_)
            | MemberState::Refused
            | MemberState::Later
            | MemberState::Going
            | MemberState::Leaving => return,
        };
        // What was only coming has no place that could be kept.
        (member.before, member.returning) = (None, false);
        self.become_state(db, next);
        self.step(Step::Tell(Event::Dropped(db)));
    }

    /// One that is there is named again.
    fn say_again(&mut self, moment: Moment, db: Db, wanted: W, by_hand: bool) {
        let Some(member) = self.members.get(&db) else { return };
        let is_same = member.wanted.is_same(&wanted);
        let failed = self.failed.get(wanted.file()).is_some_and(|failed| failed.is_same(&wanted));
        let is_as_before = failed && !by_hand;
        match &member.state {
            MemberState::Waits(_) | MemberState::Looking(_) | MemberState::Refused | MemberState::Later => {
                if !is_same && !is_as_before {
                    self.rename_outsider(db, wanted);
                }
                if moment.gates {
                    self.become_state(db, MemberState::Later);
                } else {
                    self.try_outside(db, false);
                }
            }
            // What is on its way out comes again once it has gone.
            MemberState::Going | MemberState::Leaving => {}
            // What is in a folder stays there.
            MemberState::Coming { .. } | MemberState::Here | MemberState::Probing(..)
                if is_same || member.wanted.is_found() =>
            {
                let is_here = !matches!(member.state, MemberState::Coming { .. });
                self.failed.remove(wanted.file());
                self.stay(db);
                if is_here {
                    self.respell(db, wanted);
                }
            }
            // It has no place yet that could be kept, or is just going back to it.
            MemberState::Coming { .. } => {
                if !failed && moment.runs {
                    self.let_one_go(db);
                }
            }
            MemberState::Here | MemberState::Probing(..) if is_as_before => self.stay(db),
            MemberState::Probing(_, other) if other.is_same(&wanted) => {}
            // That is looked at before the place that it has is given up.
            MemberState::Here | MemberState::Probing(..) => {
                let number = self.next_look();
                self.become_state(db, MemberState::Probing(number, wanted.clone()));
                self.step(Step::Probe(db, number, wanted));
            }
        }
    }

    /// It stays, as it is written now.
    fn respell(&mut self, db: Db, wanted: W) {
        let Some(member) = self.members.get(&db) else { return };
        if !member.wanted.is_found() && !member.wanted.is_written_as(&wanted) {
            self.want(db, wanted);
            self.step(Step::Respell(db));
        }
    }

    /// Whatever other place was looked at, it is not wanted.
    fn stay(&mut self, db: Db) {
        if self.members.get(&db).is_some_and(|member| matches!(member.state, MemberState::Probing(..))) {
            self.become_state(db, MemberState::Here);
        }
    }

    /// The other place was looked at.
    pub(super) fn probed(&mut self, moment: Moment, db: Db, number: u64, result: Result<(), W::Reason>) {
        let Some(member) = self.members.get(&db) else { return };
        if !matches!(member.state, MemberState::Probing(known, _) if known == number) {
            return;
        }
        match result {
            Ok(()) if moment.runs || moment.gates => self.let_one_go(db),
            Ok(()) => self.stay(db),
            Err(reason) => {
                self.stay(db);
                self.step(Step::Keep(db, reason));
            }
        }
    }
}
