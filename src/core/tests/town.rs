//! A machine and a reconciliation beside each other, with a Litestream that answers when a test says so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::plan::policy;
use crate::core::machine::Membership;
use crate::core::{
    Action, Db, Ended, Event, ExitCode, Machine, Note, Phase, Policy, Reconciliation, Step, Turn, Wanted,
};

/// What is said of a database: all of it as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) file: u8,
    pub(super) place: u8,
    pub(super) found: bool,
    pub(super) words: u8,
}

impl Wanted for Said {
    type File = u8;
    /// The number of the look that took it.
    type Lock = u64;
    type Reason = &'static str;

    fn file(&self) -> &u8 {
        &self.file
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.place, self.found) == (other.place, other.found)
    }

    fn is_written_as(&self, other: &Self) -> bool {
        self.words == other.words
    }

    fn collides(&self, other: &Self) -> bool {
        self.file == other.file || self.place == other.place
    }

    fn claims(&self) -> Vec<u64> {
        vec![u64::from(self.file), 1000 + u64::from(self.place)]
    }

    fn is_found(&self) -> bool {
        self.found
    }
}

/// The place of whatever is found as this file.
pub(super) const fn own(file: u8) -> u8 {
    100 + file
}

pub(super) fn said((file, place): (u8, u8)) -> Said {
    Said { file, place, found: false, words: 0 }
}

pub(super) struct Town {
    pub(super) machine: Machine,
    pub(super) all: Reconciliation<Said>,
    now: Instant,
    /// What the last answer named.
    pub(super) named: BTreeMap<u8, u8>,
    /// The looks that are under way.
    pub(super) looks: BTreeMap<u64, Db>,
    pub(super) probes: BTreeMap<u64, (Db, Said)>,
    /// Litestream is being told of these, and is letting go of those.
    pub(super) registering: BTreeSet<Db>,
    pub(super) unregistering: BTreeSet<Db>,
    pub(super) drains: BTreeSet<Db>,
    /// What is locked.
    pub(super) locked: BTreeMap<Db, Said>,
    /// Locks that nobody has yet.
    flying: BTreeSet<u64>,
    /// The next thing that is found is another keeper's.
    pub(super) is_anothers: bool,
    /// The other place of this one was looked at with success just now.
    good: Option<Db>,
    pub(super) steps: Vec<Step<Said>>,
    pub(super) notes: Vec<Note>,
    pub(super) code: Option<ExitCode>,
    pub(super) stopped: bool,
    /// How often the sources were asked.
    pub(super) asked: usize,
    /// Whom another keeper has.
    anothers: BTreeSet<Db>,
}

impl Town {
    /// The app runs, with these.
    pub(super) fn new(named: &[(u8, u8)]) -> Self {
        let policy = Policy { resolves: true, resolve_interval: None, databases: 1, ..policy() };
        let mut town = Self {
            all: Reconciliation::new(policy.databases),
            machine: Machine::new(policy, 7),
            now: Instant::now(),
            named: named.iter().copied().collect(),
            looks: BTreeMap::new(),
            probes: BTreeMap::new(),
            registering: BTreeSet::new(),
            unregistering: BTreeSet::new(),
            drains: BTreeSet::new(),
            locked: BTreeMap::new(),
            flying: BTreeSet::new(),
            is_anothers: false,
            good: None,
            steps: Vec::new(),
            notes: Vec::new(),
            code: None,
            stopped: false,
            asked: 0,
            anothers: BTreeSet::new(),
        };
        town.tell(Event::Start);
        town.tell(Event::Prepared { restore: false, confirms: true });
        for named in named {
            town.flying.insert(0);
            town.turn(Turn::Admitted(said(*named), 0));
        }
        town.tell(Event::Resolved { restore: false });
        town.up();
        town
    }

    /// Until the app runs.
    pub(super) fn up(&mut self) {
        for _ in 0..20 {
            if self.machine.phase() != Phase::Running {
                self.go_on();
            }
        }
        assert_eq!(self.machine.phase(), Phase::Running);
    }

    /// Whatever the machine waits for, but for Litestream's answers.
    pub(super) fn go_on(&mut self) {
        match self.machine.phase() {
            Phase::Launching => self.tell(Event::ShimReady),
            Phase::Gating => self.tell(Event::GateOpened),
            Phase::Stopping => self.tell(Event::AppEnded { how: Ended::Code(0), left: 0 }),
            Phase::Closing => self.tell(Event::LitestreamEnded { clean: true }),
            Phase::Backoff => self.pass(),
            Phase::Draining => {
                if let Some(db) = self.drains.pop_first() {
                    self.tell(Event::Drained(db));
                }
            }
            Phase::Preparing
            | Phase::Restoring
            | Phase::Resolving
            | Phase::Before
            | Phase::Running
            | Phase::Exited => {}
        }
    }

    /// Until the next thing that is due.
    pub(super) fn pass(&mut self) {
        if let Some(at) = self.machine.poll_timeout() {
            self.now = self.now.max(at);
            self.machine.handle_timeout(self.now);
            self.settle();
        }
    }

    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.tell(Event::StopSignal(15));
    }

    /// Litestream dies, and the app with it.
    pub(super) fn die(&mut self) {
        if self.machine.moment().runs {
            self.tell(Event::LitestreamEnded { clean: false });
        }
    }

    pub(super) fn answer(&mut self, named: &[(u8, u8)], by_hand: bool) {
        self.named = named.iter().copied().collect();
        self.turn(Turn::Answered { wanted: named.iter().copied().map(said).collect(), by_hand });
    }

    /// Each look at this file is over, of whatever kind.
    pub(super) fn look(&mut self, file: u8, ok: bool) {
        let is_it = |town: &Self, db: &Db| town.all.get(*db).is_some_and(|said| said.file == file);
        let looks: Vec<u64> =
            self.looks.iter().filter(|(_, db)| is_it(self, db)).map(|(number, _)| *number).collect();
        let probes: Vec<u64> =
            self.probes.iter().filter(|(_, (db, _))| is_it(self, db)).map(|(number, _)| *number).collect();
        assert!(!looks.is_empty() || !probes.is_empty(), "nobody looks at {file}");
        looks.into_iter().for_each(|number| self.looked(number, ok));
        probes.into_iter().for_each(|number| self.probed(number, ok));
    }

    pub(super) fn looked(&mut self, number: u64, ok: bool) {
        let Some(db) = self.looks.remove(&number) else { return };
        let result = if ok { Ok(number) } else { Err("look") };
        self.flying.extend(result.ok());
        self.turn(Turn::LookedAt { db, number, result });
    }

    pub(super) fn probed(&mut self, number: u64, ok: bool) {
        let Some((db, _)) = self.probes.remove(&number) else { return };
        self.good = ok.then_some(db);
        self.turn(Turn::Probed { db, number, result: if ok { Ok(()) } else { Err("probe") } });
        self.good = None;
    }

    pub(super) fn register(&mut self, file: u8, ok: bool) {
        let db = self.at(file);
        assert!(self.registering.contains(&db), "{file} is not coming");
        self.registered(db, ok);
    }

    pub(super) fn registered(&mut self, db: Db, ok: bool) {
        if self.registering.remove(&db) {
            self.turn(Turn::Registered { db, result: if ok { Ok(()) } else { Err("register") } });
        }
    }

    pub(super) fn unregister(&mut self, file: u8, ok: bool) {
        let db = self.at(file);
        assert!(self.unregistering.contains(&db), "{file} is not going");
        self.unregistered(db, ok);
    }

    pub(super) fn unregistered(&mut self, db: Db, ok: bool) {
        if self.unregistering.remove(&db) {
            // What was only coming is always let go.
            let ok = ok || self.all.membership(db) == Some(Membership::Leaving);
            self.turn(Turn::Unregistered { db, result: if ok { Ok(()) } else { Err("unregister") } });
        }
    }

    /// It has appeared in a folder.
    pub(super) fn find(&mut self, file: u8, fit: bool) {
        let is_looked = matches!(self.machine.phase(), Phase::Running | Phase::Stopping);
        if is_looked && self.locked.values().all(|said| said.file != file) {
            let found = Said { file, place: own(file), found: true, words: 0 };
            self.turn(Turn::Found(found, if fit { Ok(()) } else { Err("unfit") }));
        }
    }

    pub(super) fn vanish(&mut self, file: u8) {
        let is_it = |(_, said): &(Db, &Said)| said.found && said.file == file;
        let gone: Vec<Db> = self.all.outside().filter(is_it).map(|(db, _)| db).collect();
        gone.into_iter().for_each(|db| self.turn(Turn::Vanished(db)));
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.machine.handle(self.now, event);
        self.settle();
    }

    pub(super) fn turn(&mut self, turn: Turn<Said>) {
        self.decide(turn);
        self.settle();
    }

    fn decide(&mut self, turn: Turn<Said>) {
        self.all.handle(self.machine.moment(), turn);
        while let Some(step) = self.all.poll_step() {
            self.steps.push(step.clone());
            self.take(step);
        }
    }

    fn take(&mut self, step: Step<Said>) {
        match step {
            Step::Tell(event) => {
                if let Event::Dropped(db) = event {
                    self.check_dropped(db);
                }
                self.machine.handle(self.now, event);
            }
            Step::Await(db) => {
                self.machine.handle(self.now, Event::Awaited(db));
                self.machine.handle(self.now, Event::Changed(db));
            }
            Step::Look { db, number, .. } => drop(self.looks.insert(number, db)),
            Step::Probe(db, number, said) => drop(self.probes.insert(number, (db, said))),
            Step::Stop(number) => {
                self.looks.remove(&number);
                self.probes.remove(&number);
            }
            Step::Lock(db) => {
                // No look has such a number.
                let lock = u64::MAX - db.0 as u64;
                let result = if std::mem::take(&mut self.is_anothers) { Err("another's") } else { Ok(lock) };
                self.flying.extend(result.ok());
                if result.is_err() {
                    self.anothers.insert(db);
                }
                self.all.handle(self.machine.moment(), Turn::Locked { db, result });
            }
            Step::Take(db, lock) => {
                assert!(self.flying.remove(&lock));
                let said = *self.all.get(db).unwrap();
                assert!(self.locked.insert(db, said).is_none(), "{db:?} is locked twice");
            }
            Step::Release(lock) => assert!(self.flying.remove(&lock)),
            Step::Respell(db) => {
                let said = *self.all.get(db).unwrap();
                assert!(self.locked.insert(db, said).is_some(), "{db:?} is not Litestream's");
            }
            Step::RegisterAgain(db, before) => {
                assert!(self.registering.contains(&db), "{db:?} is not coming");
                self.locked.insert(db, before);
            }
            Step::LetGo(db) => {
                self.registering.remove(&db);
                self.locked.remove(&db);
            }
            Step::Drain(db) => drop(self.drains.insert(db)),
            Step::Came(_)
            | Step::Went { .. }
            | Step::Dropped(_)
            | Step::Refuse(..)
            | Step::GoBack { .. }
            | Step::Hold(..)
            | Step::Keep(..)
            | Step::Added(_)
            | Step::Removed(_) => {}
        }
    }

    /// What Litestream has is let go only if it is named no more, or its other place can have it.
    fn check_dropped(&self, db: Db) {
        if let (Some(said), Some(Membership::Here)) = (self.locked.get(&db), self.machine.membership(db)) {
            let is_named = self.named.contains_key(&said.file);
            assert!(!is_named || self.good == Some(db), "{said:?} is let go for nothing");
        }
    }

    /// Who was on its way from one place to another is launched at one of them.
    fn check_launched(&self) {
        for db in self.all.known().filter(|db| self.all.membership(*db) == Some(Membership::Outside)) {
            let Some(place) = self.all.place_before(db) else { continue };
            let is_taken = |(other, there): (&Db, &Said)| *other != db && there.collides(place);
            let is_free = !self.locked.iter().any(is_taken) && !self.anothers.contains(&db);
            assert!(!is_free, "{db:?} is launched nowhere");
        }
    }

    fn settle(&mut self) {
        loop {
            while let Some(action) = self.machine.poll_action() {
                self.act(action);
            }
            let moment = self.machine.moment();
            if moment.ends {
                self.decide(Turn::Ending);
            }
            let Some(action) = self.machine.poll_action() else { break };
            self.act(action);
        }
        self.check();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Register(db) => drop(self.registering.insert(db)),
            Action::Unregister(db) => drop(self.unregistering.insert(db)),
            Action::Cancel(db) => {
                self.registering.remove(&db);
                self.unregistering.insert(db);
            }
            Action::PutOff(db) => self.decide(Turn::PutOff(db)),
            Action::Forget(db) => self.decide(Turn::Forgotten(db)),
            Action::Launch => {
                self.decide(Turn::Relaunched);
                self.registering.clear();
                self.unregistering.clear();
                self.check_launched();
            }
            Action::Resolve => self.asked += 1,
            Action::Drain => {
                let written = self.all.outside().map(|(db, _)| db).collect();
                self.decide(Turn::Draining { written });
                let all = self.locked.keys().copied().filter(|db| !self.all.comes_back(*db));
                self.drains = all.chain([Db(0)]).collect();
            }
            Action::CloseDrain => self.drains.clear(),
            Action::Note(note) => self.notes.push(note),
            Action::Exit(code, _) => self.code = Some(code),
            Action::Prepare
            | Action::Restore
            | Action::Abort
            | Action::OpenGate
            | Action::CloseGate
            | Action::StartBefore(_)
            | Action::StartApp
            | Action::SignalApp(_)
            | Action::SignalTree(_)
            | Action::KillTree
            | Action::KillShim
            | Action::Confirm(_)
            | Action::Release
            | Action::KillLitestream
            | Action::Ready(_) => {}
        }
    }

    /// What holds whatever happens.
    fn check(&self) {
        let locked: Vec<(&Db, &Said)> = self.locked.iter().collect();
        for (place, (db, said)) in locked.iter().enumerate() {
            assert_eq!(self.all.get(**db), Some(*said), "{db:?}");
            for (other, there) in &locked[place + 1..] {
                assert!(!said.collides(there), "{db:?} {said:?} and {other:?} {there:?} are in one place");
            }
        }
        assert!(self.flying.is_empty(), "a lock is nobody's");
        if self.code.is_some() {
            return;
        }
        let known = self.machine.known().chain(self.all.known()).filter(|db| db.0 > 0);
        for db in known.collect::<BTreeSet<_>>() {
            let (one, two) = (self.all.membership(db), self.machine.membership(db));
            assert_eq!(one, two, "{db:?} {:?}", self.all.get(db));
            let has = one.is_some_and(|membership| membership != Membership::Outside);
            assert_eq!(self.locked.contains_key(&db), has, "{db:?}");
        }
        let mut files: Vec<u8> = self.all.known().filter_map(|db| Some(self.all.get(db)?.file)).collect();
        files.sort_unstable();
        assert!(files.is_sorted_by(|one, two| one < two), "one file twice: {files:?}");
        if self.machine.moment().ends {
            for db in self.all.known() {
                let Some(before) = self.all.before(db) else { continue };
                let is_taken = |(other, there): (&Db, &Said)| *other != db && there.collides(before);
                assert!(self.locked.iter().any(is_taken), "{db:?} could go back");
            }
        }
    }

    pub(super) fn at(&self, file: u8) -> Db {
        let is_it = |db: &Db| self.all.get(*db).is_some_and(|said| said.file == file);
        self.all.known().find(is_it).expect("no such member")
    }

    /// What Litestream has, by file.
    pub(super) fn here(&self) -> BTreeMap<u8, u8> {
        let is_here = |(db, _): &(&Db, &Said)| self.all.membership(**db) == Some(Membership::Here);
        self.locked.iter().filter(is_here).map(|(_, said)| (said.file, said.place)).collect()
    }

    pub(super) fn membership(&self, file: u8) -> Membership {
        self.all.membership(self.at(file)).unwrap()
    }

    /// Whatever is under way goes well, until nothing is.
    pub(super) fn all_go_well(&mut self) {
        for _ in 0..500 {
            if let Some((number, _)) = self.looks.first_key_value() {
                self.looked(*number, true);
            } else if let Some((number, _)) = self.probes.first_key_value() {
                self.probed(*number, true);
            } else if let Some(db) = self.registering.first().copied() {
                self.registered(db, true);
            } else if let Some(db) = self.unregistering.first().copied() {
                self.unregistered(db, true);
            } else {
                return;
            }
        }
        panic!("something is under way for ever");
    }

    /// To the end.
    pub(super) fn end(&mut self) -> u8 {
        self.stop();
        for _ in 0..200 {
            if let Some(code) = self.code {
                return code.get();
            }
            self.go_on();
            if self.machine.phase() == Phase::Draining && self.drains.is_empty() {
                self.pass();
            }
        }
        panic!("no end in {:?}", self.machine.phase());
    }

    pub(super) fn did(&self, step: &Step<Said>) -> usize {
        self.steps.iter().filter(|done| *done == step).count()
    }
}
