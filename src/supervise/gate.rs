//! The gate: what has to be true of the databases before the app starts.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::attempts::{MOVES, Tried};
use super::confirm::{LOOK, PATIENCE, RETRY, RunningLitestream, SyncClient};
use super::message::Message;
use super::upload::Upload;
use crate::core::{Cause, Db, Event, ExitCode};
use crate::error::Failure;
use crate::litestream::argv;
use crate::litestream::command::Output;
use crate::litestream::control;
use crate::litestream::database::Database;
use crate::litestream::position;
use crate::litestream::replica_error::ReplicaError;

/// What Litestream says of a database that its configuration does not name.
const NOT_IN_CONFIG: &str = "database not found in config";
/// The only reason there is when a release that hides refusals lists nothing.
const NOTHING_LISTED: &str = "nothing is listed there: no such bucket, a wrong key, or nothing uploaded yet";
/// How many databases are asked about at once.
const AT_ONCE: usize = 16;

/// Opens the gate once each database that exists is on its replica.
pub(super) async fn gate(client: SyncClient, tried: Tried) {
    let permits = Rc::new(Semaphore::new(AT_ONCE));
    let mut asking = JoinSet::new();
    for (db, database) in client.existing() {
        let (client, permits, tried) = (client.clone(), permits.clone(), tried.clone());
        asking.spawn_local(async move {
            let _permit = permits.acquire().await;
            until_confirmed(&client, db, &database, &tried).await;
        });
    }
    let mut written = 0;
    let mut upload = Upload::new(Instant::now());
    while !asking.is_empty() {
        if let Ok(Some(_)) = tokio::time::timeout(LOOK, asking.join_next()).await {
            client.tell(Event::GateProgress);
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
        if moves || upload.may_be_silent(Instant::now()) || control::is_copying(&client.socket).await {
            client.tell(Event::GateProgress);
        }
    }
    client.tell(Event::GateOpened);
}

async fn until_confirmed(client: &SyncClient, db: Db, database: &Database, tried: &Tried) {
    loop {
        tried.begin(db);
        let answer = control::sync(&client.socket, &database.path, PATIENCE).await;
        let Err(reason) = client.judge(db, database, answer).await else { return tried.end(db) };
        // What is there Litestream may be about to find.
        if !database.exists() {
            client.send(Message::Gone(client.launch, db));
        }
        tried.fail(db);
        refused(client, database, &reason);
        tokio::time::sleep(RETRY).await;
    }
}

/// Opens the gate without a socket, or a relaxed one, once each replica answers a listing.
pub(super) async fn reach(client: SyncClient, running: RunningLitestream, limit: Duration) {
    let version = running.version;
    for (_, database) in client.existing() {
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
            refused(&client, database, &reason);
            tokio::time::sleep(RETRY).await;
        }
        client.tell(Event::GateProgress);
    }
    client.tell(Event::GateOpened);
}

fn refused(client: &SyncClient, database: &Database, reason: &str) {
    let kind = ReplicaError::of(reason);
    let message = format!("{}: replica {}: {reason}", database.path.display(), database.replica);
    let failure = Failure::new(ExitCode::UNAVAILABLE, message).hint(kind.hint());
    // A closed inbox means that the driver is gone, and with it whoever would listen.
    let _ = client.outbox.send(Message::Reason(Cause::Gate, failure));
    if kind.is_final() {
        client.tell(Event::GateRefused);
    }
}
