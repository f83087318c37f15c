//! Folders that another user can write to: held on to by themselves, whatever becomes of their names, and what is opened in
//! them is looked at before it is used.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, openat, readlinkat, renameat, renameat2};
use nix::sys::stat::{FileStat, Mode, fstatat, mkdirat};
use nix::unistd::{AccessFlags, Gid, Uid, UnlinkatFlags, faccessat, fchownat, unlinkat};

use super::user::Identity;
use super::walk::{MOST_LINKS, parts};
use super::{open, remove};

/// What the name of each keeper's lock ends with.
pub const LOCK: &str = "-litekeeper.lock";

/// The name of the lock in a folder that a database is replicated to.
pub const REPLICA_LOCK: &str = ".litekeeper.lock";

/// A folder itself, whatever becomes of its path.
#[derive(Debug)]
pub struct Folder(OwnedFd);

impl Folder {
    /// The folder at a path, by the rights that this thread has.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::open_at(AT_FDCWD, path, OFlag::empty())
    }

    /// The folder that a file is in, and the file's name there.
    ///
    /// # Errors
    /// What the operating system says, or that the path has no name at its end.
    pub fn of(path: &Path) -> io::Result<(Self, &OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        Ok((Self::open(folder.unwrap_or(Path::new(".")))?, name))
    }

    /// The folder at a path of which no other user decides any part: all on the way belongs to this user, and
    /// nobody else can put anything there.
    ///
    /// # Errors
    /// What the operating system says, or that somebody else has a say.
    pub fn open_trusted(path: &Path) -> io::Result<Self> {
        if !path.is_absolute() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut folder = Self::open(Path::new("/"))?;
        let mut left: Vec<OsString> = parts(path);
        let mut links = 0;
        while let Some(name) = left.pop() {
            let found = folder.trusted(&name)?;
            if found.st_mode & nix::libc::S_IFMT != nix::libc::S_IFLNK {
                folder = folder.below(&name)?;
                continue;
            }
            let link = readlinkat(&folder.0, name.as_os_str())?;
            links += 1;
            if links > MOST_LINKS {
                return Err(Errno::ELOOP.into());
            }
            let link = PathBuf::from(link);
            if link.is_absolute() {
                folder = Self::open(Path::new("/"))?;
            }
            left.extend(parts(&link));
        }
        Ok(folder)
    }

    /// What stands under a name that no other user can have put there.
    fn trusted(&self, name: &OsStr) -> io::Result<FileStat> {
        let own = Uid::effective().as_raw();
        let folder = fstatat(&self.0, "", AtFlags::AT_EMPTY_PATH)?;
        let found = fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let is_closed = folder.st_mode & 0o022 == 0;
        let is_sticky = folder.st_mode & nix::libc::S_ISVTX != 0;
        if folder.st_uid == own && (is_closed || is_sticky) && found.st_uid == own {
            Ok(found)
        } else {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "another user decides what is there"))
        }
    }

    fn open_at(at: impl AsFd, path: &Path, flags: OFlag) -> io::Result<Self> {
        let flags = flags | OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self(open::resolved(at.as_fd(), path, flags, open::Links::of_thread())?))
    }

    /// A folder in it, and no link to one.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn below(&self, name: &OsStr) -> io::Result<Self> {
        Self::open_at(&self.0, Path::new(name), OFlag::O_NOFOLLOW)
    }

    /// Makes a folder in it, for its owner alone, and opens that.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn make_below(&self, name: &OsStr, mode: u32) -> io::Result<Self> {
        mkdirat(&self.0, name, Mode::from_bits_truncate(mode))?;
        self.below(name)
    }

    /// Opens an ordinary file in it, which has no other name if it is to be written to.
    ///
    /// # Errors
    /// What the operating system says, or that it is something else.
    pub fn open_file(&self, name: &OsStr, write: bool) -> io::Result<File> {
        single(self.open_with(name, access(write))?, write)
    }

    /// As [`Folder::open_file`], and makes the file, closed to others, where there is none.
    ///
    /// # Errors
    /// As [`Folder::open_file`].
    pub fn open_or_make_file(&self, name: &OsStr) -> io::Result<File> {
        single(self.open_with(name, OFlag::O_RDWR | OFlag::O_CREAT)?, true)
    }

    /// Makes an ordinary file in it, closed to others, where nothing stands yet.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn make_file(&self, name: &OsStr) -> io::Result<File> {
        self.open_with(name, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL)
    }

    fn open_with(&self, name: &OsStr, flags: OFlag) -> io::Result<File> {
        open::at(&self.0, Path::new(name), flags | OFlag::O_NOFOLLOW)
    }

    /// The device and inode of what stands under a name, which may be a link.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn identity(&self, name: &OsStr) -> io::Result<(u64, u64)> {
        let found = fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        Ok((found.st_dev, found.st_ino))
    }

    /// Whether anything stands under a name.
    pub fn has(&self, name: &OsStr) -> bool {
        self.identity(name).is_ok()
    }

    /// Gives something in it another name there, in one step.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.0, from, &self.0, to)?)
    }

    /// As [`Folder::rename`], to a name that nothing has.
    ///
    /// # Errors
    /// `AlreadyExists`, or what else the operating system says.
    pub fn rename_to_free(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        match renameat2(&self.0, from, &self.0, to, RenameFlags::RENAME_NOREPLACE) {
            // A file system that cannot look in the same step (renameat2(2)).
            Err(Errno::EINVAL | Errno::ENOSYS) if self.has(to) => Err(Errno::EEXIST.into()),
            Err(Errno::EINVAL | Errno::ENOSYS) => self.rename(from, to),
            renamed => Ok(renamed?),
        }
    }

    /// Moves something in it to another folder, under the same name, in one step.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn give_away(&self, name: &OsStr, to: &Self) -> io::Result<()> {
        Ok(renameat(&self.0, name, &to.0, name)?)
    }

    /// Children come to it by its [`Folder::path`] as well.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn inherit(&self) -> io::Result<()> {
        super::fd::inherit(self.0.as_raw_fd())
    }

    /// Removes a file in it, or a link.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// Removes a folder in it, see [`remove::tree`].
    ///
    /// # Errors
    /// As there.
    pub fn remove_tree(&self, name: &OsStr, last: &OsStr, until: Instant) -> io::Result<()> {
        remove::tree(&self.0, name, last, until)
    }

    /// The names of all that is in it.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let entries = std::fs::read_dir(self.path())?;
        Ok(entries.flatten().map(|entry| entry.file_name()).collect())
    }

    /// Has all that was done in it on the disk.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn sync(&self) -> io::Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        File::from(openat(&self.0, ".", flags, Mode::empty())?).sync_all()
    }

    /// What it is.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn metadata(&self) -> io::Result<Metadata> {
        // A copy of the descriptor is enough for fstat(2), whatever it was opened for.
        File::from(self.0.try_clone()?).metadata()
    }

    /// Whether root made it and nothing is in it yet, but for what each new ext4 has, and the lock of a keeper.
    pub fn is_fresh(&self) -> bool {
        let counts = |name: &OsString| name != "lost+found" && !name.as_bytes().ends_with(LOCK.as_bytes());
        let is_roots = self.metadata().is_ok_and(|found| found.uid() == 0);
        is_roots && self.names().is_ok_and(|names| !names.iter().any(counts))
    }

    /// Whether this thread may make files in it.
    pub fn is_writable(&self) -> bool {
        let wanted = AccessFlags::W_OK | AccessFlags::X_OK;
        faccessat(&self.0, ".", wanted, AtFlags::AT_EACCESS).is_ok()
    }

    /// Gives it to a user.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn give_to(&self, user: &Identity) -> io::Result<()> {
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
        Ok(fchownat(&self.0, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH)?)
    }

    /// The path by which this process, and a child that inherits it, comes to it.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

fn access(write: bool) -> OFlag {
    if write { OFlag::O_RDWR } else { OFlag::O_RDONLY }
}

/// A file that, if it is to be written to, goes by no other name: who has made a second name for somebody else's file need
/// not be able to write to it.
fn single(file: File, write: bool) -> io::Result<File> {
    // One without a name was deleted meanwhile.
    if write && file.metadata()?.nlink() > 1 {
        return Err(io::Error::other("it is another name of a file that has others"));
    }
    Ok(file)
}
