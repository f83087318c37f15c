//! What is fetched once for all tests, and all suites.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Has `path` made, below `folder`, unless it is there: `get` makes it in a new folder beside, and says where. The last step
/// is a rename, under a lock that other suites respect.
pub fn once(
    folder: &Path,
    path: &Path,
    get: impl FnOnce(&Path) -> Result<PathBuf, String>,
) -> Result<(), String> {
    let io = |what: &str, error: std::io::Error| format!("{what}: {error}");
    if path.exists() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(|error| io("cannot create its folder", error))?;
    let lock = File::create(folder.join("lock")).map_err(|error| io("cannot create the lock", error))?;
    lock.lock().map_err(|error| io("cannot lock", error))?;
    if path.exists() {
        return Ok(());
    }
    let new = tempfile::tempdir_in(folder).map_err(|error| io("cannot create a folder", error))?;
    let got = get(new.path())?;
    fs::rename(got, path).map_err(|error| io("cannot put it in its place", error))
}
