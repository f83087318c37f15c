//! Asking Litestream to confirm: for the gate, the watch and the drain.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, join_all, select};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::attempts::{MOVES, Tried};
use super::ledger::Compared;
use super::message::{Message, Outbox};
use super::snapshots::Snapshots;
use super::table::Listed;
use super::upload::{Look, Silence, Upload};
use crate::backup::NO_BACKUP;
use crate::core::{Cause, Db, Event, ExitCode};
use crate::error::Failure;
use crate::ledger::Task;
use crate::litestream::argv;
use crate::litestream::command::{Output, Runner};
use crate::litestream::control::{self, Synced};
use crate::litestream::database::Database;
use crate::litestream::position;
use crate::litestream::replica_error::ReplicaError;
use crate::litestream::version::Version;
use crate::os::{proc, tcp};
use crate::replica::seen::{Looks, Seen};

/// How long Litestream may take for one answer before it gives up: longer than any snapshot. The
/// machine's own limits are counted without progress, and end the asking, not the work.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// How long to wait after an answer that was an error.
const RETRY: Duration = Duration::from_millis(250);
/// How often to look whether Litestream has opened a database.
const OPENING: Duration = Duration::from_millis(20);
/// How many looks in a row must find it open in a Litestream that was started just now: one second's.
const OPENING_LOOKS: u32 = 50;
/// After this long an open database has been synced at least once.
const SETTLED: Duration = Duration::from_secs(5);
/// How long a snapshot may take to come behind a fresh copy.
const SNAPSHOT: Duration = Duration::from_secs(1);
/// How often to look whether Litestream moves.
const LOOK: Duration = Duration::from_secs(1);
/// How long Litestream may wait for an answer at the stop: half of what there is for that, but no less and no more.
const LEAST_WAIT: Duration = Duration::from_secs(3);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// In the watch it is silent for so long before its replica is asked by another, and again: S3's client sleeps for up to 20 s.
const STALLED: Duration = Duration::from_secs(30);
/// How long a replica may take to answer somebody else, to be one that does.
const ANSWERS: Duration = Duration::from_secs(3);
/// What Litestream says of a database that its configuration does not name.
const NOT_IN_CONFIG: &str = "database not found in config";
/// The only reason there is when a release that hides refusals lists nothing.
const NOTHING_LISTED: &str = "nothing is listed there: no such bucket, a wrong key, or nothing uploaded yet";
/// How many databases are asked about at once.
const AT_ONCE: usize = 16;
/// The same in the drain, where one that hangs must not hold up the others.
const DRAINED_AT_ONCE: usize = 256;

/// Litestream does not have such a database.
fn is_unknown(answer: &Result<Synced, control::Error>) -> bool {
    matches!(answer, Err(control::Error::Refused { status: 404, .. }))
}

/// The Litestream that is asked.
pub(super) struct Running {
    /// Its process.
    pub(super) litestream: i32,
    pub(super) version: Version,
    /// Its configuration, and what sources have named since; what reads them.
    pub(super) configs: [(PathBuf, Runner); 2],
}

/// What was confirmed last of a database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Confirmation {
    /// The transaction.
    pub(super) txid: u64,
    /// When.
    pub(super) at: jiff::Timestamp,
}

/// A client of Litestream's control socket, which asks it to sync databases and judges what it answers.
#[derive(Clone)]
pub(super) struct SyncClient {
    /// Which launch of Litestream is asked.
    pub(super) launch: u64,
    pub(super) socket: PathBuf,
    pub(super) dbs: Listed,
    pub(super) outbox: Outbox,
    pub(super) runner: Runner,
    pub(super) snapshots: Rc<Snapshots>,
    /// Admits the probes of replicas while the app runs: one at a time, however many are behind.
    pub(super) prober: Rc<Semaphore>,
    /// Who looks at what replicas have.
    pub(super) looks: Looks,
    /// What was confirmed last of each.
    pub(super) confirmed: Rc<RefCell<BTreeMap<Db, Confirmation>>>,
    /// Those that their replicas do not have as it was confirmed: the next launch copies them anew.
    pub(super) lost: Rc<RefCell<BTreeMap<Db, Lost>>>,
    /// Where the reason goes why a copy has diverged, for a caller that can start over by itself; without one, the driver is told.
    pub(super) diverged: Option<Rc<RefCell<Option<String>>>>,
}

/// What is known of a replica that does not have what was confirmed there.
#[derive(Clone, Copy)]
pub(super) struct Lost {
    /// The launch that saw it first.
    launch: u64,
    /// Something can be restored still: Litestream takes that for a beginning, and makes no other before its time.
    pub(super) has_beginning: bool,
}

impl SyncClient {
    fn existing(&self) -> Vec<(Db, Database)> {
        self.dbs.iter().filter(|(_, database)| database.exists()).cloned().collect()
    }

    /// Judges an answer of Litestream's about a database: all is on its replica, or why not.
    pub(super) async fn judge(
        &self,
        db: Db,
        database: &Database,
        answer: Result<Synced, control::Error>,
    ) -> Result<(), String> {
        self.judge_by(db, database, answer, None).await
    }

    /// Judges as [`SyncClient::judge`] does, with all of the database compared within this time.
    async fn judge_by(
        &self,
        db: Db,
        database: &Database,
        answer: Result<Synced, control::Error>,
        all_within: Option<Duration>,
    ) -> Result<(), String> {
        let confirmed = answer.as_ref().ok().map(|synced| synced.txid);
        let compared = match answer {
            Ok(synced) if !synced.is_replicated() => return Err("it has not caught up".to_owned()),
            Ok(Synced { txid, .. }) => match all_within {
                Some(limit) => self.compared(db, database, Task::Last, limit, txid).await,
                None => self.looked_at(db, database, txid).await,
            },
            Err(error) if error.has_diverged() => Compared::Diverged(error.to_string()),
            Err(error) => return Err(error.to_string()),
        };
        match compared {
            Compared::Same => {
                self.snapshots.settle(&self.runner, database).await?;
                let Some(txid) = confirmed else { return Ok(()) };
                if all_within.is_some() {
                    self.see(db, database, txid).await?;
                }
                let at = jiff::Timestamp::now();
                self.confirmed.borrow_mut().insert(db, Confirmation { txid, at });
                Ok(())
            }
            Compared::Unknown(reason) => Err(reason),
            Compared::Diverged(why) => Err(self.begins_anew(db, &why)),
        }
    }

    /// Litestream has to make a new copy; why that is no confirmation.
    fn begins_anew(&self, db: Db, why: &str) -> String {
        match &self.diverged {
            Some(diverged) => drop(diverged.replace(Some(why.to_owned()))),
            None => self.send(Message::Diverged(self.launch, db, why.to_owned())),
        }
        format!("litestream says that all is there, but {why}")
    }

    /// Whether a replica really has what was confirmed, as our own client sees it: Litestream counts what it has uploaded.
    async fn see(&self, db: Db, database: &Database, confirmed: u64) -> Result<(), String> {
        let place = &database.replica;
        let look = async || self.looks.look(&self.runner, database, confirmed).await;
        let mut looked = look().await;
        if let Seen::Lost(_) = looked {
            // A fresh copy is uploaded first, and the snapshot that it begins with behind it.
            tokio::time::sleep(SNAPSHOT).await;
            looked = look().await;
        }
        match looked {
            Seen::There => {
                self.lost.borrow_mut().remove(&db);
                Ok(())
            }
            Seen::Unknown(reason) => {
                tracing::debug!("{place} cannot be looked at: litestream's word counts: {reason}");
                Ok(())
            }
            Seen::Lost(at) => {
                let has_beginning = at > 0;
                let at = if has_beginning {
                    format!("it up to txid {at} only")
                } else {
                    "nothing of it".to_owned()
                };
                let why = format!(
                    "{place} has {at} that could be restored, where txid {confirmed} was: it was emptied or changed"
                );
                // What began anew with this launch has no snapshot yet.
                let mut lost = self.lost.borrow_mut();
                let known = Lost { launch: self.launch, has_beginning };
                let begun =
                    lost.entry(db).and_modify(|lost| lost.has_beginning = has_beginning).or_insert(known);
                if begun.launch == self.launch { Err(self.begins_anew(db, &why)) } else { Err(why) }
            }
            Seen::Taken(owner) => Err(format!("{place} belongs to another database by now: {owner}")),
            Seen::Ahead { there, here } => Err(format!(
                "{place} is at txid {there}, and the database at {here}: another one is replicated there, or was before; give each \
                 a place of its own"
            )),
        }
    }

    /// Looks whether the replicas still have what was confirmed there.
    pub(super) async fn see_all(self) {
        let confirmed = self.confirmed.borrow().clone();
        let each =
            self.dbs.iter().filter_map(|(db, database)| Some((*db, database, confirmed.get(db)?.txid)));
        let look = each.map(async |(db, database, txid)| {
            if let Err(reason) = self.see(db, database, txid).await {
                tracing::error!("{}: {reason}", database.path.display());
            }
        });
        join_all(look).await;
    }

    /// The gate: each database that exists is on its replica.
    pub(super) async fn gate(self, tried: Tried) {
        let places = Rc::new(Semaphore::new(AT_ONCE));
        let mut asking = JoinSet::new();
        for (db, database) in self.existing() {
            let (client, places, tried) = (self.clone(), places.clone(), tried.clone());
            asking.spawn_local(async move {
                let _place = places.acquire().await;
                client.until_confirmed(db, &database, &tried).await;
            });
        }
        let mut written = 0;
        let mut upload = Upload::new(Instant::now());
        while !asking.is_empty() {
            if let Ok(Some(_)) = tokio::time::timeout(LOOK, asking.join_next()).await {
                self.tell(Event::GateProgress);
                continue;
            }
            let now = tried.written();
            if !tried.is_new(now) {
                continue;
            }
            let moves = now.saturating_sub(written) >= MOVES;
            written = now;
            if moves {
                upload.moves(Instant::now());
            }
            if moves || upload.may_be_silent(Instant::now()) || control::is_copying(&self.socket).await {
                self.tell(Event::GateProgress);
            }
        }
        self.tell(Event::GateOpened);
    }

    async fn until_confirmed(&self, db: Db, database: &Database, tried: &Tried) {
        loop {
            tried.begin(db);
            let answer = control::sync(&self.socket, &database.path, PATIENCE).await;
            let Err(reason) = self.judge(db, database, answer).await else { return tried.end(db) };
            // What is there Litestream may be about to find.
            if !database.exists() {
                self.send(Message::Gone(self.launch, db));
            }
            tried.fail(db);
            self.refused(database, &reason);
            tokio::time::sleep(RETRY).await;
        }
    }

    /// The gate without a socket, or a relaxed one: each replica answers a listing.
    pub(super) async fn reach(self, running: Running, limit: Duration) {
        let version = running.version;
        for (_, database) in self.existing() {
            let database = &database;
            // What a folder has stands in the one that names each, and not in Litestream's own.
            let mut configs = running.configs.iter();
            let Some((mut config, mut runner)) = configs.next().cloned() else { return };
            loop {
                let listing = runner.ask(&argv::listing(version, &config, &database.path), limit).await;
                let reason = match listing.as_ref().map(Output::answer) {
                    // An empty listing of a release that hides refusals may be one. Litestream is up
                    // and the database exists, so soon there is something to list.
                    Ok(Ok(listing))
                        if !version.admits_refusals() && position::replicated(version, listing).is_none() =>
                    {
                        NOTHING_LISTED.to_owned()
                    }
                    Ok(Ok(_)) => break,
                    // A replica that is still empty has answered as well.
                    Ok(Err(reason)) if reason.contains("no matching backup") => break,
                    Ok(Err(reason)) => reason,
                    Err(error) => error.to_string(),
                };
                if reason.contains(NOT_IN_CONFIG)
                    && let Some(other) = configs.next()
                {
                    (config, runner) = other.clone();
                    continue;
                }
                self.refused(database, &reason);
                tokio::time::sleep(RETRY).await;
            }
            self.tell(Event::GateProgress);
        }
        self.tell(Event::GateOpened);
    }

    fn refused(&self, database: &Database, reason: &str) {
        let kind = ReplicaError::of(reason);
        let message = format!("{}: replica {}: {reason}", database.path.display(), database.replica);
        let failure = Failure::new(ExitCode::UNAVAILABLE, message).hint(kind.hint());
        // A closed inbox means that the driver is gone, and with it whoever would listen.
        let _ = self.outbox.send(Message::Reason(Cause::Gate, failure));
        if kind.is_final() {
            self.tell(Event::GateRefused);
        }
    }

    /// The watch: one question about one database.
    pub(super) async fn confirm(self, db: Db, database: Database, running: Running) {
        let asking = control::confirm(&self.socket, &database.path, PATIENCE);
        let watching = self.notice_stall(&database, &running);
        let answer = match select(pin!(asking), pin!(watching)).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), asking)) => {
                self.tell(Event::Stalled(db));
                asking.await
            }
        };
        if is_unknown(&answer) {
            self.send(Message::Unknown(self.launch, db));
        }
        let judged = self.judge(db, &database, answer).await;
        let ok = judged.is_ok();
        if let Err(reason) = judged {
            self.send(Message::NotConfirmed(db, reason));
        }
        self.tell(Event::Confirmed { db, ok });
    }

    /// The drain: each database is on its replica, however often it takes.
    pub(super) async fn drain(self, limit: Duration, comparing: Duration, running: Running) {
        let waiting = Rc::new(RefCell::new(BTreeSet::new()));
        let watching = self.clone().notice_silence(limit, waiting.clone(), running);
        let asking = self.ask_all(limit, comparing, waiting);
        // The one ends with the other, or says its word first.
        match select(pin!(asking), pin!(watching)).await {
            Either::Left(((), _)) => {}
            Either::Right(((), asking)) => asking.await,
        }
    }

    /// Tells once of a Litestream that does not go on, although a replica that the drain waits for answers others: after an
    /// outage of 20 s its client may sleep as long again between two tries, and that of NATS waits without end for what it had
    /// asked a server that went away (seen in `List` in the jetstream/object.go of nats.go 1.44).
    async fn notice_silence(self, limit: Duration, waiting: Rc<RefCell<BTreeSet<usize>>>, running: Running) {
        let unanswered = (limit / 2).clamp(LEAST_WAIT, LONGEST_WAIT);
        let mut silence = Silence::new(Instant::now(), unanswered);
        let look = |silence: &mut Silence| {
            let (pid, waiting) = (running.litestream, waiting.borrow().len());
            let written = proc::io(pid).map(|io| io.written);
            silence.looked(Instant::now(), Look { is_connected: tcp::is_connected(pid), written, waiting })
        };
        loop {
            tokio::time::sleep(LOOK / 2).await;
            if !look(&mut silence) {
                continue;
            }
            if control::is_copying(&self.socket).await {
                silence = Silence::new(Instant::now(), unanswered);
                continue;
            }
            let place = waiting.borrow().first().copied();
            let Some((_, database)) = place.and_then(|place| self.dbs.get(place)) else { continue };
            let answers = self.answers_others(database, &running).await;
            let is_waited_for = place.is_some_and(|place| waiting.borrow().contains(&place));
            if answers && is_waited_for && look(&mut silence) {
                return self.tell(Event::Silent);
            }
        }
    }

    /// Ends when Litestream, which was asked about this database and has not answered, moves nothing for longer than any client
    /// sleeps between two tries, with a replica that answers others all that time.
    async fn notice_stall(&self, database: &Database, running: &Running) {
        if database.replica_folder.is_some() {
            return std::future::pending().await;
        }
        let (mut upload, mut written) = (Upload::new(Instant::now()), 0);
        let (mut since, mut has_answered) = (Instant::now(), false);
        loop {
            tokio::time::sleep(LOOK).await;
            let now = Instant::now();
            let Some(io) = proc::io(running.litestream) else { continue };
            if io.written.saturating_sub(written) >= MOVES {
                upload.moves(now);
                (written, since, has_answered) = (io.written, now, false);
            } else if now.duration_since(since) >= STALLED && !upload.may_be_silent(now) {
                since = now;
                let Ok(_probing) = self.prober.try_acquire() else { continue };
                if !control::is_copying(&self.socket).await {
                    let answers = self.answers_others(database, running).await;
                    if answers && has_answered {
                        return;
                    }
                    has_answered = answers;
                }
            }
        }
    }

    /// Whether a replica answers another Litestream.
    async fn answers_others(&self, database: &Database, running: &Running) -> bool {
        for (config, runner) in &running.configs {
            let listing = argv::listing(running.version, config, &database.path);
            match runner.ask(&listing, ANSWERS).await.as_ref().map(Output::answer) {
                Ok(Ok(_)) => return true,
                Ok(Err(reason)) if reason.contains(NO_BACKUP) => return true,
                Ok(Err(_)) | Err(_) => {}
            }
        }
        false
    }

    /// `waiting` has those that Litestream was asked about and has not answered; none whose replica is a folder.
    async fn ask_all(self, limit: Duration, comparing: Duration, waiting: Rc<RefCell<BTreeSet<usize>>>) {
        let places = Rc::new(Semaphore::new(DRAINED_AT_ONCE));
        let mut asking = JoinSet::new();
        for place in 0..self.dbs.len() {
            let (client, places, waiting) = (self.clone(), places.clone(), waiting.clone());
            asking.spawn_local(async move {
                let (db, database) = &client.dbs[place];
                let _place = places.acquire().await;
                // What is not there has nothing to lose.
                while database.exists() {
                    if database.replica_folder.is_none() {
                        waiting.borrow_mut().insert(place);
                    }
                    let answer = control::sync(&client.socket, &database.path, limit).await;
                    waiting.borrow_mut().remove(&place);
                    match client.judge_by(*db, database, answer, Some(comparing)).await {
                        Ok(()) => break,
                        Err(reason) => client.drain_refused(database, &reason),
                    }
                    tokio::time::sleep(RETRY).await;
                }
                client.tell(Event::Drained(*db));
            });
        }
        while asking.join_next().await.is_some() {}
    }

    /// The drain without a socket: Litestream's last sync at its end skips a database that it has not
    /// opened yet, which it does at a tick a second after it learns of it (`DB.Close` and `DB.monitor`
    /// in the db.go of 0.3.13 and 0.5.5).
    ///
    /// An end in the middle of the opening, which reads the replica too, breaks that off without a
    /// word, and nothing tells when it is over: a Litestream `launched` just now gets a while more.
    pub(super) async fn take_in(self, litestream: i32, version: Version, launched: Instant) {
        let looks = if launched.elapsed() > SETTLED { 2 } else { OPENING_LOOKS };
        let mut opened = vec![0; self.dbs.len()];
        let mut waiting: Vec<usize> = (0..self.dbs.len()).collect();
        while !waiting.is_empty() {
            waiting.retain(|place| {
                let (db, database) = &self.dbs[*place];
                let is_open = proc::has_open(litestream, &database.path).unwrap_or(true)
                    && position::local(version, &database.meta).is_some();
                opened[*place] = if is_open { opened[*place] + 1 } else { 0 };
                let is_left = database.exists() && opened[*place] < looks;
                if !is_left {
                    self.tell(Event::Drained(*db));
                }
                is_left
            });
            tokio::time::sleep(OPENING).await;
        }
    }

    pub(super) fn send(&self, message: Message) {
        let _ = self.outbox.send(message);
    }

    fn drain_refused(&self, database: &Database, reason: &str) {
        let message = format!("{}: replica {}: {reason}", database.path.display(), database.replica);
        let _ = self.outbox.send(Message::Reason(
            Cause::NotDrained,
            Failure::new(ExitCode::NOT_DRAINED, message).hint(ReplicaError::of(reason).hint()),
        ));
    }

    fn tell(&self, event: Event) {
        let _ = self.outbox.send(Message::Event(event));
    }
}
