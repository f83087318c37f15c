//! The source, which names tenants, and Litestream, which takes them in and lets them go.

use std::time::{Duration, Instant};

use super::plan::{Replica, ms, secs};
use super::world::{Due, World};
use crate::core::{Db, Event, Phase};

/// How long the driver tries, and how often.
const PATIENCE: Duration = secs(10);
const RETRY: Duration = ms(250);

impl World {
    /// The answer: what is new, what is gone, and that this was all.
    pub(super) fn resolves(&mut self) {
        if let Some(code) = self.plan.resolve_fails {
            return self.tell(Event::ResolveFailed(code));
        }
        let gone = self.tenants.iter().filter(|(tenant, _)| !self.wanted.contains(tenant));
        for db in gone.map(|(_, db)| *db).collect::<Vec<_>>() {
            // What Litestream was never told of goes at once.
            let goes = matches!(self.phase(), Phase::Running | Phase::Gating);
            if !self.dbs.rows[db.0].known && goes {
                self.forget(db);
            }
            self.tell(Event::Dropped(db));
        }
        for tenant in self.wanted.clone() {
            let db = match self.tenants.get(&tenant) {
                Some(db) if self.dbs.rows[db.0].known || self.dbs.rows[db.0].looking => continue,
                Some(db) => *db,
                None => {
                    let db = self.dbs.add();
                    self.tenants.insert(tenant, db);
                    db
                }
            };
            if self.phase() == Phase::Resolving {
                self.tell(Event::Named(db));
            } else {
                (self.dbs.rows[db.0].outside, self.dbs.rows[db.0].looking) = (true, true);
                self.tell(Event::Awaited(db));
                self.after(self.plan.admit, Due::Admits(db));
            }
        }
        self.tell(Event::Resolved { restore: self.plan.resolve_restores });
    }

    /// What is out of reach is looked at in vain, and again after the next answer.
    pub(super) fn admits(&mut self, db: Db) {
        let rows = &mut self.dbs.rows[db.0];
        if std::mem::take(&mut rows.looking) && rows.here && !rows.away {
            self.tell(Event::Named(db));
        }
    }

    pub(super) fn register(&mut self, db: Db) {
        (self.dbs.rows[db.0].known, self.dbs.rows[db.0].outside) = (true, false);
        self.after(self.plan.register, Due::Registers(self.launches, db, self.now + PATIENCE));
    }

    pub(super) fn unregister(&mut self, db: Db) {
        self.after(self.plan.register, Due::Unregisters(self.launches, db, self.now + PATIENCE));
    }

    pub(super) fn forget(&mut self, db: Db) {
        self.dbs.forget(db);
        self.tenants.retain(|_, other| *other != db);
    }

    /// What a dead Litestream was asked is void.
    pub(super) fn register_answers(&mut self, launch: u64, db: Db, until: Instant) {
        if launch != self.launches || !self.dbs.rows[db.0].here {
            return;
        }
        let ok = self.answers() && self.dbs.upload(db, u64::MAX);
        let given_up = self.litestream.is_none() || self.dbs.replica == Replica::Refuses || self.now >= until;
        if !ok && !given_up {
            return self.after(RETRY, Due::Registers(launch, db, until));
        }
        if !ok {
            self.dbs.put_off(db);
        }
        self.tell(Event::Registered { db, ok });
        if !ok {
            self.tell(Event::Drained(db));
        }
    }

    pub(super) fn unregister_answers(&mut self, launch: u64, db: Db, until: Instant) {
        if launch != self.launches || !self.dbs.rows[db.0].here {
            return;
        }
        // Whatever it confirms of a replaced file, it says of another one.
        let ok = self.answers() && !self.dbs.rows[db.0].replaced && self.dbs.upload(db, u64::MAX);
        if !ok && self.litestream.is_some() && self.now < until {
            return self.after(RETRY, Due::Unregisters(launch, db, until));
        }
        if ok {
            self.forget(db);
        }
        self.tell(Event::Unregistered { db, ok });
    }
}
