//! Standard error for a process that must never wait for whoever reads it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::signal;

/// What `pipe(7)` takes at once or not at all.
const AT_ONCE: usize = libc::PIPE_BUF;
/// How long a line waits for a reader that has kept up until then.
const PATIENCE: Duration = Duration::from_millis(100);

/// Where lines go, one after the other.
pub struct Outlet(Mutex<State>);

struct State {
    /// How it is written to, found out at the first line.
    way: Option<Way>,
    /// What is left of a line that was written in part.
    rest: Vec<u8>,
    /// So many lines were dropped since the last that went out.
    dropped: u64,
}

/// How a descriptor is written to without waiting. Its own `O_NONBLOCK` would be everybody's who shares it: the
/// app, and the shell that comes after us.
enum Way {
    /// A description of our own of the same pipe or terminal.
    Own(File),
    /// `send(2)` can be told each time.
    Socket(RawFd),
    /// A file, which takes what there is room for.
    Plain(RawFd),
    /// Somebody else's pipe: it is asked each time whether it has room.
    Shared(RawFd),
}

/// Standard error.
pub static STDERR: Outlet = Outlet::new();

impl Outlet {
    const fn new() -> Self {
        Self(Mutex::new(State { way: None, rest: Vec::new(), dropped: 0 }))
    }

    /// Writes a line, or drops it where nobody makes room; `said` is the line that tells later how many were.
    pub fn line(&self, bytes: &[u8], said: impl Fn(u64) -> String) {
        self.line_within(PATIENCE, bytes, said);
    }

    /// As [`Outlet::line`], with a patience of one's own: for the last line of all.
    pub fn line_within(&self, patience: Duration, bytes: &[u8], said: impl Fn(u64) -> String) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.write(libc::STDERR_FILENO, patience, bytes, said);
    }

    /// Writes what may be lost without a word, a progress bar for instance.
    pub fn scrap(&self, bytes: &[u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.rest.is_empty() && state.dropped == 0 {
            let way = state.way(libc::STDERR_FILENO);
            let written = way.write(bytes, Instant::now());
            // Half a sequence of control characters would take the next line along.
            state.rest = if written == 0 { Vec::new() } else { bytes[written..].to_vec() };
        }
    }
}

impl State {
    fn way(&mut self, fd: RawFd) -> &Way {
        self.way.get_or_insert_with(|| Way::of(fd))
    }

    fn write(&mut self, fd: RawFd, patience: Duration, bytes: &[u8], said: impl Fn(u64) -> String) {
        // Who has let one line pass is not waited for again until there is room.
        let waits = self.rest.is_empty() && self.dropped == 0 || patience > PATIENCE;
        let deadline = Instant::now() + if waits { patience } else { Duration::ZERO };
        let rest = std::mem::take(&mut self.rest);
        if !self.put(fd, &rest, deadline) {
            self.dropped += 1;
            return;
        }
        if self.dropped > 0 {
            let words = said(self.dropped);
            if !self.begin(fd, words.as_bytes(), deadline) {
                self.dropped += 1;
                return;
            }
            self.dropped = 0;
        }
        if !self.begin(fd, bytes, deadline) {
            self.dropped += 1;
        }
    }

    /// Writes a line; whether any of it is out, or will be.
    fn begin(&mut self, fd: RawFd, bytes: &[u8], deadline: Instant) -> bool {
        let written = if self.rest.is_empty() { self.way(fd).write(bytes, deadline) } else { 0 };
        if written > 0 && written < bytes.len() {
            self.rest = bytes[written..].to_vec();
        }
        written > 0 || bytes.is_empty()
    }

    /// Writes what was begun; whether all of it is out.
    fn put(&mut self, fd: RawFd, bytes: &[u8], deadline: Instant) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let written = self.way(fd).write(bytes, deadline);
        self.rest = bytes[written..].to_vec();
        self.rest.is_empty()
    }
}

impl Way {
    fn of(fd: RawFd) -> Self {
        // A description of its own; what cannot be opened again is asked each time.
        let open = |fd: RawFd| {
            let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
            File::options().write(true).custom_flags(flags).open(format!("/proc/self/fd/{fd}")).ok()
        };
        // SAFETY: the number is only used for this call, which fails with EBADF on a closed one.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        let kind =
            borrowed.try_clone_to_owned().and_then(|copy| Ok(File::from(copy).metadata()?.file_type()));
        match kind {
            Ok(kind) if kind.is_socket() => Self::Socket(fd),
            Ok(kind) if kind.is_fifo() || kind.is_char_device() => {
                open(fd).map_or(Self::Shared(fd), Self::Own)
            }
            Ok(_) | Err(_) => Self::Plain(fd),
        }
    }

    /// Writes until the deadline; how many bytes went out. Where nobody is left to read, all of them did.
    fn write(&self, bytes: &[u8], deadline: Instant) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match signal::without_ttou(|| self.write_once(&bytes[written..])) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() || !has_room(self.as_raw(), left) {
                        return written;
                    }
                }
                Err(_) => return bytes.len(),
            }
        }
        written
    }

    fn write_once(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Own(file) => {
                let mut file: &File = file;
                file.write(bytes)
            }
            Self::Socket(fd) => {
                let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                // SAFETY: send(2) reads that many bytes, which are there.
                let sent = unsafe { libc::send(*fd, bytes.as_ptr().cast(), bytes.len(), flags) };
                usize::try_from(sent).map_err(|_| io::Error::last_os_error())
            }
            Self::Plain(_) => io::stderr().write(bytes),
            Self::Shared(fd) => {
                if !has_room(*fd, Duration::ZERO) {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                // What a pipe that has room takes without waiting, unless somebody else is quicker.
                io::stderr().write(&bytes[..bytes.len().min(AT_ONCE)])
            }
        }
    }

    fn as_raw(&self) -> RawFd {
        match self {
            Self::Own(file) => file.as_raw_fd(),
            Self::Socket(fd) | Self::Plain(fd) | Self::Shared(fd) => *fd,
        }
    }
}

fn has_room(fd: RawFd, patience: Duration) -> bool {
    // SAFETY: the number is only used for this call, which says POLLNVAL of a closed one.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let mut waiting = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
    let millis = if patience.is_zero() { 0 } else { signal::poll_millis(patience) };
    poll(&mut waiting, PollTimeout::from(millis)).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::OwnedFd;

    fn said(dropped: u64) -> String {
        format!("{dropped} dropped\n")
    }

    fn fill(outlet: &mut State, fd: RawFd) -> u64 {
        let mut lines = 0;
        while outlet.dropped == 0 {
            outlet.write(fd, Duration::ZERO, format!("{lines}{}\n", "x".repeat(5000)).as_bytes(), said);
            lines += 1;
        }
        lines
    }

    /// Reads what is there, and then the rest that one more line makes come out.
    fn drained(outlet: &mut State, reader: OwnedFd, fd: RawFd) -> String {
        let mut bytes = vec![0; 1 << 20];
        let mut reader = File::from(reader);
        let mut text = Vec::new();
        let count = reader.read(&mut bytes).unwrap();
        text.extend_from_slice(&bytes[..count]);
        outlet.write(fd, Duration::ZERO, b"last\n", said);
        let count = reader.read(&mut bytes).unwrap();
        text.extend_from_slice(&bytes[..count]);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_full_pipe_is_not_waited_for_and_what_was_dropped_is_counted() {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let fd = writer.as_raw_fd();
        let mut outlet = State { way: None, rest: Vec::new(), dropped: 0 };
        let lines = fill(&mut outlet, fd);
        for _ in 0..9 {
            outlet.write(fd, PATIENCE, b"unheard\n", said);
        }
        let flags = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_GETFL).unwrap();
        assert_eq!(flags & libc::O_NONBLOCK, 0, "others share this description");
        let text = drained(&mut outlet, reader, fd);
        let numbers: Vec<_> = text.lines().map(|line| line.trim_end_matches('x')).collect();
        let mut wanted: Vec<_> = (0..lines - 1).map(|number| number.to_string()).collect();
        wanted.extend(["10 dropped".to_owned(), "last".to_owned()]);
        assert_eq!(numbers, wanted, "whole lines, each once, in order");
    }

    #[test]
    fn a_full_socket_is_not_waited_for() {
        let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        let fd = writer.as_raw_fd();
        let mut outlet = State { way: None, rest: Vec::new(), dropped: 0 };
        assert!(fill(&mut outlet, fd) > 1);
        drop(reader);
        outlet.write(fd, Duration::ZERO, b"to nobody\n", said);
        assert!(outlet.rest.is_empty(), "who is gone needs nothing");
    }

    #[test]
    fn a_patient_line_waits_for_its_reader() {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let fd = writer.as_raw_fd();
        let mut outlet = State { way: None, rest: Vec::new(), dropped: 0 };
        fill(&mut outlet, fd);
        let started = Instant::now();
        outlet.write(fd, PATIENCE * 2, b"in vain\n", said);
        assert!(started.elapsed() >= PATIENCE * 2);
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            File::from(reader).read_to_string(&mut text).unwrap();
            text
        });
        outlet.write(fd, Duration::from_secs(60), b"heard\n", said);
        (outlet.way, _) = (None, drop(writer));
        assert!(reading.join().unwrap().ends_with("dropped\nheard\n"));
    }
}
