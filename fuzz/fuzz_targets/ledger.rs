//! `cargo fuzz run ledger`: see `fuzz/README.md`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../kept.rs"]
#[expect(dead_code, reason = "each target takes some of them")]
mod kept;

// In memory, and of this process alone.
static SCRATCH: std::sync::LazyLock<std::path::PathBuf> = std::sync::LazyLock::new(|| {
    let folder = format!("/dev/shm/litekeeper-fuzz-{}", std::process::id()).into();
    std::fs::create_dir_all(&folder).expect("a folder in memory");
    folder
});

fuzz_target!(|bytes: &[u8]| kept::ledger(bytes, &SCRATCH));
