//! The drain of a shim whose keeper is dead: the requests that it was given, all at once.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::os::alarm::Alarm;
use crate::os::socket;

/// How many requests are under way at once.
const AT_ONCE: usize = 64;

/// How an answer to a request of HTTP/1.0 begins that is a confirmation, as Go's server writes it.
const CONFIRMED: &[u8] = b"HTTP/1.0 200";

/// Sends each request over a connection of its own and waits until all are answered, the time is
/// over, `litestream` (a pidfd) says that nobody will answer, or `alarm` that nobody may. How many of the answers were a confirmation.
pub(super) fn drain(
    socket: &[u8],
    requests: &[Vec<u8>],
    time: Duration,
    litestream: Option<&OwnedFd>,
    alarm: Option<&Alarm>,
) -> usize {
    let mut confirmed = 0;
    let deadline = Instant::now() + time;
    let path = PathBuf::from(std::ffi::OsString::from_vec(socket.to_vec()));
    let mut next = requests.iter();
    let mut open: Vec<UnixStream> = Vec::new();
    loop {
        // What cannot be asked about is left to Litestream's own final sync.
        let room = AT_ONCE - open.len();
        open.extend(next.by_ref().filter_map(|request| ask(&path, request).ok()).take(room));
        if open.is_empty() {
            return confirmed;
        }
        let ends = litestream.map(AsFd::as_fd).into_iter().chain(alarm.map(AsFd::as_fd));
        let left = deadline.saturating_duration_since(Instant::now());
        let mut waiting: Vec<PollFd<'_>> =
            open.iter().map(AsFd::as_fd).chain(ends.clone()).map(readable).collect();
        let millis = PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::MAX);
        match poll(&mut waiting, millis) {
            Ok(0) => return confirmed,
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return confirmed,
        }
        if waiting[open.len()..].iter().any(is_readable) {
            return confirmed;
        }
        open.retain_mut(|stream| !is_answered(stream, &mut confirmed));
    }
}

fn ask(path: &std::path::Path, request: &[u8]) -> std::io::Result<UnixStream> {
    let mut stream = socket::connect(path)?;
    // A request is short, and nobody has written to this connection before.
    stream.write_all(request)?;
    Ok(stream)
}

/// Litestream ends the connection after its answer, whatever the answer is: its own final sync comes next.
fn is_answered(stream: &mut UnixStream, confirmed: &mut usize) -> bool {
    let mut bytes = [0; 1024];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Ok(length) => *confirmed += usize::from(bytes[..length].starts_with(CONFIRMED)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

pub(super) fn readable(fd: std::os::fd::BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(fd, PollFlags::POLLIN)
}

pub(super) fn is_readable(fd: &PollFd<'_>) -> bool {
    fd.revents().is_some_and(|events| !events.is_empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// A socket, and what answers there: to each connection its request in place of a body.
    fn litestream(answers: usize) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().take(answers) {
                let mut stream = stream.unwrap();
                let mut bytes = [0; 64];
                let length = stream.read(&mut bytes).unwrap();
                stream.write_all(&bytes[..length]).unwrap();
            }
        });
        (folder, path)
    }

    fn asks(path: &Path, requests: &[Vec<u8>], time: Duration, litestream: Option<&OwnedFd>) -> usize {
        drain(path.as_os_str().as_bytes(), requests, time, litestream, None)
    }

    #[test]
    fn each_request_has_a_connection_and_each_confirmation_counts() {
        let count = AT_ONCE * 2 + 1;
        let (_folder, path) = litestream(count);
        let answer = |at: usize| if at.is_multiple_of(2) { "HTTP/1.0 200 OK" } else { "HTTP/1.0 500 200" };
        let requests: Vec<Vec<u8>> = (0..count).map(|at| answer(at).into()).collect();
        assert_eq!(asks(&path, &requests, LONG, None), AT_ONCE + 1);
    }

    #[test]
    fn nobody_is_asked_where_nobody_listens() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(asks(&folder.path().join("s"), &[b"POST".to_vec()], LONG, None), 0);
        let (_folder, path) = litestream(0);
        assert_eq!(asks(&path, &[], LONG, None), 0);
    }

    #[test]
    fn a_time_that_is_over_or_a_dead_litestream_ends_the_wait() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        // Connections come to a queue, and nobody takes them.
        let _listener = UnixListener::bind(&path).unwrap();
        let requests = [b"POST".to_vec()];
        assert_eq!(asks(&path, &requests, Duration::from_millis(20), None), 0);
        let (dead, writer) = std::io::pipe().unwrap();
        drop(writer);
        let began = Instant::now();
        assert_eq!(asks(&path, &requests, LONG, Some(&dead.into())), 0);
        assert!(began.elapsed() < LONG);
    }
}
