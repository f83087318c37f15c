//! The app between its fork and its exec: whoever can signal it can stop it there.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use nix::libc;

use crate::os::fork::{self, Verdict};
use crate::os::signal;

/// A child that is not known to have become the app yet.
pub(super) struct Becoming {
    pid: i32,
    verdict: Verdict,
    until: Instant,
    /// Why it never will: it is dead, or as good as that.
    failed: Option<i32>,
}

impl Becoming {
    pub(super) fn new(pid: i32, verdict: Verdict) -> Self {
        Self { pid, verdict, until: Instant::now() + fork::LIMIT, failed: None }
    }

    /// What to wait for beside its end, and until when.
    pub(super) fn awaited(&self) -> Option<(BorrowedFd<'_>, Instant)> {
        self.failed.is_none().then(|| (self.verdict.as_fd(), self.until))
    }

    /// Whether it has become the app. One that never will is killed, and its end tells why.
    pub(super) fn has_become(&mut self) -> bool {
        if self.failed.is_some() {
            return false;
        }
        match self.verdict.look() {
            Some(Ok(())) => return true,
            Some(Err(error)) => self.failed = Some(error.raw_os_error().unwrap_or(libc::EIO)),
            // What nothing else here says: exec has no such answer.
            None if Instant::now() >= self.until => self.failed = Some(libc::ETIME),
            None => return false,
        }
        // Who has said why may still be stopped before its end.
        signal::send(self.pid, libc::SIGKILL);
        false
    }

    /// Why it never became the app, now that it has ended.
    pub(super) fn failure(&self) -> Option<i32> {
        self.failed
    }
}
