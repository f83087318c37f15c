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
mod http;
mod page;
mod stop;
mod store;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{io, thread};

use http::{Reply, Request};
use stop::{Desk, Stop};
use store::Store;

pub use stop::Stopper;

/// Where the guest book listens when nobody says otherwise.
pub const DEFAULT_PORT: u16 = 8080;
/// How many ports after the first are tried.
const PORTS_TRIED: u16 = 100;
/// Longest form that is read; a name and a message of the longest kind need less.
const MAX_FORM: usize = 16 << 10;
/// Connections that may be open at once; further ones are closed.
const MAX_CONNECTIONS: usize = 64;
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
    Start(io::Error),
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
    let stop = Stop::new().map_err(Error::Start)?;
    // Before the rest: as PID 1, or early in a start, a TERM must not be lost.
    stop.on_signals().map_err(Error::Start)?;
    let book = GuestBook::open_with(options, stop)?;
    println!("guest book: {} (database {})", book.url(), options.db.display());
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
    listener: TcpListener,
    address: SocketAddr,
    stop: Stop,
    /// Kept open to the end: closing the last connection would checkpoint and delete the WAL under a replicator.
    store: Store,
}

impl GuestBook {
    /// Opens the database and the port; connections wait until [`GuestBook::run`].
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(options: &Options) -> Result<Self, Error> {
        Self::open_with(options, Stop::new().map_err(Error::Start)?)
    }

    fn open_with(options: &Options, stop: Stop) -> Result<Self, Error> {
        let db = options.db.as_path();
        if let Some(dir) = db.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            std::fs::create_dir_all(dir).map_err(|source| Error::Folder { dir: dir.to_owned(), source })?;
        }
        let store = Store::create(db).map_err(|source| Error::Database { db: db.to_owned(), source })?;
        let (listener, address) = bind(options.port)?;
        // A client that hangs up between poll and accept must not hold the loop.
        listener.set_nonblocking(true).map_err(Error::Start)?;
        Ok(Self { listener, address, stop, store })
    }

    /// Where it listens: `http://127.0.0.1:8080/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What ends [`GuestBook::run`] from another thread.
    ///
    /// # Errors
    /// [`Error::Start`] when the process has no descriptor left.
    pub fn stopper(&self) -> Result<Stopper, Error> {
        self.stop.stopper().map_err(Error::Start)
    }

    /// Serves until a [`Stopper`] or a signal stops it; requests under way get up to a second to finish.
    ///
    /// A connection has a thread of its own, so that a client that sends half a form stops nobody else.
    pub fn run(self) {
        let desk = Desk::default();
        while self.stop.next(&self.listener) {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted) =>
                {
                    continue;
                }
                Err(_) => {
                    // Out of descriptors: the connection waits, and so do we.
                    self.stop.pause(100);
                    continue;
                }
            };
            if desk.connections() >= MAX_CONNECTIONS {
                continue;
            }
            let (desk, db) = (desk.clone(), self.store.path().to_owned());
            // No thread: the stream was dropped with the closure, and its client sees the connection close.
            let _ = thread::Builder::new().name("request".to_owned()).spawn(move || {
                let read = http::read(&mut stream, MAX_FORM);
                let Some(_place) = desk.enter() else { return };
                match read {
                    Ok(request) => http::answer(stream, &reply_to(&db, &request), request.method != "HEAD"),
                    Err(Some(refusal)) => http::answer(stream, &refusal, true),
                    Err(None) => {}
                }
            });
        }
        desk.close(FINISH);
    }
}

fn reply_to(db: &Path, request: &Request) -> Reply {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET" | "HEAD", "/") => rows_or(db, |rows| Reply {
            status: 200,
            kind: "text/html; charset=utf-8",
            header: Some(("Content-Security-Policy", page::CONTENT_SECURITY_POLICY)),
            body: page::html(rows, db),
        }),
        ("GET" | "HEAD", "/rows") => {
            rows_or(db, |rows| Reply { kind: "application/json", ..Reply::text(200, page::json(rows)) })
        }
        ("GET" | "HEAD", "/healthz") => rows_or(db, |_| Reply::text(200, "ok\n")),
        ("POST", "/") => post(db, &request.body),
        (_, "/" | "/rows" | "/healthz") => Reply::text(405, "method not allowed\n"),
        _ => Reply::text(404, "not found\n"),
    }
}

fn post(db: &Path, body: &[u8]) -> Reply {
    let entry = match form::entry(body) {
        Ok(entry) => entry,
        Err(why) => return Reply::text(400, format!("{why}\n")),
    };
    match Store::open(db).and_then(|store| store.add(&entry)) {
        Ok(id) => {
            Reply { header: Some(("Location", "/")), ..Reply::text(303, format!("row {id} written\n")) }
        }
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
    Reply::text(500, format!("database {}: {source}\n", db.display()))
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
