//! Who asks Litestream to confirm, and what it answers: the gate, the drain, the watch.

use std::time::Duration;

use super::plan::{Replica, ms};
use super::world::{Due, SYNC, World};
use crate::core::{Action, Db, Event};

/// After an answer that was an error.
const RETRY: Duration = ms(250);

impl World {
    pub(super) fn open_gate(&mut self) {
        self.gates += 1;
        self.gate = Some(self.gates);
        self.after(self.plan.gate, Due::Gate(self.gates));
        if let Some(every) = self.plan.gate_moves {
            self.after(every, Due::GateMoves(self.gates));
        }
    }

    pub(super) fn close_gate(&mut self) {
        if self.gate.take().is_some() && self.plan.stale && self.answers() && self.upload_gated() {
            self.after(Duration::ZERO, Due::Inbox(Event::GateOpened));
        }
    }

    /// Uploads what the gate waits for; whether all of it is confirmed.
    fn upload_gated(&mut self) -> bool {
        let gated: Vec<Db> = self.machine.gated().filter(|db| self.dbs.rows[db.0].known).collect();
        gated.into_iter().filter(|db| !self.dbs.upload(*db, u64::MAX)).count() == 0
    }

    pub(super) fn open_drain(&mut self) {
        self.drains += 1;
        self.drain = Some((self.drains, self.dbs.all()));
        // Without a socket the drain waits until Litestream has looked at its databases.
        let delay = if self.plan.confirms { self.plan.drain } else { self.until_looked() };
        self.plan.notices.into_iter().for_each(|after| self.after(after, Due::Notices(self.drains)));
        for db in self.dbs.all() {
            let rows = self.dbs.rows[db.0];
            if rows.known {
                self.after(delay, Due::Drain(self.drains, db));
            } else {
                // The last look, and that there is nobody to ask.
                let changed = (rows.written > 0).then_some(Event::Changed(db));
                for event in changed.into_iter().chain([Event::Drained(db)]) {
                    self.after(Duration::ZERO, Due::Inbox(event));
                }
            }
        }
    }

    pub(super) fn until_looked(&self) -> Duration {
        let launched = self.times(&Action::Launch).last().copied().unwrap_or_default();
        (launched + SYNC).saturating_sub(self.time())
    }

    pub(super) fn close_drain(&mut self) {
        for db in self.drain.take().map_or(Vec::new(), |(_, left)| left) {
            if self.plan.stale && self.plan.confirms && self.answers() && self.dbs.upload(db, u64::MAX) {
                self.after(Duration::ZERO, Due::Inbox(Event::Drained(db)));
            }
        }
    }

    pub(super) fn gate_answers(&mut self, gate: u64) {
        if self.answers() && self.upload_gated() {
            self.gate = None;
            return self.tell(Event::GateOpened);
        }
        self.after(RETRY, Due::Gate(gate));
        if self.answers() {
            self.dbs.diverged().into_iter().for_each(|db| self.tell(Event::Diverged(db)));
        }
        if self.dbs.replica == Replica::Refuses && self.answers() {
            self.tell(Event::GateRefused);
        }
    }

    pub(super) fn drain_answers(&mut self, drain: u64, db: Db) {
        if self.drain.as_ref().is_none_or(|(current, _)| *current != drain) {
            return;
        }
        if self.plan.confirms && (!self.answers() || !self.dbs.upload(db, u64::MAX)) {
            if self.answers() && self.dbs.rows[db.0].diverged {
                self.tell(Event::Diverged(db));
            }
            return self.after(RETRY, Due::Drain(drain, db));
        }
        if let Some((_, left)) = &mut self.drain {
            left.retain(|other| *other != db);
        }
        self.tell(Event::Drained(db));
    }

    pub(super) fn notices(&mut self, drain: u64) {
        if self.drain.as_ref().is_none_or(|(current, _)| *current != drain) {
            return;
        }
        let hangs = self.litestream.is_some_and(|litestream| litestream.hangs);
        if hangs && self.dbs.replica == Replica::Answers {
            return self.tell(Event::Silent);
        }
        self.after(RETRY, Due::Notices(drain));
    }

    pub(super) fn confirm_answers(&mut self, launch: u64, db: Db, rows: u64) {
        // What a dead one was asked is void.
        if launch != self.launches {
            return;
        }
        let asked = self.litestream.filter(|litestream| litestream.launch == launch);
        if asked.is_some_and(|litestream| litestream.hangs) {
            return self.after(RETRY, Due::Confirm(launch, db, rows));
        }
        let ok = asked.is_some() && self.dbs.upload(db, rows);
        if asked.is_some() && self.dbs.rows[db.0].diverged {
            self.tell(Event::Diverged(db));
        }
        let is_meant = !self.dbs.rows[db.0].replaced;
        self.wait_answered(db, ok && is_meant);
        self.tell(Event::Confirmed { db, ok });
    }
}
