//! Packets with descriptors between two processes: `AF_UNIX`, `SOCK_SEQPACKET` (`unix(7)`).

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixCredentials,
    recvmsg, sendmsg, setsockopt, socketpair, sockopt,
};

use super::fd;

/// No packet is larger; what is larger travels in memory of its own ([`super::fd::memory`]).
const LARGEST: usize = 4096;
/// `SCM_MAX_FD` of the kernel (`unix(7)`).
const MOST_FDS: usize = 253;

/// A pair of connected ends, neither inherited.
///
/// # Errors
/// What the operating system says.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// What is sent over a socket, and waits here while the other end does not read: nobody waits for that.
#[derive(Default)]
pub struct Outgoing {
    unsent: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
}

impl Outgoing {
    /// Sends a packet with its descriptors after all that came before. What waits already, and has none, is not
    /// said twice.
    ///
    /// # Errors
    /// `EPIPE` when the other end is gone, `EINVAL` for more descriptors than the kernel takes.
    pub fn send(&mut self, socket: BorrowedFd<'_>, bytes: &[u8], fds: &[RawFd]) -> io::Result<()> {
        self.flush(socket)?;
        if self.is_empty() {
            match send(socket, bytes, fds) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return sent,
            }
        }
        let again = |(other, others): &(Vec<u8>, Vec<OwnedFd>)| others.is_empty() && other == bytes;
        if !(fds.is_empty() && self.unsent.iter().any(again)) {
            let fds = fds.iter().map(|fd| fd::copy(*fd)).collect::<io::Result<_>>()?;
            self.unsent.push_back((bytes.to_owned(), fds));
        }
        Ok(())
    }

    /// Sends of what waits as much as there is room for.
    ///
    /// # Errors
    /// As [`Outgoing::send`].
    pub fn flush(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        while let Some((bytes, fds)) = self.unsent.front() {
            let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
            match send(socket, bytes, &numbers) {
                Ok(()) => drop(self.unsent.pop_front()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.unsent.is_empty()
    }
}

/// Sends one packet with its descriptors, or says `WouldBlock`.
fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[RawFd]) -> io::Result<()> {
    if fds.len() > MOST_FDS || bytes.len() > LARGEST {
        return Err(Errno::EINVAL.into());
    }
    let rights = [ControlMessage::ScmRights(fds)];
    let control = if fds.is_empty() { &rights[..0] } else { &rights[..] };
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    loop {
        let slices = [IoSlice::new(bytes)];
        match sendmsg::<()>(socket.as_raw_fd(), &slices, control, flags, None) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Has the kernel tell of each packet which process has sent it (`SO_PASSCRED` in `unix(7)`): whoever runs as a user can
/// take a descriptor from another process of that user's (`pidfd_getfd(2)`), but not its number.
///
/// # Errors
/// What the operating system says.
pub fn know_senders(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(setsockopt(&socket, sockopt::PassCred, &true)?)
}

/// A packet.
pub struct Packet {
    /// What it says.
    pub bytes: Vec<u8>,
    /// The descriptors that came with it.
    pub fds: Vec<OwnedFd>,
    /// The process that sent it, where that is asked for ([`know_senders`]) and the kernel tells.
    pub sender: Option<i32>,
}

/// Receives one packet; `None` is the end: the other side is gone.
///
/// # Errors
/// `WouldBlock` when nothing is there and `wait` is false, else what the operating system says.
pub fn receive(socket: BorrowedFd<'_>, wait: bool) -> io::Result<Option<Packet>> {
    let mut bytes = vec![0u8; LARGEST];
    let mut space = nix::cmsg_space!([RawFd; MOST_FDS], UnixCredentials);
    let mut flags = MsgFlags::MSG_CMSG_CLOEXEC;
    if !wait {
        flags |= MsgFlags::MSG_DONTWAIT;
    }
    loop {
        let mut slices = [IoSliceMut::new(&mut bytes)];
        match recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut space), flags) {
            Ok(message) => {
                let (mut fds, mut sender) = (Vec::new(), None);
                for control in message.cmsgs()? {
                    match control {
                        ControlMessageOwned::ScmRights(raw) => {
                            // SAFETY: the kernel has just made these descriptors for this process.
                            fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
                        }
                        // Of a sender in another PID namespace there is no number.
                        ControlMessageOwned::ScmCredentials(who) => sender = Some(who.pid()),
                        _ => {}
                    }
                }
                let length = message.bytes;
                bytes.truncate(length);
                return Ok((length > 0).then_some(Packet { bytes, fds, sender }));
            }
            Err(Errno::EINTR) => {}
            Err(Errno::ECONNRESET) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn who_does_not_read_holds_nobody_up_and_gets_all_in_order() {
        let (own, theirs) = pair().unwrap();
        know_senders(theirs.as_fd()).unwrap();
        let mut outgoing = Outgoing::default();
        let beside = fd::memory(b"beside").unwrap();
        let mut sent = 0u32;
        while sent < 2000 {
            let fds: &[RawFd] = if sent.is_multiple_of(7) { &[beside.as_raw_fd()] } else { &[] };
            outgoing.send(own.as_fd(), &sent.to_ne_bytes(), fds).unwrap();
            sent += 1;
        }
        assert!(!outgoing.is_empty(), "the kernel keeps fewer than that");
        let waiting = outgoing.unsent.len();
        outgoing.send(own.as_fd(), &(sent - 1).to_ne_bytes(), &[]).unwrap();
        assert_eq!(outgoing.unsent.len(), waiting, "it waits already");
        for expected in 0..sent {
            let Packet { bytes, mut fds, sender } = loop {
                match receive(theirs.as_fd(), false) {
                    Ok(received) => break received.unwrap(),
                    Err(_) => outgoing.flush(own.as_fd()).unwrap(),
                }
            };
            assert_eq!((bytes, sender), (expected.to_ne_bytes().to_vec(), Some(std::process::id() as i32)));
            assert_eq!(fds.len(), usize::from(expected.is_multiple_of(7)));
            if let Some(fd) = fds.pop() {
                assert_eq!(fd::path(&fd).metadata().unwrap().len(), 6);
            }
        }
        drop(theirs);
        // A child of another test's that is not its program yet has a copy of it, for a moment.
        let gone = std::iter::repeat_with(|| outgoing.send(own.as_fd(), b"x", &[])).find_map(Result::err);
        // What such a copy has got and not read makes it a reset.
        let kinds = [Some(io::ErrorKind::BrokenPipe), Some(io::ErrorKind::ConnectionReset)];
        assert!(kinds.contains(&gone.map(|error| error.kind())));
    }
}
