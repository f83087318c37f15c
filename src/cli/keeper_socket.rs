//! Asking a running keeper at its own control socket: within a time, no longer an answer than is wanted, and nobody who is not
//! believed.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::settings;
use crate::holder::is_believed;
use crate::os::{permit, socket, user};
use crate::status::{self, DATABASE};
use crate::supervise::{self, HOLDING, WITHIN};

/// The milliseconds between two tries to connect to a keeper whose queue is full.
const RETRY: u16 = 10;
/// How much longer a keeper is listened to that was asked to do something: it answers within the limit with what has come true by then, and
/// may be late on a busy machine.
const LATE: Duration = Duration::from_secs(5);
/// No path is longer (`path_resolution(7)`).
const LONGEST_NAME: usize = 4096;
/// Room for an answer about some ten thousand databases.
const LONGEST: usize = 16 << 20;

/// The sockets of all keepers that can be meant where no database tells: the one that has this configuration or control
/// socket, where that is known.
pub(super) fn without_database(file: Option<&Path>, control: Option<&Path>) -> Vec<PathBuf> {
    let sockets = supervise::keeper_sockets(&settings::runtime_roots());
    if sockets.len() > 1
        && let Some(socket) = supervise::keeper_of(&sockets, file, control)
    {
        return vec![socket];
    }
    sockets
}

/// The socket of the one keeper that has this configuration or control socket.
pub(super) fn of_configuration(file: Option<&Path>, control: Option<&Path>) -> Option<PathBuf> {
    supervise::keeper_of(&supervise::keeper_sockets(&settings::runtime_roots()), file, control)
}

/// Whoever the socket belongs to is who the databases belong to.
pub(super) fn belong_to_owner(socket: &Path) {
    if let Some(Ok(folder)) = socket.parent().map(Path::symlink_metadata) {
        permit::belong_to_owner(&folder);
    }
}

/// Asks, within a time that is the whole's and not of each step: somebody else than a keeper may answer drop by drop. `lock` is
/// the one that the keeper is to have, by device and inode.
///
/// # Errors
/// Nobody answers there, or nobody who is believed; in time, or with so much.
pub(super) fn ask(
    socket: &Path,
    word: &str,
    lock: Option<(u64, u64)>,
    limit: Duration,
) -> io::Result<Vec<u8>> {
    ask_about(socket, word, lock, None, limit)
}

/// As [`ask`], about one database of the keeper's.
///
/// # Errors
/// As [`ask`]; no line can hold its name.
pub(super) fn ask_about(
    socket: &Path,
    word: &str,
    lock: Option<(u64, u64)>,
    database: Option<&str>,
    limit: Duration,
) -> io::Result<Vec<u8>> {
    if database.is_some_and(|name| name.contains('\n') || name.len() > LONGEST_NAME) {
        return Err(io::Error::other("no line can hold the name of that database"));
    }
    let mut deadline = Deadline { limit, at: Instant::now() + limit };
    let mut stream = connect(socket, &deadline)?;
    let peer = nix::sys::socket::getsockopt(&stream, nix::sys::socket::sockopt::PeerCredentials)?;
    // Root may ask whose keeper it likes; what another user says is not believed.
    let owner = permit::theirs(|| Ok(user::owner(socket)))?;
    if !is_believed(peer.uid(), user::own_number(), owner) {
        return Err(io::Error::other(format!("user {} answers there, whose keeper this is not", peer.uid())));
    }
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(deadline.left()?))?;
    let within = deadline.left()?.as_millis();
    let holding = lock.map_or_else(String::new, |(device, inode)| format!("{HOLDING}{device}:{inode}\n"));
    let database = database.map_or_else(String::new, |name| format!("{DATABASE}{name}\n"));
    stream
        .write_all(format!("{word}\n{WITHIN}{within}\n{holding}{database}").as_bytes())
        .map_err(|error| deadline.or(error))?;
    if word != status::ASK {
        deadline.at += LATE;
    }
    read_line(&stream, &deadline)
}

/// What is said of an answer that breaks off, or is none.
pub(super) fn cut_off() -> io::Error {
    io::Error::other("the keeper ended before it answered")
}

/// The path is the word of whoever the databases belong to, and whoever listens there may take nobody in.
fn connect(path: &Path, deadline: &Deadline) -> io::Result<UnixStream> {
    loop {
        match permit::theirs(|| socket::connect(path)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                deadline.left()?;
                // Nothing comes to no descriptor: this waits.
                let _ = nix::poll::poll(&mut [], RETRY);
            }
            connected => return connected,
        }
    }
}

/// When the answer has to be there.
struct Deadline {
    limit: Duration,
    at: Instant,
}

impl Deadline {
    fn left(&self) -> io::Result<Duration> {
        let left = self.at.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.late()) } else { Ok(left) }
    }

    fn late(&self) -> io::Error {
        io::Error::new(ErrorKind::TimedOut, format!("no answer within {:?}", self.limit))
    }

    fn or(&self, error: io::Error) -> io::Error {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => self.late(),
            _ => error,
        }
    }
}

/// A line, which is there before the deadline and no longer than an answer is.
fn read_line(mut stream: &UnixStream, deadline: &Deadline) -> io::Result<Vec<u8>> {
    let (mut line, mut chunk) = (Vec::new(), [0; 8 << 10]);
    loop {
        stream.set_read_timeout(Some(deadline.left()?))?;
        let count = match stream.read(&mut chunk) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(deadline.or(error)),
        };
        let end = chunk[..count].iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(&chunk[..end.unwrap_or(count)]);
        if line.len() > LONGEST {
            return Err(io::Error::other(format!("its answer is longer than {LONGEST} bytes")));
        }
        if end.is_some() || count == 0 {
            return Ok(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_limit_of_time_and_of_bytes() {
        let (ours, mut theirs) = UnixStream::pair().expect("a socket");
        theirs.write_all(b"half").expect("room");
        let within = |limit| Deadline { limit, at: Instant::now() + limit };
        let minute = Duration::from_secs(60);
        assert!(
            read_line(&ours, &within(Duration::from_millis(50)))
                .expect_err("no line")
                .to_string()
                .contains("no answer within")
        );
        theirs.write_all(b" a line\nmore").expect("room");
        assert_eq!(read_line(&ours, &within(minute)).expect("a line"), b" a line");
        let writing = std::thread::spawn(move || {
            let chunk = vec![b'x'; 1 << 20];
            (0..64).take_while(|_| theirs.write_all(&chunk).is_ok()).count()
        });
        let endless = read_line(&ours, &within(minute)).expect_err("no line");
        assert!(endless.to_string().contains("longer than"), "{endless}");
        drop(ours);
        assert!(writing.join().expect("it ends") < 64, "it was not read to the end");
    }
}
