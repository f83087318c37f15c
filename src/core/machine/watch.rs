//! The watch over a running app's databases.

use std::time::{Duration, Instant};

use super::Machine;
use crate::core::{Db, ExitCode, Note, OnLag, Phase};

impl Machine {
    pub(super) fn changed(&mut self, now: Instant, db: Db) {
        if self.confirms && self.litestream.is_up() {
            self.lag.changed(now, db);
        }
    }

    pub(super) fn replaced(&mut self, now: Instant, db: Db) {
        let may_be_written = matches!(self.phase, Phase::Running | Phase::Stopping | Phase::Draining);
        if may_be_written && self.litestream.is_up() && self.lag.replaced(now, db) {
            self.note(Note::Replaced(db));
        }
    }

    pub(super) fn confirmed(&mut self, now: Instant, db: Db, ok: bool) {
        if self.lag.confirmed(now, db, ok) {
            self.note(Note::CaughtUp(db));
            if self.phase == Phase::Running {
                self.set_ready(!self.lag.exceeded());
            }
        }
    }

    pub(super) fn lag_exceeded(&mut self, now: Instant, db: Db, age: Duration) {
        self.note(Note::Lagging(db, age));
        match self.policy.on_lag {
            OnLag::Warn => {}
            OnLag::Unready => self.set_ready(false),
            OnLag::Stop => {
                self.aim_at_stop(now, Some(ExitCode::LITESTREAM), ExitCode::LITESTREAM);
                match self.phase {
                    Phase::Backoff => self.drain(now),
                    _ => self.ask_app_to_stop(now),
                }
            }
        }
    }
}
