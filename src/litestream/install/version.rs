//! Which version a binary is.

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::error::Error;
use super::oneshot;
use super::pins::{Platform, sha256};
use crate::os::digest;
use crate::os::way::{self, Trusted};

/// How long `litestream version` may take, on a machine under load; it takes 20 ms elsewhere.
pub(super) const VERSION_LIMIT: Duration = Duration::from_secs(30);

/// Says whether a binary that is there already is that version: by its sum where that is known, and never by its own word
/// alone then; it is not even run. Nor does root run what somebody else has put there.
pub(super) fn is_it(binary: &Path, version: &str, cancel: &AtomicBool) -> bool {
    let is_led = way::leads_root(binary, Trusted::default()).is_some();
    match sha256(version, Platform::HOST) {
        Some(expected) => digest::file(binary).is_ok_and(|actual| actual == expected),
        None if is_led => false,
        None => version_of(binary, cancel).is_ok_and(|said| said == version),
    }
}

/// Says whether a binary is a release of that version whose sum is known. It is not run.
pub fn is_release(binary: &Path, version: &str) -> bool {
    let expected = sha256(version, Platform::HOST);
    expected.is_some_and(|expected| digest::file(binary).is_ok_and(|actual| actual == expected))
}

/// Says what `litestream version` prints, without the `v` that 0.3 prints.
pub(super) fn version_of(binary: &Path, cancel: &AtomicBool) -> io::Result<String> {
    let folder = binary.parent().unwrap_or(Path::new("."));
    let mut command = Command::new(binary);
    command.arg("version");
    let done = oneshot::run(&mut command, folder, cancel, Some(VERSION_LIMIT))?;
    let said = done.stdout.trim();
    match done.status.success() {
        true => Ok(said.strip_prefix('v').unwrap_or(said).to_owned()),
        false => Err(io::Error::other(format!("litestream version: {}", done.status))),
    }
}

/// Refuses what no version may hold: it goes into an address and a command line.
pub(super) fn checked(version: &str) -> Result<&str, Error> {
    let bare = version.strip_prefix('v').unwrap_or(version);
    let starts = bare.starts_with(|c: char| c.is_ascii_digit());
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    if starts && bare.chars().all(allowed) { Ok(bare) } else { Err(Error::Version(version.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_version() {
        assert_eq!(checked("0.5.17").ok(), Some("0.5.17"));
        assert_eq!(checked("v0.3.13").ok(), Some("0.3.13"));
        for wrong in ["", "v", "latest", "../1", "1/2", "-1", "0.5 17", "0.5;x", "0.5.17\n"] {
            assert!(checked(wrong).is_err(), "{wrong:?}");
        }
    }
}
