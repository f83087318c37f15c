//! Whom the kernel kills first for want of memory (`oom_score_adj` in `proc_pid_oom_score_adj(5)`).
//!
//! As PID 1 of a container the keeper has nobody who drains after its death, and it is small: so the kernel is asked to look
//! elsewhere. Not exempted from it (-1000), since then a container that has nothing else left could not be ended.

use std::ffi::CStr;
use std::sync::OnceLock;

use nix::libc;

use super::open;

const FILE: &CStr = c"/proc/self/oom_score_adj";

/// What the keeper and the shim ask for. The first takes CAP_SYS_RESOURCE (`capabilities(7)`), which few containers have; to
/// take back what somebody without it has added takes nothing.
const WANTED: [&str; 2] = ["-900", "0"];

/// So much more the app asks for: the kernel takes it rather than Litestream as long as that has not a tenth of all memory more than
/// one of its processes. Litestream's death ends the app as well, and what the app wrote last waits for the next one.
/// No more than that: on a machine that others share, the app is not to die for what they take.
const MORE: i32 = 100;
/// The most that there is.
const MOST: i32 = 1000;

/// What this process was started with, as the kernel wrote it, where it is something else now.
static OWN: OnceLock<String> = OnceLock::new();

/// What the app is started with.
static RAISED: OnceLock<String> = OnceLock::new();

/// Asks for less. What is refused stays.
pub fn lower() {
    let own = FILE.to_str().ok().and_then(|file| open::kernel_text(file).ok());
    let Some(own) = own.map(|text| text.trim().to_owned()) else { return };
    let Ok(number) = own.parse::<i32>() else { return };
    RAISED.get_or_init(|| number.saturating_add(MORE).min(MOST).to_string());
    let lowered =
        |wanted: &str| wanted.parse().is_ok_and(|wanted: i32| wanted < number) && write(wanted.as_bytes());
    if OWN.get().is_none() && WANTED.into_iter().any(lowered) {
        let _ = OWN.set(own);
    }
}

/// What it was before: it is passed on by `fork(2)`, and Litestream is to be what it would be alone.
/// System calls and nothing else: it runs between a fork and an exec. To ask for more is allowed to everybody.
pub(super) fn restore() {
    if let Some(own) = OWN.get() {
        write(own.as_bytes());
    }
}

/// What the app is to be, which everybody may ask for; where it is not known, what it was before. As [`restore`].
pub(super) fn raise() {
    match RAISED.get() {
        Some(raised) if write(raised.as_bytes()) => {}
        Some(_) | None => restore(),
    }
}

fn write(text: &[u8]) -> bool {
    // SAFETY: the name ends with a zero; open(2) of a file of the kernel's waits for nobody.
    let fd = unsafe { libc::open(FILE.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
    if fd < 0 {
        return false;
    }
    // SAFETY: the bytes are the slice's, and the descriptor was opened above and is closed once.
    unsafe {
        let written = libc::write(fd, text.as_ptr().cast(), text.len());
        libc::close(fd);
        written == text.len() as isize
    }
}
