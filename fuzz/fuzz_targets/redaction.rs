//! `cargo fuzz run redaction`: see `fuzz/README.md`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../leaves.rs"]
#[expect(dead_code, reason = "each target takes one of them")]
mod leaves;

fuzz_target!(|bytes: &[u8]| leaves::redaction(bytes));
