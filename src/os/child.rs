//! A child with given standard descriptors, in a process group of its own, that dies with this thread:
//! the app.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;

use super::exec::{Command, Image};
use super::fork::{Birth, Born};
use super::signal;

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
    /// What it has open: these, under the numbers from 0 up, and nothing else of what is close-on-exec.
    pub fds: Vec<OwnedFd>,
    /// A variable that gets its own process number (`LISTEN_PID` of `sd_listen_fds(3)`).
    pub own_number_in: Option<OsString>,
}

impl Child {
    /// Starts it, and waits for nothing.
    ///
    /// The caller must have one thread only, and reaps.
    ///
    /// # Errors
    /// Why there is no child.
    pub fn start(self) -> io::Result<Born> {
        let birth = Birth {
            image: Image::new(&self.command, self.own_number_in.as_deref())?,
            fds: self.fds,
            inherit: Vec::new(),
            own_group: true,
            foreground: self.foreground,
            dies_with_parent: true,
            hears: true,
            ignored: self.ignored,
            user: None,
            cwd: None,
            folder: self.folder,
            goes_first: true,
            may_stay: self.may_stay,
        };
        birth.start()
    }
}
