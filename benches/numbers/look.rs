//! Processes as the kernel accounts for them.

use std::fs;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Error;
use super::support::procfs::Process;

/// The memory of a process in MiB (`proc(5)`, `smaps_rollup`).
#[derive(Clone, Copy)]
pub struct Memory {
    /// Each page counts by the share that the process has of it.
    pub pss: f64,
    /// What nobody else has, and no file could give back.
    pub private_dirty: f64,
}

/// What a process has in memory now.
pub fn memory(pid: i32) -> Result<Memory, Error> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let mib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
        number.map(|kib| kib / 1024.0).ok_or_else(|| format!("{path} has no {name}"))
    };
    Ok(Memory { pss: mib("Pss:")?, private_dirty: mib("Private_Dirty:")? })
}

/// How long the threads of a process have had a CPU: nanoseconds from `schedstat`, finer than the ticks of `stat`.
pub fn cpu(pid: i32) -> Result<Duration, Error> {
    let path = format!("/proc/{pid}/task");
    let threads = fs::read_dir(&path).map_err(|error| format!("{path}: {error}"))?;
    let mut total = Duration::ZERO;
    for thread in threads.flatten() {
        let path = thread.path().join("schedstat");
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let nanos = text.split_ascii_whitespace().next().and_then(|word| word.parse().ok());
        total += Duration::from_nanos(nanos.ok_or_else(|| format!("{} has no number", path.display()))?);
    }
    Ok(total)
}

/// The parent of a process that lives.
pub fn parent(pid: i32) -> Result<Process, Error> {
    let process = Process::of(pid).and_then(|process| Process::of(process.ppid));
    process.ok_or_else(|| format!("process {pid} is gone"))
}

/// How long after SIGKILL to `victim` the process `heir` is dead; `None` when it still lives after `patience`.
pub fn death_after_kill(victim: i32, heir: i32, patience: Duration) -> Result<Option<Duration>, Error> {
    let watch = litekeeper::os::pidfd::open(heir).ok_or_else(|| format!("no pidfd of {heir}"))?;
    let start = Instant::now();
    kill(Pid::from_raw(victim), Signal::SIGKILL).map_err(|error| format!("cannot kill {victim}: {error}"))?;
    Ok(is_readable_within(&watch, patience)?.then(|| start.elapsed()))
}

/// When a process that somebody else reaps ended.
pub fn end_of(pid: i32, patience: Duration) -> Result<Instant, Error> {
    let watch = litekeeper::os::pidfd::open(pid).ok_or_else(|| format!("no pidfd of {pid}"))?;
    match is_readable_within(&watch, patience)? {
        true => Ok(Instant::now()),
        false => Err(format!("process {pid} did not end within {patience:?}")),
    }
}

/// Waits until there is something to read.
pub fn is_readable_within(fd: &impl AsFd, patience: Duration) -> Result<bool, Error> {
    let timeout = PollTimeout::try_from(patience).map_err(|error| error.to_string())?;
    let mut waiting = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    poll(&mut waiting, timeout).map(|ready| ready > 0).map_err(|error| format!("poll: {error}"))
}

/// Leaves everybody alone.
#[expect(clippy::disallowed_methods, reason = "what is measured is what happens while nothing does")]
pub fn idle(time: Duration) {
    std::thread::sleep(time);
}
