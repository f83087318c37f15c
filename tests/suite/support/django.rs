//! The real Django.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::fetched;
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
    fetched::once(&folder, &packages, install)
        .unwrap_or_else(|why| panic!("cannot get Django {VERSION}: {why}\nhint: make `pip install` work"));
    packages
}

fn install(folder: &Path) -> Result<PathBuf, String> {
    let mut reasons = Vec::new();
    for pip in [&["python3", "-m", "pip"][..], &["pip3"], &["pip"]] {
        let mut command = Command::new(pip[0]);
        command.args(&pip[1..]).args(["install", "--quiet", "--no-compile", "--target"]).arg(folder);
        match run(command.arg(format!("django=={VERSION}"))) {
            Ok(()) => return Ok(folder.to_owned()),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(reasons.join("\n"))
}
