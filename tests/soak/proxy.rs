//! Between Litestream and the S3 server: a proxy that knows where requests begin and end, and fails on demand.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::plan::Network;
use crate::random::Random;

/// The proxy. It is gone when this is dropped.
pub struct Proxy {
    runtime: Option<Runtime>,
    address: SocketAddr,
    fault: watch::Sender<Option<Network>>,
    shared: Arc<Shared>,
}

struct Shared {
    /// Which requests are hit.
    random: Mutex<Random>,
    hits: AtomicU64,
}

impl Proxy {
    /// A proxy for the server at `upstream`, on a port of its own.
    pub fn start(upstream: SocketAddr, random: Random) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("proxy")
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let (fault, seen) = watch::channel(None);
        let shared = Arc::new(Shared { random: Mutex::new(random), hits: AtomicU64::new(0) });
        let sharing = Arc::clone(&shared);
        runtime.spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                let (fault, shared) = (seen.clone(), Arc::clone(&sharing));
                tokio::spawn(async move {
                    // Whoever hangs up ends the connection, which is all that there is to be done.
                    if let Ok(server) = TcpStream::connect(upstream).await {
                        let _ = Connection { client, server, fault, shared }.serve().await;
                    }
                });
            }
        });
        Self { runtime: Some(runtime), address, fault, shared }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on every second request meets this, or none does.
    pub fn set(&self, fault: Option<Network>) {
        self.fault.send_replace(fault);
    }

    /// How many requests were hit.
    pub fn hits(&self) -> u64 {
        self.shared.hits.load(Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// One connection of Litestream or the keeper.
struct Connection {
    client: TcpStream,
    server: TcpStream,
    fault: watch::Receiver<Option<Network>>,
    shared: Arc<Shared>,
}

/// Where in a request its sender is, and what happens to it.
enum Request {
    Head(Vec<u8>),
    Body(u64, Option<Network>),
}

impl Connection {
    async fn serve(mut self) -> std::io::Result<()> {
        let mut request = Request::Head(Vec::new());
        let (mut sent, mut answer) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        // What happens to the answer that is awaited.
        let mut fate = None;
        loop {
            tokio::select! {
                read = self.client.read(&mut sent) => match read? {
                    0 => return Ok(()),
                    bytes => {
                        let mut rest = &sent[..bytes];
                        while !rest.is_empty() {
                            let Some(taken) = self.forward(&mut request, &mut fate, rest).await? else { return Ok(()) };
                            rest = &rest[taken..];
                        }
                    }
                },
                read = self.server.read(&mut answer) => match read? {
                    0 => return Ok(()),
                    bytes => {
                        let passes = answer[..bytes].starts_with(b"HTTP/1.1 100");
                        match fate {
                            // The server has done what it was asked for.
                            Some(Network::LosesAnswers) if !passes => return Ok(()),
                            Some(Network::Stalls) => self.wait_over().await,
                            Some(_) | None => (),
                        }
                        self.client.write_all(&answer[..bytes]).await?;
                    }
                },
            }
        }
    }

    /// Passes a piece of a request on; returns how much of it was taken, or `None` at the connection's end.
    async fn forward(
        &mut self,
        request: &mut Request,
        fate: &mut Option<Network>,
        piece: &[u8],
    ) -> std::io::Result<Option<usize>> {
        let (left, hit, taken) = match request {
            Request::Head(head) => {
                let before = head.len();
                head.extend(piece);
                let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
                    return Ok(Some(piece.len()));
                };
                head.truncate(end + 4);
                let taken = head.len() - before;
                let hit = self.hit();
                let left = length(head);
                match hit {
                    Some(Network::Answers(status)) if expects(head) => return self.refuse(status).await,
                    Some(Network::Answers(_)) => (),
                    Some(Network::Resets) if left == 0 => return self.reset(),
                    _ => self.server.write_all(head).await?,
                }
                *fate = hit;
                (left, hit, taken)
            }
            Request::Body(left, hit) => {
                let taken = piece.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                match *hit {
                    Some(Network::Answers(_)) => (),
                    Some(Network::Resets) => {
                        self.server.write_all(&piece[..taken / 2]).await?;
                        return self.reset();
                    }
                    _ => self.server.write_all(&piece[..taken]).await?,
                }
                (*left - taken as u64, *hit, taken)
            }
        };
        if left > 0 {
            *request = Request::Body(left, hit);
            return Ok(Some(taken));
        }
        *request = Request::Head(Vec::new());
        match hit {
            Some(Network::Answers(status)) => self.refuse(status).await,
            _ => Ok(Some(taken)),
        }
    }

    /// Whether the request that begins now is hit, and by what.
    fn hit(&self) -> Option<Network> {
        let fault = (*self.fault.borrow())?;
        let mut random = self.shared.random.lock().unwrap_or_else(PoisonError::into_inner);
        random.one_in(2).then(|| {
            self.shared.hits.fetch_add(1, Relaxed);
            fault
        })
    }

    /// Waits until the fault is over.
    async fn wait_over(&mut self) {
        // An error says that the proxy is gone.
        let _ = self.fault.wait_for(Option::is_none).await;
    }

    async fn refuse(&mut self, status: u16) -> std::io::Result<Option<usize>> {
        let (reason, code) = if status == 500 {
            ("Internal Server Error", "InternalError")
        } else {
            ("Slow Down", "SlowDown")
        };
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>the soak wants it</Message></Error>"
        );
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        self.client.write_all((head + &body).as_bytes()).await?;
        self.client.shutdown().await?;
        Ok(None)
    }

    fn reset(&mut self) -> std::io::Result<Option<usize>> {
        self.client.set_zero_linger()?;
        Ok(None)
    }
}

fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(head).ok()?;
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// The bytes behind the head. S3 takes no upload without its length.
fn length(head: &[u8]) -> u64 {
    header(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// Whether its sender waits for a word before it sends the rest.
fn expects(head: &[u8]) -> bool {
    header(head, "expect").is_some()
}
