//! `litekeeper reload`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::args;
use super::databases::{self, Source};
use super::process;
use super::settings;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign;
use crate::holder::{self, is_believed};
use crate::inventory;
use crate::litestream::database::Database;
use crate::os::{permit, socket, user};
use crate::printer;
use crate::supervise::{self, HOLDING, RELOAD, Report, WITHIN};

/// The milliseconds between two tries to connect to a keeper whose queue is full.
const RETRY: u16 = 10;
/// How much longer a keeper is listened to that was asked: it answers within the limit with what has come true by then, and
/// may be late on a busy machine.
const LATE: Duration = Duration::from_secs(5);
/// Room for a report on some ten thousand databases.
const LONGEST: usize = 16 << 20;

/// Has a running keeper ask its resolver, and waits for what comes of it.
///
/// # Errors
/// No keeper runs, or it could not ask, or not all of it came true.
pub(super) fn reload(args: &args::Reload) -> Result<ExitCode, Failure> {
    let Found { socket, of } = find(args)?;
    let mut report = ask(&socket, of.as_ref().map(|(_, lock)| *lock), args.timeout).map_err(|error| {
        let failure = Failure::new(ExitCode::UNAVAILABLE, format!("{}: {error}", socket.display()));
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused if of.is_some() => failure.hint(
                "its keeper is ending, was killed, or runs in another container, where its socket is: ask there",
            ),
            ErrorKind::TimedOut => {
                failure.hint("the keeper goes on with it, and its log tells; --timeout waits longer")
            }
            ErrorKind::PermissionDenied => {
                failure.hint("ask as the user that the keeper's databases belong to, or as root")
            }
            _ => failure.hint("it is ending, or was killed: its log tells; `litekeeper run` starts one"),
        }
    })?;
    let holds = std::mem::take(&mut report.holds);
    if let Some((db, _)) = of.filter(|_| !holds && report.exit_code == 0) {
        let (db, socket) = (db.display(), socket.display());
        let message =
            format!("{db}: the keeper that answers at {socket} is not the one that runs on this database");
        return Err(Failure::new(ExitCode::UNAVAILABLE, message)
            .hint("that one runs elsewhere, where the same path is its own socket's: ask in its container"));
    }
    printer::data(&shown(&report, args.json))?;
    if report.exit_code == 0 {
        return Ok(ExitCode::OK);
    }
    let error = report.error.as_deref().into_iter().flat_map(|error| error.split('\n')).map(Cow::Borrowed);
    // A name in it is a source's, and its lines are none of ours.
    let failed = report.failed.iter().map(|failed| foreign::line(&failed.reason));
    let failure = Failure::lines(ExitCode::of_app(report.exit_code), error.chain(failed));
    let hints: BTreeSet<&str> = report
        .hint
        .iter()
        .chain(report.failed.iter().filter_map(|failed| failed.hint.as_ref()))
        .map(String::as_str)
        .collect();
    Err(if hints.is_empty() {
        failure
    } else {
        failure.hint(hints.into_iter().collect::<Vec<_>>().join("; "))
    })
}

/// The control socket of the keeper that is meant.
struct Found {
    socket: PathBuf,
    /// The database by whose lock it was found, and which file that lock is: whoever answers has to have it.
    of: Option<(PathBuf, (u64, u64))>,
}

fn find(args: &args::Reload) -> Result<Found, Failure> {
    let cwd = process::current_dir()?;
    let (mut file, mut control) = (None, None);
    let dbs = match &args.db {
        Some(path) => {
            let path = cwd.join(path);
            vec![Database::at(path)]
        }
        None => {
            let source = Source {
                config: args.config.as_deref(),
                dbs: &[],
                replicas: &[],
                no_expand_env: args.no_expand_env,
            };
            let found = databases::open(&source, &cwd)?;
            let section = databases::section(&found);
            let (_, config) = databases::both(found, section, &source, &cwd)?;
            file = config.origin().file().map(|file| settings::real(&cwd, file));
            control = config.socket();
            config.databases().iter().map(inventory::database).collect()
        }
    };
    let found = |db: &Database| {
        let (socket, lock) = holder::keeper_socket(db)?;
        Some(Found { socket, of: Some((db.path.clone(), lock)) })
    };
    if let Some(found) = dbs.iter().find_map(found) {
        return Ok(found);
    }
    if let Some(db) = dbs.first() {
        let message = format!("no keeper runs on {}", db.path.display());
        return Err(Failure::new(ExitCode::UNAVAILABLE, message)
            .hint("`litekeeper run` starts one; `--config` or `--db` says which one is meant"));
    }
    // The configuration names no database itself, so there is no lock to look at.
    let mut sockets = supervise::keeper_sockets(&settings::runtime_roots());
    if sockets.len() > 1
        && let Some(socket) = supervise::keeper_of(&sockets, file.as_deref(), control.as_deref())
    {
        sockets = vec![socket];
    }
    match (sockets.pop(), sockets.len()) {
        (Some(socket), 0) => {
            if let Some(Ok(folder)) = socket.parent().map(Path::symlink_metadata) {
                permit::belong_to_owner(&folder);
            }
            Ok(Found { socket, of: None })
        }
        (None, _) => Err(Failure::new(ExitCode::UNAVAILABLE, "no keeper runs")
            .hint("`litekeeper run` starts one; LITEKEEPER_RUNTIME_DIR has to be what it is for that one")),
        (Some(_), others) => Err(Failure::new(
            ExitCode::USAGE,
            format!("{} keepers run, and the configuration does not tell which one is meant", others + 1),
        )
        .hint(
            "name its own configuration (--config FILE), or a database that it runs on: `litekeeper reload --db PATH`",
        )),
    }
}

/// Asks, within a time that is the whole's and not of each step: it asks its resolver, restores what is new, and has it
/// confirmed, and somebody else than a keeper may answer drop by drop.
fn ask(socket: &Path, lock: Option<(u64, u64)>, limit: Duration) -> io::Result<Report> {
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
    stream
        .write_all(format!("{RELOAD}\n{WITHIN}{within}\n{holding}").as_bytes())
        .map_err(|error| deadline.or(error))?;
    deadline.at += LATE;
    let line = read_line(&stream, &deadline)?;
    serde_json::from_slice(&line).map_err(|_| io::Error::other("the keeper ended before it answered"))
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

/// What is printed of a report.
pub fn shown(report: &Report, json: bool) -> String {
    if json {
        return format!("{}\n", foreign::json(&serde_json::json!(report)));
    }
    let changed = |what: &'static str, paths: &[String]| {
        paths.iter().map(move |path| format!("{what} {}\n", foreign::line(path))).collect::<String>()
    };
    let text = changed("added", &report.added) + &changed("removed", &report.removed);
    if report.exit_code == 0 && text.is_empty() { "nothing changed\n".to_owned() } else { text }
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
