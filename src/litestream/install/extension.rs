//! Getting Litestream's extension of SQLite: the same ways, the same checks and the same place as Litestream itself, but that it
//! tells no version; it is loaded once, in a process of its own.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use super::candidate::{Got, obtain, stop_if};
use super::error::Error;
use super::oneshot;
use super::options::{InstallOptions, Installed, Origin};
use super::part::EXTENSION;
use super::pins::{self, Platform};
use super::place::{Scratch, folder, own_folder};
use super::progress::Progress;
use super::version::{VERSION_LIMIT, checked};
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
    let dir = own_folder(&options.dir)?;
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
    if options.takes_present() && known.is_some_and(is_there) {
        return Ok(installed(Origin::Present));
    }
    let failed = |source| folder(&dir, source);
    let scratch = Scratch::make(&dir).map_err(failed)?;
    let candidate = obtain(&EXTENSION, options, version, &scratch.path(), progress)
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

/// Checks the pinned sum first: a library that is not the one we know is never loaded.
fn verify(
    candidate: &Got,
    version: &str,
    known: Option<&'static str>,
    dir: &Path,
    cancel: &AtomicBool,
) -> Result<(), Error> {
    let Got { path, origin, .. } = candidate;
    let unreadable = |source| folder(dir, source);
    candidate.refuse_other_machine(dir)?;
    if let Some(expected) = known {
        let actual = digest::file(path).map_err(unreadable)?;
        if actual != expected {
            let (version, origin) = (version.to_owned(), origin.clone());
            return Err(Error::Checksum { version, origin, expected, actual });
        }
    }
    stop_if(cancel)?;
    candidate.make_executable(dir)?;
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
