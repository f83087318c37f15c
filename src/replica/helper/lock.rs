//! The lock of a place on S3, Azure's storage or Google's: an object that is written on condition alone.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use object_store::path::Path;
use object_store::{Error, ObjectStore, PutMode, UpdateVersion};

use super::client::{is_conflict, words};
use super::order::{LockSaid, LockTask};
use super::s3::{AT_ONCE, Buckets, printed, run, small};
use crate::litestream::database::LEASE;
use crate::litestream::replica_error::ReplicaError;
use crate::remote::Place;

/// A version that no object has: an etag, or of Google's a generation, which is a time in microseconds.
fn no_version(place: &Place) -> &'static str {
    match place {
        Place::S3(_) => "\"00000000000000000000000000000000\"",
        Place::Azure(_) => "\"0x000000000000000\"",
        Place::Gcs(_) => "1",
    }
}

/// After so long is asked again where two writes met, which a server leaves undecided.
const BREATHS: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(80), Duration::from_millis(200)];

/// See [`locks`](super::locks).
pub(super) fn carry_out(tasks: &[(Place, LockTask)]) -> Result<Vec<u8>, String> {
    run(async {
        // Whoever asks asks again soon, and knows when it asked.
        let buckets = Buckets::open(tasks.iter().map(|(place, _)| place), 0).await;
        let said = stream::iter(tasks).map(async |(place, task)| {
            let (bucket, prefix) = buckets.of(place)?;
            let (store, name) = (&*bucket.store, prefix.join(LEASE));
            do_one(store, &name, task, no_version(place)).await.map_err(|error| words(&error))
        });
        printed(&said.buffered(AT_ONCE).collect::<Vec<Result<LockSaid, String>>>().await)
    })
}

async fn do_one(
    store: &dyn ObjectStore,
    name: &Path,
    task: &LockTask,
    no_version: &str,
) -> object_store::Result<LockSaid> {
    match task {
        LockTask::Read => read(store, name).await,
        LockTask::Write(text, over) => match put(store, name, text, over.clone()).await {
            Ok(Some(version)) => Ok(LockSaid::Written(version)),
            // Who tells no version of what was written tells it of what stands there.
            Ok(None) => match read(store, name).await? {
                LockSaid::Found(found, version) if found == *text => Ok(LockSaid::Written(version)),
                said => Ok(said),
            },
            Err(error) if is_refusal(&error, over.is_some()) => {
                let said = read(store, name).await?;
                let is_undecided = is_conflict(&error) && said.version() == over.as_ref();
                if is_undecided { Err(error) } else { Ok(said) }
            }
            Err(error) => not_kept(error),
        },
        LockTask::Try(text) => {
            for over in [None, Some(no_version.to_owned())] {
                let is_update = over.is_some();
                match put(store, name, text, over).await {
                    Ok(_) => {
                        let why = "it writes whatever the condition".to_owned();
                        return Ok(LockSaid::NotKept(why));
                    }
                    Err(error) if is_refusal(&error, is_update) => {}
                    Err(error) => return not_kept(error),
                }
            }
            Ok(LockSaid::Kept)
        }
    }
}

/// Writes it, and returns its version. Where two meet S3 may refuse both, whatever stands there, and wants to be asked again
/// (`ConditionalRequestConflict`).
async fn put(
    store: &dyn ObjectStore,
    name: &Path,
    text: &str,
    over: Option<String>,
) -> object_store::Result<Option<String>> {
    for breath in BREATHS {
        match put_once(store, name, text, over.clone()).await {
            Err(error) if is_conflict(&error) => tokio::time::sleep(breath).await,
            said => return said,
        }
    }
    put_once(store, name, text, over).await
}

async fn put_once(
    store: &dyn ObjectStore,
    name: &Path,
    text: &str,
    over: Option<String>,
) -> object_store::Result<Option<String>> {
    let mode = match over {
        None => PutMode::Create,
        Some(version) => PutMode::Update(UpdateVersion { e_tag: Some(version), version: None }),
    };
    Ok(store.put_opts(name, text.to_owned().into(), mode.into()).await?.e_tag)
}

async fn read(store: &dyn ObjectStore, name: &Path) -> object_store::Result<LockSaid> {
    match small(store, name).await {
        Ok((text, version)) => Ok(LockSaid::Found(text, version.unwrap_or_default())),
        // The bucket may be missing, too.
        Err(error @ Error::NotFound { .. }) if !is_of_bucket(&error) => Ok(LockSaid::Nothing),
        Err(error) => Err(error),
    }
}

/// Whether it is the bucket that is not there.
fn is_of_bucket(error: &Error) -> bool {
    matches!(ReplicaError::of(&words(error)), ReplicaError::Bucket | ReplicaError::Container)
}

/// Whether something else stands there than the condition says; for an update also if nothing does.
fn is_refusal(error: &Error, is_update: bool) -> bool {
    match error {
        Error::AlreadyExists { .. } | Error::Precondition { .. } => true,
        Error::NotFound { .. } => is_update,
        _ => false,
    }
}

/// A server that knows no conditions may say so (501).
fn not_kept(error: Error) -> object_store::Result<LockSaid> {
    let said = words(&error);
    let is_said = said.contains("501 Not Implemented") || said.contains("<Code>NotImplemented</Code>");
    if matches!(error, Error::NotImplemented { .. }) || is_said {
        return Ok(LockSaid::NotKept("it knows no conditions".to_owned()));
    }
    Err(error)
}
