//! Having a running Litestream take in a database, and let go of one.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::confirm::SyncClient;
use super::message::Message;
use super::{ledger, wal};
use crate::core::{Db, ExitCode};
use crate::error::Failure;
use crate::inventory::{Entry, Named};
use crate::litestream::control;
use crate::litestream::database::Database;
use crate::litestream::replica_error::ReplicaError;
use crate::litestream::{ltx, position};
use crate::replica::mark;
use crate::sqlite::wal::header;

/// How long a database's going may take, from the last sync to the word that it is gone.
const GOING: Duration = Duration::from_secs(30);
/// How long Litestream may take to find a database by itself.
const FINDING: Duration = Duration::from_secs(5);
/// How long to wait after an answer that was an error.
const RETRY: Duration = Duration::from_millis(250);

/// How a database stands that is let go of.
pub(super) struct Going {
    /// Another file stands in its place.
    pub(super) is_replaced: bool,
    /// There was a file.
    pub(super) was_made: bool,
    /// It goes to another place, which has been tried: what the old one does not get, that one gets.
    pub(super) moves: bool,
}

/// Has Litestream take in a database, and what it holds confirmed; on any failure Litestream does
/// not have it afterwards.
pub(super) async fn register(
    client: SyncClient,
    db: Db,
    Named { database, url, entry, .. }: Named,
    limit: Duration,
) {
    let result = match (entry, url) {
        (Entry::InFolder(..), url) => find(&client, db, &database, url, limit).await,
        (Entry::Said(_), Ok(url)) => try_register(&client, db, &database, &url, limit).await,
        (Entry::Said(_), Err(reason)) => Err(reason),
    };
    let result = result.map_err(|reason| failure(&database, &reason));
    client.send(Message::Registered(client.launch, db, result));
}

async fn try_register(
    client: &SyncClient,
    db: Db,
    database: &Database,
    url: &str,
    limit: Duration,
) -> Result<(), String> {
    // Whoever named it has looked at it.
    let (seen, had) = (ledger::Damaged::Seen, ledger::Had::NotAlways);
    let whole = ledger::whole_for(&client.runner, database, Some(limit), seen, had).await;
    let mut whole = whole.map_err(|failure| failure.message)?;
    loop {
        if let Some(why) = &whole {
            let emptied = wal::empty(&client.runner, database, why, limit).await;
            emptied.map_err(|failure| failure.message)?;
        }
        let began = salt(database);
        let taken = control::register(&client.socket, &database.path, url, limit).await;
        let diverged = Rc::new(RefCell::new(None));
        // It may go on from the backup of another name, of which nothing is here. That is no reason to stop the others.
        let again = whole.is_none().then(|| diverged.clone());
        let confirmed = match taken {
            Ok(()) => {
                let alone = SyncClient { diverged: again, ..client.clone() };
                confirm(&alone, db, database, limit).await
            }
            Err(error) => Err(error.to_string()),
        };
        // The app writes all the time, and Litestream may have come too late.
        let is_sure = whole.is_some() || began.is_none() || began == salt(database);
        if confirmed.is_ok() && is_sure {
            return Ok(());
        }
        // Its error changes nothing: Litestream takes it off its list first. But as long as it closes it nobody else may
        // have it, nor itself once more.
        let _ = control::unregister(&client.socket, &database.path, GOING).await;
        whole = match diverged.take() {
            Some(why) => Some(why),
            None => {
                confirmed?;
                Some("it was written to before litestream had it".to_owned())
            }
        };
    }
}

/// Litestream finds a database of a folder itself. Whether it is confirmed is for the watch: what
/// Litestream has, it keeps.
///
/// It does not look at a path again whose last file it could not close in order (`removeDatabase` in its
/// directory_watcher.go): then it is told of the new one.
async fn find(
    client: &SyncClient,
    db: Db,
    database: &Database,
    url: Result<String, String>,
    limit: Duration,
) -> Result<(), String> {
    let began = Instant::now();
    while database.exists() {
        let left = limit.saturating_sub(began.elapsed());
        match control::confirm(&client.socket, &database.path, left).await {
            Err(control::Error::Refused { status: 404, message }) => match &url {
                Ok(url) if began.elapsed() >= FINDING => {
                    return try_register(client, db, database, url, left).await;
                }
                _ if began.elapsed() + RETRY < limit => {}
                Ok(_) => return Err(message),
                Err(reason) => return Err(format!("{message}; {reason}: restart litekeeper")),
            },
            // It has ended: the next one finds it as well, and what comes of this is void then.
            Err(control::Error::Io(_)) if began.elapsed() + RETRY < limit => {}
            Err(error @ control::Error::Io(_)) => return Err(error.to_string()),
            Ok(_) | Err(_) => return Ok(()),
        }
        tokio::time::sleep(RETRY).await;
    }
    Ok(())
}

/// Everything that is in the database is on its replica; what is not there has nothing to confirm.
async fn confirm(client: &SyncClient, db: Db, database: &Database, limit: Duration) -> Result<(), String> {
    let deadline = Instant::now() + limit;
    while database.exists() {
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = control::confirm(&client.socket, &database.path, left).await;
        let is_gone = matches!(answer, Err(control::Error::Io(_)));
        let Err(reason) = client.judge(db, database, answer).await else { return Ok(()) };
        let has_diverged = client.diverged.as_ref().is_some_and(|diverged| diverged.borrow().is_some());
        if is_gone
            || has_diverged
            || ReplicaError::of(&reason).is_final()
            || Instant::now() + RETRY >= deadline
        {
            return Err(reason);
        }
        tokio::time::sleep(RETRY).await;
    }
    Ok(())
}

/// Has Litestream let go of a database that it was only being told of, and take it in at the place where it was before.
pub(super) async fn register_again(client: SyncClient, db: Db, before: Named, limit: Duration) {
    withdraw(&client, &before.database).await;
    register(client, db, before, limit).await;
}

async fn withdraw(client: &SyncClient, database: &Database) {
    // It takes it off its list before anything of this can fail; but what it was told last may come to it only now.
    for _ in 0..2 {
        let _ = control::unregister(&client.socket, &database.path, GOING).await;
        tokio::time::sleep(RETRY).await;
    }
}

/// Has Litestream let go of a database that it was only being told of.
pub(super) async fn cancel(client: SyncClient, db: Db, database: Database) {
    withdraw(&client, &database).await;
    client.send(Message::Unregistered(client.launch, db, Ok(())));
}

/// Has what is in a database confirmed, then Litestream let go of it; on any failure Litestream
/// still has it.
pub(super) async fn unregister(client: SyncClient, db: Db, database: Database, going: Going) {
    let result = try_unregister(&client, db, &database, going).await;
    client.send(Message::Unregistered(
        client.launch,
        db,
        result.map_err(|reason| failure(&database, &reason)),
    ));
}

async fn try_unregister(
    client: &SyncClient,
    db: Db,
    database: &Database,
    Going { is_replaced, was_made, moves }: Going,
) -> Result<(), String> {
    let path = database.path.display();
    let was_made = was_made || position::txids(&ltx::folder(&database.meta)).next().is_some();
    if !database.exists() && !was_made {
        tracing::info!("{path} was never made: nothing was replicated");
    } else if !database.exists() {
        tracing::warn!(
            "{path} was deleted or renamed before it was let go, and is not replicated any more: what was written last may not be on its replica"
        );
    } else if is_replaced {
        return Err(
            "the file was replaced, and litestream does not replicate the new one: restart litekeeper".into(),
        );
    } else {
        match confirm(client, db, database, GOING).await {
            Err(reason) if moves => tracing::warn!(
                "{path}: {} has not confirmed what was written last ({reason}): all of it goes to its new place",
                database.replica
            ),
            confirmed => confirmed?,
        }
        // It may be on its way to another place.
        mark::settle(&client.runner, std::slice::from_ref(database)).await;
    }
    if let Err(error) = control::unregister(&client.socket, &database.path, GOING).await {
        // It was confirmed, and Litestream took it off its list before it failed.
        tracing::warn!("{path}: litestream let go of it with an error: {error}");
    }
    Ok(())
}

/// The salt of the WAL in which Litestream may go on where it was; none where it can only begin.
fn salt(database: &Database) -> Option<[u8; 8]> {
    position::txids(&ltx::folder(&database.meta)).next()?;
    Some(header(&database.path).ok()??.salt)
}

fn failure(database: &Database, reason: &str) -> Failure {
    let message = format!("{}: replica {}: {reason}", database.path.display(), database.replica);
    Failure::new(ExitCode::UNAVAILABLE, message).hint(ReplicaError::of(reason).hint())
}
