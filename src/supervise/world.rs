//! The owners of all that is outside of the machine, and what takes more than one of them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::app_tree::{AppTree, Commands, program_name};
use super::attempts::Tried;
use super::confirm::{self, Confirmation, Lost, SyncClient};
use super::databases::Databases;
use super::discovery::Discovery;
use super::lease;
use super::litestream::Litestream;
use super::manager::Manager;
use super::message::{Message, Outbox};
use super::missing::{self, Use};
use super::notes::{self, Names};
use super::notices::Notices;
use super::prepare::{self, Preparation};
use super::proofs;
use super::register::{self, Going};
use super::resolver::{self, Question};
use super::restores::Restores;
use super::runtime_folder::{RuntimeFolder, Written};
use super::settle::Rules;
use super::setup::Setup;
use super::table::{DatabaseTable, Listed};
use super::waits::Waits;
use super::workplace::Workplace;
use super::{drain, gate};
use crate::backup::trial::{Place, Trials};
use crate::backup::{self, Apart, Restorer};
use crate::core::{Cause, Db, Event, ExitCode, Gate};
use crate::error::Failure;
use crate::inventory::{Entry, Named, Trial};
use crate::litestream::command::Runner;
use crate::litestream::control;
use crate::litestream::database::Database;
use crate::replica::mark;
use crate::replica::seen::Looks;
use crate::shim::Update;

/// How many descriptors go with one message beside the memory: the kernel takes 253 (`unix(7)`).
const MOST_LOCKS: usize = 200;

/// Where this keeper can be asked, for the app.
const SOCKET: &str = "LITEKEEPER_SOCKET";

/// What is no older is as it was.
const AS_GOOD_AS_NOW: Duration = Duration::from_secs(1);

/// Everything outside of the machine.
pub(super) struct World {
    pub(super) setup: Setup,
    pub(super) folder: RuntimeFolder,
    pub(super) databases: Databases,
    pub(super) restores: Restores,
    pub(super) tree: AppTree,
    pub(super) runner: Runner,
    pub(super) outbox: Outbox,
    pub(super) discovery: Discovery,
    pub(super) used: Use,
    pub(super) litestream: Litestream,
    /// See [`SyncClient::prober`].
    prober: Rc<Semaphore>,
    /// See [`SyncClient::looks`].
    looks: Looks,
    /// Beside these lies whose their place is, as far as they have one.
    marked: BTreeSet<Db>,
    /// See [`SyncClient::confirmed`].
    confirmed: Rc<RefCell<BTreeMap<Db, Confirmation>>>,
    /// See [`SyncClient::lost`].
    lost: Rc<RefCell<BTreeMap<Db, Lost>>>,
    /// The places in buckets that are this machine's alone.
    pub(super) leases: Option<lease::Held>,
    /// When the replicas were looked at last.
    seen: Instant,
    pub(super) notices: Notices,
    /// Who waits for a confirmation.
    pub(super) waits: Waits,
    /// When this run began.
    pub(super) began: jiff::Timestamp,
    /// Who asks, and about which.
    gate: Option<(JoinHandle<()>, Listed)>,
    drains: Vec<JoinHandle<()>>,
}

/// See [`World::torn`].
pub(super) struct Torn {
    /// The configuration of each, by its path, and who is given it.
    pub(super) each: BTreeMap<PathBuf, (PathBuf, Runner)>,
    _written: Vec<Written>,
}

impl World {
    pub(super) fn new(
        setup: Setup,
        folder: RuntimeFolder,
        table: DatabaseTable,
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
        let mut env = setup.env.clone();
        // Whatever it was started with itself, it is this keeper that has the app.
        env.retain(|(name, _)| name != SOCKET);
        let socket = folder.keeper_socket();
        // The app may start in another folder than this process.
        env.push((SOCKET.into(), std::path::absolute(&socket).unwrap_or(socket).into()));
        let commands = Commands {
            app: setup.app.clone(),
            before: setup.before.clone(),
            env,
            socket_names: setup.listen_names.clone(),
        };
        let tree = AppTree::new(commands, listening, workplace);
        Self {
            discovery: Discovery::new(question, setup.dbs.len(), setup.restore_parallel),
            used: Use::default(),
            databases: Databases::new(table, setup.l0_retention),
            restores: Restores::new(folder.config()),
            setup,
            folder,
            tree,
            runner,
            outbox,
            litestream: Litestream::new(),
            prober: Rc::new(Semaphore::new(1)),
            looks: Looks::default(),
            marked: BTreeSet::new(),
            confirmed: Rc::default(),
            lost: Rc::default(),
            leases: None,
            seen: Instant::now(),
            waits: Waits::default(),
            notices: Notices::to(Manager::of_environment()),
            began: jiff::Timestamp::now(),
            gate: None,
            drains: Vec::new(),
        }
    }

    /// Whether no Litestream was launched yet.
    pub(super) fn is_starting(&self) -> bool {
        self.litestream.launches() == 0
    }

    /// Whether what the gate asks for is waited for.
    pub(super) fn is_gated(&self) -> bool {
        self.gate.is_some()
    }

    pub(super) fn tell(&self, message: Message) {
        // The inbox lives as long as the driver, which owns this.
        let _ = self.outbox.send(message);
    }

    pub(super) fn prepare(&mut self) {
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
        let (outbox, leases) = (self.outbox.clone(), self.leases.clone());
        tokio::task::spawn_local(async move {
            let prepared = async {
                let mut inspected = None;
                if let Some(held) = leases {
                    let began = Instant::now();
                    let (taken, all) = tokio::join!(held.take(outbox.clone()), preparation.inspect_all());
                    taken?;
                    // While another machine was waited for somebody may have done something to them.
                    inspected = Some(all).filter(|_| began.elapsed() < AS_GOOD_AS_NOW);
                }
                preparation.look(inspected).await
            };
            let message = match prepared.await {
                Ok(prepared) => Message::Prepared(prepared),
                Err(failure) => Message::Failed(Event::PrepareFailed(failure.exit), Cause::Start, failure),
            };
            let _ = outbox.send(message);
        });
    }

    /// Runs Litestream on one of the two configurations.
    fn runner_for(&self, config: &Path) -> Runner {
        let named = config == self.folder.named_config();
        let env = if named { self.restores.named_env.clone() } else { self.runner.env.clone() };
        Runner { env, ..self.runner.clone() }
    }

    pub(super) fn preparation(&self, config: PathBuf, dbs: Rc<Vec<Database>>) -> Preparation {
        Preparation {
            runner: self.runner_for(&config),
            config,
            dbs,
            allowed_version: self.setup.allowed_version.clone(),
            required_version: self.setup.required_version,
            compare_limit: self.setup.compare_limit,
            limit: self.setup.policy.gate_timeout,
            parallel: self.setup.restore_parallel,
            check: self.setup.check.clone(),
            rules: Rules {
                if_behind: self.setup.if_behind,
                if_unrelated: self.setup.if_unrelated,
                gate: self.setup.policy.gate,
                chosen: self.setup.restore_txids.clone(),
                faults: self.setup.faults.clone(),
                owing: self.restores.owing.clone(),
            },
        }
    }

    pub(super) fn restorer(&self, config: PathBuf) -> Restorer {
        Restorer {
            runner: self.runner_for(&config),
            version: self.litestream.version,
            allowed: self.litestream.version.is_allowed(self.setup.allowed_version.as_deref()),
            config,
            timeout: self.setup.restore_timeout,
            parallel: self.setup.restore_parallel,
            chosen: self.setup.restore_txids.clone(),
            elsewhere: self.restores.elsewhere.clone(),
            apart: Rc::default(),
            trials: Trials::default(),
            manner: Rc::default(),
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
        self.restores.elsewhere = Rc::new(places);
        Ok(())
    }

    pub(super) fn restore(&mut self) {
        let missing = self.restores.take_missing();
        let (written, apart) = self.write_apart("restore", &missing);
        let restorer = Restorer {
            apart: Rc::new(apart),
            trials: self.trials(self.databases.entries()),
            ..self.restorer(self.restores.config.clone())
        };
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

    /// How the replicas of these databases are tried, and of those that the configuration names.
    pub(super) fn trials(&self, named: Vec<Entry>) -> Trials {
        let find = self.setup.inventory.trials(named);
        Trials::new(self.folder.path().to_owned(), move |db, sample, below| {
            let Trial { inputs, shown, webdav } = find(&db.path, sample, below)?;
            Some(Place { config: inputs.config, env: inputs.env, shown, webdav })
        })
    }

    /// Writes a configuration for each of several databases. What cannot be written is in the one for all.
    fn write_apart(&self, what: &str, wanted: &[Database]) -> (Vec<Written>, BTreeMap<PathBuf, Apart>) {
        let (mut written, mut apart) = (Vec::new(), BTreeMap::new());
        if wanted.is_empty() || self.databases.table.listed().len() < 2 {
            return (written, apart);
        }
        let wanted = wanted.iter().map(|db| db.path.clone()).collect();
        let inputs = self.setup.inventory.apart(&self.folder.socket(), &self.databases.entries(), &wanted);
        for (number, (path, inputs)) in inputs.into_iter().enumerate() {
            if let Ok(config) = self.folder.write_apart(what, number, &inputs.config) {
                apart.insert(path, (config.path().to_owned(), Rc::new(inputs.env)));
                written.push(config);
            }
        }
        (written, apart)
    }

    /// Those whose replicas lack something behind a beginning that is still there, and what runs Litestream for each of them alone.
    pub(super) fn torn(&self) -> Torn {
        let lost = self.lost.borrow();
        let is_torn = |db: &Db| lost.get(db).is_some_and(|lost| lost.has_beginning);
        let databases = self.databases.table.listed();
        let torn: Vec<_> = databases.iter().filter(|(db, _)| is_torn(db)).map(|(_, db)| db.clone()).collect();
        let (written, mut apart) = self.write_apart("snapshot", &torn);
        let for_all = (self.folder.config(), self.runner.env.clone());
        let each = torn.into_iter().map(|db| {
            let (config, env) = apart.remove(&db.path).unwrap_or_else(|| for_all.clone());
            (db.path, (config, Runner { env, ..self.runner.clone() }))
        });
        Torn { each: each.collect(), _written: written }
    }

    pub(super) fn client(&self) -> SyncClient {
        self.litestream.heard.snapshots.listed.replace(self.databases.table.listed());
        SyncClient {
            snapshots: self.litestream.heard.snapshots.clone(),
            prober: self.prober.clone(),
            looks: self.looks.clone(),
            confirmed: self.confirmed.clone(),
            lost: self.lost.clone(),
            launch: self.litestream.launches(),
            socket: self.folder.socket(),
            dbs: self.databases.table.listed(),
            outbox: self.outbox.clone(),
            runner: self.runner.clone(),
            diverged: None,
        }
    }

    /// The Litestream that is asked.
    pub(super) fn running(&self) -> confirm::RunningLitestream {
        let configs = [self.folder.config(), self.folder.named_config()];
        let configs = configs.map(|config| {
            let runner = self.runner_for(&config);
            (config, runner)
        });
        confirm::RunningLitestream {
            litestream: self.litestream.pid().unwrap_or(0),
            version: self.litestream.version,
            configs,
        }
    }

    /// What was confirmed last of a database.
    pub(super) fn confirmation(&self, db: Db) -> Option<Confirmation> {
        self.confirmed.borrow().get(&db).copied()
    }

    /// Nothing is known of a database any more that nobody has.
    pub(super) fn forget(&mut self, db: Db) {
        self.confirmed.borrow_mut().remove(&db);
        self.lost.borrow_mut().remove(&db);
        self.notices.forget(db);
    }

    /// Writes the configuration of what sources name now, apart from the rest.
    pub(super) fn write_named(&mut self, entries: &[Entry]) -> Result<(), Failure> {
        let inputs = self.setup.inventory.lookup(&self.folder.socket(), entries);
        self.restores.named_env = Rc::new(inputs.env);
        self.folder.write_named_config(&inputs.config).map_err(|error| {
            let path = self.folder.named_config();
            Failure::new(ExitCode::LITESTREAM, format!("{}: {error}", path.display()))
                .hint("free some space there, or set LITEKEEPER_RUNTIME_DIR")
        })
    }

    /// What a fresh Litestream gets: all that is there now.
    pub(super) fn write_config(&mut self) {
        let entries = self.databases.entries();
        let inputs = self.setup.inventory.generate(&self.folder.socket(), &entries);
        self.runner.env = Rc::new(inputs.env);
        if let Err(error) = self.folder.write_config(&inputs.config) {
            tracing::error!("{}: {error}", self.folder.config().display());
        }
    }

    /// Tells the shim, and the file for the next Litestream, which databases came and went.
    pub(super) fn tell_changes(&mut self) {
        let mut changed = false;
        while let Some(news) = self.databases.table.news(MOST_LOCKS) {
            changed = true;
            let (came, fds): (Vec<_>, Vec<_>) =
                news.came.into_iter().map(|(db, fd)| (db.0 as u64, fd)).unzip();
            let went = news.went.into_iter().map(|db| db.0 as u64).collect();
            let update = Update { requests: self.requests(), came, went };
            self.tree.update(&update, &fds);
        }
        if changed {
            self.write_config();
        }
    }

    /// What a shim without a keeper sends to Litestream.
    pub(super) fn requests(&self) -> Vec<Vec<u8>> {
        if !self.litestream.version.confirms() {
            return Vec::new();
        }
        let drain = self.setup.policy.drain_reserve();
        self.databases.table.listed().iter().map(|(_, db)| control::sync_request(&db.path, drain)).collect()
    }

    /// Where a database and its replica are, for people.
    pub(super) fn place_of(&self, db: Db) -> (String, String) {
        let place = |database: &Database| (database.path.display().to_string(), database.replica.clone());
        let outside = || self.discovery.tenants.get(db).map(|tenant| &tenant.named.database);
        self.databases.table.get(db).or_else(outside).map(place).unwrap_or_default()
    }

    pub(super) fn register(&mut self, db: Db) {
        let Some(named) = self.databases.table.named(db).cloned() else { return };
        let (client, limit) = (self.client(), self.setup.policy.gate_timeout);
        self.discovery.registers(db, tokio::task::spawn_local(register::register(client, db, named, limit)));
    }

    /// What was begun for it is given up, and whatever has come of that is undone.
    pub(super) fn cancel(&mut self, db: Db) {
        self.discovery.abort_registration(db);
        if let Some(database) = self.databases.table.get(db).cloned() {
            tokio::task::spawn_local(register::cancel(self.client(), db, database));
        }
    }

    /// Has these drained.
    pub(super) fn drain(&mut self, dbs: Listed) {
        let client = SyncClient { dbs, ..self.client() };
        let policy = &self.setup.policy;
        // What is left of the drain's share is for a second try, and for what the comparison finds.
        let comparing = policy.drain_reserve() * 3 / 5;
        self.drains.push(if self.litestream.version.confirms() {
            tokio::task::spawn_local(drain::drain(client, policy.stop_timeout, comparing, self.running()))
        } else {
            let litestream = self.litestream.pid().unwrap_or(0);
            tokio::task::spawn_local(drain::take_in(
                client,
                litestream,
                self.litestream.version,
                self.litestream.launched(),
            ))
        });
    }

    /// One that came when the others were being drained already is drained as well.
    pub(super) fn drain_too(&mut self, db: Db) {
        if let Some(database) = self.databases.table.get(db).cloned() {
            self.drain(Rc::new(vec![(db, database)]));
        }
    }

    /// Litestream, which is being told of one at its new place, is told of it at the old one; that which it had until now.
    pub(super) fn register_again(&mut self, db: Db, before: Rc<Named>) {
        self.discovery.abort_registration(db);
        self.databases.table.rename(db, before.clone());
        let (client, limit) = (self.client(), self.setup.policy.gate_timeout);
        self.discovery.registers(
            db,
            tokio::task::spawn_local(register::register_again(client, db, Named::clone(&before), limit)),
        );
    }

    pub(super) fn unregister(&mut self, db: Db) {
        let Some(database) = self.databases.table.get(db).cloned() else { return };
        let watch = &self.databases.watch;
        let going = Going {
            is_replaced: watch.is_replaced(db),
            was_made: watch.file(db).is_some(),
            moves: self.discovery.tenants.moves(db),
        };
        tokio::task::spawn_local(register::unregister(self.client(), db, database, going));
    }

    /// Writes beside those that are there whose place they have: once, as soon as something of them is there.
    pub(super) fn mark_beside(&mut self, one: Option<Db>) {
        let listed = self.databases.table.listed();
        let is_new = |(db, database): &&(Db, Database)| {
            one.is_none_or(|one| one == *db) && !self.marked.contains(db) && database.exists()
        };
        let new: Vec<(Db, Database)> = listed.iter().filter(is_new).cloned().collect();
        self.marked.extend(new.iter().map(|(db, _)| *db));
        if !new.is_empty() {
            let (runner, dbs): (_, Vec<_>) =
                (self.runner.clone(), new.into_iter().map(|(_, db)| db).collect());
            tokio::task::spawn_local(async move { mark::settle(&runner, &dbs).await });
        }
    }

    /// Looks at the replicas, if it is time.
    pub(super) fn see(&mut self) {
        if self.seen.elapsed() >= self.setup.look && self.litestream.version.confirms() {
            self.seen = Instant::now();
            tokio::task::spawn_local(self.client().see_all());
        }
    }

    /// Begins to compare all of a database for which that is due, if it is time.
    pub(super) fn prove(&mut self) {
        let Some(db) = self.databases.proofs.next(Instant::now()) else { return };
        match self.databases.table.get(db).cloned() {
            Some(database) => {
                let proof = tokio::task::spawn_local(proofs::prove(self.client(), db, database));
                self.databases.proofs.begin(db, proof);
            }
            None => self.databases.proofs.forget(db),
        }
    }

    /// Has these confirmed, and whatever else Litestream has waits.
    pub(super) fn open_gate(&mut self, gated: &BTreeSet<Db>) {
        let listed = self.databases.table.listed();
        let dbs = listed.iter().filter(|(db, _)| gated.contains(db)).cloned().collect();
        let dbs: Listed = Rc::new(dbs);
        let client = SyncClient { dbs: dbs.clone(), ..self.client() };
        let confirms = self.litestream.version.confirms() && self.setup.policy.gate == Gate::Replicated;
        let limit = self.setup.policy.gate_timeout;
        let handle = if confirms {
            let (logged, uploaded) =
                (self.litestream.heard.bytes.clone(), self.litestream.heard.uploaded.clone());
            tokio::task::spawn_local(gate::gate(
                client,
                Tried::new(self.litestream.pid().unwrap_or(0), logged, uploaded),
            ))
        } else {
            if self.setup.policy.gate == Gate::Replicated {
                tracing::warn!(
                    "litestream {} has no socket that confirms: the gate is that it is up and the replica answers",
                    self.litestream.version
                );
            }
            tokio::task::spawn_local(gate::reach(client, self.running(), limit))
        };
        self.gate = Some((handle, dbs));
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
            let said = self.discovery.rounds.said.get(&path)?;
            Some(said.said.strip_prefix(&format!("{path}: ")).unwrap_or(&said.said).to_owned())
        };
        let file = Path::new(&path).file_name()?.to_string_lossy();
        self.notices.reason_of(db).or_else(looked).or_else(|| self.litestream.heard.error_of(&file))
    }

    pub(super) fn note(&mut self, note: &crate::core::Note) {
        use crate::core::Note;

        if let Note::Missing(db) = note {
            if let Some(database) = self.databases.table.get(*db) {
                let variable = self.setup.inventory.variable_of(&database.path);
                let listed = self.databases.table.listed();
                missing::tell(database, variable, &listed, &self.runner, &self.tree);
            }
            return;
        }
        let here = self.databases.table.listed();
        let listed = if notes::tells_of_others(note) {
            let beyond = self.discovery.outside().chain(self.databases.gone());
            Rc::new(here.iter().cloned().chain(beyond).collect())
        } else if let (Note::GateOpened, Some((_, gated))) = (note, &self.gate) {
            gated.clone()
        } else {
            here
        };
        let mut absent = Vec::new();
        if notes::tells_of_absent(note) {
            absent.extend(listed.iter().filter(|(_, database)| !database.exists()).map(|(db, _)| *db));
        }
        let reason = if let Note::Lagging(db, _) = note {
            self.reason_of(*db)
        } else {
            self.notices.take_reason().or_else(|| self.litestream.heard.error.take())
        };
        let names = Names {
            dbs: &listed,
            absent,
            app: self.tree.app_name(),
            started: self.tree.running_name(),
            before: self.tree.before_names(),
            sources: self.sources_without_any(),
            reason,
            stop_timeout: self.setup.policy.stop_timeout,
            gate_timeout: self.setup.policy.gate_timeout,
            on_lag: self.setup.policy.on_lag,
            why_killed: if notes::tells_of_sigkill(note) { self.litestream.why_killed() } else { "" },
        };
        self.notices.log(note, &names);
    }

    /// The gate is asked for no more.
    pub(super) fn close_gate(&mut self) {
        if let Some((task, _)) = self.gate.take() {
            task.abort();
        }
    }

    /// Nobody waits for the drain any more.
    pub(super) fn close_drain(&mut self) {
        self.drains.drain(..).for_each(|task| task.abort());
    }
}
