//! The real Django.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::litestream::run;

/// The version that wrote `tests/fixtures/projects/django`.
const VERSION: &str = "5.2.19";

/// A folder for `PYTHONPATH` that holds Django.
///
/// It is fetched once into `target/django/<version>/`, with pip. Panics when it cannot be had.
#[track_caller]
pub fn packages() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("django").join(VERSION);
    let packages = folder.join("packages");
    if !packages.exists() {
        fetch(&folder, &packages).unwrap_or_else(|why| {
            panic!("cannot get Django {VERSION}: {why}\nhint: make `pip install` work")
        });
    }
    packages
}

/// Installs beside its place; the last step is a rename, under a lock that other suites respect.
fn fetch(folder: &Path, packages: &Path) -> Result<(), String> {
    let io = |what: &str, error: std::io::Error| format!("{what}: {error}");
    fs::create_dir_all(folder).map_err(|error| io("cannot create its folder", error))?;
    let lock = File::create(folder.join("lock")).map_err(|error| io("cannot create the lock", error))?;
    lock.lock().map_err(|error| io("cannot lock", error))?;
    if packages.exists() {
        return Ok(());
    }
    let new = tempfile::tempdir_in(folder).map_err(|error| io("cannot create a folder", error))?;
    let mut reasons = Vec::new();
    for pip in [&["python3", "-m", "pip"][..], &["pip3"], &["pip"]] {
        let mut command = Command::new(pip[0]);
        command.args(&pip[1..]).args(["install", "--quiet", "--no-compile", "--target"]).arg(new.path());
        match run(command.arg(format!("django=={VERSION}"))) {
            Ok(()) => {
                return fs::rename(new.keep(), packages)
                    .map_err(|error| io("cannot put it in its place", error));
            }
            Err(reason) => reasons.push(reason),
        }
    }
    Err(reasons.join("\n"))
}
