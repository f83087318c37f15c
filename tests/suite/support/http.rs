//! As much of an HTTP client as a test needs: what goes over the line is said by the test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::process::Running;
use super::wait::{DEADLINE, wait_for};

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// 200, …
    pub status: u16,
    /// All headers, in lower case.
    pub head: String,
    /// What comes behind them.
    pub body: String,
}

impl Reply {
    fn read(mut stream: impl Read) -> Self {
        let mut said = Vec::new();
        stream.read_to_end(&mut said).expect("an answer");
        Self::of(&String::from_utf8_lossy(&said))
    }

    fn of(said: &str) -> Self {
        let (head, body) = said.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {said:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("no status: {head}")),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }
}

/// A server of a keeper's.
#[derive(Clone, Copy, Debug)]
pub struct Site(pub SocketAddr);

impl Site {
    /// The one that a keeper with `--http` at a free port says it has.
    pub fn of(running: &Running) -> Self {
        let line = running.wait_log(1, "the page are at http://");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        Self(address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("no address: {line}")))
    }

    /// A connection that has said nothing yet.
    pub fn connect(self) -> TcpStream {
        let stream = TcpStream::connect(self.0).expect("a server");
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
        stream
    }

    /// Sends this, with all its line ends, and reads until the server hangs up.
    pub fn say(self, request: &str) -> Reply {
        let mut stream = self.connect();
        // A server that has refused it may have hung up.
        let _ = stream.write_all(request.as_bytes());
        Reply::read(stream)
    }

    /// Asks for a path, with further headers.
    pub fn ask(self, path: &str, headers: &[&str]) -> Reply {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        self.say(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", self.0))
    }

    /// Asks for a path.
    pub fn get(self, path: &str) -> Reply {
        self.ask(path, &[])
    }

    /// Waits for an answer that is right.
    pub fn wait(self, what: &str, path: &str, is_right: impl Fn(&Reply) -> bool) -> Reply {
        wait_for(what, DEADLINE, || Some(self.get(path)).filter(&is_right))
    }
}

/// Asks for a path on a keeper's own socket.
pub fn get_on(socket: &Path, path: &str) -> Reply {
    let mut stream = UnixStream::connect(socket).expect("a keeper");
    let request = format!("GET {path} HTTP/1.1\r\nHost: keeper\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a keeper");
    Reply::read(stream)
}
