//! What an answer of a source changes while the app runs: each database goes its own way, and departures come first.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::driver::Driver;
use super::round::Move;
use super::twins;
use crate::core::{Db, Event, Phase};
use crate::error::Failure;
use crate::inventory::{Entry, Named};
use crate::litestream::others::Others;

impl Driver {
    /// Compares what is named with what is there.
    pub(super) fn take_named(&mut self, named: Vec<Named>) {
        if let Err(failure) = self.world.refuse_many(&self.strangers(&named)) {
            return self.resolve_failed(failure);
        }
        let rounds = &mut self.world.rounds;
        rounds.said.remove("");
        rounds.asking = false;
        let by_hand = rounds.by_hand;
        rounds.wanted =
            named.into_iter().map(|named| (twins::resolved(&named.database.path), named)).collect();
        let wanted = rounds.wanted.clone();
        // A stop in the middle of it changes nothing but what has to be answered for.
        if self.machine.phase() == Phase::Running {
            self.let_go(&wanted);
        }
        self.take_new(wanted, by_hand);
        self.settle_rounds();
        self.handle(Event::Resolved { restore: false });
    }

    /// Those that are not there yet.
    fn strangers(&self, named: &[Named]) -> Vec<Named> {
        let listed = self.world.roster.listed();
        let there: HashMap<&Path, Db> =
            listed.iter().map(|(db, database)| (database.path.as_path(), *db)).collect();
        named.iter().filter(|named| !there.contains_key(named.database.path.as_path())).cloned().collect()
    }

    /// Lets go of what is named no more, and gives up what was begun for it.
    fn let_go(&mut self, wanted: &BTreeMap<PathBuf, Named>) {
        let world = &mut self.world;
        let is_named = |named: &Named| wanted.contains_key(&twins::resolved(&named.database.path));
        let outside: Vec<Db> = world
            .outside
            .all()
            .filter(|(_, outsider)| {
                matches!(outsider.named.entry, Entry::Said(_)) && !is_named(&outsider.named)
            })
            .map(|(db, _)| db)
            .collect();
        let gone = world
            .roster
            .all_named()
            .filter(|(_, there)| matches!(there.entry, Entry::Said(_)) && !is_named(there));
        let gone: Vec<Db> = gone.map(|(db, _)| db).collect();
        world.rounds.failed_moves.retain(|path, _| wanted.contains_key(path));
        outside.into_iter().for_each(|db| self.drop_outsider(db));
        for db in gone {
            self.world.rounds.moving.remove(&db);
            self.let_one_go(db);
        }
    }

    /// One that Litestream does not have is nobody's any more.
    pub(super) fn drop_outsider(&mut self, db: Db) {
        let (path, _) = self.world.place_of(db);
        self.world.outside.remove(db);
        self.world.rounds.returning.remove(&db);
        self.world.rounds.open.remove(&db);
        self.world.rounds.said.remove(&path);
        self.handle(Event::Dropped(db));
    }

    /// Has Litestream let go of one, once, if it has it.
    fn let_one_go(&mut self, db: Db) {
        if self.world.rounds.leaving.insert(db) {
            self.world.rounds.open.insert(db);
            self.handle(Event::Dropped(db));
        }
    }

    fn take_new(&mut self, wanted: BTreeMap<PathBuf, Named>, by_hand: bool) {
        let by_path = |(db, named): (Db, &Named)| (twins::resolved(&named.database.path), db);
        let here: HashMap<PathBuf, Db> = self.world.roster.all_named().map(by_path).collect();
        let outside: HashMap<PathBuf, Db> =
            self.world.outside.all().map(|(db, outsider)| by_path((db, &outsider.named))).collect();
        let others = Rc::new(Others::now());
        for (path, named) in wanted {
            if let Some(db) = here.get(&path) {
                self.say_again(*db, &path, named, by_hand);
            } else if let Some(db) = outside.get(&path) {
                let failed = self.world.rounds.failed_moves.get(&path);
                let goes_back = failed.is_some_and(|failed| failed.is_same(&named.entry)) && !by_hand;
                let is_same = self.world.outside.all().any(|(other, outsider)| {
                    other == *db && (goes_back || outsider.named.entry.is_same(&named.entry))
                });
                if !is_same {
                    self.world.outside.rename(*db, named);
                    self.world.rounds.returning.remove(db);
                }
                if self.world.outside.is_idle(*db) {
                    self.try_outside(*db, &others);
                } else {
                    self.world.rounds.open.insert(*db);
                }
            } else {
                self.take_outside(named, None, &others);
            }
        }
    }

    /// One that Litestream has is named again: if it is to be replicated to another place, that is looked at before the
    /// one that it has is given up.
    fn say_again(&mut self, db: Db, path: &Path, named: Named, by_hand: bool) {
        let world = &mut self.world;
        let Some(there) = world.roster.named(db).cloned() else { return };
        let is_going = world.rounds.leaving.contains(&db);
        let is_found = matches!(there.entry, Entry::InFolder(..));
        if there.tells_the_same(&named) || is_found || is_going {
            if !is_found && !is_going && !there.entry.is_same(&named.entry) {
                // The next Litestream reads it as it is written now.
                world.roster.rename(db, named);
            }
            // What is on its way out comes again once it has gone.
            world.rounds.moving.remove(&db);
            if !is_going {
                world.rounds.failed_moves.remove(path);
            }
            return;
        }
        if world.rounds.coming.contains_key(&db) {
            // It has no place yet that could be kept, or is just going back to it.
            let failed = world.rounds.failed_moves.get(path);
            if failed.is_none_or(|failed| !failed.is_same(&named.entry))
                && self.machine.phase() == Phase::Running
            {
                self.let_one_go(db);
            }
            return;
        }
        let failed = world.rounds.failed_moves.get(path);
        if !by_hand && failed.is_some_and(|failed| failed.is_same(&named.entry)) {
            return;
        }
        if world.rounds.moving.get(&db).is_some_and(|moving| moving.named.entry.is_same(&named.entry)) {
            world.rounds.open.insert(db);
            return;
        }
        world.rounds.moving.remove(&db);
        let probed = match &named.url {
            Err(reason) => Err(format!("{}: {reason}", named.database.path.display())),
            Ok(_) => world.probe(db, &named).map_err(|failure| failure.message),
        };
        match probed {
            Ok((number, look)) => {
                world.rounds.open.insert(db);
                world.rounds.moving.insert(db, Move { named, number, look });
            }
            Err(reason) => self.keep(db, &reason),
        }
    }

    /// The other place was looked at.
    pub(super) fn probed(&mut self, db: Db, number: u64, result: Result<(), Failure>) {
        let rounds = &mut self.world.rounds;
        if rounds.moving.get(&db).is_none_or(|moving| moving.number != number) {
            return;
        }
        rounds.moving.remove(&db);
        match result {
            Err(failure) => self.keep(db, &failure.message),
            Ok(()) if self.machine.phase() == Phase::Running => self.let_one_go(db),
            Ok(()) => {}
        }
    }

    fn keep(&mut self, db: Db, reason: &str) {
        let (path, replica) = self.world.place_of(db);
        self.world.rounds.open.remove(&db);
        self.world.refuse(&path, format!("{reason}; it is still replicated to {replica}"));
    }
}
