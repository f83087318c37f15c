//! Where it listens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An address of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

impl Address {
    /// Reads `127.0.0.1:9090`, `[::1]:9090`, `localhost:9090`, `:9090` (all addresses) or `9090` (this machine alone).
    ///
    /// # Errors
    /// It is none of these; in words that follow the value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let port = |text: &str| text.parse::<u16>().map_err(|_| NO_PORT.to_owned());
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let (host, port) = match text.rsplit_once(':') {
            None => (IpAddr::V4(Ipv4Addr::LOCALHOST), port(text)?),
            Some(("", rest)) => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), port(rest)?),
            Some(("localhost", rest)) => (IpAddr::V4(Ipv4Addr::LOCALHOST), port(rest)?),
            Some((host, rest)) => {
                let number = port(rest)?;
                let host = host.parse::<IpAddr>().map_err(|_| {
                    "it names no address of this machine: write 127.0.0.1:9090, :9090 for all addresses, or a port alone".to_owned()
                })?;
                (host, number)
            }
        };
        Ok(Self(SocketAddr::new(host, port)))
    }

    /// Only this machine reaches it.
    pub fn is_loopback(self) -> bool {
        match self.0.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

const NO_PORT: &str =
    "its port is no number from 0 to 65535: write 127.0.0.1:9090, :9090 for all addresses, or a port alone";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_for_this_machine() {
        let read =
            |text: &str| Address::parse(text).map(|address| (address.to_string(), address.is_loopback()));
        for (text, address, is_loopback) in [
            ("9090", "127.0.0.1:9090", true),
            ("localhost:1", "127.0.0.1:1", true),
            ("127.0.0.2:0", "127.0.0.2:0", true),
            ("[::1]:80", "[::1]:80", true),
            ("::1:80", "[::1]:80", true),
            (":9090", "[::]:9090", false),
            ("0.0.0.0:9090", "0.0.0.0:9090", false),
            ("10.0.0.1:1", "10.0.0.1:1", false),
        ] {
            assert_eq!(read(text), Ok((address.to_owned(), is_loopback)), "{text}");
        }
        for wrong in ["", "x", "x:1", "1:x", ":65536", "127.0.0.1", "127.0.0.1:", "http://127.0.0.1:1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
