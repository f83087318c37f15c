//! Processes as `/proc` shows them (`proc(5)`).

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The variable that marks every process of one [`Running`](super::process::Running): `<pid of the suite>.<n>`.
pub const MARK: &str = "LITEKEEPER_TEST_ID";

/// One process at the time of the look.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its id in this pid namespace.
    pub pid: i32,
    /// Its parent.
    pub ppid: i32,
    /// Its process group.
    pub pgid: i32,
    /// Its session.
    pub sid: i32,
    /// `R`, `S`, `T` (stopped), `Z` (dead, not yet waited for) …
    pub state: char,
    /// The name of the executable, cut to 15 bytes.
    pub comm: String,
    /// Its arguments, lossily; empty for a zombie.
    pub cmdline: Vec<String>,
}

impl Process {
    /// The process with this id, if there is one.
    pub fn of(pid: i32) -> Option<Self> {
        // pid (comm) state ppid pgrp session …; comm may hold spaces and parentheses.
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat).into_owned();
        let (head, tail) = stat.rsplit_once(')')?;
        let comm = head.split_once('(')?.1.to_owned();
        let mut fields = tail.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let mut number = || fields.next()?.parse().ok();
        let (ppid, pgid, sid) = (number()?, number()?, number()?);
        let cmdline = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let cmdline = cmdline.strip_suffix(b"\0").unwrap_or(&cmdline);
        let cmdline = if cmdline.is_empty() {
            Vec::new()
        } else {
            cmdline.split(|byte| *byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect()
        };
        Some(Self { pid, ppid, pgid, sid, state, comm, cmdline })
    }

    /// Every process of the machine.
    pub fn all() -> Vec<Self> {
        pids().into_iter().filter_map(Self::of).collect()
    }

    /// Every living process with `MARK=mark` in the environment that it was started with, whoever is its parent.
    pub fn marked(mark: &str) -> Vec<Self> {
        pids().into_iter().filter(|pid| mark_of(*pid).as_deref() == Some(mark)).filter_map(Self::of).collect()
    }

    /// The direct children of `pid`, zombies included.
    pub fn children(pid: i32) -> Vec<Self> {
        Self::all().into_iter().filter(|process| process.ppid == pid).collect()
    }

    /// Whether the program that it runs has this base name.
    pub fn is(&self, name: &str) -> bool {
        // A zombie has no arguments any more.
        self.cmdline.first().map_or(self.comm == name, |program| program.rsplit('/').next() == Some(name))
    }

    /// The descriptors that it holds and what each is (`socket:[…]`, a path …), sorted by number.
    pub fn descriptors(&self) -> Vec<(i32, PathBuf)> {
        let folder = format!("/proc/{}/fd", self.pid);
        let mut all: Vec<_> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                Some((entry.file_name().to_str()?.parse().ok()?, fs::read_link(entry.path()).ok()?))
            })
            .collect();
        all.sort_unstable();
        all
    }

    /// Fills the pipe that is one of its descriptors, until nobody can write to it without waiting.
    pub fn fill(&self, descriptor: i32) {
        let path = format!("/proc/{}/fd/{descriptor}", self.pid);
        let pipe = fs::File::options().write(true).custom_flags(nix::libc::O_NONBLOCK).open(path);
        let mut pipe = pipe.expect("its descriptor is a pipe");
        let line = b"a line of a log that nobody reads\n";
        while pipe.write(line).is_ok() {}
        while pipe.write(b"\n").is_ok() {}
    }

    /// Sends it a signal; a process that is gone already is fine.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.pid), signal);
    }
}

/// Whether a process with this id exists and is no zombie.
pub fn alive(pid: i32) -> bool {
    Process::of(pid).is_some_and(|process| process.state != 'Z' && process.state != 'X')
}

/// Kills what earlier suites left when they were killed themselves: marked processes whose suite is gone.
pub fn sweep_dead_suites() {
    for pid in pids() {
        let suite = mark_of(pid).and_then(|mark| mark.split('.').next()?.parse().ok());
        if suite.is_some_and(|suite: i32| !alive(suite)) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The mark of a process. A zombie has no environment any more, and thus none.
fn mark_of(pid: i32) -> Option<String> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let name = MARK.as_bytes();
    let entry = environ
        .split(|byte| *byte == 0)
        .find(|entry| entry.starts_with(name) && entry.get(name.len()) == Some(&b'='))?;
    Some(OsStr::from_bytes(&entry[name.len() + 1..]).to_string_lossy().into_owned())
}
