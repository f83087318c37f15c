//! What is found where the databases are looked at, as events for the machine.

use std::collections::BTreeSet;
use std::time::Instant;

use super::abandoned::Opened;
use super::driver::Driver;
use super::folders;
use crate::core::{Cause, Db, Event, Turn};
use crate::os::{memory, permit, proc};

/// After so many looks the start has come to its end: most of the memory that it took is not needed again.
const SETTLED: u32 = 5;

/// Often at first: what an app starts it starts then. All processes are looked at, so it gets rare.
fn is_turn(looks: u32) -> bool {
    looks.is_power_of_two() || looks.is_multiple_of(64)
}

impl Driver {
    /// Looks at the databases, as is done once a second while the app runs.
    pub(super) fn look_again(&mut self) {
        self.look(false);
        self.world.databases.follow(&self.world.runner);
        if self.machine.moment().runs {
            self.world.prove();
            self.world.see();
            self.world.litestream.heard.snapshots.look(&self.world.runner);
        }
        let looks = self.world.databases.looked();
        if is_turn(looks) {
            // The app may have started a Litestream of its own, or somebody else has.
            if let Some((db, failure)) = self.world.databases.doubled() {
                self.world.notices.fail(Cause::Taken, failure);
                self.handle(Event::Doubled(db));
            }
        }
        if looks == SETTLED {
            memory::trim();
        }
    }

    /// Looks for what a process left that was just killed, before Litestream looks at it.
    pub(super) fn scan_for_leftovers(&mut self) {
        for (db, _) in self.world.databases.table.listed().iter() {
            self.scan_for_orphans(*db);
        }
    }

    fn scan_for_orphans(&mut self, db: Db) {
        let is_ltx = self.world.litestream.version.is_ltx();
        self.world.databases.scan_for_orphans(db, &self.world.runner, is_ltx);
    }

    pub(super) fn look(&mut self, last: bool) {
        let looked = permit::theirs(|| {
            self.poll_files(last);
            Ok(())
        });
        if let Err(error) = looked {
            tracing::error!("the databases cannot be looked at: {error}");
        }
        self.scan_folders();
        // Whatever was renamed is there by its new name now.
        for event in self.world.databases.scan_for_abandoned(self.world.tree.shim_pid()) {
            self.handle(event);
        }
    }

    fn poll_files(&mut self, last: bool) {
        for (db, failure) in self.world.databases.check_locks(&self.world.folder) {
            self.world.notices.fail(Cause::Taken, failure);
            self.handle(Event::LockLost(db));
        }
        let litestream = self.world.litestream.pid();
        let mut suspects = self.world.databases.suspects.all();
        let has_open = |file| litestream.and_then(|pid| proc::has_open_file(pid, file)).unwrap_or(true);
        let seen = self.world.databases.watch.look(has_open, last);
        suspects.extend(self.take_seen(seen));
        for db in suspects {
            self.scan_for_orphans(db);
        }
        for db in self.world.discovery.written_outside() {
            self.handle(Event::Changed(db));
        }
    }

    /// Looks at these alone, which somebody waits for.
    pub(super) fn look_at(&mut self, dbs: &BTreeSet<Db>) {
        if !self.world.databases.is_watching() {
            return;
        }
        let litestream = self.world.litestream.pid();
        let has_open = |file| litestream.and_then(|pid| proc::has_open_file(pid, file)).unwrap_or(true);
        let looked = permit::theirs(|| {
            let watch = &mut self.world.databases.watch;
            let seen = dbs.iter().filter_map(|db| watch.look_at(*db, has_open)).collect();
            self.take_seen(seen).into_iter().for_each(|db| self.scan_for_orphans(db));
            Ok(())
        });
        if let Err(error) = looked {
            tracing::error!("the databases cannot be looked at: {error}");
        }
    }

    /// Tells of what was seen of files; those that changed.
    fn take_seen(&mut self, seen: Vec<Event>) -> Vec<Db> {
        let mut changed = Vec::new();
        // A whole folder may be gone: they are looked for once.
        let (shim, mut opened) = (self.world.tree.shim_pid(), None);
        for event in seen {
            if let Event::Changed(db) = event {
                changed.push(db);
                self.world.databases.follows.changed(db, Instant::now());
            }
            // The app could not write to it any more: the launch finds it gone.
            if let Event::Replaced(db) = event
                && self.machine.moment().relaunches
                && self.world.databases.has_gone(db, &self.world.setup.folders)
            {
                continue;
            }
            if let Event::Unregistered { db, .. } = event {
                let opened = opened.get_or_insert_with(|| Opened::below(shim));
                self.file_went(db, opened);
            }
            let replaced = if let Event::Replaced(db) = event { Some(db) } else { None };
            self.handle(event);
            if let Some(db) = replaced {
                self.tell_of_replaced(db);
            }
        }
        changed
    }

    /// The file of such a database was deleted.
    pub(super) fn file_went(&mut self, db: Db, opened: &Opened) {
        self.world.discovery.folders.scan_soon();
        let (path, replica) = self.world.place_of(db);
        tracing::warn!(
            "{path} was deleted or moved, and is not replicated any more; what was on {replica} stays there"
        );
        self.world.databases.went(db, opened);
        self.turn(Turn::Forgotten(db));
    }

    /// One that comes and goes is gone: it is waited for no more, and asked about again with the rest of its source.
    pub(super) fn went(&mut self, db: Db) {
        // What a folder has is whoever's who puts it there; what a resolver has named is the app's.
        let event = if self.world.databases.is_said(db) {
            Event::Removed(db)
        } else {
            Event::Unregistered { db, ok: true }
        };
        self.file_went(db, &Opened::below(self.world.tree.shim_pid()));
        self.handle(event);
    }

    /// Takes in what has appeared in the folders.
    pub(super) fn scan_folders(&mut self) {
        if self.machine.moment().finds {
            folders::scan(&mut self.world).into_iter().for_each(|turn| self.turn(turn));
        }
    }
}
