//! Standard error for a process that must never wait for whoever reads it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::Notify;

use super::{fd, signal};

/// What `pipe(7)` takes at once or not at all.
const AT_ONCE: usize = libc::PIPE_BUF;
/// So many bytes wait for a reader; a thousand lines and more.
const ROOM: usize = 256 << 10;
/// How often it is tried again while something waits.
const AGAIN: Duration = Duration::from_millis(20);

/// Where lines go, one after the other.
pub struct Outlet {
    fd: RawFd,
    /// The line that stands in the place of so many.
    said: fn(u64) -> String,
    state: Mutex<State>,
    waiting: Notify,
}

struct State {
    /// How it is written to, found out at the first line.
    way: Option<Way>,
    /// What waits for room.
    queue: Vec<u8>,
    /// So many lines were dropped since the last that was taken.
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

impl Outlet {
    /// For this descriptor; `said` is the line that tells how many were dropped.
    pub const fn new(fd: RawFd, said: fn(u64) -> String) -> Self {
        let state = State { way: None, queue: Vec::new(), dropped: 0 };
        Self { fd, said, state: Mutex::new(state), waiting: Notify::const_new() }
    }

    /// Writes a line without waiting; what there is no room for is kept, and dropped if that gets too much.
    pub fn line(&self, bytes: &[u8]) {
        let mut state = self.state();
        self.flush(&mut state);
        // What comes after a dropped line waits until that was said.
        let fits = state.dropped == 0 && state.queue.len() + bytes.len() <= ROOM;
        if state.queue.is_empty() || fits {
            state.queue.extend_from_slice(bytes);
        } else {
            state.dropped += 1;
        }
        self.flush(&mut state);
        if !state.queue.is_empty() {
            self.waiting.notify_one();
        }
    }

    /// Gives a reader so much time for what waits: at the end, when there is nothing else left to do.
    pub fn wait(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut state = self.state();
        while !self.flush(&mut state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !has_room(state.way.as_ref().map_or(self.fd, Way::as_raw), left) {
                return;
            }
        }
    }

    /// Writes what waits as soon as there is room, for ever.
    pub async fn go_on(&self) {
        loop {
            self.waiting.notified().await;
            while !self.flush(&mut self.state()) {
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing waits any more.
    fn flush(&self, state: &mut State) -> bool {
        loop {
            let queue = std::mem::take(&mut state.queue);
            let written = self.write(state, &queue);
            state.queue = queue[written..].to_vec();
            if !state.queue.is_empty() || state.dropped == 0 {
                return state.queue.is_empty();
            }
            state.queue = (self.said)(std::mem::take(&mut state.dropped)).into_bytes();
        }
    }

    /// Writes what there is room for; how many bytes went out. Where nobody is left to read, all of them did.
    fn write(&self, state: &mut State, bytes: &[u8]) -> usize {
        let way = state.way.get_or_insert_with(|| Way::of(self.fd));
        let mut written = 0;
        while written < bytes.len() {
            match signal::without_ttou(|| way.write(&bytes[written..])) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return written,
                Err(_) => return bytes.len(),
            }
        }
        written
    }
}

impl Way {
    fn of(number: RawFd) -> Self {
        // SAFETY: the number is only used for this call, which fails with EBADF on a closed one.
        let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
        let kind =
            borrowed.try_clone_to_owned().and_then(|copy| Ok(File::from(copy).metadata()?.file_type()));
        match kind {
            Ok(kind) if kind.is_socket() => Self::Socket(number),
            // What cannot be opened again is asked each time.
            Ok(kind) if kind.is_fifo() || kind.is_char_device() => {
                fd::open_again(number).map_or(Self::Shared(number), Self::Own)
            }
            Ok(_) | Err(_) => Self::Plain(number),
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
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

    fn pipe() -> (OwnedFd, OwnedFd) {
        nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap()
    }

    /// Writes lines until some are dropped; how many were not.
    fn fill(outlet: &Outlet) -> u64 {
        let mut lines = 0;
        while outlet.state().dropped == 0 {
            outlet.line(format!("{lines}{}\n", "x".repeat(5000)).as_bytes());
            lines += 1;
        }
        lines - 1
    }

    fn reading(reader: OwnedFd) -> std::thread::JoinHandle<String> {
        std::thread::spawn(move || {
            let mut text = String::new();
            File::from(reader).read_to_string(&mut text).unwrap();
            text
        })
    }

    fn assert_whole(text: &str, kept: u64, dropped: u64) {
        let numbers: Vec<_> = text.lines().map(|line| line.trim_end_matches('x')).collect();
        let mut wanted: Vec<_> = (0..kept).map(|number| number.to_string()).collect();
        wanted.push(format!("{dropped} dropped"));
        assert_eq!(numbers, wanted, "whole lines, each once, in order");
    }

    #[test]
    fn a_full_pipe_is_not_waited_for_and_what_was_dropped_is_counted() {
        let (reader, writer) = pipe();
        let outlet = Outlet::new(writer.as_raw_fd(), said);
        let kept = fill(&outlet);
        assert!(kept > ROOM as u64 / 5010, "a reader may be slow: {kept}");
        for _ in 0..9 {
            outlet.line("unheard\n".repeat(1000).as_bytes());
        }
        let flags = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_GETFL).unwrap();
        assert_eq!(flags & libc::O_NONBLOCK, 0, "others share this description");
        let reading = reading(reader);
        outlet.wait(Duration::from_secs(60));
        drop((outlet, writer));
        assert_whole(&reading.join().unwrap(), kept, 10);
    }

    #[test]
    fn what_waits_goes_out_by_itself_once_there_is_room() {
        let (reader, writer) = pipe();
        let outlet = Outlet::new(writer.as_raw_fd(), said);
        let kept = fill(&outlet);
        let reading = reading(reader);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let emptied = async {
                while !outlet.state().queue.is_empty() {
                    tokio::time::sleep(AGAIN).await;
                }
            };
            tokio::select! { () = outlet.go_on() => (), () = emptied => () }
        });
        drop((outlet, writer));
        assert_whole(&reading.join().unwrap(), kept, 1);
    }

    #[test]
    fn a_full_socket_is_not_waited_for() {
        let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        let outlet = Outlet::new(writer.as_raw_fd(), said);
        assert!(fill(&outlet) > 1);
        drop(reader);
        outlet.line(b"to nobody\n");
        assert!(outlet.state().queue.is_empty(), "who is gone needs nothing");
    }

    #[test]
    fn the_end_waits_for_a_reader_as_long_as_it_said() {
        let (_reader, writer) = pipe();
        let outlet = Outlet::new(writer.as_raw_fd(), said);
        fill(&outlet);
        let (started, patience) = (Instant::now(), Duration::from_millis(50));
        outlet.wait(patience);
        assert!(started.elapsed() >= patience);
    }
}
