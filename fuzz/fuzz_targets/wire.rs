//! `cargo fuzz run wire`: see `fuzz/README.md`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../said.rs"]
#[expect(dead_code, reason = "each target takes some of them")]
mod said;

fuzz_target!(|bytes: &[u8]| {
    said::wire(bytes);
    said::lock_text(bytes);
    said::report(bytes);
});
