//! The one owner of `waitpid(2)` in each process.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::pidfd;
use crate::core::Ended;

/// What `waitpid(2)` had to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaped {
    /// A child ended, and its number is free again.
    Ended(i32, Ended),
    /// A child was stopped by this signal.
    Stopped(i32, i32),
    /// No child has anything to report, but there are some.
    Quiet,
    /// There are no children.
    Childless,
}

/// Takes one report of any child. SIGCHLD coalesces (`signal(7)`), so call this until it is
/// [`Reaped::Quiet`] or [`Reaped::Childless`].
///
/// The raw status is read here because an app may die of a real-time signal, which nix cannot name.
pub fn next() -> Reaped {
    loop {
        let mut status = 0;
        // SAFETY: waitpid(2) writes one integer, to a local.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG | libc::WUNTRACED) };
        match pid {
            0 => return Reaped::Quiet,
            -1 => match Errno::last() {
                Errno::EINTR => {}
                Errno::ECHILD => return Reaped::Childless,
                _ => return Reaped::Quiet,
            },
            pid if libc::WIFSTOPPED(status) => return Reaped::Stopped(pid, libc::WSTOPSIG(status)),
            pid if libc::WIFSIGNALED(status) => {
                return Reaped::Ended(pid, Ended::Signal(libc::WTERMSIG(status)));
            }
            pid if libc::WIFEXITED(status) => {
                return Reaped::Ended(pid, Ended::Code(libc::WEXITSTATUS(status) as u8));
            }
            _ => {}
        }
    }
}

/// How a child that is about to end does, if it has within a time; it stays to be reaped (`WNOWAIT` in `waitid(2)`).
pub fn peek(pid: i32, limit: Duration) -> Option<Ended> {
    if let (Some(child), Ok(limit)) = (pidfd::open(pid), PollTimeout::try_from(limit)) {
        let _ = poll(&mut [PollFd::new(child.as_fd(), PollFlags::POLLIN)], limit);
    }
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::Pid(Pid::from_raw(pid)), flags) {
        Ok(WaitStatus::Exited(_, code)) => Some(Ended::Code(code as u8)),
        Ok(WaitStatus::Signaled(_, signal, _)) => Some(Ended::Signal(signal as i32)),
        // A signal without a name among them: its end comes by `next` all the same.
        Ok(_) | Err(_) => None,
    }
}
