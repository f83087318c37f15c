//! Which databases are counted, and how they come and go while the app runs.
//!
//! A database counts from the moment that Litestream is told of it until it has let go of it: it is
//! drained like any other in between, whatever its coming or going has got to. One that is named and that
//! Litestream does not have (it is being looked at, or its replica refuses) is *outside*: nobody can confirm
//! what is in it, so that is a lag, and nothing is drained at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::Machine;
use crate::core::{Action, Db, ExitCode, Gate, Note, Phase};

/// How far a database's coming or going has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Membership {
    /// A source names it, and Litestream does not have it.
    Outside,
    /// Litestream is being told of it; if that fails, it is outside, where it was `awaited`.
    Coming { awaited: bool },
    /// Litestream has it.
    Here,
    /// It is being drained, and let go.
    Going,
    /// It was only coming, and no source names it any more: it is let go.
    Leaving,
}

/// The databases that count, and when the sources are asked for others.
#[derive(Clone, Debug)]
pub(super) struct Members {
    states: BTreeMap<Db, Membership>,
    /// The sources are being asked.
    asking: bool,
    /// They are to be asked once more after that.
    again: bool,
    ask_at: Option<Instant>,
    /// Of what the sources name, or are to say, something waits for the app to run.
    unsettled: bool,
    /// The sources have named these no more since this Litestream was started, so no gate waits for them.
    unnamed: BTreeSet<Db>,
}

impl Members {
    pub(super) fn new(databases: usize) -> Self {
        let states = (0..databases).map(|place| (Db(place), Membership::Here)).collect();
        Self { states, asking: false, again: false, ask_at: None, unsettled: false, unnamed: BTreeSet::new() }
    }

    /// Returns those that count.
    pub(super) fn all(&self) -> impl Iterator<Item = Db> + '_ {
        self.states.keys().copied().filter(|db| self.counts(*db))
    }

    pub(super) fn counts(&self, db: Db) -> bool {
        matches!(self.states.get(&db), Some(Membership::Coming { .. } | Membership::Here | Membership::Going))
    }

    /// Returns those that nobody waits for at the gate, although they count.
    pub(super) fn unnamed(&self) -> &BTreeSet<Db> {
        &self.unnamed
    }

    /// Returns those that are named, and that Litestream does not have.
    pub(super) fn outside(&self) -> impl Iterator<Item = Db> + '_ {
        self.states.keys().copied().filter(|db| self.is_outside(*db))
    }

    pub(super) fn is_outside(&self, db: Db) -> bool {
        self.states.get(&db) == Some(&Membership::Outside)
    }

    /// Tells whether it counts or is outside.
    pub(super) fn is_named(&self, db: Db) -> bool {
        self.counts(db) || self.is_outside(db)
    }

    /// Tells whether there is anything to ask about it: Litestream knows it.
    pub(super) fn is_watched(&self, db: Db) -> bool {
        matches!(self.states.get(&db), Some(Membership::Here | Membership::Going))
    }

    /// Says when the sources are to be asked again.
    pub(super) fn next_ask(&self) -> Option<Instant> {
        self.ask_at.filter(|_| !self.asking)
    }
}

impl Machine {
    #[cfg(test)]
    pub(in crate::core) fn membership(&self, db: Db) -> Option<Membership> {
        self.members.states.get(&db).copied()
    }

    #[cfg(test)]
    pub(in crate::core) fn known(&self) -> impl Iterator<Item = Db> + '_ {
        self.members.states.keys().copied()
    }

    pub(super) fn awaited(&mut self, db: Db) {
        if !self.members.states.contains_key(&db) && self.confirms {
            self.members.states.insert(db, Membership::Outside);
            self.lag.watch_outside(db);
            if self.phase == Phase::Draining {
                // Whoever can still take it in says how that ends.
                self.undrained.insert(db);
            }
        }
    }

    pub(super) fn named(&mut self, db: Db) {
        let awaited = self.members.is_outside(db);
        // The drain waits for one that goes back to where it was replicated.
        let is_waited_for = awaited && self.undrained.contains(&db);
        if !awaited && self.members.states.contains_key(&db) {
            return;
        }
        let is_taken_in = match self.phase {
            // It is launched with the rest.
            Phase::Resolving => {
                self.members.states.insert(db, Membership::Here);
                self.lag.admitted(db);
                return;
            }
            // At a stop the app's last ones are drained with the rest.
            Phase::Running | Phase::Stopping => self.confirms,
            Phase::Draining => is_waited_for,
            Phase::Preparing
            | Phase::Restoring
            | Phase::Launching
            | Phase::Gating
            | Phase::Before
            | Phase::Closing
            | Phase::Backoff
            | Phase::Exited => false,
        };
        if is_taken_in {
            self.take_in(db, awaited);
        } else if awaited {
            // The sources name it again once the app runs again.
            self.act(Action::PutOff(db));
        } else {
            self.act(Action::Forget(db));
        }
    }

    /// It is launched with the rest.
    pub(super) fn returned(&mut self, db: Db) {
        if self.phase == Phase::Launching && self.members.is_outside(db) {
            self.members.states.insert(db, Membership::Here);
            self.lag.returned(db);
            // The app wrote to it while nobody had it.
            self.unconfirmed.insert(db);
        } else {
            self.act(Action::PutOff(db));
        }
    }

    pub(super) fn found_again(&mut self, db: Db) {
        if self.abandoned.remove(&db) && self.lag.forget(db) && self.phase == Phase::Running {
            self.set_ready(self.may_be_ready());
        }
    }

    fn take_in(&mut self, db: Db, awaited: bool) {
        self.members.states.insert(db, Membership::Coming { awaited });
        // The app may have written to it already.
        self.unconfirmed.insert(db);
        self.act(Action::Register(db));
    }

    pub(super) fn registered(&mut self, now: Instant, db: Db, ok: bool) {
        let Some(Membership::Coming { awaited }) = self.members.states.get(&db).copied() else { return };
        if ok {
            self.members.states.insert(db, Membership::Here);
            if self.lag.admitted(db) {
                self.note(Note::CaughtUp(db));
                if self.phase == Phase::Running {
                    self.set_ready(self.may_be_ready());
                }
            }
        } else if awaited && !self.moment().over {
            // It may go back to where it was before: `Drained` says when nobody tries any more.
            self.put_off(db);
        } else {
            self.forget(now, db);
        }
    }

    /// Litestream does not have it after all.
    fn put_off(&mut self, db: Db) {
        self.members.states.insert(db, Membership::Outside);
        self.unconfirmed.remove(&db);
        self.owed.remove(&db);
        self.absent.forget(db);
    }

    pub(super) fn dropped(&mut self, now: Instant, db: Db) {
        if !matches!(self.phase, Phase::Running | Phase::Gating) || !self.confirms {
            return;
        }
        match self.members.states.get(&db) {
            Some(Membership::Outside) => self.forget(now, db),
            Some(Membership::Coming { .. }) => {
                self.forget(now, db);
                self.members.states.insert(db, Membership::Leaving);
                self.act(Action::Cancel(db));
            }
            Some(Membership::Here) => {
                self.members.states.insert(db, Membership::Going);
                self.members.unnamed.insert(db);
                self.act(Action::Unregister(db));
                self.gate_anew();
            }
            Some(Membership::Going | Membership::Leaving) | None => {}
        }
    }

    pub(super) fn unregistered(&mut self, now: Instant, db: Db, ok: bool) {
        if !self.members.is_watched(db) && self.members.states.get(&db) != Some(&Membership::Leaving) {
            return;
        }
        if ok {
            self.forget(now, db);
        } else {
            self.members.states.insert(db, Membership::Here);
        }
    }

    /// What the app wrote to it before Litestream ended, and nobody confirmed, nobody will confirm any more.
    pub(super) fn removed(&mut self, now: Instant, db: Db) {
        if !matches!(self.phase, Phase::Launching | Phase::Gating) || !self.members.is_watched(db) {
            return;
        }
        let is_lost = self.lag.is_behind(db);
        // Whether it is still named its source says.
        self.members.unsettled = true;
        self.forget(now, db);
        if is_lost {
            self.lose(now, db);
        }
    }

    /// What goes into such a file is a lag that nothing ends.
    pub(super) fn abandon(&mut self, now: Instant, db: Db) {
        let may_be_written = matches!(self.phase, Phase::Running | Phase::Stopping | Phase::Draining);
        if may_be_written && !self.members.is_named(db) {
            self.lose(now, db);
        }
    }

    fn lose(&mut self, now: Instant, db: Db) {
        if self.abandoned.insert(db) {
            self.lag.watch_outside(db);
            self.lag.changed(now, db);
        }
    }

    fn forget(&mut self, now: Instant, db: Db) {
        self.members.states.remove(&db);
        self.members.unnamed.remove(&db);
        self.owed.remove(&db);
        self.unconfirmed.remove(&db);
        let lagged = self.lag.forget(db) | self.absent.forget(db);
        let undrained = self.undrained.remove(&db);
        if lagged && self.phase == Phase::Running {
            self.set_ready(self.may_be_ready());
        }
        self.gate_anew();
        if undrained && self.phase == Phase::Draining {
            self.drain_over(now);
        }
    }

    /// The gate waits for what is there and wanted, and not for what is gone.
    fn gate_anew(&mut self) {
        if self.phase == Phase::Gating && self.policy.gate != Gate::None {
            self.act(Action::CloseGate);
            self.act(Action::OpenGate);
        }
    }

    /// Those that the gate waits for.
    pub fn gated(&self) -> impl Iterator<Item = Db> + '_ {
        self.databases().filter(|db| !self.members.unnamed.contains(db))
    }

    /// A fresh Litestream gets all that counts at its launch, and finds by itself what lies in folders. What the last one was only being told
    /// of by a source's word must not keep the app from coming back, but is drained like the rest if all is to end. One that was on its way from
    /// one place to another is told of by [`Self::returned`].
    pub(super) fn relaunch_members(&mut self) {
        let stops = self.goal.stop().is_some();
        let states = self.members.states.clone();
        self.members.unnamed.clear();
        for (db, membership) in states {
            self.members.unsettled |= membership != Membership::Here;
            match membership {
                Membership::Outside => {}
                Membership::Coming { awaited: true } if !stops => {
                    self.put_off(db);
                    self.act(Action::PutOff(db));
                }
                Membership::Leaving => {
                    self.members.states.remove(&db);
                    self.owed.remove(&db);
                    self.act(Action::Forget(db));
                }
                Membership::Coming { .. } => {
                    self.members.states.insert(db, Membership::Here);
                    self.lag.admitted(db);
                }
                Membership::Here | Membership::Going => {
                    self.members.states.insert(db, Membership::Here);
                    self.lag.watch(db);
                }
            }
        }
    }

    /// Returns those outside that hold something which, as far as is known, is on no replica.
    pub(super) fn left_outside(&self) -> Vec<Db> {
        self.members.outside().filter(|db| self.lag.is_behind(*db)).collect()
    }

    /// The app runs, or waits for the gate, and maybe for one that is named no more: the sources are asked after a while; or at once, about
    /// what came to nothing with the last Litestream.
    pub(super) fn asks_from_now_on(&mut self, now: Instant) {
        if std::mem::take(&mut self.members.unsettled) {
            self.reload();
        }
        self.ask_later(now);
    }

    pub(super) fn ask(&mut self) {
        self.members.asking = true;
        // Who comes waits for the app.
        self.members.unsettled |= self.phase == Phase::Gating;
        self.act(Action::Resolve);
    }

    /// Whether an answer could change anything now.
    pub(super) fn may_ask(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Gating) && self.policy.resolves && self.confirms
    }

    /// Asks in a while, unless that is settled already.
    pub(super) fn ask_later(&mut self, now: Instant) {
        if let Some(interval) = self.policy.resolve_interval.filter(|_| self.confirms) {
            self.members.ask_at.get_or_insert(now + interval);
        }
    }

    pub(super) fn reload(&mut self) {
        if self.members.asking {
            self.members.again = true;
        } else if self.may_ask() {
            self.ask();
        } else if self.goal.stop().is_none() {
            self.members.unsettled = true;
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
        if !std::mem::take(&mut self.members.asking) {
            return;
        }
        self.members.ask_at = None;
        self.ask_later(now);
        if std::mem::take(&mut self.members.again) {
            self.reload();
        }
    }
}
