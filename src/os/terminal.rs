//! The controlling terminal and its foreground group (`tcsetpgrp(3)`, `credentials(7)`).

use std::fs::File;
use std::os::fd::AsFd;

use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

use super::signal::without_ttou;

/// The terminal that this process's session has.
pub struct Terminal(File);

impl Terminal {
    /// The controlling terminal, if this process's group is in its foreground: a job in the
    /// background has no claim on it.
    pub fn in_foreground() -> Option<Self> {
        let terminal = Self::open()?;
        terminal.is_own().then_some(terminal)
    }

    /// The controlling terminal, if there is one.
    pub fn open() -> Option<Self> {
        File::options().read(true).write(true).open("/dev/tty").ok().map(Self)
    }

    /// Whether this process's group is in the foreground.
    pub fn is_own(&self) -> bool {
        tcgetpgrp(self.0.as_fd()) == Ok(getpgrp())
    }

    /// Puts a group into the foreground; a group that is gone already changes nothing.
    pub fn give_to(&self, group: i32) {
        without_ttou(|| {
            let _ = tcsetpgrp(self.0.as_fd(), Pid::from_raw(group));
        });
    }

    /// Puts this process's own group into the foreground.
    pub fn take_back(&self) {
        self.give_to(getpgrp().as_raw());
    }
}
