//! Asking Litestream to confirm: what the gate, the watch and the drain make of its answers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, join_all, select};
use tokio::sync::Semaphore;

use super::attempts::MOVES;
use super::ledger::{self, Compared};
use super::message::{Message, Outbox};
use super::snapshots::Snapshots;
use super::table::Listed;
use super::upload::Upload;
use crate::backup::NO_BACKUP;
use crate::core::{Db, Event};
use crate::ledger::Task;
use crate::litestream::argv;
use crate::litestream::command::{Output, Runner};
use crate::litestream::control::{self, Synced};
use crate::litestream::database::Database;
use crate::litestream::version::Version;
use crate::os::proc;
use crate::replica::seen::{Looks, Seen};

/// How long Litestream may take for one answer before it gives up: longer than any snapshot. The
/// machine's own limits are counted without progress, and end the asking, not the work.
pub(super) const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// How long a snapshot may take to come behind a fresh copy.
const SNAPSHOT: Duration = Duration::from_secs(1);
/// How long to wait after an answer that was an error.
pub(super) const RETRY: Duration = Duration::from_millis(250);
/// How often to look whether Litestream moves.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// In the watch it is silent for so long before its replica is asked by another, and again: S3's client sleeps for up to 20 s.
const STALLED: Duration = Duration::from_secs(30);
/// How long a replica may take to answer somebody else, to be one that does.
const ANSWERS: Duration = Duration::from_secs(3);

/// Litestream does not have such a database.
fn is_unknown(answer: &Result<Synced, control::Error>) -> bool {
    matches!(answer, Err(control::Error::Refused { status: 404, .. }))
}

/// The Litestream that is asked.
pub(super) struct RunningLitestream {
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
    /// Returns those that are there.
    pub(super) fn existing(&self) -> Vec<(Db, Database)> {
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
    pub(super) async fn judge_by(
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
                Some(limit) => {
                    ledger::compared(&self.runner, &self.socket, database, Task::Last, limit, txid).await
                }
                None => ledger::looked_at(&self.runner, &self.socket, database, txid).await,
            },
            Err(error) if error.has_diverged() => Compared::Diverged(error.to_string()),
            Err(error) => return Err(error.to_string()),
        };
        match compared {
            Compared::Same { proof_due } => {
                if proof_due {
                    self.send(Message::ProofDue(self.launch, db));
                }
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
                    format!("it up to txid {at:016x} only")
                } else {
                    "nothing of it".to_owned()
                };
                let why = format!(
                    "{place} has {at} that could be restored, where txid {confirmed:016x} was: it was emptied or changed"
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
                "{place} is at txid {there:016x}, and the database at {here:016x}: another one is replicated there, or was before; give each \
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

    /// The watch: one question about one database.
    pub(super) async fn confirm(self, db: Db, question: u64, database: Database, running: RunningLitestream) {
        if !database.exists() {
            // Whoever waits for it has nothing that a replica could have.
            return self.send(Message::Confirmed(db, question, false));
        }
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
        self.send(Message::Confirmed(db, question, ok));
    }

    /// Ends when Litestream, which was asked about this database and has not answered, moves nothing for longer than any client
    /// sleeps between two tries, with a replica that answers others all that time.
    async fn notice_stall(&self, database: &Database, running: &RunningLitestream) {
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
                    let answers = answers_others(database, running).await;
                    if answers && has_answered {
                        return;
                    }
                    has_answered = answers;
                }
            }
        }
    }

    pub(super) fn send(&self, message: Message) {
        let _ = self.outbox.send(message);
    }

    pub(super) fn tell(&self, event: Event) {
        let _ = self.outbox.send(Message::Event(event));
    }
}

/// Says whether a replica answers another Litestream.
pub(super) async fn answers_others(database: &Database, running: &RunningLitestream) -> bool {
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
