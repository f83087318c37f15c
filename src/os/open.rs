//! Opening a file by a path under which anything may stand.
//!
//! `open(2)` waits for the other end of a pipe and for whoever holds a lease on a file, and to open a device is to
//! use it. So a file is looked at first, opened without waiting, and looked at again: somebody may have put
//! something else there meanwhile. Nothing else in this program opens a file by its path, see
//! `tests/suite/architecture.rs`.

use std::ffi::OsStr;
use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, SFlag, fstatat};

use super::permit;
use super::walk::Walk;
use super::way::{self, Trusted};

/// What is opened never holds anybody up, becomes nobody's terminal, and is passed on to no child by chance.
const ALWAYS: OFlag = OFlag::O_NONBLOCK.union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// How long a pipe that is read on purpose may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which links are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// All.
    All,
    /// Those that are a path. Others, below `/proc`, lead to what a process has open or works in, past all folders above it.
    Plain,
}

impl Links {
    /// For whoever this thread acts: what another user could not have come to is not opened for him.
    pub(super) fn of_thread() -> Self {
        if permit::is_acting() { Self::Plain } else { Self::All }
    }
}

/// Opens something by a path.
///
/// # Errors
/// What the operating system says; `ELOOP` for a link that is not followed.
pub(super) fn resolved(at: BorrowedFd<'_>, path: &Path, flags: OFlag, links: Links) -> nix::Result<OwnedFd> {
    let mode = Mode::from_bits_truncate(if flags.contains(OFlag::O_CREAT) { 0o600 } else { 0 });
    if links == Links::All {
        return openat(at, path, flags, mode);
    }
    // A folder that this process holds is no link of somebody's.
    let held;
    let (at, path) = match path.strip_prefix("/proc/self/fd").map(|rest| (rest, rest.components().next())) {
        Ok((rest, Some(first))) => {
            let folder = Path::new("/proc/self/fd").join(first);
            let below = rest.components().skip(1).collect::<std::path::PathBuf>();
            if below.as_os_str().is_empty() {
                return openat(at, path, flags, mode);
            }
            held = openat(
                AT_FDCWD,
                &folder,
                OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
                Mode::empty(),
            )?;
            (held.as_fd(), below)
        }
        Ok((_, None)) | Err(_) => (at, path.to_owned()),
    };
    let how = OpenHow::new().flags(flags).mode(mode).resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    match openat2(at, &path, how) {
        // An old kernel, or a sandbox, does not know it.
        Err(Errno::ENOSYS | Errno::EPERM) if is_plain(at, &path) => openat(at, &path, flags, mode),
        Err(Errno::ENOSYS | Errno::EPERM) => Err(Errno::ELOOP),
        // What is in the way of a name is told by whoever looks for it.
        opened => opened,
    }
}

/// Whether no link on the way is one of those.
fn is_plain(at: BorrowedFd<'_>, path: &Path) -> bool {
    let from = std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&at)));
    let whole = match from {
        Ok(folder) => folder.join(path),
        Err(_) => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
    };
    let Ok(mut walk) = Walk::to(&whole) else { return false };
    loop {
        match walk.step() {
            Ok(Some(_)) if walk.magic => return false,
            Ok(Some(step)) if step.found.is_some() => {}
            // Where nothing stands nothing is followed.
            Ok(_) | Err(_) => return !walk.magic,
        }
    }
}

/// What stands where a file is wanted.
#[derive(Debug, thiserror::Error)]
#[error("it is {0}, not a file")]
struct Odd(&'static str);

/// What this is called, unless it is an ordinary file.
pub fn odd(kind: FileType) -> Option<&'static str> {
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("a folder"),
        () if kind.is_fifo() => Some("a pipe (FIFO)"),
        () if kind.is_socket() => Some("a socket"),
        () if kind.is_symlink() => Some("a link"),
        () => Some("a device"),
    }
}

/// An ordinary file to be read, also behind a link.
///
/// # Errors
/// What the operating system says, or what stands there instead. The path is for the caller to name.
pub fn file(path: &Path) -> io::Result<File> {
    at(AT_FDCWD, path, OFlag::O_RDONLY)
}

/// As [`file()`], to be written to as well.
///
/// # Errors
/// As [`file()`].
pub fn writable(path: &Path) -> io::Result<File> {
    at(AT_FDCWD, path, OFlag::O_RDWR)
}

/// As [`file()`] or [`writable`], and behind no link.
///
/// # Errors
/// As [`file()`].
pub fn unlinked(path: &Path, write: bool) -> io::Result<File> {
    at(AT_FDCWD, path, OFlag::O_NOFOLLOW | if write { OFlag::O_RDWR } else { OFlag::O_RDONLY })
}

/// Makes an ordinary file that only its owner can read, where nothing stands yet.
///
/// # Errors
/// What the operating system says.
pub fn make(path: &Path) -> io::Result<File> {
    at(AT_FDCWD, path, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL)
}

/// An ordinary file below a folder, or by a path.
pub(super) fn at(folder: impl AsFd, path: &Path, flags: OFlag) -> io::Result<File> {
    with_links(folder, path, flags, Links::of_thread())
}

fn with_links(folder: impl AsFd, path: &Path, flags: OFlag, links: Links) -> io::Result<File> {
    let follow =
        if flags.contains(OFlag::O_NOFOLLOW) { AtFlags::AT_SYMLINK_NOFOLLOW } else { AtFlags::empty() };
    match fstatat(folder.as_fd(), path, follow) {
        // `O_EXCL` has its own word for whatever is there.
        Ok(found) if !flags.contains(OFlag::O_EXCL) => refuse_odd(SFlag::from_bits_truncate(found.st_mode))?,
        Err(Errno::ENOENT) if flags.contains(OFlag::O_CREAT) => {}
        Err(error) => return Err(error.into()),
        Ok(_) => {}
    }
    let file = match resolved(folder.as_fd(), path, flags | ALWAYS, links) {
        Ok(fd) => File::from(fd),
        // A second try may find that they gave it up (`F_SETLEASE` in fcntl(2)).
        Err(Errno::EWOULDBLOCK) => {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "somebody holds a lease on it"));
        }
        // It was put there since the look.
        Err(Errno::ENXIO) => return Err(io::Error::other(Odd("a socket or a device"))),
        Err(Errno::ELOOP) if flags.contains(OFlag::O_NOFOLLOW) => {
            return Err(io::Error::other(Odd("a link")));
        }
        Err(error) => return Err(error.into()),
    };
    match odd(file.metadata()?.file_type()) {
        Some(kind) => Err(io::Error::other(Odd(kind))),
        None => Ok(file),
    }
}

fn refuse_odd(mode: SFlag) -> io::Result<()> {
    let kind = match mode & SFlag::S_IFMT {
        SFlag::S_IFREG => return Ok(()),
        SFlag::S_IFDIR => "a folder",
        SFlag::S_IFIFO => "a pipe (FIFO)",
        SFlag::S_IFSOCK => "a socket",
        SFlag::S_IFLNK => "a link",
        _ => "a device",
    };
    Err(io::Error::other(Odd(kind)))
}

/// A folder in a folder, unless it is a link, or something else is mounted there (`openat2(2)`).
pub(super) fn mounted_nowhere(folder: BorrowedFd<'_>, name: &OsStr) -> nix::Result<OwnedFd> {
    let how =
        OpenHow::new().flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | ALWAYS).resolve(
            ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_BENEATH,
        );
    openat2(folder, name, how)
}

/// What is in a file, which is longer than that by no byte.
///
/// # Errors
/// As [`file()`], or that it is longer.
pub fn whole(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {most} bytes")));
    }
    Ok(bytes)
}

/// At most so many bytes of what a file begins with.
///
/// # Errors
/// As [`file()`].
pub fn beginning(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file(path)?.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// At most one byte more than is allowed, of a file or of a pipe such as `<(…)`. A pipe that nobody writes to, a
/// terminal or a device without an end would keep the start waiting for ever.
///
/// # Errors
/// What the operating system says, or that it is nothing to be read.
pub fn file_or_pipe(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    read_either(path, most, Links::of_thread(), &|_| Ok(()))
}

/// As [`file_or_pipe`] of something that whoever the app will run as must have been able to read as well, if he decides what
/// stands there ([`permit::was_read`]).
///
/// # Errors
/// As [`file_or_pipe`].
pub fn value(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    read_either(path, most, permit::links(path), &|file| {
        permit::was_read(path, file);
        Ok(())
    })
}

/// As [`value`] of something that nobody has named: only what root or this process's user has written is read, whatever
/// was looked at before.
///
/// # Errors
/// As [`value`], or that somebody else can have written it.
pub fn found(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    read_either(path, most, permit::links(path), &|file| {
        permit::was_read(path, file);
        let is_led = way::other_hand(path, Trusted::default()).is_some();
        match way::other_hand_of(file, is_led) {
            Some(hand) => {
                let why = format!("{hand} decides what stands there");
                Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
            }
            None => Ok(()),
        }
    })
}

fn read_either(
    path: &Path,
    most: usize,
    links: Links,
    note: &dyn Fn(&Metadata) -> io::Result<()>,
) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.file_type().is_fifo() {
        let (file, mut bytes) = (with_links(AT_FDCWD, path, OFlag::O_RDONLY, links)?, Vec::new());
        note(&file.metadata()?)?;
        file.take(most as u64 + 1).read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    // Without `O_NONBLOCK` the opening of a pipe waits for its writer (fifo(7)).
    let file = File::from(resolved(AT_FDCWD.as_fd(), path, OFlag::O_RDONLY | ALWAYS, links)?);
    let kind = file.metadata()?.file_type();
    if let Some(kind) = odd(kind).filter(|_| !kind.is_fifo()) {
        return Err(io::Error::other(Odd(kind)));
    }
    let mut bytes = Vec::new();
    let start = Instant::now();
    let mut part = [0; 8192];
    while bytes.len() <= most {
        let left = PATIENCE.saturating_sub(start.elapsed());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLIN)], timeout) {
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(0) => return Err(io::Error::other(format!("the pipe has no end after {PATIENCE:?}"))),
            Ok(_) => {}
        }
        match (&file).read(&mut part)? {
            0 => break,
            read => bytes.extend_from_slice(&part[..read]),
        }
    }
    Ok(bytes)
}

/// The text of a file below `/proc` or `/sys`, where nobody but the kernel says what stands under a name.
///
/// # Errors
/// What the operating system says.
pub fn kernel(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    debug_assert!(["/proc", "/sys"].iter().any(|root| path.as_ref().starts_with(root)));
    fs::read(path)
}

/// As [`kernel`], as a text.
///
/// # Errors
/// As [`kernel`], or that it is no UTF-8.
pub fn kernel_text(path: impl AsRef<Path>) -> io::Result<String> {
    String::from_utf8(kernel(path)?).map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use nix::sys::stat::{makedev, mknod};
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn what_is_no_file_is_named_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        mkfifo(&path("pipe"), Mode::S_IRWXU).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        fs::create_dir(path("folder")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("device")).unwrap();
        std::os::unix::fs::symlink("pipe", path("link")).unwrap();
        let is_root = mknod(&path("node"), SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 5)).is_ok();
        for (name, kind) in [
            ("pipe", "a pipe (FIFO)"),
            ("socket", "a socket"),
            ("folder", "a folder"),
            ("device", "a device"),
            ("link", "a pipe (FIFO)"),
            ("node", "a device"),
        ] {
            if name == "node" && !is_root {
                continue;
            }
            let said = format!("it is {kind}, not a file");
            for opened in [file(&path(name)), writable(&path(name))] {
                assert_eq!(opened.unwrap_err().to_string(), said, "{name}");
            }
            let of_link = if ["device", "link"].contains(&name) { "it is a link, not a file" } else { &said };
            for write in [false, true] {
                assert_eq!(unlinked(&path(name), write).unwrap_err().to_string(), of_link, "{name}");
            }
            assert_eq!(make(&path(name)).unwrap_err().kind(), io::ErrorKind::AlreadyExists, "{name}");
            assert_eq!(whole(&path(name), 9).unwrap_err().to_string(), said, "{name}");
            if !["pipe", "link"].contains(&name) {
                assert_eq!(file_or_pipe(&path(name), 9).unwrap_err().to_string(), said, "{name}");
            }
        }
        assert_eq!(file(&path("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn no_more_is_read_than_is_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "12345").unwrap();
        assert_eq!(whole(&path, 5).unwrap(), b"12345");
        assert_eq!(whole(&path, 4).unwrap_err().to_string(), "it is longer than 4 bytes");
        assert_eq!(beginning(&path, 4).unwrap(), b"1234");
        assert_eq!(file_or_pipe(&path, 3).unwrap(), b"1234");
        assert!(file_or_pipe(Path::new("/dev/zero"), 3).is_err());
    }

    /// A lease holds up whoever opens the file, for 45 s as a rule (`fcntl(2)`).
    #[test]
    fn a_lease_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        let held = File::options().write(true).open(&path).unwrap();
        /// `F_SETSIG`: how the break of a lease is told. SIGIO, its default, would end this process.
        const SET_SIGNAL: i32 = 10;
        let fd = std::os::fd::AsRawFd::as_raw_fd(&held);
        // SAFETY: the descriptor is open, and both arguments are integers as fcntl(2) wants them.
        let leased = unsafe {
            nix::libc::fcntl(fd, SET_SIGNAL, nix::libc::SIGURG) == 0
                && nix::libc::fcntl(fd, nix::libc::F_SETLEASE, nix::libc::F_WRLCK) == 0
        };
        if !leased {
            // The file system has none, or a child of another test has the file open for a moment.
            return;
        }
        let start = Instant::now();
        assert_eq!(file(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(start.elapsed() < PATIENCE);
    }
}
