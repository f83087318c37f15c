//! From fork to exec: a child that becomes a program, and nobody who stands still until it has.
//!
//! Whoever may signal a child can stop it before its exec, a folder of its `PATH` can be on a server that does not
//! answer: what a child has to say about its exec is an event like its end (`tests/suite/architecture.rs` looks for
//! other ways to start one).

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid, chdir, fchdir, fork, getpid, getppid, pipe2, setpgid};

use super::exec::Image;
use super::terminal::Terminal;
use super::user::Identity;
use super::{fd, limit, oom_score, signal};

/// How long a child may take to become its program.
pub const LIMIT: Duration = Duration::from_secs(30);

/// What a child does between its fork and its exec.
pub(super) struct Birth {
    /// What it becomes.
    pub(super) image: Image,
    /// What it has open, under the numbers from 0 up.
    pub(super) fds: Vec<OwnedFd>,
    /// Descriptors that it gets under their own numbers, beside.
    pub(super) inherit: Vec<RawFd>,
    /// It leads a process group of its own.
    pub(super) own_group: bool,
    /// Its group becomes the terminal's foreground.
    pub(super) foreground: bool,
    /// It dies with this process, also as its program.
    pub(super) dies_with_parent: bool,
    /// A signal that it gets before its exec counts: nobody but its parent has sent it.
    pub(super) hears: bool,
    /// Who it becomes.
    pub(super) user: Option<Identity>,
    /// The signals that it starts with ignored; all others are as a program expects them.
    pub(super) ignored: signal::Numbers,
    /// Where it starts, if not where this process is.
    pub(super) cwd: Option<CString>,
    /// The same by a descriptor: its name may lead elsewhere by now, or nowhere.
    pub(super) folder: Option<OwnedFd>,
    /// The kernel takes it first for want of memory ([`oom_score`]).
    pub(super) goes_first: bool,
    /// It stays in this process's where it may not enter that one.
    pub(super) may_stay: bool,
}

/// A child that is on its way.
pub struct Born {
    /// Its number, until it is reaped.
    pub pid: i32,
    /// What comes of its exec.
    pub verdict: Verdict,
}

impl Birth {
    /// Forks. The caller must have one thread only, and reaps.
    ///
    /// # Errors
    /// Why there is no child.
    pub(super) fn start(mut self) -> io::Result<Born> {
        let (verdict, report) = Verdict::pipe()?;
        // All above the numbers that its own descriptors are to have, so that nothing is in the way of another.
        let count = self.fds.len() as RawFd;
        let report = above(report, count)?;
        for fd in std::mem::take(&mut self.fds) {
            self.fds.push(above(fd, count)?);
        }
        let parent = getpid();
        // What comes before the exec is for the program, or dropped ([`signal::reset_for_exec`]): no handler of this
        // process's may run in the child.
        let mask = signal::block_all();
        // SAFETY: this process has one thread, and what the child does is system calls on values made before: it
        // allocates nothing, takes no lock, and ends by execve(2) or _exit(2) (signal-safety(7)).
        let forked = unsafe { fork() };
        match forked {
            Ok(ForkResult::Child) => {
                let errno = self.become_program(parent) as i32;
                // SAFETY: the four bytes are on this stack, and the descriptor is open; _exit(2) runs nothing of what
                // the parent has registered.
                unsafe {
                    libc::write(report.as_raw_fd(), (&raw const errno).cast(), size_of::<i32>());
                    libc::_exit(127)
                }
            }
            Ok(ForkResult::Parent { child }) => {
                signal::restore(mask);
                if self.own_group {
                    // Here and in the child: whoever comes first, before the first signal (setpgid(2)).
                    let _ = setpgid(child, child);
                }
                Ok(Born { pid: child.as_raw(), verdict })
            }
            Err(error) => {
                signal::restore(mask);
                Err(error.into())
            }
        }
    }

    fn become_program(&mut self, parent: Pid) -> Errno {
        match self.prepare(parent) {
            Ok(()) => self.image.become_it(),
            Err(error) => error,
        }
    }

    fn prepare(&self, parent: Pid) -> nix::Result<()> {
        die_with(parent)?;
        let own = Pid::from_raw(0);
        if self.own_group {
            setpgid(own, own)?;
        }
        if self.foreground
            && let Some(terminal) = Terminal::open()
        {
            terminal.take();
        }
        if let Some(cwd) = &self.cwd {
            chdir(cwd.as_c_str())?;
        }
        if let Some(folder) = &self.folder {
            match fchdir(folder) {
                // Who was started in a folder may stay there, but not enter it again (fchdir(2)).
                Err(Errno::EACCES) if self.may_stay => {}
                entered => entered?,
            }
        }
        // As the one who could ask for less: not every other user may write there.
        if self.goes_first {
            oom_score::raise();
        } else {
            oom_score::restore();
        }
        if let Some(user) = &self.user {
            user.become_it()?;
        }
        for (number, fd) in (0..).zip(&self.fds) {
            // SAFETY: dup2(2) onto a number that nothing uses any more: what was there is either a standard
            // descriptor or closed at the exec that follows.
            Errno::result(unsafe { libc::dup2(fd.as_raw_fd(), number) })?;
        }
        for number in &self.inherit {
            fd::let_through(*number)?;
        }
        limit::restore_open_files();
        if self.dies_with_parent {
            // Becoming somebody else has undone it (prctl(2)).
            die_with(parent)?;
        } else {
            set_pdeathsig(None)?;
        }
        signal::reset_for_exec(self.ignored, self.hears);
        Ok(())
    }
}

/// Dies when the parent does, or has.
fn die_with(parent: Pid) -> nix::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    if getppid() == parent { Ok(()) } else { Err(Errno::ESRCH) }
}

fn above(fd: OwnedFd, least: RawFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= least.max(3) { Ok(fd) } else { fd::above(fd, least) }
}

/// A child's word on whether it has become its program; readable when there is one.
pub struct Verdict(OwnedFd);

impl Verdict {
    /// With the end that the child writes to, if it has to.
    pub(super) fn pipe() -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        Ok((Self(reader), writer))
    }

    /// `None` as long as it is under way. A child that died before its exec has not failed: its end says it all.
    pub fn look(&self) -> Option<io::Result<()>> {
        let mut errno = [0; size_of::<i32>()];
        loop {
            return match nix::unistd::read(&self.0, &mut errno) {
                Ok(0) => Some(Ok(())),
                Ok(_) => Some(Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)))),
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => None,
                Err(error) => Some(Err(error.into())),
            };
        }
    }
}

impl AsFd for Verdict {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Verdict {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
