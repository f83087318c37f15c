//! The way to a path, name by name.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstatat};

/// Links that a path may lead through, as for the kernel (`path_resolution(7)`).
pub(super) const MOST_LINKS: u32 = 40;

/// A way to a path, one name after the other, each with the folder that it stands in: links are read and not followed.
pub(super) struct Walk {
    folder: OwnedFd,
    left: Vec<OsString>,
    links: u32,
    /// It has led through a link that leads where no path says (`open::Links::Plain`).
    pub(super) magic: bool,
}

/// The number of the top of each `/proc`.
const PROC_ROOT: u64 = 1;

/// A name on the way.
pub(super) struct Step {
    /// The folder that it stands in.
    pub(super) folder: FileStat,
    /// What stands under it, if anything does.
    pub(super) found: Option<FileStat>,
}

impl Walk {
    /// To a path that begins with the root.
    pub(super) fn to(path: &Path) -> io::Result<Self> {
        Ok(Self { folder: folder(AT_FDCWD, OsStr::new("/"))?, left: parts(path), links: 0, magic: false })
    }

    /// Whether links in this folder are the kernel's, and lead to a process's files themselves (`proc(5)`): those below
    /// the folder of a process.
    fn is_magic(&self) -> bool {
        let is_proc = nix::sys::statfs::fstatfs(&self.folder)
            .is_ok_and(|found| found.filesystem_type() == nix::sys::statfs::PROC_SUPER_MAGIC);
        is_proc
            && fstatat(&self.folder, "", AtFlags::AT_EMPTY_PATH).is_ok_and(|found| found.st_ino != PROC_ROOT)
    }

    /// Whether it is among this process's descriptors.
    fn is_own_descriptors(&self) -> bool {
        let here = fstatat(&self.folder, "", AtFlags::AT_EMPTY_PATH).ok();
        let own = std::fs::metadata("/proc/self/fd").ok();
        here.zip(own).is_some_and(|(here, own)| (here.st_dev, here.st_ino) == (own.dev(), own.ino()))
    }

    /// The next name; none behind the last.
    pub(super) fn step(&mut self) -> io::Result<Option<Step>> {
        let Some(name) = self.left.pop() else { return Ok(None) };
        let above = fstatat(&self.folder, "", AtFlags::AT_EMPTY_PATH)?;
        let found = match fstatat(&self.folder, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            Err(Errno::ENOENT) => return Ok(Some(Step { folder: above, found: None })),
            Err(error) => return Err(error.into()),
        };
        if is_kind(&found, nix::libc::S_IFLNK) {
            if self.is_magic() {
                self.magic = true;
                // What this process was given is what somebody has opened who could.
                if self.is_own_descriptors() {
                    self.left.clear();
                    return Ok(Some(Step { folder: above, found: Some(found) }));
                }
            }
            self.links += 1;
            if self.links > MOST_LINKS {
                return Err(Errno::ELOOP.into());
            }
            let link = PathBuf::from(readlinkat(&self.folder, name.as_os_str())?);
            if link.is_absolute() {
                self.folder = folder(AT_FDCWD, OsStr::new("/"))?;
            }
            self.left.extend(parts(&link));
        } else if !self.left.is_empty() {
            self.folder = folder(&self.folder, &name)?;
        }
        Ok(Some(Step { folder: above, found: Some(found) }))
    }
}

fn is_kind(found: &FileStat, kind: nix::libc::mode_t) -> bool {
    found.st_mode & nix::libc::S_IFMT == kind
}

/// A folder itself, and no link to one.
fn folder(at: impl AsFd, name: &OsStr) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    openat(at, name, flags, Mode::empty())
}

/// The names of a path, the last first.
pub(super) fn parts(path: &Path) -> Vec<OsString> {
    let name = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from_vec(b"..".to_vec())),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(name).collect()
}
