//! `cargo fuzz run litestream`: see `fuzz/README.md`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../said.rs"]
#[expect(dead_code, reason = "each target takes some of them")]
mod said;

fuzz_target!(|bytes: &[u8]| {
    said::log_line(bytes);
    said::plan(bytes);
    said::control_answer(bytes);
});
