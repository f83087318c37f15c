//! A child with given standard descriptors, in a process group of its own, that dies with this thread.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, pipe2, setpgid};

use super::exec::{self, Command};
use super::terminal::Terminal;
use super::{fd, limit, signal};

/// What is started, and how.
pub struct Child {
    /// The program, its arguments and its environment.
    pub command: Command,
    /// Its working directory, if it is another than this process's.
    pub folder: Option<OwnedFd>,
    /// It stays in this process's where it may not enter that one.
    pub may_stay: bool,
    /// Its group becomes the terminal's foreground.
    pub foreground: bool,
    /// The signals that it starts with ignored; all others are as a program expects them.
    pub ignored: signal::Numbers,
    /// What it has open: these, under the numbers from 0 up, and nothing else.
    pub fds: Vec<OwnedFd>,
    /// A variable that gets its own process number (`LISTEN_PID` of `sd_listen_fds(3)`).
    pub own_number_in: Option<OsString>,
}

impl Child {
    /// Starts it and waits until it has become its program.
    ///
    /// The caller must have one thread only, and reaps.
    ///
    /// # Errors
    /// Why there is no child, or why it could not become its program.
    pub fn start(mut self) -> io::Result<i32> {
        let (failed, report) = pipe2(OFlag::O_CLOEXEC)?;
        // Above every number that the child's own descriptors are to have.
        let report = fd::above(report, self.fds.len() as i32)?;
        let parent = getpid();
        // SAFETY: this process has one thread, so the child may go on as if nothing had happened.
        match unsafe { fork() }? {
            ForkResult::Child => {
                drop(failed);
                let error = self.become_program(parent);
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                let _ = File::from(report).write_all(&errno.to_ne_bytes());
                // SAFETY: _exit(2) runs nothing of what the parent has registered.
                unsafe { libc::_exit(127) }
            }
            ForkResult::Parent { child } => {
                drop(report);
                // Here and in the child: whoever comes first, before the first signal (setpgid(2)).
                let _ = setpgid(child, child);
                let mut errno = [0; 4];
                match File::from(failed).read_exact(&mut errno) {
                    Ok(()) => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno))),
                    Err(_) => Ok(child.as_raw()),
                }
            }
        }
    }

    fn become_program(&mut self, parent: Pid) -> io::Error {
        match self.prepare(parent) {
            Ok(()) => exec::execute(&self.command),
            Err(error) => error,
        }
    }

    fn prepare(&mut self, parent: Pid) -> io::Result<()> {
        let own = Pid::from_raw(0);
        setpgid(own, own)?;
        if self.foreground
            && let Some(terminal) = Terminal::open()
        {
            terminal.take();
        }
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        if getppid() != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        self.enter_folder()?;
        self.place_fds()?;
        if let Some(name) = self.own_number_in.take() {
            self.command.env.push((name, getpid().to_string().into()));
        }
        limit::restore_open_files();
        signal::reset_for_exec(self.ignored);
        Ok(())
    }

    /// By its descriptor: its name may lead elsewhere by now, or nowhere.
    fn enter_folder(&mut self) -> io::Result<()> {
        match self.folder.take().map(|folder| nix::unistd::fchdir(&folder)) {
            // Who was started in a folder may stay there, but not enter it again (fchdir(2)).
            Some(Err(Errno::EACCES)) if self.may_stay => Ok(()),
            Some(entered) => Ok(entered?),
            None => Ok(()),
        }
    }

    fn place_fds(&mut self) -> io::Result<()> {
        fd::close_on_exec_from(3);
        let count = self.fds.len() as i32;
        // First out of the way of the numbers that they are to have.
        let mut away = Vec::new();
        for fd in self.fds.drain(..) {
            away.push(fd::above(fd, count)?);
        }
        for (number, copy) in (0..).zip(&away) {
            // SAFETY: dup2(2) onto a number that nothing in this process uses any more: what was
            // there is either a standard descriptor or closed at the exec that follows.
            if unsafe { libc::dup2(copy.as_raw_fd(), number) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }
}
