//! A guest book: a small web app on SQLite, as an app that knows nothing of its keeper.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | the page with the entries and the form |
//! | `POST /` | adds a row from the form fields `name` and `message`, then 303 to the page |
//! | `GET /rows` | all rows as JSON, oldest first, one a line |
//! | `GET /healthz` | 200 `ok` when the database answers |
//!
//! It listens on 127.0.0.1 only, and stops in order on TERM or INT.

mod form;
mod page;
mod store;

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use std::{io, thread};

use tiny_http::{Header, Method, Request, Response, StatusCode};

use store::Store;

/// Where the guest book listens when nobody says otherwise.
pub const DEFAULT_PORT: u16 = 8080;
/// How many ports after the first are tried.
const PORTS_TRIED: u16 = 100;
/// Longest form that is read; a name and a message of the longest kind need less.
const MAX_FORM: u64 = 16 << 10;
/// Requests that may be under way at once; further ones get 503.
const MAX_BUSY: usize = 64;
/// How long a stop waits for requests that are under way.
const FINISH: Duration = Duration::from_secs(1);

/// Where the guest book keeps its rows and listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The SQLite file; it and its folder are made if they are missing.
    pub db: PathBuf,
    /// Where to listen, on 127.0.0.1.
    pub port: Port,
}

/// Which port to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// This one, or fail; 0 lets the system choose.
    Exactly(u16),
    /// This one, or the next that is free.
    From(u16),
}

impl Port {
    /// `--port`, else `PORT`, else 8080 or the next free one. An empty `PORT` counts as unset.
    ///
    /// # Errors
    /// [`Error::Port`] when `PORT` is no port number.
    pub fn chosen(flag: Option<u16>, variable: Option<&str>) -> Result<Self, Error> {
        match (flag, variable.filter(|value| !value.is_empty())) {
            (Some(port), _) => Ok(Self::Exactly(port)),
            (None, Some(value)) => {
                value.trim().parse().map(Self::Exactly).map_err(|_| Error::Port(value.to_owned()))
            }
            (None, None) => Ok(Self::From(DEFAULT_PORT)),
        }
    }
}

/// Why the guest book could not open or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `PORT` is no number from 0 to 65535.
    #[error("PORT is not a port number: {0:?}")]
    Port(String),
    /// Nothing could be bound.
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The (first) port.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// The database's folder cannot be made.
    #[error("cannot make folder {}: {source}", dir.display())]
    Folder {
        /// The folder.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The database cannot be opened or made ready.
    #[error("cannot open database {}: {source}", db.display())]
    Database {
        /// The file.
        db: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// Signal handlers could not be set, or the server did not start.
    #[error("cannot start the guest book: {0}")]
    Start(String),
}

impl Error {
    /// The next step, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Port(_) | Self::Listen { .. } => Some("choose another port with --port"),
            Self::Folder { .. } | Self::Database { .. } => Some("choose another file with --db"),
            Self::Start(_) => None,
        }
    }
}

/// Runs the guest book until TERM or INT, and prints where it listens on standard output.
///
/// # Errors
/// See [`Error`]; all of them come before the first request.
pub fn serve(options: &Options) -> Result<(), Error> {
    // Handlers first: as PID 1, or early in a start, a TERM must not be lost.
    let stopped = stop_signals()?;
    let book = GuestBook::open(options)?;
    println!("guest book: {} (database {})", book.url(), options.db.display());
    let stop = book.stopper();
    thread::spawn(move || {
        let mut byte = [0];
        // A byte, or an end: both mean stop.
        let _ = (&stopped).read(&mut byte);
        stop.stop();
    });
    book.run();
    println!("guest book: closed");
    Ok(())
}

/// Finds the port that [`serve`] would listen on, for somebody who must tell it before.
///
/// # Errors
/// [`Error::Listen`].
pub fn free_port(port: Port) -> Result<u16, Error> {
    let (_, address) = bind(port)?;
    Ok(address.port())
}

/// A guest book that listens, not yet serving.
pub struct GuestBook {
    http: Arc<tiny_http::Server>,
    address: SocketAddr,
    /// Kept open to the end: closing the last connection would checkpoint and delete the WAL under a replicator.
    store: Store,
}

impl GuestBook {
    /// Opens the database and the port; connections wait until [`GuestBook::run`].
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(options: &Options) -> Result<Self, Error> {
        let db = options.db.as_path();
        if let Some(dir) = db.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            std::fs::create_dir_all(dir).map_err(|source| Error::Folder { dir: dir.to_owned(), source })?;
        }
        let store = Store::create(db).map_err(|source| Error::Database { db: db.to_owned(), source })?;
        let (listener, address) = bind(options.port)?;
        let http = tiny_http::Server::from_listener(listener, None)
            .map_err(|source| Error::Start(source.to_string()))?;
        Ok(Self { http: Arc::new(http), address, store })
    }

    /// Where it listens: `http://127.0.0.1:8080/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What ends [`GuestBook::run`] from another thread.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.http))
    }

    /// Serves until a [`Stopper`] stops it; requests under way get up to a second to finish.
    ///
    /// A request has a thread of its own, so that a client that sends half a form stops nobody else.
    pub fn run(self) {
        let busy = Arc::new(AtomicUsize::new(0));
        let (sender, finished): (Sender<()>, Receiver<()>) = channel();
        while let Ok(request) = self.http.recv() {
            let guard = Busy { count: Arc::clone(&busy), _running: sender.clone() };
            if busy.fetch_add(1, Ordering::AcqRel) >= MAX_BUSY {
                send(request, reply(503, "text/plain", "too many requests\n"));
                continue;
            }
            let db = self.store.path().to_owned();
            let spawned = thread::Builder::new().name("request".to_owned()).spawn(move || {
                answer(&db, request);
                drop(guard);
            });
            // No thread: the request was dropped with the closure, and its client sees the connection close.
            drop(spawned);
        }
        drop(sender);
        let deadline = Instant::now() + FINISH;
        // Nothing is ever sent: the channel disconnects when the last request is done.
        let _ = finished.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// Ends a running guest book.
pub struct Stopper(Arc<tiny_http::Server>);

impl Stopper {
    /// No further request is taken; [`GuestBook::run`] returns.
    pub fn stop(&self) {
        self.0.unblock();
    }
}

/// One request under way, whatever becomes of its thread.
struct Busy {
    count: Arc<AtomicUsize>,
    _running: Sender<()>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
    }
}

type Reply = Response<io::Cursor<Vec<u8>>>;

fn answer(db: &Path, mut request: Request) {
    let path = request.url().split(['?', '#']).next().unwrap_or_default().to_owned();
    let reply = match (request.method(), path.as_str()) {
        (Method::Get | Method::Head, "/") => rows_or(db, |rows| {
            let page = reply(200, "text/html; charset=utf-8", &page::html(rows, db));
            with(page, "Content-Security-Policy", page::CONTENT_SECURITY_POLICY)
        }),
        (Method::Get | Method::Head, "/rows") => {
            rows_or(db, |rows| reply(200, "application/json", &page::json(rows)))
        }
        (Method::Get | Method::Head, "/healthz") => rows_or(db, |_| reply(200, "text/plain", "ok\n")),
        (Method::Post, "/") => post(db, &mut request),
        (_, "/" | "/rows" | "/healthz") => reply(405, "text/plain", "method not allowed\n"),
        _ => reply(404, "text/plain", "not found\n"),
    };
    send(request, reply);
}

fn post(db: &Path, request: &mut Request) -> Reply {
    let mut body = Vec::new();
    let promised = request.body_length();
    match request.as_reader().take(MAX_FORM + 1).read_to_end(&mut body) {
        Err(_) => return reply(400, "text/plain", "the form ended early\n"),
        Ok(_) if body.len() as u64 > MAX_FORM => return reply(413, "text/plain", "the form is too long\n"),
        // A client that hung up in the middle: half a message is not what somebody wanted to say.
        Ok(read) if promised.is_some_and(|promised| read < promised) => {
            return reply(400, "text/plain", "the form ended early\n");
        }
        Ok(_) => {}
    }
    let entry = match form::entry(&body) {
        Ok(entry) => entry,
        Err(why) => return reply(400, "text/plain", &format!("{why}\n")),
    };
    match Store::open(db).and_then(|store| store.add(&entry)) {
        Ok(id) => with(reply(303, "text/plain", &format!("row {id} written\n")), "Location", "/"),
        Err(source) => unavailable(db, &source),
    }
}

fn rows_or(db: &Path, show: impl FnOnce(&[store::Row]) -> Reply) -> Reply {
    match Store::open(db).and_then(|store| store.rows()) {
        Ok(rows) => show(&rows),
        Err(source) => unavailable(db, &source),
    }
}

fn unavailable(db: &Path, source: &rusqlite::Error) -> Reply {
    reply(500, "text/plain", &format!("database {}: {source}\n", db.display()))
}

fn reply(status: u16, kind: &str, body: &str) -> Reply {
    let plain = Response::from_data(body).with_status_code(StatusCode(status));
    with(with(plain, "Content-Type", kind), "Cache-Control", "no-store")
}

fn with(reply: Reply, name: &str, value: &str) -> Reply {
    match Header::from_bytes(name, value) {
        Ok(header) => reply.with_header(header),
        // Ours are all valid; without one of them the answer is still an answer.
        Err(()) => reply,
    }
}

/// A client that is gone has no use for its answer.
fn send(request: Request, reply: Reply) {
    let _ = request.respond(reply);
}

fn bind(port: Port) -> Result<(TcpListener, SocketAddr), Error> {
    let listen = |port| -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    let (first, last) = match port {
        Port::Exactly(port) => (port, port),
        Port::From(port) => (port, port.saturating_add(PORTS_TRIED)),
    };
    let mut result = listen(first);
    for port in first.saturating_add(1)..=last {
        match result {
            Err(ref e) if e.kind() == io::ErrorKind::AddrInUse => result = listen(port),
            Ok(_) | Err(_) => break,
        }
    }
    result.map_err(|source| Error::Listen { port: first, source })
}

/// A stream that gets a byte at TERM or INT.
fn stop_signals() -> Result<UnixStream, Error> {
    let start = |source: io::Error| Error::Start(source.to_string());
    let (reader, writer) = UnixStream::pair().map_err(start)?;
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        let writer = writer.try_clone().map_err(start)?;
        signal_hook::low_level::pipe::register(signal, writer).map_err(start)?;
    }
    Ok(reader)
}
