//! The locks of one byte of a file, as SQLite takes them, that belong to the open file (`F_OFD_SETLK` in `fcntl(2)`).

use std::fs::File;
use std::io;

/// A byte that SQLite locks nowhere and never (`PENDING_BYTE` in its os.h): whoever has it has the file.
pub(super) const GUARD: u64 = 1 << 62;

/// Takes the lock of one byte of a file, as SQLite does, until the file is closed; whether it was free.
///
/// It belongs to the open file (`F_OFD_SETLK` in `fcntl(2)`), so that this process' own SQLite, if it had the
/// file open as well, would lose none of its locks.
///
/// # Errors
/// The file system has no such locks, or the file is not open for writing.
pub fn take(file: &File, byte: u64) -> io::Result<bool> {
    match nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_OFD_SETLK(&one_byte(byte)?)) {
        Ok(_) => Ok(true),
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Lets go of it, whoever has a copy of the descriptor.
///
/// # Errors
/// As [`take`].
pub(super) fn let_go(file: &File, byte: u64) -> io::Result<()> {
    let none = nix::libc::flock { l_type: nix::libc::F_UNLCK as _, ..one_byte(byte)? };
    nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_OFD_SETLK(&none))?;
    Ok(())
}

/// As [`take`], together with others who only share it.
///
/// # Errors
/// As [`take`].
pub fn share(file: &File, byte: u64) -> io::Result<bool> {
    let shared = nix::libc::flock { l_type: nix::libc::F_RDLCK as _, ..one_byte(byte)? };
    match nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_OFD_SETLK(&shared)) {
        Ok(_) => Ok(true),
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// As [`take`], waiting until it is free.
///
/// # Errors
/// As [`take`].
pub fn wait_for(file: &File, byte: u64) -> io::Result<()> {
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
