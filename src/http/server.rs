//! The server: it takes connections, and gives each a limit of everything.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderName, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::watch;

use super::access::{Access, Account, Open, Ruling};
use super::address::Address;
use super::answer::{self, Answer, Form};
use super::ask::{self, Asks};
use super::collector::Collector;
use super::guests::{Guest, Guests};
use super::metrics::{self, Dialect};
use super::page;
use super::route::{Missing, Route};
use super::wait;
use crate::foreign;
use crate::printer::recent;
use crate::secrets;
use crate::status::{Database, Document, Keeper};

/// How long a request may take to come, and a connection say nothing between two.
const HEAD: Duration = Duration::from_secs(10);
/// Its line and headers have no more bytes.
const LONGEST: usize = 16 << 10;
/// So many hear of each change at once.
const WATCHERS: usize = 32;
/// Who hears of nothing for so long hears that there is nothing: what is in between would hang up.
const BEAT: Duration = Duration::from_secs(15);

/// What a server is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens; nowhere but on the keeper's own socket without it.
    pub address: Option<Address>,
    /// Who may ask for everything.
    pub account: Account,
    /// What everybody may ask for.
    pub open: Open,
}

impl Settings {
    /// Why nobody could be answered, if that is so.
    pub fn refused(&self) -> Option<String> {
        let address = self.address.filter(|address| !address.is_loopback())?;
        let has_any = self.account.is_set() || self.open.health || self.open.metrics;
        (!has_any).then(|| format!("{address} is not this machine's alone, and nobody may ask there"))
    }
}

/// It, for as long as the keeper lives.
pub struct Server {
    asks: Asks,
    collector: Rc<Collector>,
    guests: Rc<Guests>,
}

impl Server {
    /// Starts to look at the unit; nobody is answered yet.
    pub fn new(asks: Asks) -> Rc<Self> {
        recent::remember();
        let collector = Collector::new(asks.clone());
        let looking = collector.clone();
        tokio::task::spawn_local(async move { looking.run().await });
        Rc::new(Self { asks, collector, guests: Rc::default() })
    }

    /// Answers who comes there.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn listen(self: &Rc<Self>, listener: TcpListener, settings: &Settings) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let is_loopback = settings.address.is_some_and(Address::is_loopback);
        let access = Rc::new(Access::new(&settings.account, settings.open, is_loopback));
        let server = self.clone();
        tokio::task::spawn_local(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => server.clone().welcome(stream, Vec::new(), Some(access.clone())),
                    // An error here is about one connection, or the system's descriptors.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
        Ok(())
    }

    /// Answers who has connected to the keeper's own socket, and has said that before: the system has asked who it is.
    pub fn answer(self: &Rc<Self>, stream: UnixStream, before: Vec<u8>) {
        self.clone().welcome(stream, before, None);
    }

    fn welcome(
        self: Rc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        before: Vec<u8>,
        access: Option<Rc<Access>>,
    ) {
        if !self.guests.has_room() {
            return;
        }
        let guest = Guest::default();
        let (server, served, stay) = (self.clone(), guest.clone(), self.guests.stay());
        let task = tokio::task::spawn_local(async move {
            let _stay = stay;
            let service = service_fn(|request| {
                let (server, access, guest) = (server.clone(), access.clone(), served.clone());
                async move {
                    let _served = guest.serve();
                    Ok::<_, Infallible>(server.reply(&request, access.as_deref()).await)
                }
            });
            let io = TokioIo::new(super::patient::Patient::new(stream, before));
            let mut connection = http1::Builder::new();
            connection.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LONGEST);
            // Whatever is wrong with it is the client's to know.
            let _ = connection.serve_connection(io, service).await;
        });
        self.guests.enter(guest, task.abort_handle());
    }

    async fn reply(&self, request: &Request<Incoming>, access: Option<&Access>) -> Answer {
        let uri = request.uri();
        let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        let route = Route::of(request.method().as_str(), uri.path(), uri.query());
        if let Some(access) = access {
            // Who may not ask does not hear what there is.
            let kind = route.map_or(super::route::Kind::Rest, Route::kind);
            let host = header(HOST).or(uri.authority().map(|authority| authority.as_str()));
            match access.rule(kind, host, header(AUTHORIZATION)).await {
                Ruling::Granted => {}
                Ruling::Unknown => return answer::unknown(),
                Ruling::Forbidden => return answer::forbidden(),
                Ruling::Elsewhere => return answer::elsewhere(),
            }
        }
        match route {
            Ok(Route::Wait) => {
                let fetch = HeaderName::from_static("sec-fetch-site");
                if wait::is_foreign(header(fetch), header(ORIGIN), header(HOST)) {
                    return answer::foreign();
                }
                match wait::wish(uri.query()) {
                    Ok(wish) => {
                        ask::wait(&self.asks, wish).await.as_ref().map_or_else(answer::ending, wait::answer)
                    }
                    Err(why) => answer::wrong(&why),
                }
            }
            Ok(route) => self.serve(route, header(ACCEPT)).await.unwrap_or_else(answer::ending),
            Err(Missing::Path) => answer::no_path(),
            Err(Missing::Method(methods)) => answer::no_method(methods),
        }
    }

    /// None while the keeper ends.
    async fn serve(&self, route: Route, accept: Option<&str>) -> Option<Answer> {
        let asks = &self.asks;
        Some(match route {
            Route::Live => {
                let keeper = ask::keeper(asks).await?;
                answer::whole(200, Form::Text, format!("alive: {}\n", keeper.phase))
            }
            Route::Ready { verbose: false, strict: false } => {
                let keeper = ask::keeper(asks).await?;
                let text = if keeper.ready { "ready\n".to_owned() } else { not_ready(&keeper) };
                answer::whole(if keeper.ready { 200 } else { 503 }, Form::Text, text)
            }
            Route::Ready { strict, .. } => {
                let (is_well, text) = checks(&document(asks).await?, strict);
                answer::whole(if is_well { 200 } else { 503 }, Form::Text, text)
            }
            Route::Metrics => {
                let dialect = Dialect::of(accept);
                let form = match dialect {
                    Dialect::Prometheus => Form::Prometheus,
                    Dialect::OpenMetrics => Form::OpenMetrics,
                };
                answer::whole(200, form, metrics::text(&document(asks).await?, dialect))
            }
            Route::Status => answer::whole(200, Form::Json, json(&document(asks).await?)),
            Route::Events if self.collector.watchers() >= WATCHERS => answer::busy(),
            Route::Events => answer::stream(Form::Events, events(self.collector.watch())),
            Route::Page { part } => {
                let document = document(asks).await?;
                let ready = document.keeper.as_ref().is_some_and(|keeper| keeper.ready);
                let since = self.collector.since(ready);
                let text =
                    page::html(&document, since, &self.collector.history.borrow(), &recent::recent(), part);
                answer::whole(200, Form::Html, text)
            }
            Route::Wait => answer::no_method("POST"),
            Route::Style => answer::whole(200, Form::Css, page::STYLE),
            Route::Script => answer::whole(200, Form::Script, page::SCRIPT),
        })
    }
}

/// All that is known, fit to be read by anybody who may ask.
async fn document(asks: &Asks) -> Option<Document> {
    let mut document = ask::document(asks).await?;
    if let Some(keeper) = &mut document.keeper {
        keeper.reasons.iter_mut().for_each(|reason| *reason = fit(reason));
    }
    document.databases.iter_mut().for_each(|one| one.error = one.error.as_deref().map(fit));
    Some(document)
}

fn fit(text: &str) -> String {
    foreign::line(&secrets::mask(text)).into_owned()
}

/// What `status --json` prints of a keeper.
fn json(document: &Document) -> String {
    let Document { keeper, app, litestream, memory, databases, .. } = document;
    let value = serde_json::json!({
        "keeper": keeper, "app": app, "litestream": litestream, "memory": memory, "databases": databases,
    });
    format!("{value}\n")
}

fn not_ready(keeper: &Keeper) -> String {
    let reasons = keeper.reasons.iter().map(|reason| format!("{}\n", fit(reason)));
    format!("not ready: {}\n{}", keeper.phase, reasons.collect::<String>())
}

/// Whether all is well, and what of it is, a line each.
fn checks(document: &Document, strict: bool) -> (bool, String) {
    let mut lines: Vec<(bool, String)> = Vec::new();
    let keeper = document.keeper.as_ref();
    let ready = keeper.is_some_and(|keeper| keeper.ready);
    lines.push((ready, format!("keeper: {}", keeper.map_or("", |keeper| &keeper.phase))));
    lines.extend(keeper.into_iter().flat_map(|keeper| &keeper.reasons).map(|reason| (false, reason.clone())));
    let app = document.app.as_ref().and_then(|app| app.pid);
    lines.push((app.is_some(), told("app", app)));
    let litestream = document.litestream.as_ref().and_then(|litestream| litestream.pid);
    lines.push((litestream.is_some(), told("litestream", litestream)));
    lines.extend(document.databases.iter().map(of_database));
    if strict {
        lines.extend(document.databases.iter().map(verified));
    }
    let is_well = ready && (!strict || document.databases.iter().all(|one| verified(one).0));
    let line = |(is_well, line): (bool, String)| format!("[{}] {line}\n", if is_well { '+' } else { '-' });
    let head = if is_well { "ready\n" } else { "not ready\n" };
    (is_well, lines.into_iter().map(line).fold(head.to_owned(), |text, line| text + &line))
}

fn told(name: &str, pid: Option<i32>) -> String {
    pid.map_or_else(|| format!("{name}: does not run"), |pid| format!("{name}: runs, pid {pid}"))
}

fn of_database(one: &Database) -> (bool, String) {
    let lag = one.lag_seconds.filter(|lag| *lag > 0.0).map(|lag| format!(", {lag:.1} s behind"));
    let error = one.error.as_ref().map(|error| format!(": {error}"));
    let text = format!("{}: {}{}{}", one.path, one.state, lag.unwrap_or_default(), error.unwrap_or_default());
    (one.state == "replicated", text)
}

fn verified(one: &Database) -> (bool, String) {
    let verdict = one.verified.as_ref().map_or("never verified", |verified| &verified.verdict);
    (verdict == "in-sync", format!("{}: {verdict}", one.path))
}

/// Says that something has changed, and from time to time that nothing has.
fn events(changes: watch::Receiver<String>) -> impl futures_util::stream::Stream<Item = Bytes> {
    futures_util::stream::unfold((changes, true), |(mut changes, is_first)| async move {
        if is_first {
            return Some((Bytes::from_static(b"retry: 2000\nevent: hello\ndata: {}\n\n"), (changes, false)));
        }
        match tokio::time::timeout(BEAT, changes.changed()).await {
            Ok(Ok(())) => Some((Bytes::from_static(b"event: change\ndata: {}\n\n"), (changes, false))),
            Ok(Err(_)) => None,
            Err(_) => Some((Bytes::from_static(b": nothing new\n\n"), (changes, false))),
        }
    })
}
