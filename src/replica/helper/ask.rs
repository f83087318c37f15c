//! The keeper's side: an order in memory that a process of its own inherits, and what it prints.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::order::{CANNOT, Formats, LockSaid, LockTask, Order, Pieces, Put, Segments, Snapshot, Task};
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::os::fd;
use crate::remote::{Place, Webdav};
use crate::replica::listing::Found;
use crate::replica::seen::Held;

/// How long a look at a server may take that does not answer.
const REACH: Duration = Duration::from_secs(5);

/// Whether a server is none for our client and one for Litestream's, by why ours does not talk to it: its certificate is an authority and
/// stands for itself, as `openssl req -x509` makes them (Go's library takes such a one that it was told to trust, rustls does not); or who
/// may go there is found out in a way that ours does not know. Litestream has made sure of the server then, and its word is all there is.
pub fn is_blind(reason: &str) -> bool {
    reason.contains("CaUsedAsEndEntity") || reason.contains(CANNOT)
}

async fn ask<T: DeserializeOwned>(runner: &Runner, order: &Order, limit: Duration) -> Result<T, String> {
    answered(order, async |args, inherit| runner.ask_own(args, inherit, limit).await).await
}

/// What is printed by the process that is run with these words and descriptors.
async fn answered<T: DeserializeOwned>(
    order: &Order,
    run: impl AsyncFnOnce(&[OsString], Vec<RawFd>) -> Result<String, String>,
) -> Result<T, String> {
    let order = serde_json::to_vec(order).map_err(|error| error.to_string())?;
    let order = fd::memory(&order).map_err(|error| error.to_string())?;
    let args = ["__list".into(), fd::number(&order).to_string().into()];
    let said = run(&args, vec![fd::number(&order)]).await?;
    serde_json::from_str(&said).map_err(|error| error.to_string())
}

async fn ask_at<T: DeserializeOwned>(
    runner: &Runner,
    place: &Place,
    task: Task,
    limit: Duration,
) -> Result<T, String> {
    ask(runner, &Order::At(place.clone(), task), limit).await
}

/// Lists the backups below a place, at any depth where it is `recursive`.
///
/// # Errors
/// Why it could not be listed, in the server's words.
pub async fn list(
    runner: &Runner,
    place: &Place,
    recursive: bool,
    limit: Duration,
) -> Result<Vec<Found>, String> {
    ask_at(runner, place, Task::List { recursive }, limit).await
}

/// Removes what was written on trial.
///
/// # Errors
/// Why it could not be removed, in the server's words; or it is something else.
pub async fn remove(runner: &Runner, place: &Place, limit: Duration) -> Result<(), String> {
    ask_at(runner, place, Task::Remove, limit).await
}

/// Removes the folder of a trial from a server of WebDAV.
///
/// # Errors
/// As [`remove`].
pub async fn remove_folder(runner: &Runner, webdav: &Webdav, limit: Duration) -> Result<(), String> {
    ask(runner, &Order::Webdav(webdav.clone()), limit).await
}

/// Sees whether the snapshot up to `txid` is whole, and removes it if not.
///
/// Litestream takes a snapshot whose database file got shorter meanwhile for one that has come to its end, and uploads what
/// it has of it (`io.CopyN` in `uploadStreamedLTX` of its s3 package, which believes an error that wraps `io.EOF`). No
/// restore begins with such a file, and all of them would.
///
/// # Errors
/// Why nobody can tell.
pub async fn look_at(runner: &Runner, place: &Place, txid: u64, limit: Duration) -> Result<Snapshot, String> {
    ask_at(runner, place, Task::Snapshot(txid), limit).await
}

/// Reads the header of the file of transaction `newest`, or of the last one before it that has a file there; none where
/// none has.
///
/// # Errors
/// Why it could not be read, in the server's words.
pub async fn header(
    runner: &Runner,
    place: &Place,
    newest: u64,
    limit: Duration,
) -> Result<Option<(u64, Vec<u8>)>, String> {
    ask_at(runner, place, Task::Header(newest), limit).await
}

/// Tells when the newest file of each series was written.
///
/// # Errors
/// Why nobody can tell, in the server's words.
pub async fn formats(runner: &Runner, place: &Place, limit: Duration) -> Result<Formats, String> {
    ask_at(runner, place, Task::Formats, limit).await
}

/// Sees whether the files in a folder that make up its state up to this transaction, or its newest, hold what their names say; which does not.
///
/// # Errors
/// Why nobody can tell, in the system's words.
pub async fn misnamed(
    runner: &Runner,
    folder: &Path,
    until: Option<u64>,
    limit: Duration,
) -> Result<Option<String>, String> {
    ask(runner, &Order::NamesIn(folder.to_owned(), until), limit).await
}

/// Sees whether the pieces of a WAL that a restore has put together go on where others end; `None` where no client of ours gets there.
/// `limit` is time in which nothing is read.
///
/// # Errors
/// Why nobody can tell, in the system's or the server's words.
pub async fn segments(
    runner: &Runner,
    db: &Database,
    segments: Segments,
    limit: Duration,
) -> Result<Option<Pieces>, String> {
    let order = match (&db.replica_folder, &db.place) {
        (Some(folder), _) => Order::SegmentsIn(folder.clone(), segments),
        (None, Some(place)) => Order::SegmentsAt(place.clone(), segments),
        (None, None) => return Ok(None),
    };
    answered(&order, async |args, inherit| runner.ask_own_busy(args, inherit, limit).await).await.map(Some)
}

/// Tells which transactions each of these places has files of, and what its mark says, in their order.
///
/// # Errors
/// Why nobody can tell of any, in the server's words.
pub async fn held(
    runner: &Runner,
    places: Vec<Place>,
    limit: Duration,
) -> Result<Vec<Result<(Held, Option<String>), String>>, String> {
    ask(runner, &Order::Held(places), limit).await
}

/// Writes the mark of a place; what is there then.
///
/// # Errors
/// Why it cannot be written, or read again, in the server's words.
pub async fn mark(
    runner: &Runner,
    place: &Place,
    put: &Put,
    limit: Duration,
) -> Result<Option<String>, String> {
    ask_at(runner, place, Task::Mark(put.clone()), limit).await
}

/// Reads the marks of many places, in their order.
///
/// # Errors
/// Why none can be read.
pub async fn marks(
    runner: &Runner,
    places: &[&Place],
    limit: Duration,
) -> Result<Vec<Result<Option<String>, String>>, String> {
    let places = places.iter().copied().cloned().collect();
    ask(runner, &Order::Marks(places), limit).await
}

/// Reads or writes the locks of many places, in their order.
///
/// # Errors
/// Why nothing came of any.
pub async fn locks(
    runner: &Runner,
    tasks: Vec<(Place, LockTask)>,
    limit: Duration,
) -> Result<Vec<Result<LockSaid, String>>, String> {
    ask(runner, &Order::Locks(tasks), limit).await
}

/// Makes a database for a trial.
///
/// # Errors
/// Why it cannot be made.
pub async fn sample(runner: &Runner, path: &Path, row: &str, limit: Duration) -> Result<(), String> {
    ask(runner, &Order::Sample(path.to_owned(), row.to_owned()), limit).await
}

/// Writes something to a database's place and removes it again; what cannot be removed is told. Only where a client of our
/// own gets that is tried: of other places nothing is said.
///
/// # Errors
/// Why nothing can be written, in the system's or the server's words.
pub async fn write(runner: &Runner, db: &Database, limit: Duration) -> Result<(), String> {
    let left: Option<String> = if let Some(folder) = &db.replica_folder {
        ask(runner, &Order::Folder(folder.clone()), limit).await?
    } else if let Some(place) = &db.place {
        ask_at(runner, place, Task::Write, limit).await?
    } else {
        None
    };
    if let Some(name) = left {
        let (path, place) = (db.path.display(), &db.replica);
        tracing::warn!("{path}: replica {place}: what was written to try it cannot be removed: {name}");
    }
    Ok(())
}

/// Connects to a server: host, port and what keeps it from that, or the status that it answers with; none where nothing
/// does, or nobody knows.
pub async fn reach(runner: &Runner, place: &Place) -> Option<String> {
    let cause: Option<String> = ask_at(runner, place, Task::Reach, REACH).await.ok()?;
    cause.map(|cause| crate::foreign::piece(&cause))
}
