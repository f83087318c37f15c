//! A real S3 server in this process, on a loopback port, that can be paused, broken, slowed and taken away.
//!
//! `s3s` speaks the protocol and checks signatures, `s3s-fs` keeps the objects in a folder. All faults are made in
//! [`Gate`], the access check that every request passes after its signature was found good. `s3s-fs` makes a missing
//! bucket on the first upload; the gate answers `NoSuchBucket` instead, as S3 does.

use std::collections::HashSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Error, S3ErrorCode, S3Result};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::config::Replica;
use super::s3_host::{InHost, NAME};
use super::s3_locks::{Cutting, Fates};
use super::s3_time::Times;
use super::wait::{DEADLINE, wait_until};

/// The access key that the server knows.
pub const KEY: &str = "AKIALITEKEEPERTESTS";
/// Its secret.
pub const SECRET: &str = "a-secret-of-the-test-suite";

/// The server. It is gone when this is dropped.
pub struct S3 {
    runtime: Option<Runtime>,
    address: SocketAddr,
    service: S3Service,
    /// Over TLS, or not.
    tls: Option<TlsAcceptor>,
    accepting: Option<JoinHandle<()>>,
    /// Has the port while nobody listens there.
    reserved: Option<TcpSocket>,
    shared: Arc<Shared>,
    in_host: InHost,
    times: Times,
    _folder: TempDir,
}

impl S3 {
    /// Starts a server without buckets.
    pub fn start() -> Self {
        Self::start_with_secret(SECRET)
    }

    /// Starts one that speaks TLS, with a certificate that signs itself; returns that, too, as PEM.
    pub fn start_over_tls() -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a name");
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![made.cert.der().clone()], key).expect("it is its key");
        (Self::start_with(SECRET, Some(TlsAcceptor::from(Arc::new(config)))), made.cert.pem())
    }

    /// The same with a certificate that is an authority as well, as `openssl req -x509` makes them.
    pub fn start_over_tls_of_its_own_authority() -> (Self, String) {
        let mut params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("it is its key");
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![made.der().clone()], key).expect("it is its key");
        (Self::start_with(SECRET, Some(TlsAcceptor::from(Arc::new(config)))), made.pem())
    }

    /// Starts a server whose one key has another secret.
    pub fn start_with_secret(secret: &str) -> Self {
        Self::start_with(secret, None)
    }

    fn start_with(secret: &str, tls: Option<TlsAcceptor>) -> Self {
        let folder = tempfile::tempdir().expect("the temp folder can be written");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("s3")
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let shared = Arc::new(Shared::new(folder.path()));
        let mut builder = S3ServiceBuilder::new(FileSystem::new(folder.path()).expect("the folder exists"));
        builder.set_auth(SimpleAuth::from_single(KEY, secret));
        builder.set_access(Gate(Arc::clone(&shared)));
        let in_host = InHost::default();
        builder.set_host(in_host.clone());
        let times = Times::new();
        builder.set_config(Arc::new(times.clone()));
        let mut server = Self {
            runtime: Some(runtime),
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            service: builder.build(),
            tls,
            accepting: None,
            reserved: None,
            shared,
            in_host,
            times,
            _folder: folder,
        };
        server.listen_again();
        server
    }

    /// `http://127.0.0.1:PORT`, or https.
    pub fn endpoint(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The same by the name that [`NAME`] is.
    pub fn named_endpoint(&self) -> String {
        format!("http://{NAME}:{}", self.address.port())
    }

    /// How many requests had the bucket in the host's name.
    pub fn in_host(&self) -> usize {
        self.in_host.count()
    }

    /// Makes a bucket.
    pub fn bucket(&self, name: &str) {
        fs::create_dir(self.folder(name)).expect("the bucket is new");
    }

    /// The folder that holds a bucket's objects.
    pub fn folder(&self, bucket: &str) -> PathBuf {
        self.shared.root.join(bucket)
    }

    /// A replica in `bucket` under `path`, with the right key.
    pub fn replica(&self, bucket: &str, path: &str) -> Replica {
        Replica::new("s3")
            .set("bucket", bucket)
            .set("path", path)
            .set("endpoint", self.endpoint())
            .set("region", "us-east-1")
            .set("force-path-style", true)
            .set("access-key-id", KEY)
            .set("secret-access-key", SECRET)
    }

    /// The same replica as a URL for `--replica`; the key goes in the environment, see [`S3::env`].
    pub fn url(&self, bucket: &str, path: &str) -> String {
        format!("s3://{bucket}/{path}?endpoint={}&region=us-east-1&forcePathStyle=true", self.endpoint())
    }

    /// The variables that carry the right key.
    pub fn env() -> [(&'static str, &'static str); 2] {
        [("LITESTREAM_ACCESS_KEY_ID", KEY), ("LITESTREAM_SECRET_ACCESS_KEY", SECRET)]
    }

    /// Connections are still accepted, but no request is answered until [`S3::resume`].
    pub fn pause(&self) {
        self.shared.set(|mode| mode.paused = true);
    }

    /// Uploads are not answered until [`S3::resume`]; all else is.
    pub fn hold_puts(&self) {
        self.shared.set(|mode| mode.puts_held = true);
    }

    /// Nobody is told how long an object is until [`S3::resume`]; all else is.
    pub fn hold_heads(&self) {
        self.shared.set(|mode| mode.heads_held = true);
    }

    /// Objects cannot be read, as with a key that may only write, until [`S3::resume`]; all else can.
    pub fn forbid_gets(&self) {
        self.shared.set(|mode| mode.gets_forbidden = true);
    }

    /// Nothing can be uploaded, as with a key that may only read, until [`S3::resume`]; all else can be done.
    pub fn forbid_puts(&self) {
        self.shared.set(|mode| mode.puts_forbidden = true);
    }

    /// As [`S3::hold_puts`], of Litestream's own files alone.
    pub fn hold_ltx(&self) {
        self.shared.set(|mode| (mode.puts_held, mode.ltx_alone) = (true, true));
    }

    /// As [`S3::forbid_puts`], of Litestream's own files alone.
    pub fn forbid_ltx(&self) {
        self.shared.set(|mode| (mode.puts_forbidden, mode.ltx_alone) = (true, true));
    }

    /// Objects cannot be removed until [`S3::resume`]; all else can be done.
    pub fn forbid_deletes(&self) {
        self.shared.set(|mode| mode.deletes_forbidden = true);
    }

    /// What is to be written on a condition only is answered with 501 until [`S3::resume`].
    pub fn refuse_conditions(&self) {
        self.shared.set(|mode| mode.conditions_refused = true);
    }

    /// What is to be written only where there is nothing is written whatever is there, until [`S3::resume`].
    pub fn ignore_conditions(&self) {
        self.shared.set(|mode| mode.conditions_ignored = true);
    }

    /// Whatever time of day a client has is none of the server's business, which S3 minds.
    pub fn take_any_time(&self, is_any: bool) {
        self.times.set_lax(is_any);
    }

    /// From now on this happens to what is written by a name (`lock.json`).
    pub fn spoil(&self, name: &'static str, fates: Fates) {
        let mut state = self.shared.state();
        (state.spoiled, state.fates) = (name, fates);
    }

    /// Waits until it has happened to all of them.
    #[track_caller]
    pub fn wait_spoiled(&self) {
        wait_until("writes that are spoiled", DEADLINE, || self.shared.state().fates == Fates::default());
    }

    /// A snapshot is cut in the middle as soon as somebody asks how long it is, until [`S3::resume`].
    pub fn cut_snapshots(&self) {
        self.shared.set(|mode| mode.snapshots_cut = true);
    }

    /// Every request is answered with this HTTP status until [`S3::resume`].
    pub fn fail_with(&self, status: u16) {
        self.shared.set(|mode| mode.failure = Some(status));
    }

    /// Every answer comes this much later until [`S3::resume`].
    pub fn delay(&self, time: Duration) {
        self.shared.set(|mode| mode.delay = time);
    }

    /// Objects take as long as a line of this speed would need, until [`S3::resume`].
    pub fn throttle(&self, bytes_per_second: u64) {
        self.shared.set(|mode| mode.bytes_per_second = Some(bytes_per_second));
    }

    /// The parts of an upload take this long to be put together, in silence, until [`S3::resume`].
    pub fn assemble_slowly(&self, time: Duration) {
        self.shared.set(|mode| mode.assembly = time);
    }

    /// Ends every fault of the methods above; what was held goes on.
    pub fn resume(&self) {
        self.shared.set(|mode| *mode = Mode::default());
        self.spoil("", Fates::default());
    }

    /// Stops listening and breaks every connection: from now on connections are refused.
    pub fn refuse(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            // Else the server of another test may get it.
            self.reserved = Some(bound(self.address).expect("two of one user may share a port"));
            accepting.abort();
            // The listener is closed when the task is gone, not when it is told to go.
            let _ = self.runtime().block_on(accepting);
        }
    }

    /// Listens again, on the same port.
    pub fn listen_again(&mut self) {
        let address = self.address;
        let reserved = self.reserved.take();
        let runtime = self.runtime().enter();
        let socket = reserved.unwrap_or_else(|| bound(address).expect("there is a port"));
        let listener = socket.listen(1024).expect("it is bound");
        drop(runtime);
        self.address = listener.local_addr().expect("a listener has an address");
        let service = Arc::new(Cutting {
            service: self.service.clone(),
            shared: Arc::clone(&self.shared),
            one_at_a_time: Arc::default(),
        });
        self.accepting = Some(self.runtime().spawn(accept(listener, service, self.tls.clone())));
    }

    /// From now on the bucket does not exist.
    pub fn remove_bucket(&self, name: &str) {
        self.shared.state().removed.insert(name.to_owned());
    }

    /// The bucket is back, with all that was in it.
    pub fn restore_bucket(&self, name: &str) {
        self.shared.state().removed.remove(name);
    }

    /// The keys in a bucket, sorted.
    pub fn objects(&self, bucket: &str) -> Vec<String> {
        let root = self.folder(bucket);
        let mut keys = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(key) = path.strip_prefix(&root) {
                    keys.push(key.to_string_lossy().into_owned());
                }
            }
        }
        keys.sort_unstable();
        keys
    }

    /// The number of requests that came with a good signature.
    pub fn requests(&self) -> usize {
        self.shared.state().seen.len()
    }

    /// The number of uploads (whole objects and parts) that arrived, answered or not.
    pub fn puts(&self) -> usize {
        self.shared.state().puts()
    }

    /// Puts something else in the place of an object, or of none.
    pub fn overwrite(&self, bucket: &str, key: &str, text: impl AsRef<[u8]>) {
        let (new, place) = (self.folder(bucket).join("new"), self.folder(bucket).join(key));
        // In one step, as a server does it.
        fs::write(&new, text)
            .and_then(|()| fs::rename(new, place))
            .expect("the server's folder can be written");
        // What it remembers of the object is that of what was there before.
        for entry in fs::read_dir(&self.shared.root).expect("the server has a folder").flatten() {
            if entry.file_name().to_string_lossy().ends_with(".internal.json") {
                fs::remove_file(entry.path()).expect("the server's folder can be written");
            }
        }
    }

    /// All requests, as `Operation bucket/key`.
    pub fn seen(&self) -> Vec<String> {
        self.shared.state().seen.clone()
    }

    /// Waits until `number` uploads in all have arrived.
    #[track_caller]
    pub fn wait_puts(&self, number: usize) {
        self.wait_state("uploads", |state| state.puts() >= number);
    }

    /// Waits until `number` requests in all have arrived.
    #[track_caller]
    pub fn wait_requests(&self, number: usize) {
        self.wait_state("requests", |state| state.seen.len() >= number);
    }

    #[track_caller]
    fn wait_state(&self, what: &str, wanted: impl Fn(&State) -> bool) {
        let state = self.shared.state();
        let waited = self.shared.arrived.wait_timeout_while(state, DEADLINE, |state| !wanted(state));
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        let seen = state.seen.join("\n");
        drop(state);
        assert!(!timeout.timed_out(), "too few {what}; all requests:\n{seen}");
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("taken only when the server is dropped")
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A socket at this address, beside one of ours that listens there. A port that the kernel chooses is one that nobody has: it would
/// choose one that may be shared.
fn bound(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    let is_chosen = address.port() != 0;
    socket.set_reuseport(is_chosen)?;
    socket.bind(address)?;
    socket.set_reuseport(true)?;
    Ok(socket)
}

/// Serves connections; they all end with this task.
async fn accept(listener: TcpListener, service: Arc<Cutting>, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    let listener = Listening(listener);
    loop {
        tokio::select! {
            accepted = listener.0.accept() => {
                let Ok((socket, _)) = accepted else { continue };
                let (service, tls) = (Arc::clone(&service), tls.clone());
                // A client that hangs up is no failure of the server.
                connections.spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    let Some(tls) = tls else {
                        let _ = builder.serve_connection(TokioIo::new(socket), service).await;
                        return;
                    };
                    if let Ok(socket) = tls.accept(socket).await {
                        let _ = builder.serve_connection(TokioIo::new(socket), service).await;
                    }
                });
            }
            Some(_) = connections.join_next() => (),
        }
    }
}

/// A listener that listens no more once it is dropped.
///
/// The child of another test may have a copy of its socket until it executes its program: closing this one would not do.
struct Listening(TcpListener);

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = nix::sys::socket::shutdown(self.0.as_raw_fd(), nix::sys::socket::Shutdown::Both);
    }
}

/// What the server does to requests.
#[derive(Clone, Debug, Default)]
struct Mode {
    paused: bool,
    puts_held: bool,
    heads_held: bool,
    puts_forbidden: bool,
    /// Both are of Litestream's own files alone.
    ltx_alone: bool,
    gets_forbidden: bool,
    deletes_forbidden: bool,
    conditions_refused: bool,
    conditions_ignored: bool,
    snapshots_cut: bool,
    failure: Option<u16>,
    delay: Duration,
    assembly: Duration,
    bytes_per_second: Option<u64>,
}

/// What the tests' threads and the server share.
pub(super) struct Shared {
    root: PathBuf,
    mode: watch::Sender<Mode>,
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    spoiled: &'static str,
    pub(super) fates: Fates,
    seen: Vec<String>,
    removed: HashSet<String>,
}

impl State {
    pub(super) fn is_spoiled(&self, key: &str) -> bool {
        key.rsplit('/').next() == Some(self.spoiled)
    }

    fn puts(&self) -> usize {
        let upload =
            |request: &&String| request.starts_with("PutObject ") || request.starts_with("UploadPart ");
        self.seen.iter().filter(upload).count()
    }
}

impl Shared {
    fn new(root: &Path) -> Self {
        let (mode, state) = (watch::Sender::default(), Mutex::default());
        Self { root: root.to_path_buf(), mode, state, arrived: Condvar::new() }
    }

    fn set(&self, change: impl FnOnce(&mut Mode)) {
        self.mode.send_modify(change);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The check that every request passes.
struct Gate(Arc<Shared>);

impl Gate {
    async fn pass(&self, request: Request) -> S3Result<()> {
        self.0.state().seen.push(format!("{} {}/{}", request.operation, request.bucket, request.key));
        self.0.arrived.notify_all();

        let mut changes = self.0.mode.subscribe();
        let mode = loop {
            let mode = changes.borrow_and_update().clone();
            let is_meant = !mode.ltx_alone || request.key.ends_with(".ltx");
            let held = mode.paused
                || (mode.puts_held && is_meant && request.writes())
                || (mode.heads_held && request.operation == "HeadObject");
            if !held {
                break mode;
            }
            // An error says that the server is gone; then this task goes as well.
            let _ = changes.changed().await;
        };
        if let Some(status) = mode.failure {
            return Err(failure(status));
        }
        if mode.gets_forbidden && request.operation == "GetObject" {
            return Err(failure(403));
        }
        let is_meant = !mode.ltx_alone || request.key.ends_with(".ltx");
        let is_upload = matches!(request.operation.as_str(), "PutObject" | "CreateMultipartUpload");
        if mode.puts_forbidden && is_meant && is_upload {
            return Err(failure(403));
        }
        let is_spoiled = is_upload && self.0.state().is_spoiled(&request.key);
        if is_spoiled && Fates::take(&mut self.0.state().fates.conflicts) {
            let why = "The conditional request cannot succeed due to a conflicting operation";
            return Err(S3Error::with_message(S3ErrorCode::ConditionalRequestConflict, why));
        }
        if mode.conditions_refused && request.is_conditional {
            return Err(S3Error::with_message(S3ErrorCode::NotImplemented, "no conditions here"));
        }
        if mode.conditions_ignored && request.is_conditional && is_upload {
            // Then nothing is there to keep to it.
            let _ = fs::remove_file(self.0.root.join(&request.bucket).join(&request.key));
        }
        if mode.deletes_forbidden && request.operation.starts_with("DeleteObject") {
            return Err(failure(403));
        }
        if mode.snapshots_cut && request.operation == "HeadObject" && request.key.contains("/0009/") {
            let path = self.0.root.join(&request.bucket).join(&request.key);
            if let Ok(file) = fs::File::options().write(true).open(&path) {
                file.set_len(request.bytes / 2).expect("it can be cut");
            }
        }
        let transfer = mode.bytes_per_second.map_or(0.0, |speed| request.carried() as f64 / speed as f64);
        let assembly =
            if request.operation == "CompleteMultipartUpload" { mode.assembly } else { Duration::ZERO };
        tokio::time::sleep(mode.delay + assembly + Duration::from_secs_f64(transfer)).await;

        let exists = self.0.root.join(&request.bucket).is_dir();
        if !exists || self.0.state().removed.contains(&request.bucket) {
            return Err(S3Error::with_message(
                S3ErrorCode::NoSuchBucket,
                "The specified bucket does not exist",
            ));
        }
        Ok(())
    }

    /// Notes what the check needs to know, so that it need not borrow the request.
    fn request(&self, context: &S3AccessContext<'_>) -> Request {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let path = context.s3_path();
        let (bucket, key) = (text(path.get_bucket_name()), text(path.get_object_key()));
        let operation = context.s3_op().name().to_owned();
        let sent =
            context.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
        let stored = || fs::metadata(self.0.root.join(&bucket).join(&key)).map_or(0, |file| file.len());
        let bytes = if matches!(operation.as_str(), "GetObject" | "HeadObject") {
            stored()
        } else {
            sent.unwrap_or(0)
        };
        let range = context.headers().get("range").and_then(|range| length(range.to_str().ok()?));
        let is_conditional =
            ["if-none-match", "if-match"].iter().any(|name| context.headers().contains_key(*name));
        Request { operation, bucket, key, bytes, range, is_conditional }
    }
}

struct Request {
    operation: String,
    bucket: String,
    key: String,
    /// What is sent, or how much the object has.
    bytes: u64,
    /// How much of it is asked for.
    range: Option<u64>,
    is_conditional: bool,
}

impl Request {
    /// What goes over the line: of an object that is only asked about, nothing.
    fn carried(&self) -> u64 {
        if self.operation == "HeadObject" { 0 } else { self.range.unwrap_or(self.bytes).min(self.bytes) }
    }

    fn writes(&self) -> bool {
        let operation = self.operation.as_str();
        matches!(operation, "PutObject" | "UploadPart" | "CreateMultipartUpload" | "CompleteMultipartUpload")
    }
}

impl S3Access for Gate {
    // The shape that `#[async_trait]` gives the method.
    fn check<'gate, 'context, 'inner, 'future>(
        &'gate self,
        context: &'context mut S3AccessContext<'inner>,
    ) -> Pin<Box<dyn Future<Output = S3Result<()>> + Send + 'future>>
    where
        'gate: 'future,
        'context: 'future,
        'inner: 'future,
        Self: 'future,
    {
        let known = context.credentials().is_some();
        let request = self.request(context);
        Box::pin(async move {
            if !known {
                return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "Access Denied"));
            }
            self.pass(request).await
        })
    }
}

/// The length of `bytes=FROM-TO`.
fn length(range: &str) -> Option<u64> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    Some((to.parse::<u64>().ok()? + 1).saturating_sub(from.parse().ok()?))
}

/// The error that S3 sends with this status.
fn failure(status: u16) -> S3Error {
    let code = match status {
        403 => S3ErrorCode::AccessDenied,
        404 => S3ErrorCode::NoSuchBucket,
        500 => S3ErrorCode::InternalError,
        503 => S3ErrorCode::SlowDown,
        other => panic!("no S3 error is known for status {other}"),
    };
    S3Error::with_message(code, "the test suite wants this request to fail")
}
