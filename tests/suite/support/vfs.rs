//! Litestream's extension of SQLite.

use std::path::{Path, PathBuf};

use super::fetched;
use super::litestream::{LATEST, unpack_wheel};

/// The extension of [`LATEST`].
///
/// `LITEKEEPER_TEST_LITESTREAM_VFS` names one; else it is fetched once into `target/litestream-vfs/<version>/`, from the Python
/// package `litestream-vfs`. Panics when it can be had nowhere.
#[track_caller]
pub fn library() -> PathBuf {
    const VARIABLE: &str = "LITEKEEPER_TEST_LITESTREAM_VFS";
    if let Some(path) = std::env::var_os(VARIABLE) {
        return path.into();
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("litestream-vfs").join(LATEST);
    let path = folder.join("litestream-vfs.so");
    let package = format!("litestream-vfs=={LATEST}");
    let unpack = |new: &Path| {
        unpack_wheel(&package, new)?;
        Ok(new.join("litestream_vfs/litestream-vfs.so"))
    };
    fetched::once(&folder, &path, unpack).unwrap_or_else(|why| {
        panic!(
            "cannot get litestream's extension: {why}\n\
             hint: set {VARIABLE} to its file, or make `pip download --no-deps {package}` work"
        )
    });
    path
}
