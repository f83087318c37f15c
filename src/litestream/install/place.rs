//! The folder that is installed to, and the one beside it in which what is installed is made.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::os::dir::check_own;
use crate::os::permit::Folder;
use crate::os::way::{self, Trusted};

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

pub(super) fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The folder that is installed to, made if it is missing, in which nobody else decides what stands.
pub(super) fn own_folder(dir: &Path) -> Result<PathBuf, Error> {
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

/// A folder that nobody else can look into, beside the place of what is made in it; both are held, and nothing in them is
/// done by a path that leads through a folder of others.
pub(super) struct Scratch {
    pub(super) beside: Folder,
    name: OsString,
    folder: Folder,
}

impl Scratch {
    pub(super) fn make(dir: &Path) -> io::Result<Self> {
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
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path()
    }

    /// Puts a file of it beside it, in one step.
    pub(super) fn place(&self, name: &OsStr) -> io::Result<()> {
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

pub(super) fn folder(dir: &Path, source: io::Error) -> Error {
    Error::Folder { dir: dir.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::litestream::install::BINARY;

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
