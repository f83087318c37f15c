//! Asking the program that names databases.

use std::cell::RefCell;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use tokio::io::BufReader;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::litestream_log;
use super::loudness::Loudness;
use crate::core::{Ended, ExitCode};
use crate::error::Failure;
use crate::foreign::piece;
use crate::litestream::command::KEEPERS_OWN;
use crate::os::children::Children;
use crate::os::exec::Command;
use crate::os::gather::Gather;
use crate::os::spawn::Spawn;
use crate::os::unstarted;
use crate::os::user::Identity;
use crate::os::{event, fork, oom};

/// How long it may take while it decides what is replicated.
pub(super) const LIMIT: Duration = Duration::from_secs(30);
/// The longest answer: room for some thousand databases.
const LONGEST: usize = 1 << 20;
/// So much of what it says on its standard error is logged in a while, in lines and in bytes.
const LOUDEST: (usize, usize) = (100, 16 << 10);

/// The program, and what it runs with: what the app has.
#[derive(Clone)]
pub struct Question {
    /// Who reaps.
    pub children: Children,
    /// Its command line.
    pub command: Rc<Vec<OsString>>,
    /// Its environment.
    pub env: Rc<Vec<(OsString, OsString)>>,
    /// The folder that it starts in, if it is another than this process's.
    pub cwd: Option<PathBuf>,
    /// The user that it runs as, unless it is this process's own.
    pub user: Option<Identity>,
    /// How long it may take.
    pub limit: Duration,
    /// What it has said of late, however often it was asked meanwhile.
    pub said: Said,
}

/// See [`Question::said`].
#[derive(Clone)]
pub struct Said(Rc<RefCell<Loudness>>);

impl Default for Said {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(Loudness::new(LOUDEST.0, LOUDEST.1))))
    }
}

impl Question {
    /// How the program is started.
    fn as_spawn(&self) -> Spawn<'_> {
        Spawn {
            own_group: true,
            dies_with_parent: true,
            user: self.user.as_ref(),
            without_env: KEEPERS_OWN,
            only_env: Some(&self.env),
            cwd: self.cwd.as_deref(),
            ..Spawn::default()
        }
    }

    /// Asks.
    ///
    /// # Errors
    /// 69 when it cannot be started, fails, or takes too long; 78 when its answer is too long.
    pub async fn ask(&self) -> Result<Vec<u8>, Failure> {
        let name =
            self.command.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default();
        let failed = |what: String| {
            Failure::new(ExitCode::UNAVAILABLE, format!("resolver `{name}`: {what}"))
                .hint("run it by itself: it has to print a JSON list of databases and to end with 0")
        };
        if self.children.is_aborted() {
            return Err(failed("interrupted".into()));
        }
        let (program, args) = self.command.split_first().ok_or_else(|| failed("no command".into()))?;
        let not_started = |error| {
            let command = Command { argv: self.command.to_vec(), env: self.env.to_vec() };
            let refused = unstarted::explain(&command, self.cwd.as_deref(), &error);
            failed(format!("cannot be started: {refused}"))
        };
        let killed_before = oom::Count::now();
        let spawned = self.as_spawn().start(program.as_ref(), args).map_err(not_started)?;
        let guard = Guard { children: &self.children, pid: spawned.pid };
        let ended = self.children.watch_one_shot(spawned.pid);
        event::became(spawned.verdict, fork::LIMIT.min(self.limit)).await.map_err(not_started)?;
        let log = tokio::task::spawn_local(pass_on(spawned.stderr, self.said.clone()));
        let answered = tokio::time::timeout(self.limit, gather(spawned.stdout, ended)).await;
        drop(guard);
        // Its last words; what holds the pipe on purpose does not hold this up.
        let _ = tokio::time::timeout(Duration::from_millis(100), log).await;
        match answered {
            Err(_) => Err(failed(format!("no answer within {} s: killed", self.limit.as_secs()))),
            Ok(None) => {
                let message = format!("resolver `{name}`: its answer is longer than {LONGEST} bytes");
                let hint =
                    "print one line of JSON for all databases; a whole folder of them is a `dir` in `dbs`";
                Err(Failure::new(ExitCode::CONFIG, message).hint(hint))
            }
            Ok(Some((Ended::Code(0), answer))) => Ok(answer),
            Ok(Some((Ended::Code(code), _))) => Err(failed(format!("ended with code {code}"))),
            Ok(Some((Ended::Signal(number), _))) => {
                let why = if number == nix::libc::SIGKILL { killed_before.why_killed() } else { "" };
                Err(failed(format!("was ended by SIG{}{why}", crate::os::signal::name(number))))
            }
        }
    }
}

/// Reads the answer until the program has ended, which counts, and not its pipe's end, which what it started may hold open. `None` for one
/// that is too long.
async fn gather(stdout: OwnedFd, ended: oneshot::Receiver<Ended>) -> Option<(Ended, Vec<u8>)> {
    let mut answer = Gather::new(stdout, LONGEST + 1);
    let first = match select(ended, std::pin::pin!(answer.fill())).await {
        Either::Left((ended, _)) => Ok(ended),
        Either::Right(((), ended)) => Err(ended),
    };
    let ended = match first {
        Ok(ended) => ended,
        Err(_) if answer.is_full() => return None,
        Err(ended) => ended.await,
    };
    let answer = answer.finish();
    (answer.len() <= LONGEST).then(|| (ended.unwrap_or(Ended::Signal(nix::libc::SIGKILL)), answer))
}

/// Nothing of it outlives the question.
struct Guard<'a> {
    children: &'a Children,
    pid: i32,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.children.kill_tree(self.pid);
    }
}

/// Its standard error, line by line into the log.
async fn pass_on(fd: std::os::fd::OwnedFd, said: Said) {
    let Ok(pipe) = pipe::Receiver::from_owned_fd(fd) else { return };
    let rest = Rest(said);
    let mut reader = BufReader::with_capacity(1024, pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        match litestream_log::read_line(&mut reader, &mut line).await {
            Ok(false) | Err(_) => return,
            Ok(true) => {}
        }
        let text = String::from_utf8_lossy(&line);
        if text.trim().is_empty() {
            continue;
        }
        let text = piece(&text);
        let (is_said, left_out) = rest.0.0.borrow_mut().take(Instant::now(), text.len());
        tell(left_out);
        if is_said {
            tracing::info!(target: "resolver", "{text}");
        }
    }
}

/// What it said beyond that: told when it ends, or is no longer listened to.
struct Rest(Said);

impl Drop for Rest {
    fn drop(&mut self) {
        tell(self.0.0.borrow_mut().rest(Instant::now()));
    }
}

fn tell(left_out: u64) {
    if left_out > 0 {
        tracing::info!(target: "resolver", "… ({left_out} more lines: run it by itself to see them)");
    }
}
