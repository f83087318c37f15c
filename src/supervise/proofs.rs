//! The comparisons of whole databases with their backups while the app runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::confirm::SyncClient;
use super::ledger::{self, Compared};
use super::message::Message;
use crate::core::Db;
use crate::litestream::database::Database;

/// Comparisons of whole databases take no more than one part in so many of the time.
const REST: u32 = 10;
/// The least time between two.
const PAUSE: Duration = Duration::from_secs(10);

/// The comparisons of whole databases while the app runs: one at a time, and not all the time.
#[derive(Default)]
pub(super) struct Proofs {
    running: Option<JoinHandle<()>>,
    due: BTreeSet<Db>,
    rests: BTreeMap<Db, Instant>,
}

impl Proofs {
    /// Notes that one is due.
    pub(super) fn due(&mut self, db: Db) {
        self.due.insert(db);
    }

    /// Returns the one that can begin now.
    pub(super) fn next(&mut self, now: Instant) -> Option<Db> {
        let rests = |db: &&Db| self.rests.get(db).is_some_and(|until| now < *until);
        self.due.iter().find(|db| self.running.is_none() && !rests(db)).copied()
    }

    /// Forgets one that is not replicated any more.
    pub(super) fn forget(&mut self, db: Db) {
        self.due.remove(&db);
    }

    /// Notes that it has begun.
    pub(super) fn begin(&mut self, db: Db, proof: JoinHandle<()>) {
        self.due.remove(&db);
        self.running = Some(proof);
    }

    /// Notes that one is over, and took this long.
    pub(super) fn done(&mut self, db: Db, took: Duration, now: Instant) {
        self.running = None;
        self.rests.insert(db, now + (took * REST).max(PAUSE));
    }

    /// Ends the one that runs: what is asked next cannot wait.
    pub(super) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
        }
    }
}

/// Compares all of a database, and tells what came of it.
pub(super) async fn prove(client: SyncClient, db: Db, database: Database) {
    let began = Instant::now();
    match ledger::prove(&client.runner, &client.socket, &database).await {
        Compared::Same { proof_due: true } => client.send(Message::ProofDue(client.launch, db)),
        Compared::Diverged(why) => client.send(Message::Diverged(client.launch, db, why)),
        Compared::Same { proof_due: false } | Compared::Unknown(_) => {}
    }
    client.send(Message::Proved(db, began.elapsed()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_runs_at_a_time_and_rests_for_ten_times_as_long() {
        let (mut proofs, now) = (Proofs::default(), Instant::now());
        proofs.due(Db(2));
        proofs.due(Db(1));
        assert_eq!(proofs.next(now), Some(Db(1)));
        proofs.begin(Db(1), tokio::spawn(std::future::pending()));
        assert_eq!(proofs.next(now), None, "one runs");
        proofs.due(Db(1));
        proofs.done(Db(1), Duration::from_secs(6), now);
        assert_eq!(proofs.next(now), Some(Db(2)), "the first one rests");
        proofs.forget(Db(2));
        let rest = Duration::from_secs(60);
        assert_eq!((proofs.next(now + rest / 2), proofs.next(now + rest)), (None, Some(Db(1))));
        proofs.done(Db(1), Duration::from_millis(1), now);
        assert_eq!((proofs.next(now + PAUSE / 2), proofs.next(now + PAUSE)), (None, Some(Db(1))));
    }

    #[tokio::test]
    async fn one_that_runs_is_ended_for_what_cannot_wait() {
        let mut proofs = Proofs::default();
        let (ended, is_ended) = tokio::sync::oneshot::channel::<()>();
        let proof = tokio::spawn(async move {
            let _held = ended;
            std::future::pending::<()>().await;
        });
        proofs.begin(Db(1), proof);
        proofs.stop();
        assert!(is_ended.await.is_err(), "what it held is gone");
        proofs.due(Db(1));
        assert_eq!(proofs.next(Instant::now()), Some(Db(1)), "and the next one may begin");
    }
}
