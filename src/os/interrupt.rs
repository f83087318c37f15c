//! A stop that a command hears, cleans up after, and dies of, whatever it waits for.
//!
//! For commands that have nobody to look after. The work looks at a flag; if it has not ended soon after that (a full
//! pipe that nobody reads), the signal ends the process all the same.

use std::io;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::signal;

/// How long the work has for its end, in milliseconds: it removes what it had begun.
const GRACE: u16 = 3000;

const STOPS: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// The first signal that came.
static NUMBER: AtomicI32 = AtomicI32::new(0);
/// Where the handler tells of it.
static TELL: AtomicI32 = AtomicI32::new(-1);
static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Hears of the signals to stop from now on: the flag that is set by one.
///
/// # Errors
/// What the operating system says.
pub fn hear() -> io::Result<Arc<AtomicBool>> {
    let flag = match FLAG.get() {
        Some(flag) => flag.clone(),
        None => {
            let (told, tell) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
            let flag = Arc::new(AtomicBool::new(false));
            let seen = flag.clone();
            std::thread::Builder::new().name("interrupt".to_owned()).spawn(move || wait(&told, &seen))?;
            // It stays open for as long as there can be a handler.
            TELL.store(tell.into_raw_fd(), Ordering::Relaxed);
            FLAG.get_or_init(|| flag).clone()
        }
    };
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for stop in STOPS.into_iter().filter(|stop| !signal::ignored_at_start().has(*stop as i32)) {
        // SAFETY: `note` does only what a handler may (signal-safety(7)).
        unsafe { sigaction(stop, &action) }?;
    }
    Ok(flag)
}

/// Has signals end the process as they come again, and says which one came before that.
pub fn done() -> Option<i32> {
    if FLAG.get().is_some() {
        STOPS.into_iter().filter(|stop| !signal::ignored_at_start().has(*stop as i32)).for_each(by_default);
    }
    Some(NUMBER.load(Ordering::SeqCst)).filter(|number| *number > 0)
}

extern "C" fn note(number: libc::c_int) {
    let first = NUMBER.compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    if first {
        // SAFETY: the descriptor is open for good, and one byte is read; what was interrupted finds its errno as it was.
        unsafe {
            let errno = *libc::__errno_location();
            libc::write(TELL.load(Ordering::Relaxed), b"x".as_ptr().cast(), 1);
            *libc::__errno_location() = errno;
        }
    }
}

fn wait(told: &OwnedFd, flag: &AtomicBool) {
    let mut byte = [0];
    while matches!(nix::unistd::read(told.as_fd(), &mut byte), Err(nix::errno::Errno::EINTR)) {}
    flag.store(true, Ordering::SeqCst);
    // Nothing comes to no descriptor: this waits. Who has ended by then takes this thread along.
    let _ = nix::poll::poll(&mut [], GRACE);
    let number = NUMBER.load(Ordering::SeqCst);
    STOPS.into_iter().filter(|stop| *stop as i32 == number).for_each(by_default);
    signal::send(std::process::id().cast_signed(), number);
}

fn by_default(stop: Signal) {
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default runs nothing of this process.
    let _ = unsafe { sigaction(stop, &action) };
}
