//! Packets with descriptors between two processes: `AF_UNIX`, `SOCK_SEQPACKET` (`unix(7)`).

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg,
    socketpair,
};

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

/// Sends one packet with its descriptors, without waiting for whoever receives: that one may be stopped.
///
/// # Errors
/// `EPIPE` when the other end is gone, `EAGAIN` when it lets hundreds of packets lie, `EINVAL` for more
/// descriptors than the kernel takes.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[RawFd]) -> io::Result<()> {
    if fds.len() > MOST_FDS || bytes.len() > LARGEST {
        return Err(Errno::EINVAL.into());
    }
    let rights = [ControlMessage::ScmRights(fds)];
    let control = if fds.is_empty() { &rights[..0] } else { &rights[..] };
    loop {
        let slices = [IoSlice::new(bytes)];
        match sendmsg::<()>(
            socket.as_raw_fd(),
            &slices,
            control,
            MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT,
            None,
        ) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Receives one packet; `None` is the end: the other side is gone.
///
/// # Errors
/// `WouldBlock` when nothing is there and `wait` is false, else what the operating system says.
pub fn receive(socket: BorrowedFd<'_>, wait: bool) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut bytes = vec![0u8; LARGEST];
    let mut space = nix::cmsg_space!([RawFd; MOST_FDS]);
    let mut flags = MsgFlags::MSG_CMSG_CLOEXEC;
    if !wait {
        flags |= MsgFlags::MSG_DONTWAIT;
    }
    loop {
        let mut slices = [IoSliceMut::new(&mut bytes)];
        match recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut space), flags) {
            Ok(message) => {
                let mut fds = Vec::new();
                for control in message.cmsgs()? {
                    if let ControlMessageOwned::ScmRights(raw) = control {
                        // SAFETY: the kernel has just made these descriptors for this process.
                        fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
                    }
                }
                let length = message.bytes;
                bytes.truncate(length);
                return Ok((length > 0).then_some((bytes, fds)));
            }
            Err(Errno::EINTR) => {}
            Err(Errno::ECONNRESET) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}
