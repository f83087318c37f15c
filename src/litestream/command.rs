//! Running Litestream for one answer.

use std::ffi::OsString;
use std::io;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, join, select};

use super::argv;
use super::log;
use crate::core::Ended;
use crate::foreign::piece;
use crate::os::children::Children;
use crate::os::gather::Gather;
use crate::os::spawn::Spawn;
use crate::os::user::Identity;
use crate::os::{event, fd, fork, oom, proc, signal, unstarted};

/// How long `litestream version` may take.
const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// No answer is longer; a plan of a hundred thousand files is.
const LONGEST_OUTPUT: usize = 32 << 20;

/// Where Litestream is, and who runs it.
#[derive(Clone)]
pub struct Runner {
    /// The binary.
    pub binary: PathBuf,
    /// The user that it runs as, unless it is this process's own.
    pub user: Option<Identity>,
    /// Who reaps.
    pub children: Children,
    /// Variables that it gets beside this process's own: secrets that its configuration refers to.
    pub env: Rc<Vec<(String, String)>>,
    /// Descriptors that it gets.
    pub inherit: Vec<RawFd>,
}

/// What a command said and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub ended: Ended,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error, which is its log.
    pub stderr: String,
    /// What a SIGKILL came from, in words that follow its name; nothing where that is not known.
    pub why_killed: &'static str,
}

impl Output {
    /// Says whether it ended with 0.
    pub fn is_success(&self) -> bool {
        self.ended == Ended::Code(0)
    }

    /// Says what it found out, or why it did not, in Litestream's words: the listings of 0.3.13 end with 0
    /// when the replica refuses, and only log that.
    ///
    /// # Errors
    /// The reason.
    pub fn answer(&self) -> Result<&str, String> {
        let reported =
            || log::last_reported_error(&self.stderr).or_else(|| log::last_reported_error(&self.stdout));
        match self.is_success().then(reported) {
            Some(None) => Ok(&self.stdout),
            Some(Some(error)) => Err(error),
            None => Err(self.reason()),
        }
    }

    /// Says why this is no version, although `binary version` was asked for one; and what to do next.
    pub fn no_version(&self, binary: &Path) -> (String, String) {
        let text = self.stdout.trim();
        let command = format!("`{} version`", binary.display());
        if self.is_success() && !text.is_empty() {
            let message = format!("{command} says `{}`, which is no version", piece(text).escape_debug());
            let hint = format!(
                "name litestream itself with LITESTREAM_BINARY_PATH, or get one with `litekeeper install`; if that is a \
                 litestream of 0.5.12 or later, `--allow-litestream '{}'` runs it",
                piece(text)
            );
            return (message, hint);
        }
        if let Some(what) = unstarted::not_for_this_machine(binary).filter(|_| !self.is_success()) {
            let message = format!("`{}` cannot be started: {what}", binary.display());
            return (message, "`litekeeper install` gets a litestream that runs here".to_owned());
        }
        let said: Vec<&str> = self.stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let said = match said.as_slice() {
            [] => "said nothing".to_owned(),
            // Of a crash the first lines have the reason, and hundreds follow.
            lines => format!("says: {}", piece(&lines[..lines.len().min(3)].join(" | "))),
        };
        let message = match self.ended {
            Ended::Code(code) => format!("{command} ended with code {code} and {said}"),
            Ended::Signal(number) => {
                let (name, why) = (signal::name(number), self.why_killed);
                format!("{command} was ended by SIG{name}{why} and {said}")
            }
        };
        let hint = if self.is_success() {
            "name litestream itself with LITESTREAM_BINARY_PATH".to_owned()
        } else {
            "run it by itself, under the same limits (`ulimit -a`; memory, processes, files); `litekeeper install` \
             gets a litestream that runs here"
                .to_owned()
        };
        (message, hint)
    }

    /// Says how it ended, if the kernel ended it: whatever it said before is no reason for that.
    pub fn killed(&self) -> Option<String> {
        let Ended::Signal(number) = self.ended else { return None };
        let why = self.why_killed;
        (!why.is_empty()).then(|| format!("was ended by SIG{}{why}", signal::name(number)))
    }

    /// Says why it failed, in Litestream's words.
    pub fn reason(&self) -> String {
        if let Some(killed) = self.killed() {
            return format!("litestream {killed}");
        }
        log::last_error(&self.stderr).or_else(|| log::last_error(&self.stdout)).unwrap_or_else(|| match self
            .ended
        {
            Ended::Code(code) => format!("litestream ended with code {code} and said nothing"),
            Ended::Signal(number) => format!("litestream was ended by SIG{}", signal::name(number)),
        })
    }
}

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be started.
    #[error("`{}` cannot be started: {error}", binary.display())]
    Start {
        /// The binary.
        binary: PathBuf,
        /// The operating system's reason.
        error: io::Error,
    },
    /// It was asked to end.
    #[error("interrupted")]
    Aborted,
    /// It was still running at its deadline, and was killed.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
}

/// How the words of [`Error::Timeout`] begin.
pub const NO_ANSWER: &str = "no answer within";

/// Variables of the service manager that are for the keeper alone.
pub const KEEPERS_OWN: &[&str] = &[
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "LISTEN_FDNAMES",
];

/// Litestream loads the certificates of the system as it starts, whatever it is asked: 8 ms of 20. Go
/// looks for them where these say (`crypto/x509`), and finds none there.
const NO_CERTIFICATES: &[(&str, &str)] = &[("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/dev/null")];

/// In less a busy machine may not even start a program.
const TOO_SHORT: Duration = Duration::from_secs(2);
/// How often [`Runner::run`] says that it is still waiting.
const TICK: Duration = Duration::from_secs(1);

impl Runner {
    /// Runs a command to its end; `tick` is called about every second meanwhile with the child's
    /// number and says whether there was progress: `limit` is time without any.
    ///
    /// # Errors
    /// See [`Error`]; a command that fails is an [`Output`].
    pub async fn run(
        &self,
        args: &[OsString],
        limit: Duration,
        tick: impl FnMut(i32) -> bool,
    ) -> Result<Output, Error> {
        self.run_with(&[], args, limit, tick).await
    }

    /// Does as [`Runner::run`] for what ends by itself soon.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub async fn ask(&self, args: &[OsString], limit: Duration) -> Result<Output, Error> {
        self.run(args, limit, |_| false).await
    }

    /// Does as [`Runner::ask`] for what Litestream knows by itself, without a connection to anywhere.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub async fn ask_offline(&self, args: &[OsString], limit: Duration) -> Result<Output, Error> {
        self.run_offline(args, limit, |_| false).await
    }

    /// Asks Litestream which one it is.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub async fn version(&self) -> Result<Output, Error> {
        self.ask_offline(&argv::version(), VERSION_LIMIT).await
    }

    /// Has Litestream make a snapshot of each database of a configuration, whose own Litestream does not run; `limit` is time
    /// without progress.
    ///
    /// # Errors
    /// Why there is none, in its words.
    pub async fn snapshot(&self, config: &Path, limit: Duration) -> Result<(), String> {
        let mut before = None;
        let moves = |pid| {
            let now = proc::computed(pid);
            std::mem::replace(&mut before, now) != now
        };
        match self.run(&argv::snapshot_once(config), limit, moves).await {
            Ok(output) if output.is_success() => Ok(()),
            Ok(output) => Err(output.reason()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Does as [`Runner::run`] without a connection.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub async fn run_offline(
        &self,
        args: &[OsString],
        limit: Duration,
        tick: impl FnMut(i32) -> bool,
    ) -> Result<Output, Error> {
        self.run_with(NO_CERTIFICATES, args, limit, tick).await
    }

    /// Has a command of this program itself carried out by a process of its own, as the user that Litestream
    /// runs as, which gets these descriptors beside; what it printed.
    ///
    /// # Errors
    /// Its last words, or why there are none.
    pub async fn ask_own(
        &self,
        args: &[OsString],
        inherit: Vec<RawFd>,
        limit: Duration,
    ) -> Result<String, String> {
        Self::answer_of(self.run_own(args, inherit, limit, |_| false).await)
    }

    /// Does as [`Runner::ask_own`] for what may take as long as it likes: `limit` is time in which it computes nothing.
    ///
    /// # Errors
    /// As [`Runner::ask_own`].
    pub async fn ask_own_busy(
        &self,
        args: &[OsString],
        inherit: Vec<RawFd>,
        limit: Duration,
    ) -> Result<String, String> {
        let mut before = None;
        let moves = |pid| {
            let now = proc::computed(pid);
            std::mem::replace(&mut before, now) != now
        };
        Self::answer_of(self.run_own(args, inherit, limit, moves).await)
    }

    fn answer_of(ran: Result<Output, Error>) -> Result<String, String> {
        let output = ran.map_err(|error| error.to_string())?;
        if !output.is_success() {
            if let Some(killed) = output.killed() {
                return Err(format!("it {killed}"));
            }
            let last = output.stderr.lines().rfind(|line| !line.trim().is_empty());
            return Err(piece(last.unwrap_or("it failed and said nothing")));
        }
        Ok(output.stdout)
    }

    /// Does as [`Runner::run`] for a command of this program itself.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub async fn run_own(
        &self,
        args: &[OsString],
        inherit: Vec<RawFd>,
        limit: Duration,
        tick: impl FnMut(i32) -> bool,
    ) -> Result<Output, Error> {
        let failed = |error| Error::Start { binary: "/proc/self/exe".into(), error };
        let program = fd::own_program().map_err(failed)?;
        let runner = Self { binary: fd::path(&program), inherit, ..self.clone() };
        runner.run(args, limit, tick).await
    }

    async fn run_with(
        &self,
        with_env: &[(&str, &str)],
        args: &[OsString],
        limit: Duration,
        mut tick: impl FnMut(i32) -> bool,
    ) -> Result<Output, Error> {
        if self.children.is_aborted() {
            return Err(Error::Aborted);
        }
        let own = self.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let with_env: Vec<_> = own.chain(with_env.iter().copied()).collect();
        let spawn = Spawn {
            own_group: true,
            dies_with_parent: true,
            user: self.user.as_ref(),
            without_env: KEEPERS_OWN,
            with_env: &with_env,
            inherit: self.inherit.clone(),
            ..Spawn::default()
        };
        let failed = |error| Error::Start {
            binary: self.binary.clone(),
            error: unstarted::error(&self.binary, error),
        };
        let killed_before = oom::Count::now();
        let spawned = spawn.start(&self.binary, args).map_err(failed)?;
        let _guard = Guard { children: &self.children, pid: spawned.pid };
        let mut ended = self.children.watch_one_shot(spawned.pid);
        event::became(spawned.verdict, fork::LIMIT.min(limit)).await.map_err(|error| {
            // A limit that is nearly over says nothing of the program.
            let is_ours = error.kind() == io::ErrorKind::TimedOut && limit < TOO_SHORT;
            if is_ours { Error::Timeout(limit) } else { failed(error) }
        })?;
        let mut limit_at = Instant::now() + limit;
        let finish = async {
            loop {
                match tokio::time::timeout(TICK, &mut ended).await {
                    Ok(how) => return (how.unwrap_or(Ended::Signal(nix::libc::SIGKILL)), false),
                    Err(_) if tick(spawned.pid) => limit_at = Instant::now() + limit,
                    Err(_) if Instant::now() >= limit_at => {
                        self.children.kill_tree(spawned.pid);
                        let how = (&mut ended).await.unwrap_or(Ended::Signal(nix::libc::SIGKILL));
                        return (how, true);
                    }
                    Err(_) => {}
                }
            }
        };
        let mut stdout = Gather::new(spawned.stdout, LONGEST_OUTPUT);
        let mut stderr = Gather::new(spawned.stderr, LONGEST_OUTPUT);
        // Its end counts, and not its pipes': what it started may hold those open for as long as it likes.
        let finish = std::pin::pin!(finish);
        let (how, late) = match select(finish, std::pin::pin!(join(stdout.fill(), stderr.fill()))).await {
            Either::Left((ended, _)) => ended,
            Either::Right((_, finish)) => finish.await,
        };
        if self.children.is_aborted() {
            return Err(Error::Aborted);
        }
        if late {
            return Err(Error::Timeout(limit));
        }
        let why_killed =
            if how == Ended::Signal(nix::libc::SIGKILL) { killed_before.why_killed() } else { "" };
        Ok(Output { ended: how, stdout: text(stdout), stderr: text(stderr), why_killed })
    }

    /// Returns the path of the binary, for messages.
    pub fn binary(&self) -> &Path {
        &self.binary
    }
}

/// A child that is not waited for any more is not left running.
struct Guard<'a> {
    children: &'a Children,
    pid: i32,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.children.kill_tree(self.pid);
    }
}

fn text(gathered: Gather) -> String {
    String::from_utf8_lossy(&gathered.finish()).into_owned()
}
