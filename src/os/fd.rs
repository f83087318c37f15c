//! Descriptors: which are inherited, and which are not.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// Marks every descriptor from `first` up as not inherited through `exec`.
pub fn close_on_exec_from(first: RawFd) {
    let open: Vec<RawFd> = match std::fs::read_dir("/proc/self/fd") {
        Ok(entries) => {
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
        }
        Err(_) => (first..1024).collect(),
    };
    for fd in open.into_iter().filter(|fd| *fd >= first) {
        // SAFETY: the number is only used for this call, which fails with EBADF on a closed one.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let _ = fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
    }
}

/// Lets a descriptor through the next `exec`.
///
/// # Errors
/// What the operating system says.
pub fn inherit(fd: RawFd) -> io::Result<()> {
    // SAFETY: the number is only used for this call, which fails with EBADF on a closed one.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(())
}

/// Takes over a descriptor that this process inherited under a number that it was told.
///
/// # Errors
/// When the number is not an open descriptor.
pub fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 3 {
        return Err(io::Error::from_raw_os_error(nix::libc::EBADF));
    }
    // SAFETY: the number is only used for this call, which fails with EBADF on a closed one.
    fcntl(unsafe { BorrowedFd::borrow_raw(fd) }, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: the call above says that it is open, and nothing else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The same open file under a number of at least `least` and above the standard ones, not inherited.
///
/// # Errors
/// What the operating system says.
pub fn above(fd: OwnedFd, least: RawFd) -> io::Result<OwnedFd> {
    let number = fcntl(&fd, FcntlArg::F_DUPFD_CLOEXEC(least.max(3)))?;
    // SAFETY: the kernel has just made this descriptor for this process.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The descriptors of socket activation (`sd_listen_fds(3)`): `count` of them, from 3 up.
pub fn listen_fds(count: usize) -> Vec<OwnedFd> {
    let numbers = 3..RawFd::try_from(3 + count).unwrap_or(3);
    numbers.map_while(|fd| adopt(fd).ok()).collect()
}

/// Text that is too long for a packet, in memory that goes with its descriptor.
///
/// # Errors
/// What the operating system says.
pub fn memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let fd = nix::sys::memfd::memfd_create(c"litekeeper", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// What [`memory`] was given.
///
/// # Errors
/// What the operating system says.
pub fn read_memory(fd: OwnedFd) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::from(fd).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// This program, as a descriptor that can be executed after the file on disk was replaced, and by a
/// user who may not see the folder that it is in.
///
/// # Errors
/// What the operating system says; without `/proc` there is none.
pub fn own_program() -> io::Result<OwnedFd> {
    use nix::fcntl::OFlag;
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    Ok(nix::fcntl::open("/proc/self/exe", flags, nix::sys::stat::Mode::empty())?)
}

/// So many bytes of a file, from this place on; `None` where it is too short.
///
/// # Errors
/// It cannot be read.
pub fn read_at<const N: usize>(file: &File, at: u64) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    match file.read_exact_at(&mut bytes, at) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// As [`read_at`], for any number of bytes; whether they are there.
///
/// # Errors
/// It cannot be read.
pub fn read_all_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<bool> {
    match file.read_exact_at(bytes, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens an ordinary file, and nothing that stands there in its place: a link leads elsewhere, and a pipe
/// would hold up whoever opens it (`open(2)`).
///
/// # Errors
/// What the operating system says, or that it is something else.
pub fn open_file(path: &Path, write: bool) -> io::Result<File> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
    let file = File::options().read(true).write(write).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no ordinary file")) }
}

/// Makes an ordinary file that only its owner can read, where nothing stands yet.
///
/// # Errors
/// What the operating system says.
pub fn make_file(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// The path by which this process, and a child that inherits it, can open or execute a descriptor.
pub fn path(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", number(fd)))
}

/// A pipe whose writer needs no reader: its writing end can read as well, so a write never finds
/// the pipe broken (`fifo(7)`, on a pipe by way of `/proc/self/fd`).
///
/// A Go program dies of a log line that it cannot write, whatever it was about to do (the Go
/// package `os/signal` on SIGPIPE), and Litestream outlives the keeper for a last sync.
///
/// # Errors
/// What the operating system says; without `/proc` the writing end is an ordinary one.
pub fn unbreakable_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let both = File::options().read(true).write(true).open(format!("/proc/self/fd/{}", writer.as_raw_fd()));
    Ok((reader, both.map_or(writer, OwnedFd::from)))
}

/// The raw number, for a child's argv.
pub fn number(fd: &OwnedFd) -> RawFd {
    fd.as_raw_fd()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_cannot_break_still_ends() {
        let (reader, writer) = unbreakable_pipe().unwrap();
        let mut writer = File::from(writer);
        writer.write_all(b"heard").unwrap();
        let copy = reader.try_clone().unwrap();
        drop(reader);
        writer.write_all(b", then").unwrap();
        drop(writer);
        let mut text = String::new();
        File::from(copy).read_to_string(&mut text).unwrap();
        assert_eq!(text, "heard, then");

        let (reader, writer) = unbreakable_pipe().unwrap();
        drop(reader);
        File::from(writer).write_all(b"nobody reads this").unwrap();
    }
}
