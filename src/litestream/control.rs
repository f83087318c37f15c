//! Litestream's control socket: what it can be asked (`server.go` in its repository).

mod exchange;

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use exchange::{done, error_message, exchange, exchange_with, got, parse, request};

pub use exchange::{Error, Peers};

/// How Litestream's own upload is waited for.
struct Pace {
    /// For so long, before a request that waits.
    uploads: Duration,
    /// How long before it is asked again, the first time: each question may make one of its files.
    first: Duration,
    /// The longest of the later times, each of which is twice the one before.
    longest: Duration,
}

/// Litestream's own uploads come once a second, unless it is told otherwise (`sync-interval`): they get so long.
const PACE: Pace = Pace {
    uploads: Duration::from_secs(5),
    first: Duration::from_millis(250),
    longest: Duration::from_secs(1),
};
/// The same where somebody waits for it.
const SOON: Pace = Pace {
    uploads: Duration::from_millis(400),
    first: Duration::from_millis(50),
    longest: Duration::from_millis(400),
};

/// What `POST /sync` answers, since 0.5.9, its first release: both are always there, and an answer without
/// them confirms nothing.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Synced {
    /// The database's own position.
    pub txid: u64,
    /// The replica's.
    pub replicated_txid: u64,
}

impl Synced {
    /// Says whether the replica has all that the database had.
    pub fn is_replicated(&self) -> bool {
        self.replicated_txid >= self.txid
    }
}

/// Returns the bytes that ask for a sync of `db` up to the replica, which Litestream gives up after
/// `timeout` (whole seconds, at least one).
pub fn sync_request(db: &Path, timeout: Duration) -> Vec<u8> {
    request(
        "/sync",
        &serde_json::json!({
            "path": db.to_string_lossy(),
            "wait": true,
            "timeout": timeout.as_secs().max(1),
        }),
    )
}

/// Returns the same for the local half alone, without a limit.
fn local_sync_request(db: &Path) -> Vec<u8> {
    request("/sync", &serde_json::json!({"path": db.to_string_lossy(), "wait": false}))
}

/// Has a database synced to its replica: what was committed before the call is on it after an `Ok`.
///
/// The local half is asked for by itself first. Litestream opens a database, and takes the read
/// transaction that keeps others from restarting the WAL, on behalf of the request that comes first;
/// a request with a limit, which every one that waits has, takes the transaction along when it ends
/// (`handleSync` in its server.go cancels its context, upon which Go's `database/sql` rolls back).
/// The app's own checkpoint then drops what was not synced yet from the replica, without a word:
/// 13 of 900 rows at every 1000 pages, tried with 0.5.17.
///
/// A client that hangs up does not cancel the work, so there is a word of the limit in the request
/// and a slightly later one here.
///
/// # Errors
/// See [`Error`].
pub async fn sync(socket: &Path, db: &Path, timeout: Duration) -> Result<Synced, Error> {
    sync_by(socket, db, timeout, None).await
}

async fn sync_by(
    socket: &Path,
    db: &Path,
    timeout: Duration,
    peers: Option<&Peers>,
) -> Result<Synced, Error> {
    let limit = timeout + Duration::from_secs(1);
    let both = async {
        synced(&exchange_with(socket, local_sync_request(db), peers).await?)?;
        synced(&exchange_with(socket, sync_request(db, timeout), peers).await?)
    };
    tokio::time::timeout(limit, both).await.map_err(|_| Error::Timeout(limit))?
}

/// Has a database synced to Litestream's own files.
///
/// # Errors
/// See [`Error`].
pub async fn sync_locally(socket: &Path, db: &Path, limit: Duration) -> Result<Synced, Error> {
    sync_locally_by(socket, db, limit, None).await
}

/// Does as [`sync_locally`], and believes these peers alone, where some are named.
///
/// # Errors
/// See [`Error`].
pub async fn sync_locally_by(
    socket: &Path,
    db: &Path,
    limit: Duration,
    peers: Option<&Peers>,
) -> Result<Synced, Error> {
    let local = async { synced(&exchange_with(socket, local_sync_request(db), peers).await?) };
    tokio::time::timeout(limit, local).await.map_err(|_| Error::Timeout(limit))?
}

/// Does as [`sync`], while the app runs: it asks for the local half alone, and waits for Litestream's own upload of it.
///
/// A request that waits has a context that ends with it. When Litestream makes a checkpoint on behalf of
/// such a request, the read transaction that it begins after it ends with the request as well, and nothing
/// keeps the app's own checkpoints from beginning the WAL again before Litestream has read it
/// (`execCheckpoint` and `acquireReadLock` in its db.go): 21 of 1 230 rows, without any fault. So one
/// that waits comes only after some seconds without an upload (`PACE`).
///
/// # Errors
/// See [`Error`].
pub async fn confirm(socket: &Path, db: &Path, timeout: Duration) -> Result<Synced, Error> {
    confirm_by(socket, db, timeout, None).await
}

/// Does as [`confirm`], and believes these peers alone, where some are named.
///
/// # Errors
/// See [`Error`].
pub async fn confirm_by(
    socket: &Path,
    db: &Path,
    timeout: Duration,
    peers: Option<&Peers>,
) -> Result<Synced, Error> {
    confirm_at(&PACE, socket, db, timeout, peers).await
}

/// Does as [`confirm`] for somebody who asks once and is waited for; only these peers are believed.
///
/// # Errors
/// See [`Error`].
pub async fn confirm_soon(
    socket: &Path,
    db: &Path,
    timeout: Duration,
    peers: &Peers,
) -> Result<Synced, Error> {
    confirm_at(&SOON, socket, db, timeout, Some(peers)).await.map_err(|error| match error {
        Error::Timeout(_) => Error::Timeout(timeout),
        error @ (Error::Io(_) | Error::Refused { .. } | Error::Rubbish) => error,
    })
}

async fn confirm_at(
    pace: &Pace,
    socket: &Path,
    db: &Path,
    timeout: Duration,
    peers: Option<&Peers>,
) -> Result<Synced, Error> {
    let began = tokio::time::Instant::now();
    let asked = sync_locally_by(socket, db, timeout, peers).await?;
    // What is committed meanwhile was not asked for, and is not there yet.
    let of_asked = |synced: Synced| Synced { txid: asked.txid, ..synced };
    let mut remembered = asked.clone();
    let mut pause = pace.first;
    while remembered.replicated_txid == 0 || remembered.replicated_txid < asked.txid {
        let left = timeout.saturating_sub(began.elapsed());
        if began.elapsed() >= pace.uploads || left <= pause {
            return sync_by(socket, db, left, peers).await.map(of_asked);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(pace.longest);
        remembered = sync_locally_by(socket, db, left, peers).await?;
    }
    Ok(of_asked(remembered))
}

/// Has a running Litestream take in a database; it may have it already (0.5.8 and later).
///
/// # Errors
/// See [`Error`].
pub async fn register(socket: &Path, db: &Path, replica_url: &str, limit: Duration) -> Result<(), Error> {
    let body = serde_json::json!({"path": db.to_string_lossy(), "replica_url": replica_url});
    done(socket, request("/register", &body), limit).await
}

/// Has a running Litestream sync a database once more and let go of it; it may not have it any more.
///
/// After an error it does not have it either: it is taken off the list first (`Store.UnregisterDB`).
///
/// # Errors
/// See [`Error`].
pub async fn unregister(socket: &Path, db: &Path, limit: Duration) -> Result<(), Error> {
    let body = serde_json::json!({"path": db.to_string_lossy(), "timeout": limit.as_secs().max(1)});
    done(socket, request("/unregister", &body), limit + Duration::from_secs(1)).await
}

/// What a running Litestream says of itself (`GET /info`, 0.5.8).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Info {
    /// Its version.
    pub version: Option<String>,
    /// Its process.
    pub pid: Option<u64>,
    /// When it was started.
    pub started_at: Option<String>,
    /// How many databases it has.
    pub database_count: Option<u64>,
}

/// One database of `GET /list` (0.5.8).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Listed {
    /// Its file.
    pub path: String,
    /// What it is doing, in Litestream's words.
    #[serde(default)]
    pub status: Option<String>,
    /// When it was last looked at, which is no proof of anything.
    #[serde(default)]
    pub last_sync_at: Option<String>,
}

/// Asks a Litestream what it is.
///
/// # Errors
/// See [`Error`].
pub async fn info(socket: &Path, limit: Duration, peers: Peers) -> Result<Info, Error> {
    let info: Info = got(socket, "/info", limit, &peers).await?;
    // Each that has such a socket says so much (`InfoResponse` in its server.go).
    if info.version.is_some() && info.pid.is_some() { Ok(info) } else { Err(Error::Rubbish) }
}

/// Asks a Litestream for its databases. It can hang while one of them is synced.
///
/// # Errors
/// See [`Error`].
pub async fn list(socket: &Path, limit: Duration, peers: Peers) -> Result<Vec<Listed>, Error> {
    #[derive(Deserialize)]
    struct List {
        databases: serde_json::Value,
    }
    match got::<List>(socket, "/list", limit, &peers).await?.databases {
        // As Go writes a list that was never begun.
        serde_json::Value::Null => Ok(Vec::new()),
        databases => serde_json::from_value(databases).map_err(|_| Error::Rubbish),
    }
}

/// Returns what a whole answer to `POST /sync` says.
///
/// # Errors
/// [`Error::Refused`] and [`Error::Rubbish`].
pub fn synced(answer: &[u8]) -> Result<Synced, Error> {
    let (status, body) = parse(answer)?;
    if status == 200 {
        return serde_json::from_slice(body).map_err(|_| Error::Rubbish);
    }
    Err(Error::Refused { status, message: error_message(body) })
}

/// What a database's sync does while Litestream makes its local copy, for which it needs no replica
/// (`diagPhase…` in its db.go): a flush of gigabytes moves no byte for a while.
const COPYING: &[&str] = &[
    "sync_page_map",
    "sync_prepare_ltx",
    "write_ltx_from_db",
    "write_ltx_from_wal",
    "close_ltx",
    "fsync_ltx",
    "rename_ltx",
];

/// Says whether Litestream is making the local copy of some database (0.5.12 and later tell).
pub async fn is_copying(socket: &Path) -> bool {
    let request = b"GET /debug/sync-status HTTP/1.0\r\nHost: litestream\r\n\r\n".to_vec();
    match tokio::time::timeout(Duration::from_secs(1), exchange(socket, request)).await {
        Ok(Ok(answer)) => matches!(parse(&answer), Ok((200, body)) if tells_of_copying(body)),
        Ok(Err(_)) | Err(_) => false,
    }
}

fn tells_of_copying(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Status {
        databases: Vec<Activity>,
    }
    #[derive(Deserialize)]
    struct Activity {
        #[serde(default)]
        active: bool,
        #[serde(default)]
        phase: String,
    }
    serde_json::from_slice::<Status>(body).is_ok_and(|status| {
        status.databases.iter().any(|db| db.active && COPYING.contains(&db.phase.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn only_the_local_copy_is_copying() {
        let tells = |active: bool, phase: &str| {
            tells_of_copying(
                serde_json::json!({"databases": [{"path": "a.db", "active": active, "phase": phase}]})
                    .to_string()
                    .as_bytes(),
            )
        };
        assert!(tells(true, "fsync_ltx"));
        assert!(!tells(false, "fsync_ltx") && !tells(true, "starting") && !tells_of_copying(b"404"));
    }

    #[test]
    fn a_replica_behind_is_not_replicated() {
        let has_all = |text: &str| serde_json::from_str::<Synced>(text).unwrap().is_replicated();
        assert!(has_all(r#"{"txid":3,"replicated_txid":3}"#));
        assert!(!has_all(r#"{"txid":3,"replicated_txid":2}"#));
        for text in
            ["{}", r#"{"txid":3}"#, r#"{"replicated_txid":3}"#, r#"{"txid":3,"replicated_txid":null}"#]
        {
            let nothing = synced(format!("HTTP/1.0 200 OK\r\n\r\n{text}").as_bytes());
            assert!(matches!(nothing, Err(Error::Rubbish)), "{text} confirms nothing");
        }
    }

    /// A server that says this to everybody, for as long as they listen.
    fn serving(folder: &Path, say: impl Fn(&mut std::os::unix::net::UnixStream) + Send + 'static) -> PathBuf {
        let path = folder.join("sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || listener.incoming().flatten().for_each(|mut stream| say(&mut stream)));
        path
    }

    fn asked(socket: &Path, limit: Duration) -> Result<Synced, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(sync_locally(socket, Path::new("a.db"), limit))
    }

    #[test]
    fn what_no_litestream_says_of_itself_is_rubbish() {
        use std::io::{Read, Write};
        let limit = Duration::from_secs(10);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answered = |text: &'static str| {
            let folder = tempfile::tempdir().unwrap();
            let socket = serving(folder.path(), move |stream| {
                let _ = stream.read(&mut [0; 1 << 10]);
                let _ = stream.write_all(format!("HTTP/1.0 200 OK\r\n\r\n{text}").as_bytes());
            });
            let all = || Peers::new(|_| true);
            (runtime.block_on(info(&socket, limit, all())), runtime.block_on(list(&socket, limit, all())))
        };
        for text in [r#"{"phase":"running"}"#, r#"{"version":"9.9.9"}"#, "{}"] {
            let (info, list) = answered(text);
            assert!(matches!(info, Err(Error::Rubbish)) && matches!(list, Err(Error::Rubbish)), "{text}");
        }
        let (info, list) = answered(r#"{"version":"v0.5.17","pid":7,"databases":null}"#);
        assert_eq!((info.unwrap().pid, list.unwrap()), (Some(7), Vec::new()));
    }

    #[test]
    fn what_is_committed_while_it_is_waited_for_is_not_confirmed() {
        use std::io::{Read, Write};
        let folder = tempfile::tempdir().unwrap();
        let socket = serving(folder.path(), |stream| {
            let mut request = [0; 1 << 10];
            let length = stream.read(&mut request).unwrap_or(0);
            let waits = String::from_utf8_lossy(&request[..length]).contains("\"wait\":true");
            let (txid, replicated) = if waits { (7, 6) } else { (5, 4) };
            let _ =
                write!(stream, "HTTP/1.0 200 OK\r\n\r\n{{\"txid\":{txid},\"replicated_txid\":{replicated}}}");
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let pace = Pace { uploads: Duration::ZERO, ..SOON };
        let asked = confirm_at(&pace, &socket, Path::new("a.db"), Duration::from_secs(60), None);
        let confirmed = runtime.block_on(asked).unwrap();
        assert_eq!(confirmed, Synced { txid: 5, replicated_txid: 6 });
        assert!(confirmed.is_replicated());
    }

    #[test]
    fn an_answer_without_an_end_has_one_here() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let socket = serving(folder.path(), |stream| {
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
            while stream.write_all(&[b' '; 1 << 16]).is_ok() {}
        });
        assert!(matches!(asked(&socket, Duration::from_secs(60)), Err(Error::Rubbish)));
    }

    #[test]
    fn an_answer_that_comes_by_the_byte_comes_too_late() {
        use std::io::{Read, Write};
        let folder = tempfile::tempdir().unwrap();
        let socket = serving(folder.path(), |stream| {
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n{\"txid\":1,\"replicated_txid\":");
            // Until the other side is gone.
            while stream.read(&mut [0; 1 << 10]).is_ok_and(|bytes| bytes > 0) {
                let _ = stream.write_all(b"1");
            }
        });
        assert!(matches!(asked(&socket, Duration::from_millis(50)), Err(Error::Timeout(_))));
    }

    #[test]
    fn an_answer_that_is_as_deep_as_it_is_long_is_rubbish() {
        for body in ["[".repeat(1 << 19), format!("{{\"txid\":{}", "[".repeat(1 << 19)), "\u{0}".repeat(99)] {
            let answer = format!("HTTP/1.0 200 OK\r\n\r\n{body}");
            assert!(matches!(synced(answer.as_bytes()), Err(Error::Rubbish)));
        }
    }
}
