//! Signals: received with their sender, sent, named, and given back to a program before its `exec`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its number.
    pub number: i32,
    /// Who sent it.
    pub sender: Sender,
}

/// Who sent a signal (`si_code` in `sigaction(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The kernel: a terminal, a child's end.
    Kernel,
    /// This process, with `kill(2)` or the like.
    Process(i32),
    /// A process that has no number here, since it is outside of this PID namespace (`pid_namespaces(7)`).
    Outside,
}

impl Sender {
    fn of(code: i32, pid: i32) -> Self {
        match (code, pid) {
            (libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL, 0) => Self::Outside,
            (libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL, pid) => Self::Process(pid),
            _ => Self::Kernel,
        }
    }
}

/// Every signal of this process, read from a descriptor (`signalfd(2)`), each with its sender.
///
/// They stay blocked for as long as the process lives. What is pending comes out in the kernel's order, the smallest number
/// first, and every real-time signal as often as it was sent; handlers that interrupt each other would turn that around.
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks every signal that can be blocked, and takes them from now on.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn take_all() -> io::Result<Self> {
        hold_all();
        // Of a parent that ignores it the kernel reaps the children itself (wait(2)), and nobody hears how they ended.
        // SAFETY: the default disposition runs no code of ours.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self(SignalFd::with_flags(&SigSet::all(), flags)?))
    }

    /// Takes the next signal, if one came.
    pub fn take(&self) -> Option<Received> {
        loop {
            let info = self.0.read_signal().ok().flatten()?;
            let received = Received {
                number: info.ssi_signo.cast_signed(),
                sender: Sender::of(info.ssi_code, info.ssi_pid.cast_signed()),
            };
            // A write to a closed pipe says that this process sent itself a SIGPIPE.
            if received.sender != Sender::Process(std::process::id().cast_signed()) {
                return Some(received);
            }
        }
    }
}

/// Becomes readable when a signal came.
impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The mask that this process was started with.
static FOUND: OnceLock<SigSet> = OnceLock::new();

/// Holds back every signal until somebody takes them ([`Signals`]) or lets them go ([`release`]): PID 1 never hears of one that
/// comes while it is neither blocked nor handled (`pid_namespaces(7)`), so this is the first thing that it does.
pub fn hold_all() {
    let found = block_all();
    FOUND.get_or_init(|| found);
}

/// Lets go what [`hold_all`] holds: for what a signal may simply end.
pub fn release() {
    if let Some(found) = FOUND.get() {
        restore(*found);
    }
}

/// The stop that is held back, if one is.
pub fn held_stop() -> Option<i32> {
    let mut pending = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: sigpending(2) fills the set, which is large enough.
    if unsafe { libc::sigpending(pending.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: zeroed memory is a valid set, and the call has filled it.
    let pending = unsafe { pending.assume_init() };
    // SAFETY: the set is a value of this function's own.
    [libc::SIGTERM, libc::SIGINT].into_iter().find(|stop| unsafe { libc::sigismember(&pending, *stop) } == 1)
}

/// Signals by their numbers: the lowest bit is signal 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers(pub u64);

impl Numbers {
    /// Whether this one is among them.
    pub fn has(self, number: i32) -> bool {
        (1..=64).contains(&number) && self.0 & 1 << (number - 1) != 0
    }
}

static IGNORED: AtomicU64 = AtomicU64::new(0);

/// Which signals this process was started to ignore: `nohup(1)` ignores HUP, a shell without job control INT and QUIT of what it
/// runs in the background, a service manager PIPE. An app is to find them so as well.
pub fn ignored_at_start() -> Numbers {
    Numbers(IGNORED.load(Ordering::Relaxed))
}

/// Rust's runtime ignores SIGPIPE before `main`, so who did it can only be seen before that.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = note_ignored;

extern "C" fn note_ignored() {
    let ignored =
        numbers().filter(|number| is_ignored(*number)).fold(0, |all, number| all | 1 << (number - 1));
    IGNORED.store(ignored, Ordering::Relaxed);
}

/// Every signal, real-time ones included (`signal(7)`).
fn numbers() -> impl Iterator<Item = i32> {
    (1..=31).chain(libc::SIGRTMIN()..=libc::SIGRTMAX())
}

fn is_ignored(number: i32) -> bool {
    let mut old = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with a null new action sigaction(2) only fills `old`, which is large enough.
    let asked = unsafe { libc::sigaction(number, std::ptr::null(), old.as_mut_ptr()) };
    // SAFETY: zeroed memory is a valid sigaction, and the call has filled it when it returned 0.
    asked == 0 && unsafe { old.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Gives the signal mask and every disposition the value that a new program expects: the default, but for what is `ignored`.
///
/// Rust programs ignore SIGPIPE, and this one blocks whatever it can: without this a program inherits both through
/// `exec` (`signal(7)`). What came meanwhile and was blocked is delivered now if it `hears`, else dropped: it was for the
/// group that the child was born into.
pub fn reset_for_exec(ignored: Numbers, hears: bool) {
    for number in numbers() {
        if !hears {
            // SAFETY: as below. An ignored signal that is pending is discarded (sigaction(2)).
            unsafe { libc::signal(number, libc::SIG_IGN) };
        }
        let disposition = if ignored.has(number) { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: both are always valid dispositions; KILL and STOP answer EINVAL, which is fine.
        unsafe { libc::signal(number, disposition) };
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
    // That one is only held back here, and dropped later: it came from this process.
    send(std::process::id() as i32, libc::SIGSTOP);
    // The one that ended the stop is answered by whoever called. Told of it once more, the job would be continued twice, and a
    // Ctrl-Z typed between the two would be lost.
    take_pending(Signal::SIGCONT);
}

/// Takes a blocked signal that is pending for this process, if it is, without waiting (`sigtimedwait(2)`).
fn take_pending(signal: Signal) {
    let (set, none) = (SigSet::from(signal), libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: the set and the time outlive the call, and nothing is written to a null pointer.
    unsafe { libc::sigtimedwait(set.as_ref(), std::ptr::null_mut(), &none) };
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

/// Whether an app can be asked to end by it: not by one that nobody handles, or that only halts or continues.
pub fn can_ask(number: i32) -> bool {
    ![libc::SIGKILL, libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU, libc::SIGCONT]
        .contains(&number)
}

/// The moment `after` from now that `poll(2)` waits for, in whole milliseconds, rounded up.
pub(crate) fn poll_millis(after: Duration) -> u16 {
    u16::try_from(after.as_millis().saturating_add(1)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_halts_or_kills_asks_for_nothing() {
        for name in ["KILL", "STOP", "TSTP", "CONT", "9", "19"] {
            assert!(!can_ask(parse(name).expect("a signal")), "{name}");
        }
        assert!(can_ask(parse("TERM").expect("a signal")) && can_ask(libc::SIGRTMIN()));
    }

    #[test]
    fn who_sent_it_is_told_apart() {
        assert_eq!(Sender::of(libc::SI_USER, 7), Sender::Process(7));
        assert_eq!(Sender::of(libc::SI_QUEUE, 7), Sender::Process(7));
        assert_eq!(Sender::of(libc::SI_TKILL, 0), Sender::Outside);
        assert_eq!(Sender::of(libc::SI_USER, 0), Sender::Outside, "`docker kill`");
        assert_eq!(Sender::of(libc::SI_KERNEL, 0), Sender::Kernel, "a terminal");
        assert_eq!(Sender::of(libc::CLD_EXITED, 7), Sender::Kernel);
        assert_eq!(Sender::of(libc::SI_TIMER, 0), Sender::Kernel);
    }

    #[test]
    fn sets_of_numbers_know_the_first_and_the_last() {
        let numbers = Numbers(1 | 1 << 63);
        assert!(numbers.has(1) && numbers.has(64));
        assert!(!numbers.has(2) && !numbers.has(0) && !numbers.has(65) && !numbers.has(-1));
    }

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
