//! A child that runs once, to its end, to a deadline or until it is cancelled.
//!
//! Only for commands that end before a keeper begins: they have no reaper beside them.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// How often a waiting install looks whether it was cancelled.
const POLL: Duration = Duration::from_millis(50);
/// How long a fresh executable may stay "busy", see [`run`].
const BUSY: Duration = Duration::from_secs(5);

/// A child that ended, and what it said.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output, with bytes that are no UTF-8 replaced.
    pub stdout: String,
    /// Its standard error, likewise.
    pub stderr: String,
}

/// Runs `command` in a process group of its own; the whole group is killed at `limit` or when `cancel` is set.
///
/// Its output goes to unnamed files in `scratch` (if that is read-only, in the system's temporary folder), not to
/// pipes: a pipe that a grandchild keeps open never ends.
///
/// # Errors
/// What the spawn says; `TimedOut` at the limit; a cancelled run is told by [`is_cancelled`].
pub fn run(
    command: &mut Command,
    scratch: &Path,
    cancel: &AtomicBool,
    limit: Option<Duration>,
) -> io::Result<Finished> {
    let (mut stdout, mut stderr) = (unnamed(scratch)?, unnamed(scratch)?);
    command.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?).process_group(0);
    let started = Instant::now();
    let mut child = loop {
        match command.spawn() {
            // A fork elsewhere in this process may hold the writable descriptor of a file that was just written until
            // its exec closes it; until then the kernel refuses to run the file (`ETXTBSY`, execve(2)).
            Err(e) if e.kind() == io::ErrorKind::ExecutableFileBusy && started.elapsed() < BUSY => {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            spawned => break spawned?,
        }
    };
    let pid = Pid::from_child(&child);
    let (sender, ended) = channel();
    std::thread::spawn(move || {
        // Without reaping: the id stays the child's own until the group was signalled for the last time.
        let waited = loop {
            match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other,
            }
        };
        // The receiver is gone when the run was cancelled.
        let _ = sender.send(waited.map(drop));
    });
    let interrupted = loop {
        match ended.recv_timeout(POLL) {
            Ok(_) | Err(RecvTimeoutError::Disconnected) => break None,
            Err(RecvTimeoutError::Timeout) if cancel.load(Ordering::Relaxed) => break Some(cancelled()),
            Err(RecvTimeoutError::Timeout) => {
                if let Some(limit) = limit.filter(|limit| started.elapsed() > *limit) {
                    let message = format!("did not end within {} s", limit.as_secs());
                    break Some(io::Error::new(io::ErrorKind::TimedOut, message));
                }
            }
        }
    };
    if interrupted.is_some() {
        // A group that is gone already is what we want.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let status = child.wait()?;
    match interrupted {
        Some(error) => Err(error),
        None => Ok(Finished { status, stdout: text(&mut stdout)?, stderr: text(&mut stderr)? }),
    }
}

/// Says whether [`run`] ended because it was cancelled.
pub fn is_cancelled(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Cancelled>())
}

#[derive(Debug, thiserror::Error)]
#[error("cancelled")]
struct Cancelled;

fn cancelled() -> io::Error {
    io::Error::other(Cancelled)
}

fn unnamed(scratch: &Path) -> io::Result<File> {
    tempfile::tempfile_in(scratch).or_else(|_| tempfile::tempfile())
}

/// Says what was written to `file`, the first megabyte of it.
fn text(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(1 << 20).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_status_come_back() {
        let scratch = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let done = run(&mut command, scratch.path(), &AtomicBool::new(false), None).expect("it runs");
        assert_eq!(
            (done.status.code(), done.stdout.as_str(), done.stderr.as_str()),
            (Some(3), "out\n", "err\n")
        );
    }

    #[test]
    fn a_limit_ends_it() {
        let scratch = tempfile::tempdir().expect("a folder");
        let limit = Some(Duration::from_millis(100));
        let error = run(Command::new("sleep").arg("1000"), scratch.path(), &AtomicBool::new(false), limit)
            .expect_err("it never ends");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_cancelled_run_ends_with_all_that_it_started() {
        let scratch = tempfile::tempdir().expect("a folder");
        let marker = scratch.path().join("pid");
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & echo $! > \"$0\"; wait"]).arg(&marker);
        let cancel = AtomicBool::new(false);
        let started = || std::fs::read_to_string(&marker).is_ok_and(|text| text.ends_with('\n'));
        let error = std::thread::scope(|scope| {
            scope.spawn(|| {
                eventually("it runs", started);
                cancel.store(true, Ordering::Relaxed);
            });
            run(&mut command, scratch.path(), &cancel, None).expect_err("it was cancelled")
        });
        assert!(is_cancelled(&error), "{error}");
        let pid: i32 = std::fs::read_to_string(marker).expect("it ran").trim().parse().expect("a pid");
        // Killed and not yet reaped by whoever adopted it counts as dead.
        let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat"));
        eventually("its child is dead", || stat().is_err() || stat().is_ok_and(|stat| stat.contains(") Z ")));
    }

    #[track_caller]
    fn eventually(what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !condition() {
            assert!(Instant::now() < deadline, "not in time: {what}");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}
