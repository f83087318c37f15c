//! Databases that sources name: which of them Litestream is to have, and what comes before another.
//!
//! What is named no more is let go before anything comes. One that is to go to another place is let go once that has been
//! looked at, and goes back if it comes to nothing there. No two of Litestream's ever need the same place.
//!
//! The driver tells the [`Reconciliation`] what happened ([`Turn`]) and where the unit is ([`Moment`]), and carries out its
//! [`Step`]s, of which some are the machine's events. [`answer`] compares, [`outside`] is about what Litestream does not have,
//! and [`litestream`] about what it has.

mod answer;
mod claims;
mod litestream;
mod member;
mod outside;
mod turn;
mod wanted;

use std::collections::{BTreeMap, VecDeque};

use super::Db;
#[cfg(test)]
use super::machine::Membership;
use claims::Claims;
use member::{Member, MemberState};
pub use turn::{Moment, Step, Turn, Why};
pub use wanted::Wanted;

/// All of them.
pub struct Reconciliation<W: Wanted> {
    members: BTreeMap<Db, Member<W>>,
    /// Who of them needs what.
    claims: Claims,
    /// What the last answer names.
    named: BTreeMap<W::File, W>,
    /// Moves that came to nothing: each is tried again when something else is said of its database, or somebody asks for it.
    failed: BTreeMap<W::File, W>,
    /// The next one's number: none is ever another's.
    next: usize,
    looks: u64,
    /// Those up to this number had begun when the drain did.
    looks_before_drain: u64,
    steps: VecDeque<Step<W>>,
}

impl<W: Wanted> Reconciliation<W> {
    /// None yet; so many have a number already.
    pub fn new(others: usize) -> Self {
        Self {
            members: BTreeMap::new(),
            claims: Claims::default(),
            named: BTreeMap::new(),
            failed: BTreeMap::new(),
            next: others,
            looks: 0,
            looks_before_drain: 0,
            steps: VecDeque::new(),
        }
    }

    /// What is wanted of it.
    pub fn get(&self, db: Db) -> Option<&W> {
        self.members.get(&db).map(|member| &member.wanted)
    }

    /// Those that Litestream does not have.
    pub fn outside(&self) -> impl Iterator<Item = (Db, &W)> {
        let outside = self.members.iter().filter(|(_, member)| !member.is_litestreams());
        outside.map(|(db, member)| (*db, &member.wanted))
    }

    /// Those for which something is being done: whoever asked waits for that.
    pub fn under_way(&self) -> impl Iterator<Item = Db> {
        let is_leaving = |db: &Db| self.members.get(db).is_some_and(Member::is_leaving);
        let is_done = move |member: &Member<W>| match &member.state {
            MemberState::Waits(other) => !is_leaving(other),
            MemberState::Refused | MemberState::Here => true,
            MemberState::Looking(_)
            | MemberState::Later
            | MemberState::Coming { .. }
            | MemberState::Probing(..)
            | MemberState::Going
            | MemberState::Leaving => false,
        };
        self.members.iter().filter(move |(_, member)| !is_done(member)).map(|(db, _)| *db)
    }

    /// Whether Litestream is being told of it at the place where it was before.
    pub fn comes_back(&self, db: Db) -> bool {
        let comes =
            |member: &Member<W>| matches!(member.state, MemberState::Coming { .. }) && member.returning;
        self.members.get(&db).is_some_and(comes)
    }

    /// Whether it is let go of to go to another place, which has been looked at.
    pub fn moves(&self, db: Db) -> bool {
        let is_named_otherwise = |member: &Member<W>| {
            self.named.get(member.wanted.file()).is_some_and(|named| !member.wanted.is_same(named))
        };
        let moves =
            |member: &Member<W>| matches!(member.state, MemberState::Going) && is_named_otherwise(member);
        self.members.get(&db).is_some_and(moves)
    }

    /// Looks again where their files are: links may have been changed.
    pub fn refile(&mut self, file: impl Fn(&mut W)) {
        for member in self.members.values_mut() {
            file(&mut member.wanted);
            member.before.iter_mut().for_each(&file);
            if let MemberState::Probing(_, other) = &mut member.state {
                file(other);
            }
        }
        self.claims = Claims::default();
        for (db, member) in &self.members {
            self.claims.add(*db, &member.wanted);
        }
    }

    /// What the machine has to know of it.
    #[cfg(test)]
    pub(super) fn membership(&self, db: Db) -> Option<Membership> {
        let membership = |member: &Member<W>| match member.state {
            MemberState::Waits(_) | MemberState::Looking(_) | MemberState::Refused | MemberState::Later => {
                Membership::Outside
            }
            MemberState::Coming { awaited } => Membership::Coming { awaited },
            MemberState::Here | MemberState::Probing(..) => Membership::Here,
            MemberState::Going => Membership::Going,
            MemberState::Leaving => Membership::Leaving,
        };
        self.members.get(&db).map(membership)
    }

    #[cfg(test)]
    pub(super) fn known(&self) -> impl Iterator<Item = Db> {
        self.members.keys().copied()
    }

    /// Where it was replicated until it began to move, if it has not come anywhere since.
    #[cfg(test)]
    pub(super) fn place_before(&self, db: Db) -> Option<&W> {
        let member = self.members.get(&db)?;
        member.before.as_ref().or(member.returning.then_some(&member.wanted))
    }

    #[cfg(test)]
    pub(super) fn before(&self, db: Db) -> Option<&W> {
        self.members.get(&db)?.before.as_ref()
    }

    /// What is to be done next.
    pub fn poll_step(&mut self) -> Option<Step<W>> {
        self.steps.pop_front()
    }

    /// Takes in what happened.
    pub fn handle(&mut self, moment: Moment, turn: Turn<W>) {
        match turn {
            Turn::Admitted(wanted, lock) => self.admitted(wanted, lock),
            Turn::Answered { wanted, by_hand } => self.answered(moment, wanted, by_hand),
            Turn::LookedAt { db, number, result } => self.looked_at(moment, db, number, result),
            Turn::Probed { db, number, result } => self.probed(moment, db, number, result),
            Turn::Registered { db, result } => self.registered(moment, db, result),
            Turn::Unregistered { db, result } => self.unregistered(moment, db, result),
            Turn::Found(wanted, result) => self.found(moment, wanted, result),
            Turn::Locked { db, result } => self.locked(db, result),
            Turn::Vanished(db) => self.vanished(moment, db),
            Turn::PutOff(db) => self.put_off(db),
            Turn::Forgotten(db) => self.forgotten(db),
            Turn::Relaunched => self.relaunched(),
            Turn::Ending => self.give_up_moves(moment),
            Turn::Draining { written } => self.draining(moment, &written),
        }
        self.check();
    }

    fn step(&mut self, step: Step<W>) {
        self.steps.push_back(step);
    }

    fn next_look(&mut self) -> u64 {
        self.looks += 1;
        self.looks
    }

    fn add(&mut self, wanted: W, before: Option<W>, state: MemberState<W>) -> Db {
        let db = Db(self.next);
        self.next += 1;
        self.claims.add(db, &wanted);
        self.members.insert(db, Member { wanted, before, returning: false, state });
        db
    }

    /// The one place where a state changes; what was being looked at for the last one is not any more.
    fn become_state(&mut self, db: Db, state: MemberState<W>) {
        let Some(member) = self.members.get_mut(&db) else { return };
        let look = member.look();
        member.state = state;
        if let Some(number) = look.filter(|look| member.look() != Some(*look)) {
            self.step(Step::Stop(number));
        }
    }

    /// The one place where it changes what is wanted of it; what was before.
    fn want(&mut self, db: Db, wanted: W) -> Option<W> {
        let member = self.members.get_mut(&db)?;
        self.claims.remove(db, &member.wanted);
        self.claims.add(db, &wanted);
        Some(std::mem::replace(&mut member.wanted, wanted))
    }

    /// It is nobody's.
    fn remove(&mut self, db: Db) -> Option<W> {
        let member = self.members.remove(&db)?;
        self.claims.remove(db, &member.wanted);
        if let Some(number) = member.look() {
            self.step(Step::Stop(number));
        }
        Some(member.wanted)
    }

    /// One of Litestream's databases, but for this one, that needs what is wanted.
    fn in_the_place_of(&self, db: Option<Db>, wanted: &W) -> Option<(Db, &Member<W>)> {
        let takes = |(other, member): &(Db, &Member<W>)| {
            Some(*other) != db && member.is_litestreams() && member.wanted.collides(wanted)
        };
        let may = self.claims.of(wanted).into_iter();
        may.filter_map(|other| Some((other, self.members.get(&other)?))).find(takes)
    }

    /// What holds after every turn.
    fn check(&self) {
        // With thousands of them, the look at each costs more than the turn.
        if !cfg!(debug_assertions) {
            return;
        }
        for (db, member) in &self.members {
            let is_coming = matches!(member.state, MemberState::Coming { .. });
            let is_settled = member.is_litestreams() && !is_coming;
            debug_assert!(db.0 < self.next, "{db:?} without a number");
            debug_assert!(!is_settled || member.before.is_none(), "{db:?} is somewhere, and was to go back");
            debug_assert!(!member.returning || member.before.is_none(), "{db:?} goes back, and from there");
            debug_assert!(
                !matches!(member.state, MemberState::Here | MemberState::Probing(..)) || !member.returning,
                "{db:?} is back, and goes back"
            );
            debug_assert!(self.claims.of(&member.wanted).contains(db), "{db:?} claims nothing");
        }
    }
}
