//! Descriptors: which are inherited, and which are not.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

/// Marks every descriptor from `first` up as not inherited through `exec`.
pub fn close_on_exec_from(first: RawFd) {
    let open: Vec<RawFd> = match std::fs::read_dir("/proc/self/fd") {
        Ok(entries) => {
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
        }
        Err(_) => (first..1024).collect(),
    };
    for fd in open.into_iter().filter(|fd| *fd >= first) {
        // One that was closed meanwhile has nothing to be marked.
        let _ = set_flags(fd, libc::FD_CLOEXEC);
    }
}

/// Lets a descriptor through the next `exec`.
///
/// # Errors
/// What the operating system says.
pub fn inherit(fd: RawFd) -> io::Result<()> {
    Ok(let_through(fd)?)
}

/// [`inherit`] as the bare system call, for between a fork and an exec.
pub(super) fn let_through(fd: RawFd) -> nix::Result<()> {
    set_flags(fd, 0)
}

/// Takes over a descriptor that this process inherited under a number that it was told.
///
/// Whatever this process opens itself is close-on-exec, and nothing that it inherited can be: so what is, is no
/// descriptor of the caller's, however the number came here.
///
/// # Errors
/// When the number is not an open descriptor that was inherited and not yet taken over.
pub fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 3 || flags(fd)? & libc::FD_CLOEXEC != 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    set_flags(fd, libc::FD_CLOEXEC)?;
    // SAFETY: it is open, says the call above. It was not close-on-exec: Rust's library and this program open nothing
    // without that flag, and all that took this number over before set it. So nothing in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn flags(fd: RawFd) -> io::Result<i32> {
    // SAFETY: fcntl(2) takes any number, and says EBADF to one that is not open; nothing in memory is touched.
    Ok(nix::errno::Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFD) })?)
}

fn set_flags(fd: RawFd, flags: i32) -> nix::Result<()> {
    // SAFETY: as in `flags`.
    nix::errno::Errno::result(unsafe { libc::fcntl(fd, libc::F_SETFD, flags) })?;
    Ok(())
}

/// The same open file under a number of at least `least` and above the standard ones, not inherited.
///
/// # Errors
/// What the operating system says.
pub fn above(fd: OwnedFd, least: RawFd) -> io::Result<OwnedFd> {
    copy_above(fd.as_raw_fd(), least.max(3))
}

/// The same open file under another number, not inherited.
///
/// # Errors
/// `EBADF` when the number is not open; else what the operating system says.
pub(super) fn copy(fd: RawFd) -> io::Result<OwnedFd> {
    copy_above(fd, 3)
}

fn copy_above(fd: RawFd, least: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: as in `flags`.
    let number = nix::errno::Errno::result(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, least) })?;
    // SAFETY: the kernel has just made this descriptor for this process.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// What a descriptor leads to, opened anew to be written to: what does not fit is refused and not waited for, and for
/// nobody else (`O_NONBLOCK` belongs to the open file).
///
/// # Errors
/// What the operating system says; a socket cannot be opened again.
pub(super) fn open_again(fd: RawFd) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    File::options().write(true).custom_flags(flags).open(format!("/proc/self/fd/{fd}"))
}

/// The descriptors of socket activation (`sd_listen_fds(3)`): `count` of them, from 3 up.
///
/// # Errors
/// The number of the first that was not passed to this process.
pub fn listen_fds(count: u16) -> Result<Vec<OwnedFd>, RawFd> {
    (3..3 + RawFd::from(count)).map(|fd| adopt(fd).map_err(|_| fd)).collect()
}

/// Device and inode of what a descriptor is open on.
///
/// # Errors
/// What the operating system says.
pub fn identity(fd: impl AsFd) -> io::Result<(u64, u64)> {
    let found = nix::sys::stat::fstat(fd)?;
    Ok((found.st_dev, found.st_ino))
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

/// Has a descriptor passed on to the program that this process becomes, and says its number.
///
/// # Errors
/// What the operating system says.
pub fn pass_on(fd: OwnedFd) -> io::Result<RawFd> {
    let number = std::os::fd::IntoRawFd::into_raw_fd(fd);
    set_flags(number, 0)?;
    Ok(number)
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

/// A folder, to be worked in under whatever name it has then, or none. Its own right to be entered is asked for as well.
///
/// # Errors
/// What the operating system says.
pub fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    use nix::fcntl::OFlag;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let here = nix::fcntl::AT_FDCWD;
    Ok(super::open::resolved(here, &path.join("."), flags, super::open::Links::of_thread())?)
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

/// Takes it that nobody reads any more what comes out of the pipes of [`unbreakable_pipe`] that this process has as its
/// standard output and error: whoever writes to them waits for nobody from now on, and loses what does not fit.
///
/// The flag belongs to the open file (`fcntl(2)`), so it counts for all who have inherited it. A writer that waits
/// already sees it when there is room, so what was written is read away.
pub fn give_up_outputs() {
    for number in [1, 2] {
        let Ok(flags) = status_flags(number) else { continue };
        // Nobody else's pipe can be read at its writing end.
        if !is_pipe(number) || flags & libc::O_ACCMODE != libc::O_RDWR {
            continue;
        }
        // SAFETY: fcntl(2) with numbers only; nothing in memory is touched.
        if unsafe { libc::fcntl(number, libc::F_SETFL, flags | libc::O_NONBLOCK) } < 0 {
            continue;
        }
        let mut bytes = [0u8; 4096];
        // SAFETY: read(2) writes into an array of this stack, and no more than it holds.
        while unsafe { libc::read(number, bytes.as_mut_ptr().cast(), bytes.len()) } > 0 {}
    }
}

fn status_flags(fd: RawFd) -> io::Result<i32> {
    // SAFETY: as in `flags`.
    Ok(nix::errno::Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFL) })?)
}

fn is_pipe(fd: RawFd) -> bool {
    let mut found = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: fstat(2) fills `found`, which is large enough, and takes any number.
    let asked = unsafe { libc::fstat(fd, found.as_mut_ptr()) };
    // SAFETY: zeroed memory is a valid stat, and the call has filled it when it returned 0.
    asked == 0 && unsafe { found.assume_init() }.st_mode & libc::S_IFMT == libc::S_IFIFO
}

/// The raw number, for a child's argv.
pub fn number(fd: &OwnedFd) -> RawFd {
    fd.as_raw_fd()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_inherited_is_taken_over() {
        for closed in [-1, 0, 2, RawFd::MAX] {
            assert!(adopt(closed).is_err(), "{closed}");
        }
        assert!(inherit(-1).is_err());
        let own = File::open("/dev/null").unwrap();
        assert!(adopt(own.as_raw_fd()).is_err(), "close-on-exec: this process has opened it");
        // As an exec would have left it.
        let inherited = nix::unistd::dup(&own).unwrap();
        let number = std::os::fd::IntoRawFd::into_raw_fd(inherited);
        let adopted = adopt(number).unwrap();
        assert_eq!(adopted.as_raw_fd(), number);
        assert!(adopt(number).is_err(), "it has an owner");
    }

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
