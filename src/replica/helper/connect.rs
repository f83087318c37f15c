//! What keeps a connection to a server of buckets from being made.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::agent::Agent;
use crate::replica::reach::{AMAZON, address, parts, server};

/// How rustls begins what it has against a certificate.
pub const DISTRUSTED: &str = "invalid peer certificate";
/// How long one address may take, and one answer.
pub(super) const EACH: Duration = Duration::from_secs(2);

/// Connects, and looks at the server's certificate as `skip_verify` does not say otherwise.
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
    let agent = Agent::new(skip_verify, true);
    let asked = agent.agent().head(format!("https://{address}/")).config().timeout_global(Some(EACH)).build();
    let said = asked.call().err()?.to_string();
    Some(said.get(said.find(DISTRUSTED)?..)?.to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

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
