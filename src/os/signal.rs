//! Signals: received with their sender, sent, named, and reset before an `exec`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use signal_hook::low_level;

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its number.
    pub number: i32,
    /// Who sent it with `kill(2)` or the like; `None` when the kernel did (a terminal, a child's end).
    pub sender: Option<i32>,
}

const RECORD: usize = 12;

/// Catches every signal that can be caught, in order, each with its sender.
///
/// The handler writes a record to a pipe, so nothing is lost between two signals of one kind that
/// come faster than they are read, unlike with a flag.
pub struct Signals {
    reader: OwnedFd,
    /// Open for as long as the handlers write to it: for ever.
    _writer: OwnedFd,
}

impl Signals {
    /// Installs the handlers.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn catch() -> io::Result<Self> {
        let (reader, writer) =
            nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_NONBLOCK)?;
        let raw = writer.as_raw_fd();
        for number in catchable() {
            if number == libc::SIGHUP && is_ignored(number) {
                continue; // nohup(1)
            }
            if is_fault(number) {
                // Rust's own handler for a stack overflow would be called as well, and ends itself
                // for good, so that a second signal of the kind would be this process's death.
                // SAFETY: the default disposition runs no code of ours.
                unsafe { libc::signal(number, libc::SIG_DFL) };
            }
            let action = move |info: &libc::siginfo_t| {
                // A fault of this very process has a positive code (sigaction(2)); it must not be
                // mistaken for somebody's kill(2), and returning from it would fault for ever.
                if info.si_code > 0 && is_fault(number) {
                    let _ = low_level::emulate_default_handler(number);
                    return;
                }
                let mut record = [0u8; RECORD];
                record[..4].copy_from_slice(&number.to_ne_bytes());
                record[4..8].copy_from_slice(&info.si_code.to_ne_bytes());
                // SAFETY: reading the pid field is sound for every signal: the union is plain
                // memory, and the code read beside it says whether it means anything.
                let sender = unsafe { info.si_pid() };
                record[8..].copy_from_slice(&sender.to_ne_bytes());
                // SAFETY: write(2) is async-signal-safe, the buffer lives on this stack, and the
                // descriptor is open as long as the process (`_writer` is kept with the reader).
                unsafe { libc::write(raw, record.as_ptr().cast(), RECORD) };
            };
            // SAFETY: the action only writes to a pipe, which is async-signal-safe
            // (signal-safety(7)); it allocates nothing and takes no lock.
            unsafe { signal_hook_registry::register_unchecked(number, action) }?;
        }
        // A blocked signal stays blocked through `exec`, and without SIGCHLD no child's end is seen.
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
        Ok(Self { reader, _writer: writer })
    }

    /// Takes the next signal, if one came.
    pub fn take(&self) -> Option<Received> {
        let mut record = [0u8; RECORD];
        loop {
            // Records are written whole: they are far below PIPE_BUF (pipe(7)).
            match nix::unistd::read(&self.reader, &mut record) {
                Ok(RECORD) => {}
                Ok(_) => return None,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(_) => return None,
            }
            let field =
                |at: usize| i32::from_ne_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
            let (number, code, pid) = (field(0), field(4), field(8));
            let sender = (code <= 0 && pid != 0).then_some(pid);
            // A write to a closed pipe says that this process sent itself a SIGPIPE.
            if sender == Some(std::process::id() as i32) {
                continue;
            }
            return Some(Received { number, sender });
        }
    }
}

/// Becomes readable when a signal came.
impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }
}

/// The signals of one process that waits in `poll(2)` itself, without handlers.
pub struct SignalFd(nix::sys::signalfd::SignalFd);

impl SignalFd {
    /// Blocks every signal of this thread and reads them from a descriptor instead (`signalfd(2)`).
    ///
    /// # Errors
    /// What the operating system says.
    pub fn block_all() -> io::Result<Self> {
        let all = SigSet::all();
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&all), None)?;
        let flags = nix::sys::signalfd::SfdFlags::SFD_CLOEXEC | nix::sys::signalfd::SfdFlags::SFD_NONBLOCK;
        Ok(Self(nix::sys::signalfd::SignalFd::with_flags(&all, flags)?))
    }

    /// The descriptor to wait for.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Takes the number of the next signal, if one came.
    pub fn take(&self) -> Option<i32> {
        self.0.read_signal().ok().flatten().map(|info| info.ssi_signo as i32)
    }
}

/// Whether processes get it from the processor for what they did themselves.
fn is_fault(number: i32) -> bool {
    matches!(
        number,
        libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP | libc::SIGSYS
    )
}

/// Every signal that a process may catch, real-time ones included (`signal(7)`).
fn catchable() -> impl Iterator<Item = i32> {
    (1..=31)
        .chain(libc::SIGRTMIN()..=libc::SIGRTMAX())
        .filter(|n| !matches!(*n, libc::SIGKILL | libc::SIGSTOP))
}

fn is_ignored(number: i32) -> bool {
    let mut old = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with a null new action sigaction(2) only fills `old`, which is large enough.
    let asked = unsafe { libc::sigaction(number, std::ptr::null(), old.as_mut_ptr()) };
    // SAFETY: zeroed memory is a valid sigaction, and the call has filled it when it returned 0.
    asked == 0 && unsafe { old.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Gives the signal mask and every disposition the value that a new program expects.
///
/// Rust programs ignore SIGPIPE, and a shell may leave others ignored or blocked: without this an
/// app inherits both through `exec` (`signal(7)`). What came meanwhile and was blocked is delivered now if
/// `hears`, else dropped: it was for the group that the child was born into.
pub fn reset_for_exec(hears: bool) {
    for number in (1..=31).chain(libc::SIGRTMIN()..=libc::SIGRTMAX()) {
        if !hears {
            // SAFETY: as below. An ignored signal that is pending is discarded (sigaction(2)).
            unsafe { libc::signal(number, libc::SIG_IGN) };
        }
        // SAFETY: SIG_DFL is always a valid disposition; KILL and STOP answer EINVAL, which is fine.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    restore(SigSet::empty());
}

/// Keeps every signal from this thread; what it let through before.
pub(super) fn block_all() -> SigSet {
    let mut before = SigSet::empty();
    // It cannot fail with these arguments (pthread_sigmask(3)).
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before));
    before
}

/// Lets signals through as they were before [`block_all`].
pub(super) fn restore(mask: SigSet) {
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&mask), None);
}

/// Runs `f` while SIGTTOU cannot stop this process, whatever group the terminal is in
/// (`tcsetpgrp(3)`, and `stty tostop` for output).
pub fn without_ttou<T>(f: impl FnOnce() -> T) -> T {
    let mut ttou = SigSet::empty();
    ttou.add(Signal::SIGTTOU);
    let mut old = SigSet::empty();
    let blocked = pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&ttou), Some(&mut old)).is_ok();
    let result = f();
    if blocked {
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&old), None);
    }
    result
}

/// Sends a signal to one process; one that is gone already is no error.
pub fn send(pid: i32, number: i32) {
    if pid > 0 {
        // SAFETY: kill(2) touches no memory of this process.
        unsafe { libc::kill(pid, number) };
    }
}

/// Sends a signal to a process group; one that is gone already is no error.
pub fn send_to_group(group: i32, number: i32) {
    if group > 1 {
        // SAFETY: kill(2) touches no memory of this process.
        unsafe { libc::kill(-group, number) };
    }
}

/// Stops this process as a terminal's Ctrl-Z stops a job, until somebody continues it.
pub fn stop_own_group() {
    // SAFETY: kill(2) touches no memory of this process; group 0 is the caller's own.
    unsafe { libc::kill(0, libc::SIGTSTP) };
    // The own handler has caught that one, and drops it: it came from this process.
    send(std::process::id() as i32, libc::SIGSTOP);
}

/// `TERM` for 15; the bare number for what has no name.
pub fn name(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => signal.as_str().trim_start_matches("SIG").to_owned(),
        Err(_) => number.to_string(),
    }
}

/// The number of `TERM`, `SIGTERM`, `term` or `15`.
pub fn parse(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=libc::SIGRTMAX()).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    full.parse::<Signal>().ok().map(|signal| signal as i32)
}

/// The moment `after` from now that `poll(2)` waits for, in whole milliseconds, rounded up.
pub(crate) fn poll_millis(after: Duration) -> u16 {
    u16::try_from(after.as_millis().saturating_add(1)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_each_others_inverse() {
        for number in 1..=31 {
            assert_eq!(parse(&name(number)), Some(number));
        }
        assert_eq!(parse("SIGTERM"), Some(15));
        assert_eq!(parse("quit"), Some(3));
        assert_eq!(parse("NOPE"), None);
        assert_eq!(parse("0"), None);
    }
}
