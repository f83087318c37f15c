//! Why a server of S3 does not answer, or with what, as far as errors of its own go (5xx): the client in Litestream tries again and
//! again, and says nothing of it.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::restore::Error;
use super::s3;
use crate::foreign::piece;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;

/// Where S3 is, unless somebody says otherwise.
pub const AMAZON: &str = "https://s3.amazonaws.com";
/// How rustls begins what it has against a certificate.
const REFUSED: &str = "invalid peer certificate";
/// How long one address may take, and one answer.
pub(super) const EACH: Duration = Duration::from_secs(2);
/// What stands before the status of a server that does answer; `litestream::refusal` knows it.
pub(super) const ANSWERS: &str = " answers ";
/// How long all of it may.
const LIMIT: Duration = Duration::from_secs(5);

impl Error {
    /// The same with the reason, where it is that nobody answered in time and a connection tells why.
    pub(super) async fn explained(self, runner: &Runner, db: &Database) -> Self {
        match (self, &db.s3) {
            (Self::Timeout { db, replica, after, cause: None }, Some(order)) => {
                let cause = of(runner, &order.json).await;
                Self::Timeout { db, replica, after, cause }
            }
            (other, _) => other,
        }
    }
}

/// Has a process of its own connect to the server that an order for S3 names: host, port and what keeps it from that; none where
/// nothing does, or nobody knows.
pub async fn of(runner: &Runner, order: &[u8]) -> Option<String> {
    let mut order: serde_json::Value = serde_json::from_slice(order).ok()?;
    order["reach"] = true.into();
    let said = s3::carried_out(runner, order.to_string().as_bytes(), LIMIT).await.ok()?;
    let cause: Option<String> = serde_json::from_str(&said).ok()?;
    cause.map(|cause| piece(&cause))
}

/// What is said of a question that had no answer in time, with the reason: a status is one, if no good one.
pub fn told(silence: &str, cause: Option<&str>) -> String {
    match cause {
        Some(cause) if cause.contains(ANSWERS) => {
            format!("{}: {cause}", silence.replacen("no answer", "no good answer", 1))
        }
        Some(cause) => format!("{silence}: {cause}"),
        None => silence.to_owned(),
    }
}

/// What a server says in these words of our own client, where that is that it cannot answer now.
pub(super) fn status(endpoint: Option<&str>, words: &str) -> Option<String> {
    // How `object_store` tells of it (`RequestError::Status` of its client/retry.rs).
    let (_, said) = words.split_once("status code: ")?;
    if !said.starts_with('5') {
        return None;
    }
    let (host, port) = server(endpoint.unwrap_or(AMAZON))?;
    Some(format!("{}{ANSWERS}{}", address(&host, port), said.trim_end_matches([' ', ':'])))
}

fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Connects in this process, and looks at the server's certificate as `skip_verify` does not say otherwise.
pub(super) fn look(endpoint: Option<&str>, skip_verify: bool) -> Option<String> {
    let endpoint = endpoint.unwrap_or(AMAZON);
    let (host, port) = server(endpoint)?;
    let address = address(&host, port);
    let said = match connect(&host, port) {
        Ok(()) if parts(endpoint).0.eq_ignore_ascii_case("https") => distrust(&address, skip_verify)?,
        Ok(()) => return None,
        Err(error) => error.to_string().to_lowercase(),
    };
    Some(format!("{address}: {}", said.split(" (os error").next().unwrap_or_default()))
}

/// What is wrong with the certificate of the server at this address.
fn distrust(address: &str, skip_verify: bool) -> Option<String> {
    let agent = s3::Agent::new(skip_verify, true);
    let asked = agent.agent().head(format!("https://{address}/")).config().timeout_global(Some(EACH)).build();
    let said = asked.call().err()?.to_string();
    Some(said.get(said.find(REFUSED)?..)?.to_owned())
}

fn connect(host: &str, port: u16) -> io::Result<()> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, EACH) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The scheme of an endpoint, its host, and its port as it is written; without user and path.
pub fn parts(endpoint: &str) -> (&str, &str, Option<&str>) {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("https", endpoint));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    };
    (scheme, host.trim_start_matches('[').trim_end_matches(']'), port)
}

/// Host and port of an endpoint.
fn server(endpoint: &str) -> Option<(String, u16)> {
    let (scheme, host, port) = parts(endpoint);
    let usual = if scheme.eq_ignore_ascii_case("http") { 80 } else { 443 };
    let port = port.map_or(Some(usual), |port| port.parse().ok())?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_found_in_each_endpoint() {
        for (endpoint, host, port) in [
            ("http://minio:9000", "minio", 9000),
            ("https://user:secret@s3.example.com/x", "s3.example.com", 443),
            ("http://h", "h", 80),
            ("h", "h", 443),
            ("http://[::1]:9000", "::1", 9000),
            ("https://[::1]", "::1", 443),
        ] {
            assert_eq!(server(endpoint), Some((host.to_owned(), port)), "{endpoint}");
        }
        assert_eq!(server("http://"), None);
    }

    #[test]
    fn an_error_of_the_servers_own_is_no_silence() {
        let words = "Generic S3 error: Error performing GET http://h/ in 1ms - Server returned non-2xx status code: 503 Service Unavailable: ";
        let cause = status(Some("http://h:9000"), words).unwrap();
        assert_eq!(cause, "h:9000 answers 503 Service Unavailable");
        let silence = "no answer within 2 s";
        assert_eq!(told(silence, Some(&cause)), format!("no good answer within 2 s: {cause}"));
        assert_eq!(told(silence, Some("h:1: refused")), format!("{silence}: h:1: refused"));
        assert_eq!(told(silence, None), silence);
        assert_eq!(status(None, "status code: 403 Forbidden: x"), None);
    }

    #[test]
    fn who_refuses_is_named_and_who_answers_is_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(look(Some(&format!("http://127.0.0.1:{port}")), false), None);
        drop(listener);
        let said = look(Some("http://127.0.0.1:1"), false).unwrap();
        assert_eq!(said, "127.0.0.1:1: connection refused");
    }
}
