//! What the machine tells of itself.

use std::time::Instant;

use super::Machine;
use crate::core::status::{Standing, State, Status, Unready};
use crate::core::{Db, Phase};

impl Machine {
    /// Where the unit is, whether it is ready, and what became of its processes.
    pub fn status(&self, now: Instant) -> Status {
        let behind = self.unready(now);
        let runs_unready = self.phase == Phase::Running && !self.ready;
        Status {
            phase: self.phase.word(),
            told: self.phase.told(),
            ready: self.ready,
            behind: behind.len(),
            undrained: self.undrained.len(),
            stops_within: self.goal.stop().map(|stop| stop.deadline.saturating_duration_since(now)),
            is_limited: !matches!(self.phase, Phase::Before | Phase::Running),
            reasons: if runs_unready { behind } else { Vec::new() },
            app: self.app_lives.clone(),
            litestream: self.litestream_lives.clone(),
        }
    }

    /// How a database compares with its backup.
    pub fn standing(&self, now: Instant, db: Db) -> Standing {
        let lag = self.lag.age(now, self.can_confirm(), db);
        let is_asked = self.can_confirm() && self.confirms && self.opened;
        let state = if self.lag.is_replaced(db) {
            State::Replaced
        } else if self.absent.is_missed(db) {
            State::Missing
        } else if self.lag.is_exceeded_by(db) || self.absent.is_exceeded_by(db) {
            State::Lagging
        } else if is_asked && self.members.is_watched(db) {
            State::Replicated
        } else {
            State::Unknown
        };
        Standing { state, lag }
    }

    fn unready(&self, now: Instant) -> Vec<Unready> {
        let missing = self.absent.all_exceeded().map(|(db, since, is_made)| {
            let age = now.saturating_duration_since(since);
            if is_made { Unready::Lagging(db, age) } else { Unready::Missing(db, age) }
        });
        let is_missed = |db: &Db| self.absent.is_exceeded_by(*db);
        let lagging = self.lag.all_exceeded().filter(|db| !is_missed(db)).map(|db| {
            if self.lag.is_replaced(db) {
                return Unready::Replaced(db);
            }
            Unready::Lagging(db, self.lag.age(now, self.can_confirm(), db).unwrap_or_default())
        });
        missing.chain(lagging).collect()
    }
}
