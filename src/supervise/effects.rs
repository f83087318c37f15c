//! The machine's actions, carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::unix::AsyncFd;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::abandoned::Abandoned;
use super::attempts::Tried;
use super::confirm::{self, Asker};
use super::driver::{Driver, Message, Outbox};
use super::folders::Folders;
use super::ledger::{self, Follows, Proofs};
use super::link::{Link, Word};
use super::litestream_log::Heard;
use super::manager::Manager;
use super::missing::Use;
use super::notes::{self, Names};
use super::outside::Outside;
use super::prepare::{self, Owing, Preparation};
use super::resolver::{self, Question};
use super::roster::{Listed, Roster};
use super::round::Rounds;
use super::runtime_folder::{RuntimeFolder, Written};
use super::setup::Setup;
use super::tenants::Tenants;
use super::wal::{Held, Suspects};
use super::watch::Watch;
use super::workplace::Workplace;
use crate::backup::{self, Apart, Restorer};
use crate::core::{Action, Cause, Db, Ended, Event, ExitCode, Gate, Turn};
use crate::error::Failure;
use crate::foreign;
use crate::inventory::{Entry, Named};
use crate::litestream::command::{KEEPERS_OWN, Runner};
use crate::litestream::database::Database;
use crate::litestream::ltx;
use crate::litestream::position::{self, Position};
use crate::litestream::version::Version;
use crate::os::exec::Command;
use crate::os::oom;
use crate::os::terminal::{self, Terminal};
use crate::os::unstarted::{self, Unstarted};
use crate::os::{signal, tree};
use crate::shim::{App, Target, ToShim, Update};

/// How many descriptors go with one message beside the memory: the kernel takes 253 (`unix(7)`).
const MOST_LOCKS: usize = 200;

/// How long the app's tree may live on until it is in no commit.
const HOLDING: Duration = Duration::from_millis(100);
/// How long its locks are held while it is being killed.
const HELD: Duration = Duration::from_secs(2);

/// Everything outside of the machine.
pub(super) struct World {
    pub(super) setup: Setup,
    pub(super) folder: RuntimeFolder,
    pub(super) roster: Roster,
    listening: Vec<OwnedFd>,
    workplace: Workplace,
    pub(super) runner: Runner,
    pub(super) outbox: Outbox,
    /// How the resolver is asked.
    pub(super) question: Option<Question>,
    pub(super) rounds: Rounds,
    /// The databases that sources name.
    pub(super) tenants: Tenants,
    pub(super) outside: Outside,
    /// Litestream is being told of these.
    registrations: BTreeMap<Db, JoinHandle<()>>,
    /// How new the backups are of the databases that are looked at next, where that was listed.
    pub(super) newest: BTreeMap<PathBuf, Option<Position>>,
    pub(super) folders: Folders,
    /// Where something stands in the place of a lock that nobody can lock.
    pub(super) barred: BTreeSet<Db>,
    pub(super) used: Use,
    /// Litestream was killed by this process.
    pub(super) killed_litestream: bool,
    /// How often the kernel had killed something for want of memory, when that was last asked.
    oom_kills: oom::Count,
    pub(super) terminal: Option<Terminal>,
    pub(super) version: Version,
    pub(super) missing: Vec<Database>,
    /// The configuration that names those.
    pub(super) restore_config: PathBuf,
    /// Where backups may be that are not on the replica.
    elsewhere: Rc<Vec<backup::Elsewhere>>,
    /// What a Litestream needs that reads the configuration of what is named just now.
    named_env: Rc<Vec<(String, String)>>,
    pub(super) litestream: Option<i32>,
    pub(super) launches: u64,
    pub(super) launched: Instant,
    /// See [`Asker::looker`].
    looker: Rc<Semaphore>,
    pub(super) link: Option<Link>,
    pub(super) app: Option<i32>,
    running: Running,
    pub(super) heard: Heard,
    pub(super) watch: Watch,
    pub(super) abandoned: Abandoned,
    pub(super) watching: bool,
    /// How often the databases were looked at since the app was started.
    pub(super) looks: u32,
    pub(super) suspects: Suspects,
    pub(super) proofs: Proofs,
    pub(super) follows: Follows,
    /// Of these Litestream has to make a new copy, and why.
    pub(super) parted: BTreeMap<PathBuf, String>,
    /// These were compared with their backups, and nobody has had them since.
    pub(super) inspected: BTreeSet<PathBuf>,
    /// Those that the next Litestream has again after none had them for a while.
    pub(super) returned: BTreeSet<PathBuf>,
    /// Of these something that an earlier run left is on no replica.
    pub(super) owing: Owing,
    /// The shim's number, as it says.
    pub(super) shim_pid: Option<i32>,
    /// The shim, to see its end at once.
    pub(super) shim: Option<AsyncFd<OwnedFd>>,
    /// Locks that are held while the app's tree is killed, and which these are.
    pub(super) held: Option<(u64, Held)>,
    holds: u64,
    /// How many commands the shim was given.
    starts: u64,
    manager: Manager,
    /// All was confirmed at the end.
    pub(super) drained: bool,
    /// Of these not all was.
    pub(super) undrained: Vec<Db>,
    /// The app's leader is gone, and something of its tree is left.
    pub(super) leftovers: bool,
    pub(super) sweeping: bool,
    gate: Option<JoinHandle<()>>,
    drains: Vec<JoinHandle<()>>,
    /// What the program ends with, if it ends for this.
    pub(super) failures: BTreeMap<Cause, Failure>,
    /// A database is damaged, which is why the program ends.
    pub(super) damage: Option<Failure>,
    /// The latest reason why something did not get on.
    pub(super) reason: Option<String>,
    /// The latest about each database that is behind.
    pub(super) reasons: BTreeMap<Db, String>,
}

/// Which command the shim was given last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Running {
    App,
    Before(usize),
}

impl World {
    pub(super) fn new(
        setup: Setup,
        folder: RuntimeFolder,
        roster: Roster,
        (listening, workplace): (Vec<OwnedFd>, Workplace),
        runner: Runner,
        outbox: Outbox,
    ) -> Self {
        let question = setup.resolver.as_ref().map(|command| Question {
            children: runner.children.clone(),
            command: Rc::new(command.clone()),
            env: Rc::new(setup.env.clone()),
            cwd: workplace.named(),
            user: setup.user.clone(),
            limit: resolver::LIMIT,
            said: resolver::Said::default(),
        });
        let follows = Follows::new(setup.l0_retention);
        Self {
            terminal: Terminal::open(),
            watch: Watch::new(),
            abandoned: Abandoned::default(),
            question,
            rounds: Rounds::default(),
            tenants: Tenants::new(setup.dbs.len()),
            outside: Outside::new(setup.restore_parallel),
            registrations: BTreeMap::new(),
            newest: BTreeMap::new(),
            folders: Folders::default(),
            barred: BTreeSet::new(),
            used: Use::default(),
            killed_litestream: false,
            oom_kills: oom::Count::now(),
            restore_config: folder.config(),
            named_env: Rc::default(),
            elsewhere: Rc::default(),
            setup,
            folder,
            roster,
            listening,
            workplace,
            runner,
            outbox,
            version: Version::new(0, 0, 0),
            missing: Vec::new(),
            litestream: None,
            launches: 0,
            launched: Instant::now(),
            looker: Rc::new(Semaphore::new(1)),
            link: None,
            app: None,
            running: Running::App,
            heard: Heard::default(),
            watching: false,
            looks: 0,
            suspects: Suspects::default(),
            proofs: Proofs::default(),
            follows,
            parted: BTreeMap::new(),
            inspected: BTreeSet::new(),
            returned: BTreeSet::new(),
            owing: Owing::default(),
            shim_pid: None,
            shim: None,
            held: None,
            holds: 0,
            starts: 0,
            manager: Manager::default(),
            drained: false,
            undrained: Vec::new(),
            leftovers: false,
            sweeping: false,
            gate: None,
            drains: Vec::new(),
            failures: BTreeMap::new(),
            damage: None,
            reason: None,
            reasons: BTreeMap::new(),
        }
    }

    /// The shim's next message, for as long as there is a shim.
    pub(super) async fn shim_says(&self) -> Option<Word> {
        match &self.link {
            Some(link) => link.receive().await,
            None => std::future::pending().await,
        }
    }

    /// Waits until the shim is gone.
    pub(super) async fn shim_dies(&self) {
        match &self.shim {
            // An error says no more than that nobody can wait for it.
            Some(shim) if shim.readable().await.is_ok() => {}
            Some(_) | None => std::future::pending().await,
        }
    }

    pub(super) fn tell_shim(&self, message: &ToShim) {
        if let Some(link) = &self.link {
            link.send(message);
        }
    }

    /// The command that the shim was given last, for the log.
    pub(super) fn running_name(&self) -> String {
        match self.running {
            Running::App => self.app_name(),
            Running::Before(place) => format!("--before {}", program_name(&self.setup.before[place])),
        }
    }

    /// Why the command that the shim was given last could not be executed.
    pub(super) fn unstarted(&self, error: &io::Error) -> Unstarted {
        let command = Command { argv: self.running_argv().to_vec(), env: self.setup.env.clone() };
        unstarted::explain(&command, self.workplace.shown().as_deref(), error)
    }

    fn running_argv(&self) -> &[std::ffi::OsString] {
        match self.running {
            Running::App => &self.setup.app,
            Running::Before(place) => &self.setup.before[place],
        }
    }

    pub(super) fn app_name(&self) -> String {
        format!("the app ({})", program_name(&self.setup.app))
    }

    pub(super) fn tell(&self, message: Message) {
        // The inbox lives as long as the driver, which owns this.
        let _ = self.outbox.send(message);
    }

    fn prepare(&mut self) {
        let app = program_name(&self.setup.app);
        match self.setup.policy.gate {
            Gate::Replicated => {}
            Gate::Reachable => {
                tracing::warn!(
                    "--gate reachable: {app} starts when the replica answers, before its database is on it"
                );
            }
            Gate::None => {
                tracing::warn!("--gate none: {app} starts whether its database is on the replica or not")
            }
        }
        let preparation = self.preparation(self.folder.config(), Rc::new(self.setup.dbs.clone()));
        let outbox = self.outbox.clone();
        tokio::task::spawn_local(async move {
            let message = match preparation.look().await {
                Ok(prepared) => Message::Prepared(prepared),
                Err(failure) => Message::Failed(Event::PrepareFailed(failure.exit), Cause::Start, failure),
            };
            let _ = outbox.send(message);
        });
    }

    /// Runs Litestream on one of the two configurations.
    fn runner_for(&self, config: &Path) -> Runner {
        let named = config == self.folder.named_config();
        let env = if named { self.named_env.clone() } else { self.runner.env.clone() };
        Runner { env, ..self.runner.clone() }
    }

    pub(super) fn preparation(&self, config: PathBuf, dbs: Rc<Vec<Database>>) -> Preparation {
        Preparation {
            runner: self.runner_for(&config),
            config,
            dbs,
            allowed_version: self.setup.allowed_version.clone(),
            required_version: self.setup.required_version,
            if_behind: self.setup.if_behind,
            gate: self.setup.policy.gate,
            limit: self.setup.policy.gate_timeout,
            parallel: self.setup.restore_parallel,
            chosen: self.setup.restore_txids.clone(),
            check: self.setup.check.clone(),
            faults: self.setup.faults.clone(),
            owing: self.owing.clone(),
        }
    }

    pub(super) fn restorer(&self, config: PathBuf) -> Restorer {
        Restorer {
            runner: self.runner_for(&config),
            version: self.version,
            allowed: self.setup.allowed_version.as_deref().and_then(Version::parse) == Some(self.version),
            config,
            timeout: self.setup.restore_timeout,
            parallel: self.setup.restore_parallel,
            chosen: self.setup.restore_txids.clone(),
            elsewhere: self.elsewhere.clone(),
            apart: Rc::default(),
        }
    }

    /// Writes down where else backups may be.
    pub(super) fn write_elsewhere(&mut self) -> io::Result<()> {
        let mut places = Vec::new();
        for (number, elsewhere) in
            self.setup.inventory.elsewhere(&self.folder.socket()).into_iter().enumerate()
        {
            let config = self.folder.write_elsewhere(number, &elsewhere.inputs.config)?;
            let env = Rc::new(elsewhere.inputs.env);
            let is_source = elsewhere.is_source;
            let place = |db| backup::Elsewhere { db, is_source, config: config.clone(), env: env.clone() };
            places.extend(elsewhere.dbs.into_iter().map(place));
        }
        self.elsewhere = Rc::new(places);
        Ok(())
    }

    fn restore(&mut self) {
        let missing = std::mem::take(&mut self.missing);
        let (written, apart) = self.write_apart(&missing);
        let restorer = Restorer { apart: Rc::new(apart), ..self.restorer(self.restore_config.clone()) };
        let outbox = self.outbox.clone();
        tokio::task::spawn_local(async move {
            let _written = written;
            let message = match restorer.restore_all(&missing).await {
                Ok(()) => Message::Event(Event::Restored),
                Err(errors) => {
                    let failure = prepare::failures(&errors);
                    Message::Failed(Event::RestoreFailed(failure.exit), Cause::Start, failure)
                }
            };
            let _ = outbox.send(message);
        });
    }

    /// Writes a configuration for each of several databases. What cannot be written is in the one for all.
    fn write_apart(&self, missing: &[Database]) -> (Vec<Written>, BTreeMap<PathBuf, Apart>) {
        let (mut written, mut apart) = (Vec::new(), BTreeMap::new());
        if self.roster.listed().len() < 2 {
            return (written, apart);
        }
        let wanted = missing.iter().map(|db| db.path.clone()).collect();
        let inputs = self.setup.inventory.apart(&self.folder.socket(), &self.entries(), &wanted);
        for (number, (path, inputs)) in inputs.into_iter().enumerate() {
            if let Ok(config) = self.folder.write_apart(number, &inputs.config) {
                apart.insert(path, (config.path().to_owned(), Rc::new(inputs.env)));
                written.push(config);
            }
        }
        (written, apart)
    }

    fn asker(&self) -> Asker {
        self.heard.snapshots.listed.replace(self.roster.listed());
        Asker {
            snapshots: self.heard.snapshots.clone(),
            looker: self.looker.clone(),
            launch: self.launches,
            socket: self.folder.socket(),
            dbs: self.roster.listed(),
            outbox: self.outbox.clone(),
            runner: self.runner.clone(),
            parted: None,
        }
    }

    /// The Litestream that is asked.
    fn running(&self) -> confirm::Running {
        let configs = [self.folder.config(), self.folder.named_config()];
        let configs = configs.map(|config| {
            let runner = self.runner_for(&config);
            (config, runner)
        });
        confirm::Running { litestream: self.litestream.unwrap_or(0), version: self.version, configs }
    }

    /// Writes the configuration of what sources name now, apart from the rest.
    pub(super) fn write_named(&mut self, entries: &[Entry]) -> Result<(), Failure> {
        let inputs = self.setup.inventory.lookup(&self.folder.socket(), entries);
        self.named_env = Rc::new(inputs.env);
        self.folder.write_named_config(&inputs.config).map_err(|error| {
            let path = self.folder.named_config();
            Failure::new(ExitCode::LITESTREAM, format!("{}: {error}", path.display()))
                .hint("free some space there, or set LITEKEEPER_RUNTIME_DIR")
        })
    }

    /// What a fresh Litestream gets: all that is there now.
    pub(super) fn write_config(&mut self) {
        let entries = self.entries();
        let inputs = self.setup.inventory.generate(&self.folder.socket(), &entries);
        self.runner.env = Rc::new(inputs.env);
        if let Err(error) = self.folder.write_config(&inputs.config) {
            tracing::error!("{}: {error}", self.folder.config().display());
        }
    }

    /// Tells the shim, and the file for the next Litestream, which databases came and went.
    pub(super) fn tell_changes(&mut self) {
        let mut changed = false;
        while let Some(news) = self.roster.news(MOST_LOCKS) {
            changed = true;
            let (came, fds): (Vec<_>, Vec<_>) =
                news.came.into_iter().map(|(db, fd)| (db.0 as u64, fd)).unzip();
            let went = news.went.into_iter().map(|db| db.0 as u64).collect();
            let update = Update { requests: self.requests(), came, went };
            if let Some(link) = &self.link {
                // A shim that is gone shows as the end of its messages.
                let _ = link.send_with(&ToShim::Update, &update, &fds);
            }
        }
        if changed {
            self.write_config();
        }
    }

    /// All that sources named and is here.
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.roster.all_named().map(|(_, named)| named.entry.clone()).collect()
    }

    pub(super) fn watch_too(&mut self, db: Db) {
        if let Some(database) = self.roster.get(db) {
            let goes = self.is_watched_folders(db);
            self.watch.add(db, database, goes);
        }
    }

    pub(super) fn look_for_orphans(&mut self, db: Db) {
        match self.roster.get(db) {
            Some(database) if self.version.is_ltx() => self.suspects.look(&self.runner, db, &database.path),
            Some(_) | None => self.suspects.forget(db),
        }
    }

    /// Litestream is not told of it any more, by this process.
    pub(super) fn abort_registration(&mut self, db: Db) {
        if let Some(task) = self.registrations.remove(&db) {
            task.abort();
        }
    }

    /// What the last Litestream was being told of, the next one has.
    pub(super) fn abort_registrations(&mut self) {
        std::mem::take(&mut self.registrations).into_values().for_each(|task| task.abort());
    }

    /// The file of one that nobody replicates any more is not where it was.
    pub(super) fn note_that_it_went(&mut self, db: Db) {
        if let Some(database) = self.roster.get(db).cloned() {
            self.abandoned.went(db, database, self.watch.file(db), self.shim_pid);
        }
    }

    /// Where a database and its replica are, for people.
    pub(super) fn place_of(&self, db: Db) -> (String, String) {
        let place = |database: &Database| (database.path.display().to_string(), database.replica.clone());
        let outside = || self.tenants.get(db).map(|tenant| &tenant.named.database);
        self.roster.get(db).or_else(outside).map(place).unwrap_or_default()
    }

    fn register(&mut self, db: Db) {
        let Some(named) = self.roster.named(db).cloned() else { return };
        let (asker, limit) = (self.asker(), self.setup.policy.gate_timeout);
        self.registrations.insert(db, tokio::task::spawn_local(asker.register(db, named, limit)));
    }

    /// What was begun for it is given up, and whatever has come of that is undone.
    fn cancel(&mut self, db: Db) {
        self.abort_registration(db);
        if let Some(database) = self.roster.get(db).cloned() {
            tokio::task::spawn_local(self.asker().cancel(db, database));
        }
    }

    /// Has these drained.
    fn drain(&mut self, dbs: Listed) {
        let asker = Asker { dbs, ..self.asker() };
        let policy = &self.setup.policy;
        // What is left of the drain's share is for a second try, and for what the comparison finds.
        let comparing = policy.drain_reserve() * 3 / 5;
        self.drains.push(if self.version.confirms() {
            tokio::task::spawn_local(asker.drain(policy.stop_timeout, comparing, self.running()))
        } else {
            let litestream = self.litestream.unwrap_or(0);
            tokio::task::spawn_local(asker.take_in(litestream, self.version, self.launched))
        });
    }

    /// Those that are asked for when a drain begins: one that goes back to its old place is not known there yet, and is drained
    /// once it is.
    fn drained_now(&self) -> Listed {
        let is_on_its_way = |db: &Db| self.tenants.comes_back(*db);
        let all = self.roster.listed();
        if !all.iter().any(|(db, _)| is_on_its_way(db)) {
            return all;
        }
        Rc::new(all.iter().filter(|(db, _)| !is_on_its_way(db)).cloned().collect())
    }

    /// One that came when the others were being drained already is drained as well.
    pub(super) fn drain_too(&mut self, db: Db) {
        if let Some(database) = self.roster.get(db).cloned() {
            self.drain(Rc::new(vec![(db, database)]));
        }
    }

    /// Litestream, which is being told of one at its new place, is told of it at the old one; that which it had until now.
    pub(super) fn register_again(&mut self, db: Db, before: Rc<Named>) {
        self.abort_registration(db);
        self.roster.rename(db, before.clone());
        let (asker, limit) = (self.asker(), self.setup.policy.gate_timeout);
        self.registrations
            .insert(db, tokio::task::spawn_local(asker.register_again(db, Named::clone(&before), limit)));
    }

    fn unregister(&mut self, db: Db) {
        let Some(database) = self.roster.get(db).cloned() else { return };
        let (is_replaced, was_made) = (self.watch.is_replaced(db), self.watch.file(db).is_some());
        tokio::task::spawn_local(self.asker().unregister(db, database, is_replaced, was_made));
    }

    /// Whether the app is given the terminal without asking: it reads from there, and no other part of the job can need it.
    /// Any other app gets it when it needs it.
    pub(super) fn lends_terminal(&self) -> bool {
        self.terminal.as_ref().is_some_and(Terminal::is_own)
            && terminal::is_stdin()
            && !terminal::is_shared_job()
    }

    fn start(&mut self, running: Running) -> io::Result<()> {
        self.running = running;
        self.starts += 1;
        let own = |(name, _): &&(std::ffi::OsString, std::ffi::OsString)| {
            !KEEPERS_OWN.iter().any(|keepers| name == keepers)
        };
        let bytes = |text: &std::ffi::OsString| text.as_bytes().to_vec();
        let workplace = self.workplace.look().map(AsRawFd::as_raw_fd);
        let app = App {
            argv: self.running_argv().iter().map(bytes).collect(),
            env: self.setup.env.iter().filter(own).map(|(name, value)| (bytes(name), bytes(value))).collect(),
            has_folder: workplace.is_some(),
            inherits_folder: self.workplace.is_inherited(),
            socket_names: self.setup.listen_names.as_ref().map(bytes),
            foreground: self.lends_terminal(),
            ignored: signal::ignored_at_start().0,
        };
        let standard: [RawFd; 3] = [0, 1, 2];
        let sockets = if running == Running::App { self.listening.as_slice() } else { &[] };
        let sockets = sockets.iter().map(AsRawFd::as_raw_fd);
        let fds: Vec<RawFd> = standard.into_iter().chain(workplace).chain(sockets).collect();
        match &self.link {
            Some(link) => link.send_with(&ToShim::Start, &app, &fds),
            // Its end is on its way to the machine.
            None => Ok(()),
        }
    }

    /// Why neither Litestream nor the app may be started: a database that was replicated is not there, as somebody has removed it
    /// while neither ran, and one or the other would begin with an empty one. The next start restores it.
    pub(super) fn without_database(&self) -> Option<Failure> {
        let was_copied = |database: &Database| position::txids(&ltx::folder(&database.meta)).next().is_some();
        let listed = self.roster.listed();
        let (_, gone) = listed.iter().find(|(db, database)| {
            !database.exists() && was_copied(database) && !self.is_watched_folders(*db)
        })?;
        let message = format!("{} was removed, and is on {}", gone.path.display(), gone.replica);
        Some(Failure::new(ExitCode::UNAVAILABLE, message).hint("the next start restores it from there"))
    }

    /// Kills the app's tree, but not while one of it is in the middle of a commit: who dies between the log and its
    /// index leaves an orphan. Nobody is waited for longer than [`HOLDING`].
    fn hold_and_kill(&mut self) {
        let databases = self.roster.listed().iter().map(|(_, database)| database.path.clone()).collect();
        let (start, outbox) = (self.starts, self.outbox.clone());
        tokio::task::spawn_local(async move {
            let held = Held::take(databases, HOLDING).await;
            let _ = outbox.send(Message::Kill(start, held));
        });
    }

    /// Kills the tree of the `start`-th command: it may have ended meanwhile, and the next one run.
    pub(super) fn kill_tree(&mut self, start: u64, held: Held) {
        if start != self.starts {
            return;
        }
        self.tell_shim(&ToShim::KillTree);
        // A hung Litestream holds a dead shim's end of the line: what that shim left is here.
        self.runner.children.kill_adopted();
        self.holds += 1;
        let (hold, outbox) = (self.holds, self.outbox.clone());
        self.held = Some((hold, held));
        tokio::task::spawn_local(async move {
            tokio::time::sleep(HELD).await;
            let _ = outbox.send(Message::LetGo(hold));
        });
    }

    /// Has the ledgers take in what Litestream will delete.
    pub(super) fn follow(&mut self) {
        for db in self.follows.due() {
            if let Some(database) = self.roster.get(db).cloned() {
                tokio::task::spawn_local(ledger::follow(self.runner.clone(), database));
            }
        }
    }

    /// Whoever the shim runs as may have stopped it. What it says is its number counts only below Litestream.
    fn kill_shim(&mut self) {
        // Without Litestream it is this process's own.
        let below = tree::descendants(self.litestream.unwrap_or(std::process::id() as i32));
        if let Some(shim) = self.shim_pid.filter(|shim| below.contains(shim)) {
            tree::signal_descendants(shim, nix::libc::SIGKILL);
            signal::send(shim, nix::libc::SIGKILL);
        }
    }

    /// What a SIGKILL that nobody here has sent may come from, in words that follow its name.
    pub(super) fn why_killed(&mut self) -> &'static str {
        std::mem::replace(&mut self.oom_kills, oom::Count::now()).why_killed()
    }

    /// Whether something still runs of what is said to be gone. Then the shim did not say it: whoever runs as its user
    /// can take the line to it from Litestream (`pidfd_getfd(2)`), but not its place above all that the app started.
    /// It is killed with all of that.
    pub(super) fn refute(&mut self) -> bool {
        let left = self.shim_pid.map(tree::descendants).unwrap_or_default();
        if left.is_empty() {
            return false;
        }
        let (app, count) = (self.app_name(), left.len());
        tracing::error!(
            "somebody said in the name of its shim that {app} has ended, but {count} of its processes run: killing both"
        );
        self.kill_shim();
        // Its end is seen by its pidfd, and by Litestream's.
        self.link = None;
        true
    }

    /// Somebody else has spoken for the shim, or has said what it cannot have said: it is killed with all of the app, as
    /// when that is seen by what runs ([`World::refute`]). Whether there is one.
    pub(super) fn unmask(&mut self, sender: Option<i32>) -> bool {
        if self.shim_pid.is_none() {
            return false;
        }
        let app = self.app_name();
        let by = sender.map_or_else(String::new, |pid| format!(", as process {pid}"));
        tracing::error!(
            "somebody said in the name of its shim that {app} is otherwise than it is{by}: killing both"
        );
        self.kill_shim();
        self.link = None;
        true
    }

    /// Begins to compare all of a database for which that is due, if it is time.
    pub(super) fn prove(&mut self) {
        let Some(db) = self.proofs.next() else { return };
        match self.roster.get(db).cloned() {
            Some(database) => {
                let asker = self.asker();
                self.proofs.begin(asker, db, database);
            }
            None => self.proofs.forget(db),
        }
    }

    fn open_gate(&mut self) {
        let asker = self.asker();
        let confirms = self.version.confirms() && self.setup.policy.gate == Gate::Replicated;
        let limit = self.setup.policy.gate_timeout;
        let handle = if confirms {
            let (logged, uploaded) = (self.heard.bytes.clone(), self.heard.uploaded.clone());
            tokio::task::spawn_local(asker.gate(Tried::new(self.litestream.unwrap_or(0), logged, uploaded)))
        } else {
            if self.setup.policy.gate == Gate::Replicated {
                tracing::warn!(
                    "litestream {} has no socket that confirms: the gate is that it is up and the replica answers",
                    self.version
                );
            }
            tokio::task::spawn_local(asker.reach(self.running(), limit))
        };
        self.gate = Some(handle);
    }

    /// What is said of each source where there is no database at all.
    fn sources_without_any(&self) -> Vec<String> {
        let folders = self.setup.folders.iter().map(|folder| {
            let watched = if folder.watch { ", and it is watched" } else { "" };
            format!("{} has no database called `{}`{watched}", folder.dir.display(), folder.pattern)
        });
        let resolver = self.setup.resolver.is_some().then(|| "the resolver has named no database".to_owned());
        folders.take(3).chain(resolver).collect()
    }

    /// Why a database lags, as far as that was said of this one.
    fn reason_of(&mut self, db: Db) -> Option<String> {
        let (path, _) = self.place_of(db);
        let looked = || {
            let said = self.rounds.said.get(&path)?;
            Some(said.said.strip_prefix(&format!("{path}: ")).unwrap_or(&said.said).to_owned())
        };
        let file = Path::new(&path).file_name()?.to_string_lossy();
        self.reasons.get(&db).cloned().or_else(looked).or_else(|| self.heard.error_of(&file))
    }

    fn note(&mut self, note: &crate::core::Note) {
        use crate::core::Note;

        if let Note::Missing(db) = note {
            return self.say_missing(*db);
        }
        let listed = match note {
            Note::NotTakenIn(_) | Note::NotReplicated(_) | Note::Lagging(..) | Note::EndingNow(_) => {
                let all = self.tenants.outside().map(|(db, tenant)| (db, tenant.named.database.clone()));
                let here = self.roster.listed();
                Rc::new(here.iter().cloned().chain(all).chain(self.abandoned.names()).collect())
            }
            _ => self.roster.listed(),
        };
        let absent: Vec<Db> = match note {
            Note::GateOpened | Note::GateTimeout | Note::NotUp => {
                listed.iter().filter(|(_, database)| !database.exists()).map(|(db, _)| *db).collect()
            }
            _ => Vec::new(),
        };
        let reason = match note {
            Note::Lagging(db, _) => self.reason_of(*db),
            _ => self.reason.take().or_else(|| self.heard.error.take()),
        };
        let names = Names {
            dbs: &listed,
            absent,
            app: self.app_name(),
            started: self.running_name(),
            before: self.setup.before.iter().map(|argv| program_name(argv)).collect(),
            sources: self.sources_without_any(),
            reason,
            stop_timeout: self.setup.policy.stop_timeout,
            on_lag: self.setup.policy.on_lag,
            why_killed: if notes::tells_of_sigkill(note) { self.why_killed() } else { "" },
        };
        notes::log(note, &names);
        self.drained |= matches!(note, Note::Drained | Note::NeverMade { rest: true, .. });
        if let Note::NotDrained(dbs) = note {
            self.undrained.clone_from(dbs);
        }
        if matches!(note, Note::GateTimeout) {
            let not_confirmed = || notes::not_confirmed(&names, self.setup.policy.gate_timeout);
            self.failures.entry(Cause::Gate).or_insert_with(not_confirmed);
        }
    }
}

impl Driver {
    /// Carries out one action; the exit code, and whose it is, once all is over.
    pub(super) fn perform(&mut self, action: Action) -> Option<(ExitCode, Cause)> {
        let world = &mut self.world;
        match action {
            Action::Prepare => world.prepare(),
            Action::Restore => world.restore(),
            Action::Abort => world.runner.children.abort(),
            Action::Launch => {
                self.turn(Turn::Relaunched);
                self.world.launch();
            }
            Action::OpenGate => world.open_gate(),
            Action::CloseGate => abort(&mut world.gate),
            Action::StartBefore(place) => self.start(Running::Before(place)),
            Action::StartApp => {
                world.watching = true;
                world.looks = 0;
                world.watch.started();
                world.mark_use();
                // What was restored has no position of its own either.
                world.heard.strange.borrow_mut().clear();
                self.start(Running::App);
            }
            Action::SignalApp(number) => world.tell_shim(&ToShim::Signal(Target::Leader, number)),
            Action::SignalTree(number) => world.tell_shim(&ToShim::Signal(Target::Tree, number)),
            Action::KillTree if world.link.is_some() => world.hold_and_kill(),
            // Nobody is there to do it: what the app left was adopted by this process.
            Action::KillTree => world.sweeping = true,
            Action::KillShim => world.kill_shim(),
            Action::Resolve => world.resolve(),
            Action::Register(db) => world.register(db),
            Action::Unregister(db) => world.unregister(db),
            Action::Cancel(db) => world.cancel(db),
            Action::Forget(db) => self.turn(Turn::Forgotten(db)),
            Action::PutOff(db) => self.turn(Turn::PutOff(db)),
            Action::Confirm(db) => {
                if let Some(database) = world.roster.get(db) {
                    let asking = world.asker().confirm(db, database.clone(), world.running());
                    tokio::task::spawn_local(asking);
                }
            }
            Action::Drain => {
                // The last look may be a while ago.
                self.look(true);
                self.turn(Turn::Draining);
                self.world.proofs.stop();
                self.world.drain(self.world.drained_now());
            }
            Action::CloseDrain => world.drains.drain(..).for_each(|task| task.abort()),
            Action::Release => {
                world.watching = false;
                world.heard.unclean.set(false);
                world.tell_shim(&ToShim::Release);
            }
            Action::KillLitestream => match world.litestream {
                Some(pid) => {
                    world.killed_litestream = true;
                    signal::send(pid, nix::libc::SIGKILL);
                }
                // What it is to copy was still being made ready: nobody is there whose end would come.
                None => {
                    let killed = Ended::Signal(nix::libc::SIGKILL);
                    world.tell(Message::LitestreamReaped(world.launches, killed));
                }
            },
            Action::Ready(ready) => world.manager.tell(ready),
            Action::Note(note) => world.note(&note),
            Action::Exit(code, cause) => return Some((code, cause)),
        }
        None
    }

    fn start(&mut self, running: Running) {
        if running == Running::App
            && let Some(failure) = self.world.without_database()
        {
            self.world.reason = Some(failure.message.clone());
            self.world.failures.insert(Cause::NotStarted, failure);
            return self.handle(Event::AppNotStarted(crate::core::NotStarted::WithoutDatabase));
        }
        let Err(error) = self.world.start(running) else { return };
        // A shim that was killed just now: its end is on its way to the machine.
        if !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) {
            tracing::error!("the app cannot be handed to the shim: {error}");
            self.handle(Event::AppNotStarted(crate::core::NotStarted::NotExecutable));
        }
    }
}

fn abort(task: &mut Option<JoinHandle<()>>) {
    if let Some(task) = task.take() {
        task.abort();
    }
}

pub(super) fn program_name(argv: &[std::ffi::OsString]) -> String {
    let program = argv.first().map(Path::new).unwrap_or(Path::new(""));
    // `PASSWORD=x command` is a shell's, and no program.
    foreign::word(&program.file_name().unwrap_or(program.as_os_str()).to_string_lossy())
}
