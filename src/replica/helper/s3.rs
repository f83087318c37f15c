//! The client for S3, and what is done by it and by those for other buckets: listing backups, looking at their files, writing and removing
//! what is on trial.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::agent::{Agent, Listing};
use super::aws::{self, KeySource, Keys, Surroundings};
use super::client::{is_conflict, retries, variable, words};
use super::layout::Layout;
use super::order::{Formats, Put, Snapshot, TRIAL, Task};
use super::{azure, connect, gcs};
use crate::litestream::database::MARK;
use crate::litestream::ltx;
use crate::os::open;
use crate::remote::{Place, S3};
use crate::replica::listing::{Found, is_trial};
use crate::replica::mark::LONGEST;
use crate::replica::reach::status;
use crate::replica::seen::Held;

/// How many requests are under way at once.
pub(super) const AT_ONCE: usize = 16;
/// So many databases fit into what the keeper reads, and no keeper runs on so many: a listing that goes on for ever
/// ends here.
const MOST: usize = 100_000;
/// How often a request is tried again.
pub(super) const MOST_RETRIES: usize = 4;
/// The level of single transactions.
const TRANSACTIONS: u8 = 0;

/// Does it in this process, and prints it.
pub(super) fn carry_out(place: &Place, task: Task) -> Result<Vec<u8>, String> {
    if let Task::Reach = task {
        let server = server(place);
        let skip_verify = match place {
            Place::S3(place) => place.skip_verify,
            Place::Gcs(_) | Place::Azure(_) => false,
        };
        let cause =
            connect::look(server.as_deref(), skip_verify).or_else(|| refused(place, server.as_deref()));
        return printed(&cause);
    }
    run(async {
        let bucket = Bucket::open(place, MOST_RETRIES).await?;
        let (bucket, prefix) = (&bucket, path(place.prefix())?);
        let said = |error: object_store::Error| words(&error);
        match task {
            Task::List { recursive: true } => printed(&all(bucket, &prefix).await.map_err(said)?),
            Task::List { recursive: false } => printed(&flat(bucket.clone(), prefix).await.map_err(said)?),
            Task::Remove => printed(&remove(bucket, &prefix).await?),
            Task::Snapshot(txid) => printed(&snapshot(bucket, &prefix, txid).await.map_err(said)?),
            Task::Header(txid) => printed(&newest_header(bucket, &prefix, txid).await.map_err(said)?),
            Task::Formats => printed(&both(bucket, &prefix).await.map_err(said)?),
            Task::Mark(put) => printed(&mark(&*bucket.store, &prefix, Some(put)).await.map_err(said)?),
            Task::Write => printed(&left(&*bucket.store, &prefix).await.map_err(said)?),
            // No store is needed to see that there is no way to one.
            Task::Reach => printed(&None::<String>),
        }
    })
}

/// A bucket of any kind, and how backups lie there.
#[derive(Clone)]
pub(super) struct Bucket {
    pub(super) store: Arc<dyn ObjectStore>,
    layout: Layout,
}

impl Bucket {
    pub(super) async fn open(place: &Place, max_retries: usize) -> Result<Self, String> {
        let store: Arc<dyn ObjectStore> = match place {
            Place::S3(place) => Arc::new(store(place, max_retries).await?),
            Place::Gcs(place) => Arc::new(gcs::store(place, max_retries)?),
            Place::Azure(place) => Arc::new(azure::store(place, max_retries).await?),
        };
        let layout = match place {
            Place::S3(_) => Layout::S3,
            Place::Gcs(_) | Place::Azure(_) => Layout::Ltx,
        };
        Ok(Self { store, layout })
    }
}

/// The server that is asked; none where that is Amazon's, or nobody knows.
fn server(place: &Place) -> Option<String> {
    match place {
        Place::S3(place) => place.endpoint.clone(),
        Place::Gcs(_) => Some(gcs::server()),
        Place::Azure(place) => place.server(),
    }
}

pub(super) fn printed(answer: &impl Serialize) -> Result<Vec<u8>, String> {
    serde_json::to_vec(answer).map_err(|error| error.to_string())
}

/// What the server answers to a listing, where that is an error of its own.
fn refused(place: &Place, server: Option<&str>) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().ok()?;
    let listing = async {
        // Whoever wants to know with what it answers has been told nothing else for long.
        let store = Bucket::open(place, 0).await.ok()?.store;
        let prefix = path(place.prefix()).ok()?;
        store.list(Some(&prefix)).try_next().await.err().map(|error| words(&error))
    };
    let said = runtime.block_on(async { tokio::time::timeout(connect::EACH, listing).await });
    // Who says nothing is not waited for.
    runtime.shutdown_background();
    status(server, &said.ok()??)
}

async fn store(place: &S3, max_retries: usize) -> Result<AmazonS3, String> {
    let read = |path: &str| {
        let bytes = open::whole(std::path::Path::new(path), aws::LONGEST).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let around = Surroundings::of(&variable, read)?;
    let endpoint = place.endpoint.clone().or_else(|| around.endpoint());
    let is_plain = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let agent = Agent::new(place.skip_verify, !is_plain).listing(Listing::Bucket(place.bucket.clone()));
    let in_host = endpoint.as_ref().filter(|_| !place.path_style);
    let in_host = in_host.and_then(|endpoint| aws::with_bucket(endpoint, &place.bucket));
    let key = match (&place.access_key_id, &place.secret_access_key) {
        (Some(id), Some(secret)) => {
            KeySource::Keys(Keys { id: id.clone(), secret: secret.clone(), token: None })
        }
        _ => around.keys()?,
    };
    // Variables say where a key can be asked for; one that is written down is not to be mixed with others.
    let mut builder = match &key {
        KeySource::Keys(_) => AmazonS3Builder::new(),
        KeySource::Asked => ASKED.iter().fold(AmazonS3Builder::new(), |builder, (name, key)| {
            variable(name).into_iter().fold(builder, |builder, value| builder.with_config(*key, value))
        }),
        KeySource::Nobody => {
            return Err(
                "no key: none is written down, and AWS_EC2_METADATA_DISABLED forbids to ask the machine"
                    .to_owned(),
            );
        }
    };
    builder = builder
        .with_bucket_name(&place.bucket)
        .with_http_connector(agent.clone())
        .with_allow_http(is_plain)
        // Not every server knows how to remove several at once.
        .with_disable_bulk_delete(true)
        .with_virtual_hosted_style_request(!place.path_style && (in_host.is_some() || endpoint.is_none()))
        .with_retry(retries(max_retries));
    // The library wants the bucket in the host's name to be there already.
    if let Some(endpoint) = in_host.as_ref().or(endpoint.as_ref()) {
        builder = builder.with_endpoint(endpoint);
    }
    if let KeySource::Keys(Keys { id, secret, token }) = key {
        builder = builder.with_access_key_id(id).with_secret_access_key(secret);
        builder = token.into_iter().fold(builder, AmazonS3Builder::with_token);
    }
    let region = match &place.region {
        Some(region) => region.clone(),
        // Litestream asks for it at the endpoint of a variable as well, and takes this one where a replica names an endpoint.
        None if endpoint.is_none() => match agent.region_of(&place.bucket).await {
            Some(region) => region,
            None => variable("AWS_REGION").unwrap_or_else(|| "us-east-1".into()),
        },
        None => "us-east-1".to_owned(),
    };
    builder.with_region(region).build().map_err(|error| words(&error))
}

/// The variables that say who gives a key.
const ASKED: &[(&str, AmazonS3ConfigKey)] = &[
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    ("AWS_ENDPOINT_URL_STS", AmazonS3ConfigKey::StsEndpoint),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
];

/// Every database at any depth, by all names there are.
async fn all(bucket: &Bucket, prefix: &Path) -> object_store::Result<Vec<Found>> {
    let mut found = Backups::default();
    let mut names = bucket.store.list(Some(prefix));
    while let Some(object) = names.try_next().await? {
        if let Some((below, newest)) = bucket.layout.backup_of(prefix, &object.location) {
            found.note(below, newest)?;
        }
    }
    Ok(found.into_list())
}

/// The databases right below the prefix, side by side.
async fn flat(bucket: Bucket, prefix: Path) -> object_store::Result<Vec<Found>> {
    let (Bucket { store, layout }, places) = (bucket, Arc::new(Semaphore::new(AT_ONCE)));
    let mut asking = JoinSet::new();
    for folder in store.list_with_delimiter(Some(&prefix)).await?.common_prefixes {
        let (store, prefix, places) = (store.clone(), prefix.clone(), places.clone());
        asking.spawn(async move {
            let _place = places.acquire().await;
            let mut found = Backups::default();
            let mut names = store.list(Some(&folder));
            while let Some(object) = names.try_next().await? {
                if let Some((below, newest)) = layout.backup_of(&prefix, &object.location)
                    && below.components().count() == 1
                {
                    found.note(below, newest)?;
                }
            }
            Ok::<_, object_store::Error>(found)
        });
    }
    let mut all = Backups::default();
    while let Some(answer) = asking.join_next().await {
        let found = answer.unwrap_or_else(|error| Err(object_store::Error::JoinError { source: error }))?;
        for (below, newest) in found.0 {
            all.note(below, newest)?;
        }
    }
    Ok(all.into_list())
}

/// Removes the files of a backup from a folder that was made up for one trial; one name, one request, and
/// nothing that no trial writes.
async fn remove(bucket: &Bucket, prefix: &Path) -> Result<(), String> {
    let store = &*bucket.store;
    let mut parts: Vec<_> = prefix.parts().collect();
    let is_trial = parts.pop().is_some_and(|last| last.as_ref().starts_with(TRIAL));
    if !is_trial {
        return Err(format!("{prefix} is not the folder of a trial: nothing in it is removed"));
    }
    let above = Path::from_iter(parts);
    let names = store.list(Some(prefix)).map_ok(|object| object.location).try_collect::<Vec<_>>();
    let names = names.await.map_err(|error| words(&error))?;
    if names.is_empty() {
        return Err("it is not found there".to_owned());
    }
    for name in names {
        match bucket.layout.backup_of(&above, &name) {
            Some((below, Some(_))) if below.components().count() == 1 => {
                store.delete(&name).await.map_err(|error| words(&error))?;
            }
            _ => return Err(format!("{name} is nothing that a trial writes: it is not removed")),
        }
    }
    Ok(())
}

/// See [`write`]. No listing takes it for a part of a backup.
async fn left(store: &dyn ObjectStore, prefix: &Path) -> object_store::Result<Option<String>> {
    let name = prefix.clone().join(format!("{TRIAL}{}", std::process::id()));
    // The client here sends no body that the library has in pieces, as it has each object's; none says as much.
    store.put(&name, PutPayload::new()).await?;
    match store.delete(&name).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(None),
        // Litestream writes without being able to remove anything, too.
        Err(_) => Ok(Some(name.to_string())),
    }
}

/// See [`marks`](super::marks).
pub(super) fn marks(places: &[Place]) -> Result<Vec<u8>, String> {
    run(async {
        let buckets = Buckets::open(places, MOST_RETRIES).await;
        printed(&buckets.marks(places).await)
    })
}

/// Does it in this process.
pub(super) fn run<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.map_err(|error| error.to_string())?.block_on(work)
}

/// The buckets of many places, each of which is opened once.
pub(super) struct Buckets(HashMap<Place, Result<Bucket, String>>);

impl Buckets {
    pub(super) async fn open(places: impl IntoIterator<Item = &Place>, max_retries: usize) -> Self {
        let mut buckets = HashMap::new();
        for bucket in places.into_iter().map(Place::bucket) {
            if let Entry::Vacant(bucket) = buckets.entry(bucket) {
                let opened = Bucket::open(bucket.key(), max_retries).await;
                bucket.insert(opened);
            }
        }
        Self(buckets)
    }

    /// The bucket of a place, and what all of its names begin with.
    pub(super) fn of(&self, place: &Place) -> Result<(&Bucket, Path), String> {
        let bucket = self.0.get(&place.bucket()).ok_or("the bucket was not opened")?;
        Ok((bucket.as_ref().map_err(String::clone)?, path(place.prefix())?))
    }

    /// The marks of these places, in their order.
    async fn marks(&self, places: &[Place]) -> Vec<Result<Option<String>, String>> {
        let read = stream::iter(places).map(async |place| {
            let (bucket, prefix) = self.of(place)?;
            mark(&*bucket.store, &prefix, None).await.map_err(|error| words(&error))
        });
        read.buffered(AT_ONCE).collect().await
    }

    /// The transactions of all files right at a place, which has the name `""`, and of the places right below it; none where
    /// there are more than so many files.
    async fn spans(&self, place: &Place, most: usize) -> Result<Option<Spans>, String> {
        let (Bucket { store, layout }, prefix) = self.of(place)?;
        let (mut found, mut count) = (Spans::new(), 0);
        let mut names = store.list(Some(&prefix));
        while let Some(object) = names.try_next().await.map_err(|error| words(&error))? {
            count += 1;
            if count > most {
                return Ok(None);
            }
            let parts: Option<Vec<_>> = object.location.prefix_match(&prefix).map(Iterator::collect);
            let (name, file) = match parts.as_deref().and_then(|parts| layout.file(parts)) {
                Some(([], file)) => ("", file),
                Some(([name], file)) => (name.as_ref(), file),
                Some(_) | None => continue,
            };
            found.entry(name.to_owned()).or_default().extend(ltx::span(file));
        }
        Ok(Some(found))
    }
}

/// The transactions of files, by where these are.
type Spans = HashMap<String, Vec<RangeInclusive<u64>>>;

/// What of these is at a place of this name.
fn held_of(spans: &mut Spans, name: &str) -> Held {
    Held::of(spans.remove(name).unwrap_or_default().into_iter())
}

pub(super) fn path(prefix: &str) -> Result<Path, String> {
    Path::parse(prefix).map_err(|error| error.to_string())
}

/// See [`mark`](super::mark).
async fn mark(
    store: &dyn ObjectStore,
    prefix: &Path,
    put: Option<Put>,
) -> object_store::Result<Option<String>> {
    let name = prefix.clone().join(MARK);
    let read = async || match small(store, &name).await {
        Ok((text, _)) => Ok(Some(text)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    let Some(Put { text, over }) = put else { return read().await };
    let mode = if over { PutMode::Overwrite } else { PutMode::Create };
    match store.put_opts(&name, text.clone().into(), mode.into()).await {
        // Somebody else writes there just now, and may not come to its end.
        Err(error) if is_conflict(&error) && read().await?.is_none() => return Err(error),
        Ok(_) | Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
        }
        // A server that knows no conditions may say so.
        Err(_) if !over && read().await?.is_none() => drop(store.put(&name, text.into()).await?),
        Err(error) => return Err(error),
    }
    read().await
}

/// Reads what nobody writes a long one of, with its version.
pub(super) async fn small(
    store: &dyn ObjectStore,
    name: &Path,
) -> object_store::Result<(String, Option<String>)> {
    let found = store.get(name).await?;
    let version = found.meta.e_tag.clone();
    // What is so large is none: whoever reads it says so.
    let text = if found.meta.size > LONGEST as u64 {
        "much".to_owned()
    } else {
        String::from_utf8_lossy(&found.bytes().await?).into_owned()
    };
    Ok((text, version))
}

/// See [`look_at`].
async fn snapshot(bucket: &Bucket, prefix: &Path, txid: u64) -> object_store::Result<Snapshot> {
    let store = &*bucket.store;
    let file = format!("{:016x}-{txid:016x}.ltx", 1);
    let name = bucket.layout.level(prefix, ltx::SNAPSHOTS).join(file);
    match is_whole(store, &name).await {
        Ok(true) | Err(object_store::Error::NotFound { .. }) => return Ok(Snapshot::Sound),
        Ok(false) => {}
        Err(error) => return Err(error),
    }
    let mut names = store.list(Some(prefix));
    while let Some(object) = names.try_next().await? {
        if object.location != name && begins(bucket.layout, prefix, &object.location) {
            let removed = store.delete(&name).await;
            return Ok(removed.map_or_else(|error| Snapshot::Left(words(&error)), |()| Snapshot::Removed));
        }
    }
    Ok(Snapshot::Only)
}

/// See [`header`].
async fn newest_header(
    bucket: &Bucket,
    prefix: &Path,
    newest: u64,
) -> object_store::Result<Option<(u64, Vec<u8>)>> {
    let (store, folder) = (&*bucket.store, bucket.layout.level(prefix, TRANSACTIONS));
    let read = async |txid: u64| match store
        .get_range(&folder.clone().join(ltx::name(txid)), 0..ltx::HEADER as u64)
        .await
    {
        Ok(bytes) => Ok(Some((txid, bytes.to_vec()))),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    if let Some(found) = read(newest).await? {
        return Ok(Some(found));
    }
    let (mut last, mut names) = (None, store.list(Some(&folder)));
    while let Some(object) = names.try_next().await? {
        let span = object.location.filename().and_then(ltx::span);
        last = last.max(span.map(|span| *span.end()).filter(|txid| *txid < newest));
    }
    match last {
        Some(txid) => read(txid).await,
        None => Ok(None),
    }
}

/// More places below one prefix than these are listed together, as long as that takes no more requests.
const FEW: usize = 3;
/// So many names has an answer (`ListObjectsV2`).
const PAGE: usize = 1000;

/// See [`held`](super::held).
pub(super) fn held(places: &[Place]) -> Result<Vec<u8>, String> {
    run(async {
        let buckets = Buckets::open(places, MOST_RETRIES).await;
        let mut below: HashMap<Place, Vec<(usize, &str)>> = HashMap::new();
        for (number, place) in places.iter().enumerate() {
            let (above, name) = place.prefix().rsplit_once('/').unwrap_or(("", place.prefix()));
            below.entry(place.at(above)).or_default().push((number, name));
        }
        let mut all = vec![None; places.len()];
        for (above, named) in below.into_iter().filter(|(_, named)| named.len() > FEW) {
            // Whoever may not list so much, or finds more there than it is for, asks for each.
            if let Ok(Some(mut found)) = buckets.spans(&above, named.len() * PAGE).await {
                for (number, name) in named {
                    all[number] = Some(Ok(held_of(&mut found, name)));
                }
            }
        }
        let rest: Vec<usize> = (0..places.len()).filter(|number| all[*number].is_none()).collect();
        let alone = stream::iter(&rest).map(async |number| {
            let found = buckets.spans(&places[*number], usize::MAX).await?;
            Ok(held_of(&mut found.unwrap_or_default(), ""))
        });
        let alone: Vec<Result<_, String>> = alone.buffered(AT_ONCE).collect().await;
        rest.into_iter().zip(alone).for_each(|(number, held)| all[number] = Some(held));
        let marks = buckets.marks(places).await;
        // Whose a place is, is one thing, and what it has another.
        let both =
            |(held, mark): (Result<Held, String>, Result<_, _>)| held.map(|held| (held, mark.ok().flatten()));
        printed(&all.into_iter().flatten().zip(marks).map(both).collect::<Vec<_>>())
    })
}

/// See [`formats`].
async fn both(bucket: &Bucket, prefix: &Path) -> object_store::Result<Formats> {
    let (mut found, mut names) = (Formats::default(), bucket.store.list(Some(prefix)));
    while let Some(object) = names.try_next().await? {
        let written = u64::try_from(object.last_modified.timestamp_millis()).ok();
        let parts: Option<Vec<_>> = object.location.prefix_match(prefix).map(Iterator::collect);
        let parts = parts.unwrap_or_default();
        match (parts.as_slice(), bucket.layout.file(&parts)) {
            ([first, ..], _) if first.as_ref() == "generations" => {
                found.generations = found.generations.max(written);
            }
            (_, Some(([], file))) if ltx::span(file).is_some() => found.ltx = found.ltx.max(written),
            _ => {}
        }
    }
    Ok(found)
}

/// Whether a file has all pages of its database, by the list at its end.
async fn is_whole(store: &dyn ObjectStore, name: &Path) -> object_store::Result<bool> {
    let size = store.head(name).await?.size;
    let Some(length_at) = size.checked_sub(ltx::END).filter(|at| *at >= ltx::HEADER as u64) else {
        return Ok(false);
    };
    let header = store.get_range(name, 0..ltx::HEADER as u64).await?;
    let length = store.get_range(name, length_at..length_at + 8).await?;
    let place = length[..].try_into().ok().and_then(|length| ltx::list_place(size, length));
    let (Some((page_size, commit)), Some(place)) = (ltx::sizes(&header), place) else { return Ok(false) };
    let list = store.get_range(name, place).await?;
    Ok(ltx::pages(&list, page_size, commit).is_ok_and(|pages| ltx::is_complete(page_size, commit, &pages)))
}

/// Whether an object is a file that a backup can begin with: of any level, from the first transaction on.
fn begins(layout: Layout, prefix: &Path, object: &Path) -> bool {
    let parts: Vec<_> = object.prefix_match(prefix).map(Iterator::collect).unwrap_or_default();
    let Some(([], file)) = layout.file(&parts) else { return false };
    ltx::span(file).is_some_and(|span| *span.start() == 1)
}

/// What was found so far. Names come in order, says S3, but whoever answers may do as it likes.
#[derive(Default)]
struct Backups(BTreeMap<PathBuf, Option<u64>>);

impl Backups {
    fn note(&mut self, below: PathBuf, newest: Option<u64>) -> object_store::Result<()> {
        if is_trial(&below) {
            return Ok(());
        }
        let known = self.0.entry(below).or_default();
        *known = (*known).max(newest);
        if self.0.len() > MOST {
            let source = format!("more than {MOST} databases are listed there").into();
            return Err(object_store::Error::Generic { store: "bucket", source });
        }
        Ok(())
    }

    fn into_list(self) -> Vec<Found> {
        self.0.into_iter().map(|(below, newest)| Found { below, newest }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_in_no_order_and_without_an_end_has_a_bound() {
        let mut found = Backups::default();
        for (below, newest) in [("a", Some(2)), ("b", None), ("a", Some(7)), ("a", Some(3)), ("b", Some(1))] {
            found.note(below.into(), newest).unwrap();
        }
        let one = |below: &str, newest| Found { below: below.into(), newest };
        assert_eq!(found.into_list(), [one("a", Some(7)), one("b", Some(1))]);
        let mut many = Backups::default();
        let endless = (0..=MOST).map(|number| many.note(number.to_string().into(), None));
        assert_eq!(endless.filter(Result::is_err).count(), 1, "the one that is too many");
    }
}
