//! The drain: the last writes of each database are on its replica before Litestream ends.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::confirm::{LOOK, RETRY, RunningLitestream, SyncClient, answers_others};
use super::message::Message;
use super::upload::{Sample, Silence};
use crate::core::{Cause, Event, ExitCode};
use crate::error::Failure;
use crate::litestream::control;
use crate::litestream::database::Database;
use crate::litestream::position;
use crate::litestream::replica_error::ReplicaError;
use crate::litestream::version::Version;
use crate::os::{proc, tcp};

/// How often to look whether Litestream has opened a database.
const OPENING: Duration = Duration::from_millis(20);
/// How many looks in a row must find it open in a Litestream that was started just now: one second's.
const OPENING_LOOKS: u32 = 50;
/// After this long an open database has been synced at least once.
const SETTLED: Duration = Duration::from_secs(5);
/// How long Litestream may wait for an answer at the stop: half of what there is for that, but no less and no more.
const LEAST_WAIT: Duration = Duration::from_secs(3);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// The same in the drain, where one that hangs must not hold up the others.
const DRAINED_AT_ONCE: usize = 256;

/// Asks until each database is on its replica, however often it takes.
pub(super) async fn drain(
    client: SyncClient,
    limit: Duration,
    comparing: Duration,
    running: RunningLitestream,
) {
    let waiting = Rc::new(RefCell::new(BTreeSet::new()));
    let watching = notice_silence(client.clone(), limit, waiting.clone(), running);
    let asking = ask_all(client, limit, comparing, waiting);
    // The one ends with the other, or says its word first.
    match select(pin!(asking), pin!(watching)).await {
        Either::Left(((), _)) => {}
        Either::Right(((), asking)) => asking.await,
    }
}

/// Tells once of a Litestream that does not go on, although a replica that the drain waits for answers others: after an
/// outage of 20 s its client may sleep as long again between two tries, and that of NATS waits without end for what it had
/// asked a server that went away (seen in `List` in the jetstream/object.go of nats.go 1.44).
async fn notice_silence(
    client: SyncClient,
    limit: Duration,
    waiting: Rc<RefCell<BTreeSet<usize>>>,
    running: RunningLitestream,
) {
    let unanswered = (limit / 2).clamp(LEAST_WAIT, LONGEST_WAIT);
    let mut silence = Silence::new(Instant::now(), unanswered);
    let look = |silence: &mut Silence| {
        let (pid, waiting) = (running.litestream, waiting.borrow().len());
        let written = proc::io(pid).map(|io| io.written);
        silence.looked(Instant::now(), Sample { is_connected: tcp::is_connected(pid), written, waiting })
    };
    loop {
        tokio::time::sleep(LOOK / 2).await;
        if !look(&mut silence) {
            continue;
        }
        if control::is_copying(&client.socket).await {
            silence = Silence::new(Instant::now(), unanswered);
            continue;
        }
        let index = waiting.borrow().first().copied();
        let Some((_, database)) = index.and_then(|index| client.dbs.get(index)) else { continue };
        let answers = answers_others(database, &running).await;
        let is_waited_for = index.is_some_and(|index| waiting.borrow().contains(&index));
        if answers && is_waited_for && look(&mut silence) {
            return client.tell(Event::Silent);
        }
    }
}

/// Asks about all of them at once; `waiting` has those that Litestream was asked about and has not answered; none whose replica is a folder.
async fn ask_all(
    client: SyncClient,
    limit: Duration,
    comparing: Duration,
    waiting: Rc<RefCell<BTreeSet<usize>>>,
) {
    let permits = Rc::new(Semaphore::new(DRAINED_AT_ONCE));
    let mut asking = JoinSet::new();
    for index in 0..client.dbs.len() {
        let (client, permits, waiting) = (client.clone(), permits.clone(), waiting.clone());
        asking.spawn_local(async move {
            let (db, database) = &client.dbs[index];
            let _permit = permits.acquire().await;
            // What is not there has nothing to lose.
            while database.exists() {
                if database.replica_folder.is_none() {
                    waiting.borrow_mut().insert(index);
                }
                let answer = control::sync(&client.socket, &database.path, limit).await;
                waiting.borrow_mut().remove(&index);
                match client.judge_by(*db, database, answer, Some(comparing)).await {
                    Ok(()) => break,
                    Err(reason) => refused(&client, database, &reason),
                }
                tokio::time::sleep(RETRY).await;
            }
            client.tell(Event::Drained(*db));
        });
    }
    while asking.join_next().await.is_some() {}
}

/// Waits, without a socket, until an end is safe: Litestream's last sync at its end skips a database that it has not
/// opened yet, which it does at a tick a second after it learns of it (`DB.Close` and `DB.monitor`
/// in the db.go of 0.3.13 and 0.5.5).
///
/// An end in the middle of the opening, which reads the replica too, breaks that off without a
/// word, and nothing tells when it is over: a Litestream `launched` just now gets a while more.
pub(super) async fn take_in(client: SyncClient, litestream: i32, version: Version, launched: Instant) {
    let looks = if launched.elapsed() > SETTLED { 2 } else { OPENING_LOOKS };
    let mut opened = vec![0; client.dbs.len()];
    let mut waiting: Vec<usize> = (0..client.dbs.len()).collect();
    while !waiting.is_empty() {
        waiting.retain(|index| {
            let (db, database) = &client.dbs[*index];
            let is_open = proc::has_open(litestream, &database.path).unwrap_or(true)
                && position::local(version, &database.meta).is_some();
            opened[*index] = if is_open { opened[*index] + 1 } else { 0 };
            let is_left = database.exists() && opened[*index] < looks;
            if !is_left {
                client.tell(Event::Drained(*db));
            }
            is_left
        });
        tokio::time::sleep(OPENING).await;
    }
}

fn refused(client: &SyncClient, database: &Database, reason: &str) {
    let message = format!("{}: replica {}: {reason}", database.path.display(), database.replica);
    let _ = client.outbox.send(Message::Reason(
        Cause::NotDrained,
        Failure::new(ExitCode::NOT_DRAINED, message).hint(ReplicaError::of(reason).hint()),
    ));
}
