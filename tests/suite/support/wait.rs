//! Waiting for what happens outside this process, always with a deadline.

use std::time::{Duration, Instant};

/// How long a test waits for something that should come at once. No promise is measured by it, so it is generous: eight
/// tests share the machine, which may have other work and a disk that takes seconds for a flush.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Milliseconds between two looks.
const INTERVAL: Duration = Duration::from_millis(3);

/// Waits until `condition` holds; panics with `what` when it does not within `deadline`.
#[track_caller]
pub fn wait_until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, deadline, || condition().then_some(()));
}

/// Waits until `look` finds something and returns it; panics with `what` when it does not within `deadline`.
///
/// The only place of the suite that sleeps: files and other people's processes have no event to wait on.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "the one polling loop, with a deadline")]
pub fn wait_for<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < deadline, "waited {deadline:?} in vain for: {what}");
        std::thread::sleep(INTERVAL);
    }
}
