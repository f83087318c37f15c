//! The controlling terminal and its foreground group (`tcsetpgrp(3)`, `credentials(7)`).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{Pid, getpgid, getpgrp, getppid, getsid, tcgetpgrp, tcsetpgrp};

use super::signal::without_ttou;
use super::{fd, open, proc, tree};

/// The terminal that this process's session has.
pub struct Terminal(File);

impl Terminal {
    /// The controlling terminal, if there is one.
    pub fn open() -> Option<Self> {
        File::options().read(true).write(true).open("/dev/tty").ok().map(Self)
    }

    /// Whether whoever has it may put into it what its reader takes for typed, a shell's commands for example: `TIOCSTI` in
    /// `ioctl_tty(2)`, which Linux 6.2 and later can forbid.
    pub fn can_be_typed_into() -> bool {
        let allowed = open::kernel_text("/proc/sys/dev/tty/legacy_tiocsti");
        allowed.map_or(true, |text| text.trim() != "0") && Self::open().is_some()
    }

    /// Whether this process's group is in the foreground: a job in the background has no claim on
    /// the terminal.
    pub fn is_own(&self) -> bool {
        tcgetpgrp(self.0.as_fd()) == Ok(getpgrp())
    }

    /// Whether this group is in the foreground.
    pub fn is_with(&self, group: i32) -> bool {
        tcgetpgrp(self.0.as_fd()) == Ok(Pid::from_raw(group))
    }

    /// Whether the other side is gone: a window was closed, a connection broke.
    pub fn is_hung_up(&self) -> bool {
        tcgetpgrp(self.0.as_fd()).is_err()
    }

    /// Puts a group into the foreground; a group that is gone already changes nothing.
    pub fn give_to(&self, group: i32) {
        without_ttou(|| {
            let _ = tcsetpgrp(self.0.as_fd(), Pid::from_raw(group));
        });
    }

    /// Puts this process's own group into the foreground.
    pub fn take(&self) {
        self.give_to(getpgrp().as_raw());
    }

    /// Puts this process's own group into the foreground if `group` is there, or one that is gone:
    /// never in place of a shell that has taken the terminal back itself.
    pub fn take_from(&self, group: Option<i32>) {
        let Ok(foreground) = tcgetpgrp(self.0.as_fd()) else { return };
        let is_gone = || nix::sys::signal::killpg(foreground, None) == Err(Errno::ESRCH);
        if group == Some(foreground.as_raw()) || is_gone() {
            self.take();
        }
    }
}

/// Whether this process's standard input is its session's terminal.
pub fn is_stdin() -> bool {
    // ENOTTY for what is none, and for the terminal of another session (tcgetpgrp(3)).
    tcgetpgrp(io::stdin()).is_ok()
}

/// Whether this process's group has others in it: the parts of a pipeline, a script around it. What this process has started
/// itself does not count.
pub fn is_shared_job() -> bool {
    let group = getpgrp().as_raw();
    let own = std::process::id().cast_signed();
    let below = tree::descendants(own);
    proc::in_group(group).into_iter().any(|pid| pid != own && !below.contains(&pid))
}

/// Whether a shell watches over this process's group and would continue it: the parent is in the
/// same session, but in another group ("orphaned process group" in POSIX).
pub fn is_shell_job() -> bool {
    let parent = getppid();
    getsid(Some(parent)) == getsid(None) && getpgid(Some(parent)) != Ok(getpgrp())
}

/// The terminal that standard error is, opened anew: what does not fit is refused and not waited for, and for
/// nobody else (`O_NONBLOCK` belongs to the open file).
pub fn standard_error() -> Option<File> {
    fd::open_again(libc::STDERR_FILENO).ok()
}

/// How many columns a terminal has.
pub fn width(terminal: &File) -> Option<u16> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ fills the structure that it is given (ioctl_tty(2)), and the descriptor is open.
    let asked = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (asked == 0 && size.ws_col > 0).then_some(size.ws_col)
}
