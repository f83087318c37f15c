//! One request and its answer.
//!
//! Requests are HTTP/1.0, so an answer ends with the connection and is never chunked: the shim can
//! send the same bytes without a client of its own.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::foreign::piece;
use crate::os::permit;

/// No answer that is waited for here is longer.
const LONGEST_ANSWER: u64 = 1 << 20;
/// Room for a list of some ten thousand databases.
const LONGEST_LIST: u64 = 16 << 20;

/// Why a request was not answered with 200.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Litestream answered with an error of its own.
    #[error("{message}")]
    Refused {
        /// 400, 404, 409 or 500.
        status: u16,
        /// Its words.
        message: String,
    },
    /// There is no listener, or the connection broke.
    #[error("litestream's control socket: {0}")]
    Io(#[from] io::Error),
    /// It answered with what cannot be read.
    #[error("litestream's control socket answered with something else than HTTP and JSON")]
    Rubbish,
    /// No answer in time.
    #[error("litestream did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
}

impl Error {
    /// Tells whether it says that Litestream's copy has diverged from the database: a snapshot that takes from the
    /// file what is in the WAL only (`writeLTXFromDB` in its db.go).
    pub fn has_diverged(&self) -> bool {
        matches!(self, Self::Refused { message, .. }
            if message.contains("read database page") && message.contains("EOF"))
    }
}

/// Which peers are believed, by their users.
pub struct Peers(Box<dyn Fn(u32) -> bool>);

impl Peers {
    /// Those.
    pub fn new(believes: impl Fn(u32) -> bool + 'static) -> Self {
        Self(Box::new(believes))
    }
}

pub(super) fn request(endpoint: &str, body: &serde_json::Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "POST {endpoint} HTTP/1.0\r\nHost: litestream\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub(super) async fn got<T: for<'a> Deserialize<'a>>(
    socket: &Path,
    endpoint: &str,
    limit: Duration,
    peers: &Peers,
) -> Result<T, Error> {
    let ask = async {
        let stream = connect(socket, Some(peers)).await?;
        let request = format!("GET {endpoint} HTTP/1.0\r\nHost: litestream\r\n\r\n");
        exchange_on(stream, request.as_bytes(), LONGEST_LIST).await
    };
    let answer = tokio::time::timeout(limit, ask).await.map_err(|_| Error::Timeout(limit))??;
    let (status, body) = parse(&answer)?;
    if status == 200 {
        return serde_json::from_slice(body).map_err(|_| Error::Rubbish);
    }
    Err(Error::Refused { status, message: error_message(body) })
}

pub(super) async fn done(socket: &Path, request: Vec<u8>, limit: Duration) -> Result<(), Error> {
    let exchanged = tokio::time::timeout(limit, exchange(socket, request));
    let answer = exchanged.await.map_err(|_| Error::Timeout(limit))??;
    let (status, body) = parse(&answer)?;
    if status == 200 { Ok(()) } else { Err(Error::Refused { status, message: error_message(body) }) }
}

pub(super) async fn exchange(socket: &Path, request: Vec<u8>) -> Result<Vec<u8>, Error> {
    exchange_with(socket, request, None).await
}

pub(super) async fn exchange_with(
    socket: &Path,
    request: Vec<u8>,
    peers: Option<&Peers>,
) -> Result<Vec<u8>, Error> {
    let stream = connect(socket, peers).await?;
    Ok(exchange_on(stream, &request, LONGEST_ANSWER).await?)
}

async fn connect(socket: &Path, peers: Option<&Peers>) -> io::Result<UnixStream> {
    let stream = permit::theirs_all_along(UnixStream::connect(socket)).await?;
    let Some(peers) = peers else { return Ok(stream) };
    let peer = stream.peer_cred()?.uid();
    if (peers.0)(peer) {
        return Ok(stream);
    }
    Err(io::Error::other(format!("user {peer} answers there, whose litestream this is not")))
}

async fn exchange_on(mut stream: UnixStream, request: &[u8], most: u64) -> io::Result<Vec<u8>> {
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    stream.take(most).read_to_end(&mut answer).await?;
    Ok(answer)
}

pub(super) fn parse(answer: &[u8]) -> Result<(u16, &[u8]), Error> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    match (response.parse(answer), response.code) {
        (Ok(httparse::Status::Complete(start)), Some(code)) => Ok((code, &answer[start..])),
        _ => Err(Error::Rubbish),
    }
}

pub(super) fn error_message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => piece(&refusal.error),
        Err(_) => piece(&String::from_utf8_lossy(body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_azures_is_one_line() {
        let rule = "-".repeat(80);
        let error = format!(
            "abs: cannot upload: PUT http://h/c/x\n{rule}\nRESPONSE 403: 403 Denied.\nERROR CODE: AuthorizationFailure\n{rule}\n<?xml \
             version=\"1.0\"?>\n<Error><Code>AuthorizationFailure</Code></Error>\n{rule}\n"
        );
        let body = serde_json::json!({ "error": error }).to_string();
        let said = "abs: cannot upload: PUT http://h/c/x: 403 Denied. (AuthorizationFailure)";
        assert_eq!(error_message(body.as_bytes()), said);
    }

    #[test]
    fn answers_are_read_whole_or_called_rubbish() {
        let (status, body) =
            parse(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"txid\":2}").unwrap();
        assert_eq!((status, body), (200, &b"{\"txid\":2}"[..]));
        for rubbish in [&b""[..], b"HTTP/1.0 200", b"nonsense\r\n\r\n"] {
            assert!(matches!(parse(rubbish), Err(Error::Rubbish)), "{rubbish:?}");
        }
        assert_eq!(error_message(br#"{"error":"no position"}"#), "no position");
        assert_eq!(error_message(b"oops\n"), "oops");
    }
}
