//! A listening socket that is private from its first moment.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, socket};
use nix::sys::stat::{Mode, fchmod, umask};

/// The longest path of a socket: `sun_path` holds 108 bytes, one of which ends it (`unix(7)`).
pub const LONGEST_PATH: usize = 107;

/// A stream socket. The mode of the file that it is bound to is that of the socket (`unix_bind` in the kernel's
/// af_unix.c), so nothing has to be changed by its path afterwards.
///
/// # Errors
/// What the operating system says.
pub fn stream() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let made = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    fchmod(&made, Mode::S_IRUSR | Mode::S_IWUSR)?;
    Ok(made)
}

/// Gives it a path that nobody else can connect to.
///
/// The umask is the whole process's: call this where there is one thread.
///
/// # Errors
/// What the operating system says.
pub fn bind_private(socket: &OwnedFd, path: &Path) -> io::Result<()> {
    let address = UnixAddr::new(path)?;
    let mask = umask(Mode::empty());
    let bound = bind(socket.as_raw_fd(), &address);
    umask(mask);
    Ok(bound?)
}

/// Connects, and waits for nobody: to one who has a full house of others, and takes in none, there is no way
/// (`connect(2)`).
///
/// # Errors
/// What the operating system says.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    nix::sys::socket::connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket.into())
}

/// Listens.
///
/// # Errors
/// What the operating system says.
pub fn listen(socket: OwnedFd) -> io::Result<UnixListener> {
    nix::sys::socket::listen(&socket, Backlog::MAXCONN)?;
    Ok(socket.into())
}
