//! A lock file that says who holds it (`flock(2)`).

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A lock that lives as long as any process that inherited its descriptor.
#[derive(Debug)]
pub struct Lock(File);

/// Why there is no lock.
#[derive(Debug)]
pub enum Refused {
    /// Somebody has it, and left this text in the file.
    Held(String),
    /// The file cannot be made or locked.
    Io(io::Error),
}

impl Lock {
    /// Takes the lock and leaves `text` in the file.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn acquire(path: &Path, text: &str) -> Result<Self, Refused> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(Refused::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut held = String::new();
                // Rubbish in the file still means that it is held.
                let _ = file.take(4096).read_to_string(&mut held);
                return Err(Refused::Held(held));
            }
            Err(TryLockError::Error(error)) => return Err(Refused::Io(error)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(text.as_bytes())
        };
        write(&mut file).map_err(Refused::Io)?;
        Ok(Self(file))
    }

    /// Lets go of it, whoever inherited its descriptor (`flock(2)`: one operation unlocks them all).
    pub fn release(self) {
        // Nothing else can be done about a lock that stays: it goes with its last holder.
        let _ = self.0.unlock();
    }

    /// The descriptor that holds it, for a child to inherit.
    pub fn file(&self) -> &File {
        &self.0
    }
}

/// Takes the lock of one byte of a file, as SQLite does, until the file is closed; whether it was free.
///
/// It belongs to the open file (`F_OFD_SETLK` in `fcntl(2)`), so that this process' own SQLite, if it had the
/// file open as well, would lose none of its locks.
///
/// # Errors
/// The file system has no such locks, or the file is not open for writing.
pub fn try_lock_byte(file: &File, byte: u64) -> io::Result<bool> {
    match nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_OFD_SETLK(&one_byte(byte)?)) {
        Ok(_) => Ok(true),
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// As [`try_lock_byte`], together with others who only share it.
///
/// # Errors
/// As [`try_lock_byte`].
pub fn try_share_byte(file: &File, byte: u64) -> io::Result<bool> {
    let shared = nix::libc::flock { l_type: nix::libc::F_RDLCK as _, ..one_byte(byte)? };
    match nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_OFD_SETLK(&shared)) {
        Ok(_) => Ok(true),
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// As [`try_lock_byte`], waiting until it is free.
///
/// # Errors
/// As [`try_lock_byte`].
pub fn lock_byte(file: &File, byte: u64) -> io::Result<()> {
    nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_OFD_SETLKW(&one_byte(byte)?))?;
    Ok(())
}

fn one_byte(byte: u64) -> io::Result<nix::libc::flock> {
    Ok(nix::libc::flock {
        l_type: nix::libc::F_WRLCK as _,
        l_whence: nix::libc::SEEK_SET as _,
        l_start: nix::libc::off_t::try_from(byte).map_err(|_| io::ErrorKind::InvalidInput)?,
        l_len: 1,
        l_pid: 0,
    })
}

/// The files whose locks somebody holds, by the kernel's list (`proc_locks(5)`).
///
/// Trying to take one would tell as well, but a keeper that starts in that moment would find it taken.
pub struct Held(HashSet<String>);

impl Held {
    /// Those that are held just now.
    pub fn now() -> Self {
        let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
        // `1: FLOCK  ADVISORY  WRITE 123 fe:00:456 0 EOF`; a waiting process has `->` in the second field.
        let file = |line: &str| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            fields.next().filter(|kind| *kind == "FLOCK").and(fields.nth(3)).map(str::to_owned)
        };
        Self(locks.lines().filter_map(file).collect())
    }

    /// Whether somebody holds the lock of this file.
    pub fn contains(&self, path: &Path) -> bool {
        let Ok(found) = std::fs::metadata(path) else { return false };
        let (major, minor) = (nix::sys::stat::major(found.dev()), nix::sys::stat::minor(found.dev()));
        self.0.contains(&format!("{major:02x}:{minor:02x}:{}", found.ino()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_learns_of_the_first_and_a_stale_file_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".app.db-litekeeper.lock");
        let lock = Lock::acquire(&path, "pid 1").unwrap();
        assert!(matches!(Lock::acquire(&path, "pid 2"), Err(Refused::Held(text)) if text == "pid 1"));
        assert!(Held::now().contains(&path));
        drop(lock);
        let held = Held::now();
        assert!(!held.contains(&path) && !held.contains(dir.path()));
        assert!(Lock::acquire(&path, "pid 2").is_ok());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "pid 2");
    }

    #[test]
    fn a_released_lock_is_free_although_its_descriptor_lives_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = Lock::acquire(&path, "").unwrap();
        let inherited = lock.file().try_clone().unwrap();
        lock.release();
        assert!(Lock::acquire(&path, "").is_ok());
        drop(inherited);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let missing = Path::new("/nonexistent/lock");
        assert!(matches!(Lock::acquire(missing, ""), Err(Refused::Io(_))));
    }
}
