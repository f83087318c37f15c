//! Watching a process that is not a child (`pidfd_open(2)`, Linux 5.3).

use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A descriptor that becomes readable when the process ends; `None` on a kernel without them, or
/// when the process is gone already.
pub fn open(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}
