//! A child with given standard descriptors, in a process group of its own, that dies with this thread.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::exec::{Command, Image};
use super::fork::{Birth, Born};

/// What is started, and how.
pub struct Child {
    /// The program, its arguments and its environment.
    pub command: Command,
    /// Its working directory.
    pub cwd: PathBuf,
    /// Its group becomes the terminal's foreground.
    pub foreground: bool,
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
            user: None,
            cwd: Some(CString::new(self.cwd.as_os_str().as_bytes())?),
        };
        birth.start()
    }
}
