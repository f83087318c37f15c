//! What keeper and shim say to each other: one packet a message, what is long in memory beside it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::os::packet::Outgoing;
use crate::os::{fd, packet};

/// Whom a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// The process that the command became.
    Leader,
    /// Its process group: what a terminal's foreground is.
    Group,
    /// Everything that descends from it.
    Tree,
}

/// From the keeper. `Setup` is always the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToShim {
    /// [`ShimConfig`], in the memory that comes with it.
    Setup,
    /// An [`super::App`] in the memory that comes with it, then its standard descriptors, its folder if it has one, and
    /// those of socket activation.
    Start,
    /// A signal.
    Signal(Target, i32),
    /// SIGKILL to everything that descends from the app, until nothing is left.
    KillTree,
    /// What the databases are from now on: an [`Update`] in the memory that comes with it, then the
    /// locks of those that came.
    Update,
    /// All is drained: end with 0.
    Release,
    /// The places of the databases are this machine's until then, since it was booted: as [`ShimConfig::lease`].
    Lease(Duration),
}

/// From the shim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToKeeper {
    /// Litestream runs and has started the shim, which has this number.
    Ready(i32),
    /// The app runs under this number.
    Started(i32),
    /// It could not be executed: `errno`.
    NotStarted(i32),
    /// Its leader returned a code.
    Exited {
        /// The code.
        code: u8,
        /// It left so many processes behind; [`ToKeeper::TreeGone`] follows.
        left: u32,
    },
    /// A signal ended its leader.
    Signaled {
        /// The signal.
        number: i32,
        /// It left so many processes behind; [`ToKeeper::TreeGone`] follows.
        left: u32,
    },
    /// Nothing of the tree is left.
    TreeGone,
    /// A terminal stopped the leader with this signal.
    Stopped(i32),
    /// Litestream passed on this signal: somebody told it to stop.
    Asked(i32),
    /// Litestream is dead, and the app's tree is being killed.
    LitestreamGone,
    /// The time of the lease is over: Litestream and the app's tree are being killed.
    LeaseOver,
}

/// The configuration of a shim: what it does when it is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShimConfig {
    /// The keeper's process number: as the shim's parent it means that Litestream is dead already.
    pub keeper: i32,
    /// How long the app may live on after Litestream.
    pub orphan_grace: Duration,
    /// The signal that asks the app to stop.
    pub stop_signal: i32,
    /// How long the app may take to stop when the keeper is dead.
    pub grace: Duration,
    /// How long the drain may take then.
    pub drain: Duration,
    /// The socket to drain over.
    pub socket: Vec<u8>,
    /// What to send there, a connection each; an answer of `200` is a confirmation.
    pub requests: Vec<Vec<u8>>,
    /// Until when, since the machine was booted, Litestream may live, if there is such a time: then another machine may have its place.
    pub lease: Option<Duration>,
    /// What is told of that, on the standard error that comes with this.
    pub log: Log,
}

/// How the keeper's own lines look, for a shim that goes on without it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// They are JSON.
    pub json: bool,
    /// The least important ones that are shown.
    pub level: String,
    /// What the app is called in them.
    pub app: String,
}

/// What the databases are from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// In place of [`ShimConfig::requests`].
    pub requests: Vec<Vec<u8>>,
    /// The numbers of the locks that come with this, to be held as long as this process lives.
    pub came: Vec<u64>,
    /// The numbers of locks that are not to be held any more.
    pub went: Vec<u64>,
}

/// Sends a message, with a value in memory beside it if there is one, and further descriptors; one that does not
/// fit waits in `outgoing`.
///
/// # Errors
/// `EPIPE` when the other side is gone; else what the operating system says.
pub fn send<M: Serialize, V: Serialize>(
    socket: &OwnedFd,
    outgoing: &mut Outgoing,
    message: &M,
    value: Option<&V>,
    further: &[RawFd],
) -> io::Result<()> {
    let bytes = postcard::to_stdvec(message).map_err(io::Error::other)?;
    let memory = match value {
        Some(value) => Some(fd::memory(&postcard::to_stdvec(value).map_err(io::Error::other)?)?),
        None => None,
    };
    let fds: Vec<RawFd> = memory.iter().map(AsRawFd::as_raw_fd).chain(further.iter().copied()).collect();
    outgoing.send(socket.as_fd(), &bytes, &fds)
}

/// Receives a message and its descriptors; `None` when the other side is gone.
///
/// # Errors
/// `WouldBlock` when nothing is there and `wait` is false, `InvalidData` for what is no message.
pub fn receive<M: DeserializeOwned>(socket: &OwnedFd, wait: bool) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
    let Some(packet) = packet::receive(socket.as_fd(), wait)? else { return Ok(None) };
    Ok(Some((decode(&packet.bytes)?, packet.fds)))
}

/// As [`receive`] without waiting, and who sent it; the message is none where the bytes are none.
///
/// # Errors
/// `WouldBlock` when nothing is there.
pub fn receive_from<M: DeserializeOwned>(socket: &OwnedFd) -> io::Result<Option<(Option<M>, Option<i32>)>> {
    let Some(packet) = packet::receive(socket.as_fd(), false)? else { return Ok(None) };
    Ok(Some((decode(&packet.bytes).ok(), packet.sender)))
}

/// The value in the memory that came with a message.
pub(super) fn value<V: DeserializeOwned>(memory: OwnedFd) -> io::Result<V> {
    decode(&fd::read_memory(memory)?)
}

/// What these bytes say, all of them.
///
/// # Errors
/// `InvalidData` for anything else.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(io::ErrorKind::InvalidData.into()),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

impl ToKeeper {
    /// Whether it names a process and a signal where it names one: -1 would be every process that there is, and the
    /// shim runs as the app's user.
    pub fn is_sound(&self) -> bool {
        match self {
            Self::Ready(pid) | Self::Started(pid) => *pid > 1,
            Self::Signaled { number, .. } | Self::Stopped(number) | Self::Asked(number) => {
                (1..=64).contains(number)
            }
            Self::NotStarted(_)
            | Self::Exited { .. }
            | Self::TreeGone
            | Self::LitestreamGone
            | Self::LeaseOver => true,
        }
    }

    /// Whether it says that nothing of the app runs any more.
    pub fn says_that_all_are_gone(&self) -> bool {
        matches!(
            self,
            Self::NotStarted(_)
                | Self::Exited { left: 0, .. }
                | Self::Signaled { left: 0, .. }
                | Self::TreeGone
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_with_a_value_of_megabytes_and_its_descriptors() {
        let (keeper, shim) = packet::pair().unwrap();
        let config = ShimConfig {
            keeper: 7,
            orphan_grace: Duration::ZERO,
            stop_signal: 15,
            grace: Duration::from_secs(1),
            drain: Duration::from_secs(1),
            socket: b"/run/x".to_vec(),
            requests: vec![vec![0xff; 2 << 20]],
            lease: Some(Duration::from_secs(7)),
            log: Log { json: false, level: "info".into(), app: "the app (x)".into() },
        };
        let extra = fd::memory(b"extra").unwrap();
        send(&keeper, &mut Outgoing::default(), &ToShim::Setup, Some(&config), &[extra.as_raw_fd()]).unwrap();
        let (message, mut fds) = receive::<ToShim>(&shim, true).unwrap().unwrap();
        assert_eq!(message, ToShim::Setup);
        assert_eq!(fd::read_memory(fds.pop().unwrap()).unwrap(), b"extra");
        assert_eq!(value::<ShimConfig>(fds.pop().unwrap()).unwrap(), config);
    }

    #[test]
    fn rubbish_and_the_end_are_told_apart() {
        let (keeper, shim) = packet::pair().unwrap();
        Outgoing::default().send(keeper.as_fd(), &[0xff; 9], &[]).unwrap();
        let error = receive::<ToShim>(&shim, true).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let trailing = postcard::to_stdvec(&(ToShim::Release, 1_u8)).unwrap();
        assert!(decode::<ToShim>(&trailing).is_err() && decode::<ToShim>(&trailing[..1]).is_ok());
        for (message, is_sound) in [
            (ToKeeper::Ready(7), true),
            (ToKeeper::Ready(-1), false),
            (ToKeeper::Started(0), false),
            (ToKeeper::Asked(15), true),
            (ToKeeper::Stopped(0), false),
        ] {
            assert_eq!(message.is_sound(), is_sound, "{message:?}");
        }
        assert_eq!(receive::<ToShim>(&shim, false).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(keeper);
        assert!(receive::<ToShim>(&shim, true).unwrap().is_none());
    }
}
