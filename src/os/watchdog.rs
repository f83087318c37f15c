//! An end for a process that runs what may never come back: the kernel's alarm (`alarm(2)`), which no code of the process has to
//! look at.

use std::time::Duration;

use nix::unistd::alarm;

/// Has this process ended by SIGALRM when so long has passed, rounded up to seconds, unless it is armed again or disarmed before.
pub fn arm(limit: Duration) {
    let seconds = limit.as_secs() + u64::from(limit.subsec_nanos() > 0);
    // Zero would be none at all.
    alarm::set(u32::try_from(seconds).unwrap_or(u32::MAX).max(1));
}

/// Lets this process take its time.
pub fn disarm() {
    alarm::cancel();
}
