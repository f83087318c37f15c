//! What comes from elsewhere, and may not come: over HTTP, or on standard input.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::address;
use super::error::{Error, Reason};
use super::progress::{MAX_BYTES, Progress};

/// How long the name look-up, and then the connection, may take. Short, so that a machine without a way out falls
/// through to the package registry quickly.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the server may take until its answer begins, and then may stay silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How often a waiting install looks whether it was cancelled.
const POLL: Duration = Duration::from_millis(50);
/// How often a server may send on.
const REDIRECTS: u32 = 10;

/// What comes, whose reader never waits longer than [`POLL`] without looking at `cancel`.
///
/// It is read on a thread of its own: a name look-up or a read that hangs there must not keep a Ctrl-C waiting.
/// That thread ends at its own timeouts, or when it finds that nobody listens any more.
pub(super) struct Download<'a, 'p> {
    url: &'a str,
    chunks: Receiver<Piece>,
    cancel: &'a AtomicBool,
    progress: &'a mut (dyn FnMut(Progress<'_>) + 'p),
    current: io::Cursor<Vec<u8>>,
    received: u64,
    total: Option<u64>,
    ended: bool,
    cancelled: bool,
    failure: Option<Reason>,
}

enum Piece {
    Begins { total: Option<u64> },
    Data(Vec<u8>),
    Failed(Reason),
    End,
}

impl<'a, 'p> Download<'a, 'p> {
    /// What is at an address. `is_sure`: whatever comes, it is known by its sum, see [`address::check`].
    pub(super) fn of_url(
        url: &'a str,
        is_sure: bool,
        cancel: &'a AtomicBool,
        progress: &'a mut (dyn FnMut(Progress<'_>) + 'p),
    ) -> Self {
        progress(Progress::Downloading { url, received: 0, total: None });
        let address: Arc<str> = url.into();
        let work = move |pieces: &SyncSender<Piece>| send_body(&address, is_sure, pieces);
        Self::start(url, work, cancel, progress)
    }

    /// What comes on standard input, which is called `name`.
    pub(super) fn of_stdin(
        name: &'a str,
        cancel: &'a AtomicBool,
        progress: &'a mut (dyn FnMut(Progress<'_>) + 'p),
    ) -> Self {
        let work = |pieces: &SyncSender<Piece>| send_pieces(&mut io::stdin().lock(), None, pieces);
        Self::start(name, work, cancel, progress)
    }

    fn start(
        url: &'a str,
        work: impl FnOnce(&SyncSender<Piece>) -> Result<(), String> + Send + 'static,
        cancel: &'a AtomicBool,
        progress: &'a mut (dyn FnMut(Progress<'_>) + 'p),
    ) -> Self {
        let (sender, chunks) = sync_channel(16);
        let name = url.to_owned();
        let run = move || {
            let last = match work(&sender) {
                Ok(()) => Piece::End,
                Err(why) => Piece::Failed(Reason::Download { url: name, why }),
            };
            // Nobody listens any more: there is nobody left to tell, either.
            let _ = sender.send(last);
        };
        let spawned = std::thread::Builder::new().name("download".to_owned()).spawn(run);
        let failure =
            spawned.err().map(|source| Reason::Download { url: url.to_owned(), why: source.to_string() });
        Self {
            url,
            chunks,
            cancel,
            progress,
            current: io::Cursor::default(),
            received: 0,
            total: None,
            ended: false,
            cancelled: false,
            failure,
        }
    }

    /// Why reading it failed, where whoever read says `reason`.
    pub(super) fn why(&mut self, reason: Reason) -> Error {
        if self.cancelled {
            Error::Cancelled
        } else {
            Error::Unavailable(self.failure.take().unwrap_or(reason))
        }
    }

    fn next_piece(&mut self) -> io::Result<Piece> {
        loop {
            if self.cancel.load(Ordering::Relaxed) {
                self.cancelled = true;
                return Err(io::Error::other("cancelled"));
            }
            match self.chunks.recv_timeout(POLL) {
                Ok(piece) => return Ok(piece),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("the download ended early"));
                }
            }
        }
    }
}

impl Read for Download<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.current.read(buffer)?;
            if n > 0 || self.ended {
                return Ok(n);
            }
            match self.next_piece()? {
                Piece::Begins { total } => self.total = total,
                Piece::Data(data) => {
                    self.received += data.len() as u64;
                    self.current = io::Cursor::new(data);
                    (self.progress)(Progress::Downloading {
                        url: self.url,
                        received: self.received,
                        total: self.total,
                    });
                }
                Piece::Failed(reason) => {
                    let message = reason.to_string();
                    self.failure = Some(reason);
                    return Err(io::Error::other(message));
                }
                Piece::End => self.ended = true,
            }
        }
    }
}

fn send_body(url: &str, is_sure: bool, pieces: &SyncSender<Piece>) -> Result<(), String> {
    let body = ask(url, is_sure)?;
    let total = body.content_length();
    let mut body = body.into_with_config().limit(MAX_BYTES).reader();
    send_pieces(&mut body, total, pieces)
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .max_redirects(0)
        // A server may close a connection that it has answered on, at any time; the next request has its own.
        .max_idle_connections(0)
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .user_agent(concat!("litekeeper/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// Asks at an address, and where that sends on to.
fn ask(url: &str, is_sure: bool) -> Result<ureq::Body, String> {
    let (agent, mut at) = (agent(), url.to_owned());
    for _ in 0..=REDIRECTS {
        let (head, body) = agent.get(&at).call().map_err(|e| e.to_string())?.into_parts();
        if !head.status.is_redirection() {
            return Ok(body);
        }
        let location = head.headers.get("location").and_then(|location| location.to_str().ok());
        let next = location.and_then(|location| address::onward(&at, location));
        let next = next.ok_or_else(|| format!("{}, and nowhere to go", head.status))?;
        // What was asked for over TLS does not come without.
        let is_bare = at.starts_with("https://") && !next.starts_with("https://");
        if is_bare || address::check(&next, is_sure).is_err() {
            return Err(format!("it sends on to {next}, which is not https"));
        }
        at = next;
    }
    Err("it sends on and on".to_owned())
}

fn send_pieces(body: &mut dyn Read, total: Option<u64>, pieces: &SyncSender<Piece>) -> Result<(), String> {
    if pieces.send(Piece::Begins { total }).is_err() {
        return Ok(());
    }
    loop {
        let mut chunk = vec![0; 128 << 10];
        let n = match body.read(&mut chunk) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(|e| e.to_string())?,
        };
        chunk.truncate(n);
        if n == 0 || pieces.send(Piece::Data(chunk)).is_err() {
            return Ok(());
        }
    }
}
