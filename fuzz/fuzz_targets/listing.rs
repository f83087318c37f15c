//! `cargo fuzz run listing`: see `fuzz/README.md`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../said.rs"]
#[expect(dead_code, reason = "each target takes some of them")]
mod said;

// One server for all of them.
static SERVER: std::sync::LazyLock<said::Server> = std::sync::LazyLock::new(said::Server::start);

fuzz_target!(|bytes: &[u8]| said::listing(bytes, &SERVER));
