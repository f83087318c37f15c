//! Which databases are counted, and how they come and go while the app runs.
//!
//! A database counts from the moment that Litestream is told of it until it has let go of it: it is
//! drained like any other in between, whatever its coming or going has got to.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Machine;
use crate::core::{Action, Db, ExitCode, Phase};

/// What is known of a database that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    /// Litestream is being told of it.
    Coming,
    /// Litestream has it.
    Here,
    /// It is being drained, and let go.
    Going,
}

/// The databases that count, and when the sources are asked for others.
#[derive(Clone, Debug)]
pub(super) struct Roster {
    members: BTreeMap<Db, Member>,
    /// The sources are being asked.
    asking: bool,
    /// They are to be asked once more after that.
    again: bool,
    ask_at: Option<Instant>,
}

impl Roster {
    pub(super) fn new(databases: usize) -> Self {
        let members = (0..databases).map(|place| (Db(place), Member::Here)).collect();
        Self { members, asking: false, again: false, ask_at: None }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Db> + '_ {
        self.members.keys().copied()
    }

    pub(super) fn counts(&self, db: Db) -> bool {
        self.members.contains_key(&db)
    }

    /// Whether there is anything to ask about it: Litestream knows it.
    pub(super) fn is_watched(&self, db: Db) -> bool {
        matches!(self.members.get(&db), Some(Member::Here | Member::Going))
    }

    /// When the sources are to be asked again.
    pub(super) fn next_ask(&self) -> Option<Instant> {
        self.ask_at.filter(|_| !self.asking)
    }
}

impl Machine {
    pub(super) fn named(&mut self, db: Db) {
        if self.roster.counts(db) {
            return;
        }
        match self.phase {
            // It is launched with the rest.
            Phase::Resolving => {
                self.roster.members.insert(db, Member::Here);
                self.lag.watch(db);
            }
            // At a stop the app's last ones are drained with the rest.
            Phase::Running | Phase::Stopping if self.confirms => {
                self.roster.members.insert(db, Member::Coming);
                // The app may have written to it already.
                self.unconfirmed.insert(db);
                self.act(Action::Register(db));
            }
            // The sources name it again once the app runs again.
            _ => self.act(Action::Forget(db)),
        }
    }

    pub(super) fn registered(&mut self, now: Instant, db: Db, ok: bool) {
        if self.roster.members.get(&db) != Some(&Member::Coming) {
            return;
        }
        if ok {
            self.roster.members.insert(db, Member::Here);
            self.lag.watch(db);
        } else {
            self.forget(now, db);
        }
    }

    pub(super) fn dropped(&mut self, db: Db) {
        let here = self.roster.members.get(&db) == Some(&Member::Here);
        if here && self.phase == Phase::Running && self.confirms {
            self.roster.members.insert(db, Member::Going);
            self.act(Action::Unregister(db));
        }
    }

    pub(super) fn unregistered(&mut self, now: Instant, db: Db, ok: bool) {
        if !self.roster.is_watched(db) {
            return;
        }
        if ok {
            self.forget(now, db);
        } else {
            self.roster.members.insert(db, Member::Here);
        }
    }

    fn forget(&mut self, now: Instant, db: Db) {
        self.roster.members.remove(&db);
        self.unconfirmed.remove(&db);
        let lagged = self.lag.forget(db) | self.absent.forget(db);
        let undrained = self.undrained.remove(&db);
        if lagged && self.phase == Phase::Running {
            self.set_ready(self.is_caught_up());
        }
        if undrained && self.phase == Phase::Draining {
            self.drain_over(now);
        }
    }

    /// A fresh Litestream gets all that counts at its launch. What the last one was only being told
    /// of must not keep the app from coming back, but is drained like the rest if all is to end.
    pub(super) fn relaunch_roster(&mut self) {
        let stops = self.goal.stop().is_some();
        let coming: Vec<Db> = self.roster.all().filter(|db| !self.roster.is_watched(*db)).collect();
        for db in coming.into_iter().filter(|_| !stops) {
            self.roster.members.remove(&db);
            self.unconfirmed.remove(&db);
            self.absent.forget(db);
            self.act(Action::Forget(db));
        }
        for (db, member) in &mut self.roster.members {
            *member = Member::Here;
            self.lag.watch(*db);
        }
    }

    pub(super) fn ask(&mut self) {
        self.roster.asking = true;
        self.act(Action::Resolve);
    }

    /// Asks in a while, unless that is settled already.
    pub(super) fn ask_later(&mut self, now: Instant) {
        if let Some(interval) = self.policy.resolve_interval.filter(|_| self.confirms) {
            self.roster.ask_at.get_or_insert(now + interval);
        }
    }

    pub(super) fn reload(&mut self) {
        if self.roster.asking {
            self.roster.again = true;
        } else if self.phase == Phase::Running && self.policy.resolves && self.confirms {
            self.ask();
        }
    }

    pub(super) fn resolved(&mut self, now: Instant, restore: bool) {
        if self.phase == Phase::Resolving {
            return self.prepare_next(now, restore);
        }
        self.asked(now);
    }

    pub(super) fn resolve_failed(&mut self, now: Instant, code: ExitCode) {
        if self.phase == Phase::Resolving {
            return self.not_prepared(Phase::Resolving, code);
        }
        self.asked(now);
    }

    fn asked(&mut self, now: Instant) {
        if !std::mem::take(&mut self.roster.asking) {
            return;
        }
        self.roster.ask_at = None;
        self.ask_later(now);
        if std::mem::take(&mut self.roster.again) && self.phase == Phase::Running {
            self.ask();
        }
    }
}
