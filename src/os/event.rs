//! Descriptors in the event loop.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::signal::Signals;

/// Waits for a descriptor to become readable.
///
/// # Errors
/// What `epoll_ctl(2)` says.
pub fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open and stays the same file for as long as it lives, and it lives in
    // what is returned.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}

/// Waits for signals.
///
/// # Errors
/// What `epoll_ctl(2)` says.
pub fn signals(signals: Signals) -> io::Result<AsyncFd<Signals>> {
    // SAFETY: `Signals` owns its descriptor, never replaces it, and lives in what is returned.
    Ok(unsafe { AsyncFd::register_with_interest(signals, Interest::READABLE) }?)
}
