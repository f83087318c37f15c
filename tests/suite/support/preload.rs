//! Libraries in C that tests preload into programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::litestream;

/// `NAME.c`, compiled where it is newer; suites that run at the same time each put their own in the same place.
pub fn library(name: &str) -> PathBuf {
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/support").join(name).with_extension("c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name(name).with_extension("so");
    let age = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    if age(&library) < age(&source) {
        let made = library.with_extension(format!("so.{}", std::process::id()));
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).args([&made, &source]);
        litestream::run(&mut cc).expect("a C compiler, as rusqlite needs one");
        fs::rename(&made, &library).expect("target can be written");
    }
    library
}
