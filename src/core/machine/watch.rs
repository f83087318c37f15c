//! The watch over a running app's databases.

use std::time::Instant;

use super::Machine;
use crate::core::{Cause, Db, ExitCode, Note, OnLag, Phase};

impl Machine {
    pub(super) fn changed(&mut self, now: Instant, db: Db) {
        let is_made = self.absent.is_missed(db);
        self.absent.made(db, self.confirms);
        if self.confirms && (self.litestream.is_up() || self.members.is_outside(db)) {
            self.lag.changed(now, db);
            if is_made {
                // It is told as soon as it is on its replica, which costs one question in its life.
                self.lag.ask_soon(now, db);
            }
        }
    }

    pub(super) fn missing(&mut self, now: Instant, db: Db) {
        if self.members.counts(db) {
            self.absent.missed(now, db, db.0 < self.policy.databases);
        }
    }

    /// No replica is further behind, and no file longer missing, than is allowed; or only a line in the log says so.
    pub(super) fn may_be_ready(&self) -> bool {
        self.policy.on_lag == OnLag::Warn || !self.lag.exceeded() && !self.absent.exceeded()
    }

    pub(super) fn replaced(&mut self, now: Instant, db: Db) {
        let may_be_written = matches!(self.phase, Phase::Running | Phase::Stopping | Phase::Draining);
        if may_be_written && self.litestream.is_up() && self.lag.replaced(now, db) {
            self.note(Note::Replaced(db));
        }
    }

    pub(super) fn wanted(&mut self, now: Instant, db: Db) {
        if self.members.is_named(db) {
            self.lag.wanted(now, db);
        }
    }

    pub(super) fn confirmed(&mut self, now: Instant, db: Db, ok: bool) {
        let caught_up = self.lag.confirmed(now, db, ok);
        if ok {
            self.owed.remove(&db);
        }
        let made = ok && !self.lag.is_replaced(db) && self.absent.confirmed(db);
        if caught_up {
            self.note(Note::CaughtUp(db));
        }
        if made {
            self.note(Note::Made(db));
        }
        // What is behind has made it unready itself, if that is wanted.
        if (caught_up || made) && self.phase == Phase::Running && self.may_be_ready() {
            self.set_ready(true);
        }
    }

    pub(super) fn lag_exceeded(&mut self, now: Instant, what: Note) {
        self.note(what);
        match self.policy.on_lag {
            OnLag::Warn => {}
            OnLag::Unready => self.set_ready(false),
            OnLag::Stop => {
                self.aim_at_stop(now, Cause::Lag, ExitCode::LITESTREAM);
                if self.phase == Phase::Backoff {
                    self.drain(now);
                } else {
                    self.ask_app_to_stop(now);
                }
            }
        }
    }
}
