//! A service manager's end of `sd_notify(3)`.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::wait::DEADLINE;
use super::world::World;

/// One that listens.
pub struct Manager {
    socket: UnixDatagram,
    address: OsString,
}

impl Manager {
    /// One with a file in the world.
    pub fn listen(world: &World) -> Self {
        let path = world.path("notify");
        let socket = UnixDatagram::bind(&path).expect("the world's paths are short");
        Self::of(socket, path.into())
    }

    /// One with a name that is no file (`unix(7)`).
    pub fn listen_without_file(world: &World) -> Self {
        let name = format!("lk-notify{}", world.root().display());
        let address = SocketAddr::from_abstract_name(&name).expect("it is short");
        let socket = UnixDatagram::bind_addr(&address).expect("nobody else has it");
        Self::of(socket, format!("@{name}").into())
    }

    fn of(socket: UnixDatagram, address: OsString) -> Self {
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
        Self { socket, address }
    }

    /// What `NOTIFY_SOCKET` says.
    pub fn address(&self) -> &OsStr {
        &self.address
    }

    /// The lines up to one that begins like this, which is the last.
    #[track_caller]
    pub fn wait(&self, start: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let mut bytes = [0; 4096];
            let read =
                self.socket.recv(&mut bytes).unwrap_or_else(|error| panic!("no {start}: {error}; {heard:?}"));
            let text = String::from_utf8_lossy(&bytes[..read]);
            heard.extend(text.lines().map(str::to_owned));
            if text.lines().any(|line| line.starts_with(start)) {
                return heard;
            }
        }
    }

    /// The lines that are there and nobody has read.
    #[track_caller]
    pub fn heard(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).expect("the mode can be set");
        let (mut bytes, mut heard) = ([0; 4096], Vec::new());
        loop {
            match self.socket.recv(&mut bytes) {
                Ok(read) => {
                    heard.extend(String::from_utf8_lossy(&bytes[..read]).lines().map(str::to_owned));
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    self.socket.set_nonblocking(false).expect("the mode can be set");
                    return heard;
                }
            }
        }
    }
}

/// The place of the first line that begins like this.
#[track_caller]
pub fn place(heard: &[String], start: &str) -> usize {
    heard
        .iter()
        .position(|line| line.starts_with(start))
        .unwrap_or_else(|| panic!("no {start} in {heard:#?}"))
}
