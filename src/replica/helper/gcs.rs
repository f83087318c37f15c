//! The client for Google's storage: by the JSON API, which Litestream's client asks as well. The one of `object_store` asks the XML API, which
//! emulators have in part only; what it knows of tokens is taken from there.
//!
//! What this client calls an object's etag is its generation: that is what Google knows conditions of, and each write has its own.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use object_store::gcp::{GcpCredentialProvider, GoogleCloudStorageBuilder};
use object_store::path::Path;
use object_store::{
    ClientOptions, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::http::{Method, Request, StatusCode, response};

use super::agent::Agent;
use super::client::{Later, retries, variable, words};
use super::google::{self, TokenSource};
use super::order::CANNOT;
use crate::os::{fd, open};
use crate::remote::Gcs;

const STORE: &str = "GCS";
/// Before a request is made once more; twice as long each time.
const PAUSE: Duration = Duration::from_millis(200);

/// Between the two halves of an upload: what the object is called, and what is in it. Not every emulator reads a condition where the name
/// is in the URL.
const BOUNDARY: &str = "litekeeper-3b9d4c21a6e0f4d2";

/// Where it is.
pub(super) fn server() -> String {
    google::server(&variable)
}

/// Opens a place's bucket.
pub(super) fn store(place: &Gcs, max_retries: usize) -> std::result::Result<Google, String> {
    let read = |path: &str| {
        let bytes = open::whole(std::path::Path::new(path), google::LONGEST);
        Ok(String::from_utf8_lossy(&bytes.map_err(|error| error.to_string())?).into_owned())
    };
    let source = google::source(&variable, read)?;
    let server = server();
    let agent = Agent::new(false, !server.starts_with("http://"));
    let credentials = credentials(source, place, &agent, max_retries)?;
    Ok(Google { agent, server, bucket: place.bucket.clone(), credentials, max_retries })
}

fn credentials(
    source: TokenSource,
    place: &Gcs,
    agent: &Agent,
    max_retries: usize,
) -> std::result::Result<Option<GcpCredentialProvider>, String> {
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&place.bucket)
        .with_client_options(ClientOptions::new())
        .with_http_connector(agent.clone())
        .with_retry(retries(max_retries));
    let built = match source {
        TokenSource::Nobody => return Ok(None),
        TokenSource::Account(text) => builder.with_service_account_key(text).build(),
        TokenSource::User(text) => {
            // The library takes no text here, and would wait for whatever is at a path.
            let file = fd::memory(text.as_bytes()).map_err(|error| error.to_string())?;
            builder.with_application_credentials(fd::path(&file).display().to_string()).build()
        }
        TokenSource::Machine => builder.build(),
    };
    // Google's own library reads more into a file than this one.
    let built = built.map_err(|error| format!("the credentials are none, {CANNOT}: {}", words(&error)))?;
    Ok(Some(built.credentials().clone()))
}

/// A bucket of Google's.
#[derive(Clone, Debug)]
pub(super) struct Google {
    agent: Agent,
    server: String,
    bucket: String,
    /// Who gives the tokens; nobody where none are asked for.
    credentials: Option<GcpCredentialProvider>,
    max_retries: usize,
}

impl fmt::Display for Google {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gs://{}", self.bucket)
    }
}

/// An answer with its body.
type Answer = (response::Parts, Vec<u8>);

/// One page of a listing (<https://cloud.google.com/storage/docs/json_api/v1/objects/list>).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    kind: String,
    #[serde(default)]
    items: Vec<Item>,
    #[serde(default)]
    prefixes: Vec<String>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    name: String,
    bucket: String,
    updated: String,
    size: String,
    #[serde(flatten)]
    written: Written,
}

/// What a write has made (<https://cloud.google.com/storage/docs/json_api/v1/objects>).
#[derive(Default, Deserialize)]
struct Written {
    generation: Option<String>,
}

impl Written {
    /// As conditions name it. 0 means an object that is not there (<https://cloud.google.com/storage/docs/request-preconditions>).
    fn e_tag(self) -> Option<String> {
        self.generation.filter(|number| number.parse().is_ok_and(|number: i64| number > 0))
    }
}

impl Item {
    fn meta(self) -> Result<ObjectMeta> {
        Ok(ObjectMeta {
            location: Path::parse(self.name)?,
            last_modified: self.updated.parse().map_err(other)?,
            size: self.size.parse().map_err(other)?,
            e_tag: self.written.e_tag(),
            version: None,
        })
    }
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic { store: STORE, source: error.into() }
}

fn not_done() -> Error {
    Error::NotImplemented { operation: "this".into(), implementer: STORE.into() }
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

impl Google {
    fn objects(&self) -> String {
        format!("{}/storage/v1/b/{}/o", self.server, escape(&self.bucket))
    }

    fn object(&self, location: &Path) -> String {
        format!("{}/{}", self.objects(), escape(location.as_ref()))
    }

    /// Asks until there is an answer that trying again does not change.
    async fn ask(
        &self,
        method: Method,
        url: String,
        range: Option<&Range<u64>>,
        body: Option<Vec<u8>>,
        of: &str,
    ) -> Result<Answer> {
        let token = match &self.credentials {
            Some(credentials) => Some(credentials.get_credential().await?),
            None => None,
        };
        let mut request = Request::builder().method(&method).uri(&url);
        if let Some(token) = &token {
            request = request.header("Authorization", format!("Bearer {}", token.bearer));
        }
        if let Some(range) = range {
            request =
                request.header("Range", format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        }
        if body.is_some() {
            request = request.header("Content-Type", format!("multipart/related; boundary={BOUNDARY}"));
        }
        let request = request.body(body.unwrap_or_default()).map_err(other)?;
        let mut pause = PAUSE;
        for left in (0..=self.max_retries).rev() {
            let (agent, request) = (self.agent.agent().clone(), request.clone());
            let asked =
                tokio::task::spawn_blocking(move || exchange(&agent, request)).await.map_err(other)?;
            let may_pass = asked.as_ref().map_or(true, |answer| may_pass(answer.0.status));
            match asked {
                _ if may_pass && left > 0 => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Ok(answer) => return checked(answer, of),
                Err(error) => return Err(other(format!("{method} {url}: {error}"))),
            }
        }
        Err(not_done())
    }

    async fn page<T: DeserializeOwned>(&self, url: String, of: &str) -> Result<T> {
        let answer = self.ask(Method::GET, url, None, None, of).await?.1;
        serde_json::from_slice(&answer).map_err(|error| {
            let text = String::from_utf8_lossy(&answer);
            let first: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
            other(format!("the answer is no listing of a bucket ({error}): `{first}`"))
        })
    }

    /// All names below a prefix, page after page; those of folders behind `delimiter`.
    fn pages(&self, prefix: Option<&Path>, delimiter: bool) -> BoxStream<'static, Result<Page>> {
        let prefix = prefix.map(AsRef::as_ref).filter(|prefix: &&str| !prefix.is_empty());
        let prefix = prefix.map(|prefix| format!("&prefix={}", escape(&format!("{prefix}/"))));
        let delimiter = if delimiter { "&delimiter=%2F" } else { "" };
        let all = format!(
            "{}?fields=kind,nextPageToken,prefixes,items(name,bucket,updated,size,generation)&projection=noAcl{}{delimiter}",
            self.objects(),
            prefix.unwrap_or_default()
        );
        let first = Some(String::new());
        stream::try_unfold((self.clone(), first), move |(bucket, from)| {
            let all = all.clone();
            async move {
                let Some(from) = from else { return Ok(None) };
                let listing: Page = bucket.page(format!("{all}{from}"), "").await?;
                is_listing(&listing, &bucket.bucket).map_err(other)?;
                let token = listing.next_page_token.as_deref().filter(|token| !token.is_empty());
                let next = token.map(|token| format!("&pageToken={}", escape(token)));
                Ok(Some((listing, (bucket, next))))
            }
        })
        .boxed()
    }

    async fn get(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let name = location.as_ref();
        let (meta, bytes) = if options.head {
            let item: Item = self.page(self.object(location), name).await?;
            (item.meta()?, Vec::new())
        } else {
            let range = match options.range {
                None => None,
                Some(GetRange::Bounded(range)) => Some(range),
                Some(GetRange::Offset(_) | GetRange::Suffix(_)) => return Err(not_done()),
            };
            let url = format!("{}?alt=media", self.object(location));
            let (parts, bytes) = self.ask(Method::GET, url, range.as_ref(), None, name).await?;
            if range.is_some() && parts.status != StatusCode::PARTIAL_CONTENT {
                return Err(other("the answer is no part of the object"));
            }
            let generation = parts.headers.get("x-goog-generation");
            let generation = generation.and_then(|number| number.to_str().ok()).map(str::to_owned);
            let meta = ObjectMeta {
                location: location.clone(),
                last_modified: Default::default(),
                size: bytes.len() as u64,
                e_tag: Written { generation }.e_tag(),
                version: None,
            };
            (meta, bytes)
        };
        Ok(GetResult {
            range: 0..bytes.len() as u64,
            payload: GetResultPayload::Stream(stream::iter([Ok(bytes.into())]).boxed()),
            meta,
            attributes: Default::default(),
            extensions: Default::default(),
        })
    }

    async fn put(&self, location: &Path, payload: PutPayload, mode: PutMode) -> Result<PutResult> {
        let condition = match &mode {
            PutMode::Overwrite => String::new(),
            PutMode::Create => "&ifGenerationMatch=0".to_owned(),
            PutMode::Update(over) => {
                let generation = over.e_tag.as_ref().ok_or_else(not_done)?;
                format!("&ifGenerationMatch={}", escape(generation))
            }
        };
        let (server, bucket, name) = (&self.server, escape(&self.bucket), location.as_ref());
        let url = format!("{server}/upload/storage/v1/b/{bucket}/o?uploadType=multipart{condition}");
        let about = serde_json::json!({ "name": name });
        let begin = format!(
            "--{BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{about}\r\n--{BOUNDARY}\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        let mut body = begin.into_bytes();
        payload.iter().for_each(|piece| body.extend_from_slice(piece));
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        match self.ask(Method::POST, url, None, Some(body), name).await {
            Ok((_, said)) => {
                // Whoever needs it and is not told reads it.
                let written: Written = serde_json::from_slice(&said).unwrap_or_default();
                Ok(PutResult { e_tag: written.e_tag(), version: None, extensions: Default::default() })
            }
            Err(Error::Precondition { path, source }) if mode == PutMode::Create => {
                Err(Error::AlreadyExists { path, source })
            }
            // Nothing else has to be there for that; in the words of Litestream's library.
            Err(Error::NotFound { source, .. }) if !matches!(mode, PutMode::Update(_)) => {
                Err(other(format!("storage: bucket doesn't exist: {source}")))
            }
            Err(error) => Err(error),
        }
    }
}

/// One request.
fn exchange(agent: &ureq::Agent, request: Request<Vec<u8>>) -> std::result::Result<Answer, ureq::Error> {
    let (parts, body) = request.into_parts();
    let answer = match parts.method {
        Method::POST => agent.run(Request::from_parts(parts, body))?,
        _ => agent.run(Request::from_parts(parts, ()))?,
    };
    let (parts, mut body) = answer.into_parts();
    let bytes = body.read_to_vec()?;
    Ok((parts, bytes))
}

/// What Google's own clients ask again after (<https://cloud.google.com/storage/docs/retry-strategy>).
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// The answer, if it is a good one; else in the words of Litestream's library, which hints are known for.
fn checked(answer: Answer, of: &str) -> Result<Answer> {
    let status = answer.0.status;
    if status.is_success() {
        return Ok(answer);
    }
    let said = String::from_utf8_lossy(&answer.1);
    let said = said.chars().take(500).collect::<String>();
    let source =
        format!("googleapi: Error {status}: {}", said.split_whitespace().collect::<Vec<_>>().join(" "))
            .into();
    let path = of.to_owned();
    Err(match status {
        // A bucket that is not there is no empty one.
        StatusCode::NOT_FOUND if !of.is_empty() => Error::NotFound { path, source },
        StatusCode::PRECONDITION_FAILED => Error::Precondition { path, source },
        _ => Error::Generic { store: STORE, source },
    })
}

/// Whether an answer is a listing of this bucket: of an empty one it has the kind and no more.
fn is_listing(listing: &Page, bucket: &str) -> std::result::Result<(), String> {
    if listing.kind != "storage#objects" {
        return Err(format!("the answer is no listing of a bucket, but of the kind `{}`", listing.kind));
    }
    match listing.items.iter().find(|item| item.bucket != bucket) {
        Some(item) => Err(format!("the answer is the listing of another bucket: {}", item.bucket)),
        None => Ok(()),
    }
}

// The shape that `#[async_trait]` gives the methods.
impl ObjectStore for Google {
    fn put_opts<'a, 'b, 'c>(
        &'a self,
        location: &'b Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Later<'c, PutResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.put(location, payload, options.mode).boxed()
    }

    fn put_multipart_opts<'a, 'b, 'c>(
        &'a self,
        _: &'b Path,
        _: PutMultipartOptions,
    ) -> Later<'c, Box<dyn MultipartUpload>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        async { Err(not_done()) }.boxed()
    }

    fn get_opts<'a, 'b, 'c>(&'a self, location: &'b Path, options: GetOptions) -> Later<'c, GetResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.get(location, options).boxed()
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let bucket = Arc::new(self.clone());
        locations
            .and_then(move |location| {
                let bucket = bucket.clone();
                async move {
                    let url = bucket.object(&location);
                    bucket.ask(Method::DELETE, url, None, None, location.as_ref()).await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let objects =
            self.pages(prefix, false).map_ok(|page| stream::iter(page.items.into_iter().map(Item::meta)));
        objects.try_flatten().boxed()
    }

    fn list_with_delimiter<'a, 'b, 'c>(&'a self, prefix: Option<&'b Path>) -> Later<'c, ListResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        let mut pages = self.pages(prefix, true);
        async move {
            let mut all = ListResult {
                common_prefixes: Vec::new(),
                objects: Vec::new(),
                extensions: Default::default(),
            };
            while let Some(page) = pages.try_next().await? {
                for prefix in page.prefixes {
                    all.common_prefixes.push(Path::parse(prefix)?);
                }
                for item in page.items {
                    all.objects.push(item.meta()?);
                }
            }
            Ok(all)
        }
        .boxed()
    }

    fn copy_opts<'a, 'b, 'c, 'd>(&'a self, _: &'b Path, _: &'c Path, _: CopyOptions) -> Later<'d, ()>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
        Self: 'd,
    {
        async { Err(not_done()) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_that_no_object_has_is_none() {
        for text in ["{}", r#"{"generation": null}"#, r#"{"generation": "0"}"#, r#"{"generation": "x"}"#] {
            let written: Written = serde_json::from_str(text).unwrap();
            assert_eq!(written.e_tag(), None, "{text}");
        }
    }

    #[test]
    fn an_answer_is_a_listing_of_its_bucket_or_none() {
        let of = |text: &str| {
            let listing: Page = serde_json::from_str(text).map_err(|error| error.to_string())?;
            is_listing(&listing, "b")
        };
        assert_eq!(of(r#"{"kind": "storage#objects"}"#), Ok(()));
        let item = r#"{"kind": "storage#objects", "items": [{"name": "n", "bucket": "b", "updated": "2026-11-27T14:58:26.123Z", "size": "7", "generation": "12", "x": 1}]}"#;
        assert_eq!(of(item), Ok(()));
        let listing: Page = serde_json::from_str(item).unwrap();
        let meta = listing.items.into_iter().next().unwrap().meta().unwrap();
        assert_eq!((meta.size, meta.last_modified.timestamp_millis()), (7, 1_795_791_506_123));
        assert_eq!(meta.e_tag.as_deref(), Some("12"));
        for text in [
            "{}",
            "[]",
            "<html></html>",
            r#"{"kind": "storage#buckets", "items": []}"#,
            r#"{"items": []}"#,
            &item.replace(r#""b""#, r#""other""#),
        ] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
