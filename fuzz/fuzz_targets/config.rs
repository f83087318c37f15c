//! `cargo fuzz run config`: see `fuzz/README.md`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../invariants.rs"]
mod invariants;

fuzz_target!(|bytes: &[u8]| {
    // In memory, and of this process alone.
    let scratch = format!("/dev/shm/litekeeper-fuzz-{}", std::process::id());
    invariants::check(bytes, scratch.as_ref());
});
