//! How many descriptors this process may have open (`getrlimit(2)`).

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What this process was started with.
static OWN: OnceLock<(u64, u64)> = OnceLock::new();

/// As many as this process may come to have open; `None` where nobody says.
pub fn open_files() -> Option<u64> {
    // A program may raise the soft one by itself, as Litestream does.
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(_, hard)| hard)
}

/// As many as the system allows: a thousand databases have a thousand locks, and are asked about side
/// by side. What cannot be raised stays.
pub fn raise_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        OWN.get_or_init(|| (soft, hard));
        // More than is allowed is what it was before, which is no reason to stop.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// What it was before: a program that uses `select(2)` may not see a number above 1023. For a child,
/// before its exec.
pub fn restore_open_files() {
    if let Some((soft, hard)) = OWN.get() {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, *soft, *hard);
    }
}
