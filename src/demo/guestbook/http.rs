//! As much HTTP/1.1 as a guest book needs: one request a connection, on a blocking stream with timeouts.
//!
//! One thread a connection, because a browser keeps spare connections open that never say anything.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Longest request line and headers.
const MAX_HEAD: usize = 16 << 10;
/// Most headers that are looked at.
const MAX_HEADERS: usize = 100;
/// How long a client may say nothing, or take nothing.
const SILENCE: Duration = Duration::from_secs(10);
/// How much of a refused request is read away, so that its answer arrives: closing a connection with unread bytes
/// resets it (RFC 1122, 4.2.2.13).
const LINGER: u64 = 1 << 20;

/// A whole request.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, …
    pub method: String,
    /// Without the query.
    pub path: String,
    /// As many bytes as `Content-Length` promised.
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200, …
    pub status: u16,
    /// `Content-Type`.
    pub kind: &'static str,
    /// One more header, if there is one.
    pub header: Option<(&'static str, &'static str)>,
    /// What comes after the headers.
    pub body: String,
}

impl Reply {
    /// Plain text.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", header: None, body: body.into() }
    }
}

/// Reads one request with a body of at most `max_body` bytes.
///
/// # Errors
/// `Some` answer for a client that can still hear it, `None` for one that is gone or never spoke.
pub fn read(stream: &mut TcpStream, max_body: usize) -> Result<Request, Option<Reply>> {
    let gone = |_| None;
    // Accepted from a listener that does not block, which some systems pass on.
    stream.set_nonblocking(false).map_err(gone)?;
    stream.set_read_timeout(Some(SILENCE)).map_err(gone)?;
    stream.set_write_timeout(Some(SILENCE)).map_err(gone)?;
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(head) = Head::parse(&bytes).map_err(Some)? {
            break head;
        }
        if bytes.len() > MAX_HEAD {
            return Err(Some(Reply::text(431, "the headers are too long\n")));
        }
        if more(stream, &mut bytes, 4 << 10).map_err(gone)? == 0 {
            return Err((!bytes.is_empty()).then(|| Reply::text(400, "the request ended early\n")));
        }
    };
    if head.body_length > max_body {
        return Err(Some(Reply::text(413, "the form is too long\n")));
    }
    let mut body = bytes.split_off(head.length);
    if head.wants_continue && body.len() < head.body_length {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").map_err(gone)?;
    }
    while body.len() < head.body_length {
        let missing = head.body_length - body.len();
        // A client that hung up in the middle: half a message is not what somebody wanted to say.
        if more(stream, &mut body, missing).map_err(gone)? == 0 {
            return Err(Some(Reply::text(400, "the form ended early\n")));
        }
    }
    body.truncate(head.body_length);
    Ok(Request { method: head.method, path: head.path, body })
}

/// Sends `reply` and ends the connection; a client that is gone has no use for its answer.
pub fn answer(mut stream: TcpStream, reply: &Reply, with_body: bool) {
    let body = if with_body { reply.body.as_str() } else { "" };
    let extra = reply.header.map_or_else(String::new, |(name, value)| format!("{name}: {value}\r\n"));
    let text = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{extra}\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{body}",
        status = reply.status,
        reason = reason(reply.status),
        kind = reply.kind,
        length = reply.body.len(),
    );
    let sent = stream.write_all(text.as_bytes()).and_then(|()| stream.shutdown(Shutdown::Write));
    if sent.and_then(|()| stream.set_read_timeout(Some(Duration::from_millis(500)))).is_ok() {
        // Whatever ends it, the connection is closed next.
        let _ = io::copy(&mut stream.take(LINGER), &mut io::sink());
    }
}

/// The request line and what matters of the headers.
struct Head {
    method: String,
    path: String,
    /// Bytes up to the body.
    length: usize,
    body_length: usize,
    wants_continue: bool,
}

impl Head {
    /// `None` while it is not whole.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, Reply> {
        let bad = |why: &str| Reply::text(400, format!("{why}\n"));
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        let length = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(e) => return Err(bad(&e.to_string())),
        };
        let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
            return Err(bad("no request line"));
        };
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let mut head = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            length,
            body_length: 0,
            wants_continue: false,
        };
        for header in parsed.headers.iter() {
            let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
            if header.name.eq_ignore_ascii_case("content-length") {
                head.body_length = value.parse().map_err(|_| bad("the content length is no number"))?;
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(Reply::text(411, "send a content length\n"));
            } else if header.name.eq_ignore_ascii_case("expect") {
                head.wants_continue = value.eq_ignore_ascii_case("100-continue");
            }
        }
        Ok(Some(head))
    }
}

/// Appends up to `most` bytes; 0 is the end.
fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>, most: usize) -> io::Result<usize> {
    let mut buffer = [0; 4 << 10];
    let most = most.min(buffer.len());
    loop {
        match stream.read(&mut buffer[..most]) {
            Ok(n) => {
                bytes.extend_from_slice(&buffer[..n]);
                return Ok(n);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// The reason phrases of the statuses that are sent.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        303 => "See Other",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        _ => "Internal Server Error",
    }
}
