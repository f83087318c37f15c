//! The project's own release archive: its name, its download, and the one file that we take out of it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use flate2::read::GzDecoder;

use super::download::Download;
use super::error::{Error, Reason};
use super::part::Part;
use super::progress::{MAX_BYTES, Progress};
use crate::os::open;

/// Where the project publishes; `{base}/v{version}/{archive name}` is one archive.
pub const BASE_URL: &str = "https://github.com/benbjohnson/litestream/releases/download";

/// Downloads the archive at `url` and writes the part in it to `to`, which must not exist.
///
/// Nothing else of the archive touches the disk, so it does not matter what names it holds.
///
/// # Errors
/// [`Reason`] says what was wrong; [`Error::Cancelled`] when `cancel` was set.
pub(super) fn fetch(
    url: &str,
    part: &Part,
    to: &Path,
    cancel: &AtomicBool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Error> {
    // The project's own address, or a mirror that was meant.
    let mut body = Download::of_url(url, true, cancel, progress);
    let result = unpack(&mut body, url, part, to);
    result.map_err(|reason| body.why(reason))
}

/// Writes the part in an archive, called `url` in what is said of it, to `to`, which must not exist.
///
/// # Errors
/// What is wrong with the archive, or with the disk.
pub(super) fn unpack(body: &mut dyn Read, url: &str, part: &Part, to: &Path) -> Result<(), Reason> {
    let url = url.to_owned();
    let broken = |source: io::Error| Reason::Archive { url: url.clone(), why: source.to_string() };
    let mut archive = tar::Archive::new(GzDecoder::new(body).take(MAX_BYTES));
    let mut found = false;
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let is_it = |path: &Path| path.strip_prefix("./").unwrap_or(path) == Path::new(part.in_archive);
        let wanted = entry.path().is_ok_and(|path| is_it(&path));
        if wanted && entry.header().entry_type().is_file() && !found {
            found = true;
            let mut file = open::make(to).map_err(|source| Reason::write(to, source))?;
            copy(&mut entry, &mut file, &broken, to)?;
        }
    }
    // The tar ends before the gzip stream does: read on, so that its checksum is looked at as well.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(broken)?;
    if found { Ok(()) } else { Err(Reason::NoBinary { what: url.clone() }) }
}

/// Does as `io::copy`, but tells a broken archive from a full disk.
pub(super) fn copy(
    from: &mut dyn Read,
    file: &mut File,
    broken: &dyn Fn(io::Error) -> Reason,
    to: &Path,
) -> Result<(), Reason> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => file.write_all(&buffer[..n]).map_err(|source| Reason::write(to, source))?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(broken(e)),
        }
    }
}
