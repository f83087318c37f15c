//! The app with all that it started, below its shim.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc;
use tokio::io::unix::AsyncFd;

use super::link::{Link, Word};
use super::message::{Message, Outbox};
use super::wal::WalLocks;
use super::workplace::Workplace;
use crate::foreign;
use crate::litestream::command::KEEPERS_OWN;
use crate::os::exec::Command;
use crate::os::terminal::{self, Terminal};
use crate::os::unstarted::{self, Unstarted};
use crate::os::{event, fork, pidfd, signal, tree};
use crate::shim::{App, Target, ToShim, Update};

/// How long the app's tree may live on until it is in no commit.
const HOLDING: Duration = Duration::from_millis(100);
/// How long its locks are held while it is being killed.
const HELD: Duration = Duration::from_secs(2);

/// What the shim is told to run.
pub(super) struct Commands {
    pub(super) app: Vec<OsString>,
    /// The one-shot commands before it.
    pub(super) before: Vec<Vec<OsString>>,
    pub(super) env: Vec<(OsString, OsString)>,
    /// What the sockets are called that the app gets.
    pub(super) socket_names: Option<OsString>,
}

/// Which of them it was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Running {
    App,
    Before(usize),
}

/// The shim and what is below it, as far as it is known here.
pub(super) struct AppTree {
    commands: Commands,
    listening: Vec<OwnedFd>,
    workplace: Workplace,
    terminal: Option<Terminal>,
    link: Option<Link>,
    /// The shim's number, as it says.
    shim_pid: Option<i32>,
    /// The shim, to see its end at once.
    shim: Option<AsyncFd<OwnedFd>>,
    app: Option<i32>,
    /// Since when that is.
    app_since: Option<jiff::Timestamp>,
    running: Running,
    /// How many commands the shim was given.
    starts: u64,
    /// The app's leader is gone, and something of its tree is left.
    leftovers: bool,
    /// What a dead shim left is being killed.
    sweeping: bool,
    /// Locks that are held while the app's tree is killed, and which these are.
    held: Option<(u64, WalLocks)>,
    holds: u64,
}

impl AppTree {
    /// Nothing runs yet.
    pub(super) fn new(commands: Commands, listening: Vec<OwnedFd>, workplace: Workplace) -> Self {
        Self {
            commands,
            listening,
            workplace,
            terminal: Terminal::open(),
            link: None,
            shim_pid: None,
            shim: None,
            app: None,
            app_since: None,
            running: Running::App,
            starts: 0,
            leftovers: false,
            sweeping: false,
            held: None,
            holds: 0,
        }
    }

    /// The shim's next message, for as long as there is a shim.
    pub(super) async fn shim_says(&self) -> Option<Word> {
        match &self.link {
            Some(link) => link.receive().await,
            None => std::future::pending().await,
        }
    }

    /// Waits until the shim is gone.
    pub(super) async fn shim_dies(&self) {
        match &self.shim {
            // An error says no more than that nobody can wait for it.
            Some(shim) if shim.readable().await.is_ok() => {}
            Some(_) | None => std::future::pending().await,
        }
    }

    pub(super) fn tell_shim(&self, message: &ToShim) {
        if let Some(link) = &self.link {
            link.send(message);
        }
    }

    /// Tells it which databases came and went, with the locks of those that came.
    pub(super) fn update(&self, update: &Update, locks: &[RawFd]) {
        if let Some(link) = &self.link {
            // A shim that is gone shows as the end of its messages.
            let _ = link.send_with(&ToShim::Update, update, locks);
        }
    }

    /// A shim waits at the other end of this.
    pub(super) fn connect(&mut self, link: Link) {
        self.link = Some(link);
    }

    /// Nobody is there to listen, or should be.
    pub(super) fn disconnect(&mut self) {
        self.link = None;
    }

    pub(super) fn is_connected(&self) -> bool {
        self.link.is_some()
    }

    /// The shim is this process.
    pub(super) fn greeted(&mut self, pid: i32) {
        self.shim_pid = Some(pid);
        self.shim = pidfd::open(pid).and_then(|shim| event::readable(shim).ok());
    }

    pub(super) fn shim_pid(&self) -> Option<i32> {
        self.shim_pid
    }

    pub(super) fn shim_gone(&mut self) {
        (self.shim, self.shim_pid, self.link) = (None, None, None);
    }

    /// What the shim was told last runs as this process.
    pub(super) fn runs_as(&mut self, pid: i32) {
        (self.app, self.app_since) = (Some(pid), Some(jiff::Timestamp::now()));
    }

    /// The app's leader, and since when it runs; none where none does, or a one-shot command.
    pub(super) fn app(&self) -> Option<(i32, jiff::Timestamp)> {
        match self.running {
            Running::App => Some((self.app?, self.app_since?)),
            Running::Before(_) => None,
        }
    }

    /// The words of the app, without secrets.
    pub(super) fn app_words(&self) -> String {
        let words = self.commands.app.iter().map(|word| word.to_string_lossy().into_owned());
        foreign::words(&words.collect::<Vec<_>>())
    }

    /// It has ended, and left so many processes.
    pub(super) fn ended(&mut self, left: u32) {
        self.app = None;
        self.leftovers = left > 0;
    }

    /// What it left is gone as well.
    pub(super) fn left_nothing(&mut self) {
        self.leftovers = false;
    }

    pub(super) fn has_leftovers(&self) -> bool {
        self.leftovers
    }

    /// What a dead shim left is to be killed: it was adopted by this process.
    pub(super) fn sweep(&mut self) {
        self.sweeping = true;
    }

    pub(super) fn is_swept(&self) -> bool {
        self.sweeping
    }

    /// Nothing of it is left.
    pub(super) fn swept(&mut self) {
        (self.sweeping, self.leftovers, self.app) = (false, false, None);
    }

    /// The command that the shim was given last, for the log.
    pub(super) fn running_name(&self) -> String {
        match self.running {
            Running::App => self.app_name(),
            Running::Before(place) => format!("--before {}", program_name(&self.commands.before[place])),
        }
    }

    /// Why the command that the shim was given last could not be executed.
    pub(super) fn unstarted(&self, errno: i32) -> Unstarted {
        let error = match errno {
            libc::ETIME => {
                let late = format!("its process had not become it after {} s", fork::LIMIT.as_secs());
                io::Error::new(io::ErrorKind::TimedOut, late)
            }
            errno => io::Error::from_raw_os_error(errno),
        };
        let command = Command { argv: self.running_argv().to_vec(), env: self.commands.env.clone() };
        unstarted::explain(&command, self.workplace.shown().as_deref(), &error)
    }

    fn running_argv(&self) -> &[OsString] {
        match self.running {
            Running::App => &self.commands.app,
            Running::Before(place) => &self.commands.before[place],
        }
    }

    pub(super) fn app_name(&self) -> String {
        format!("the app ({})", program_name(&self.commands.app))
    }

    /// The one-shot commands, for the log.
    pub(super) fn before_names(&self) -> Vec<String> {
        self.commands.before.iter().map(|argv| program_name(argv)).collect()
    }

    pub(super) fn terminal(&self) -> Option<&Terminal> {
        self.terminal.as_ref()
    }

    /// Whether the app is given the terminal without asking: it reads from there, and no other part of the job can need it.
    /// Any other app gets it when it needs it.
    pub(super) fn lends_terminal(&self) -> bool {
        self.terminal.as_ref().is_some_and(Terminal::is_own)
            && terminal::is_stdin()
            && !terminal::is_shared_job()
    }

    pub(super) fn take_terminal_back(&self) {
        if let Some(terminal) = &self.terminal {
            terminal.take_from(self.app);
        }
    }

    /// Whether the app is a part of this process's job at a terminal.
    pub(super) fn is_in_job(&self) -> bool {
        self.terminal.is_some() && self.app.is_some()
    }

    /// Takes in that Ctrl-Z has stopped the app alone: a shell has to see its whole job stop.
    pub(super) fn job_stopped(&self, number: i32) {
        let Some(terminal) = &self.terminal else { return };
        // The job has the terminal, and of its parts it is the app that reads from it, or wants other settings of it. It may have
        // been stopped more than once before it was given the terminal.
        if let (libc::SIGTTIN | libc::SIGTTOU, Some(app)) = (number, self.app) {
            if terminal.is_own() {
                terminal.give_to(app);
            }
            if terminal.is_with(app) {
                self.tell_shim(&ToShim::Signal(Target::Group, libc::SIGCONT));
                return;
            }
        }
        self.take_terminal_back();
        if terminal::is_shell_job() {
            signal::stop_own_group();
        }
        // Somebody has continued this process, or nobody ever would have.
        self.resume();
    }

    /// Hands the terminal back to the app after `fg`; whether there was anything to do.
    pub(super) fn resume(&self) -> bool {
        let (Some(terminal), Some(app)) = (&self.terminal, self.app) else { return false };
        if self.lends_terminal() {
            terminal.give_to(app);
        }
        self.tell_shim(&ToShim::Signal(Target::Group, libc::SIGCONT));
        true
    }

    pub(super) fn start(&mut self, running: Running) -> io::Result<()> {
        self.running = running;
        self.starts += 1;
        let own = |(name, _): &&(OsString, OsString)| !KEEPERS_OWN.iter().any(|keepers| name == keepers);
        let bytes = |text: &OsString| text.as_bytes().to_vec();
        let workplace = self.workplace.look().map(AsRawFd::as_raw_fd);
        let env = self.commands.env.iter().filter(own);
        let app = App {
            argv: self.running_argv().iter().map(bytes).collect(),
            env: env.map(|(name, value)| (bytes(name), bytes(value))).collect(),
            has_folder: workplace.is_some(),
            inherits_folder: self.workplace.is_inherited(),
            socket_names: self.commands.socket_names.as_ref().map(bytes),
            foreground: self.lends_terminal(),
            ignored: signal::ignored_at_start().0,
        };
        let standard: [RawFd; 3] = [0, 1, 2];
        let sockets = if running == Running::App { self.listening.as_slice() } else { &[] };
        let sockets = sockets.iter().map(AsRawFd::as_raw_fd);
        let fds: Vec<RawFd> = standard.into_iter().chain(workplace).chain(sockets).collect();
        match &self.link {
            Some(link) => link.send_with(&ToShim::Start, &app, &fds),
            // Its end is on its way to the machine.
            None => Ok(()),
        }
    }

    /// Has the tree killed, but not while one of it is in the middle of a commit: who dies between the log and its
    /// index leaves an orphan. Nobody is waited for longer than [`HOLDING`].
    pub(super) fn hold_and_kill(&self, databases: Vec<PathBuf>, outbox: &Outbox) {
        let (start, outbox) = (self.starts, outbox.clone());
        tokio::task::spawn_local(async move {
            let held = WalLocks::take(databases, HOLDING).await;
            let _ = outbox.send(Message::Kill(start, held));
        });
    }

    /// Kills the tree of the `start`-th command: it may have ended meanwhile, and the next one run. Whether it is the one that
    /// was meant.
    pub(super) fn kill(&mut self, start: u64, held: WalLocks, outbox: &Outbox) -> bool {
        if start != self.starts {
            return false;
        }
        self.tell_shim(&ToShim::KillTree);
        self.holds += 1;
        let (hold, outbox) = (self.holds, outbox.clone());
        self.held = Some((hold, held));
        tokio::task::spawn_local(async move {
            tokio::time::sleep(HELD).await;
            let _ = outbox.send(Message::LetGo(hold));
        });
        true
    }

    /// These locks were held long enough.
    pub(super) fn let_go(&mut self, hold: u64) {
        self.held.take_if(|(held, _)| *held == hold);
    }

    /// The locks that are held.
    pub(super) fn take_held(&mut self) -> Option<WalLocks> {
        Some(self.held.take()?.1)
    }

    /// Whoever the shim runs as may have stopped it. What it says is its number counts only below Litestream.
    pub(super) fn kill_shim(&self, litestream: Option<i32>) {
        // Without Litestream it is this process's own.
        let below = tree::descendants(litestream.unwrap_or(std::process::id() as i32));
        if let Some(shim) = self.shim_pid.filter(|shim| below.contains(shim)) {
            tree::signal_descendants(shim, libc::SIGKILL);
            signal::send(shim, libc::SIGKILL);
        }
    }

    /// Whether something still runs of what is said to be gone. Then the shim did not say it: whoever runs as its user
    /// can take the line to it from Litestream (`pidfd_getfd(2)`), but not its place above all that the app started.
    /// It is killed with all of that.
    pub(super) fn refute(&mut self, litestream: Option<i32>) -> bool {
        let left = self.shim_pid.map(tree::descendants).unwrap_or_default();
        if left.is_empty() {
            return false;
        }
        let (app, count) = (self.app_name(), left.len());
        tracing::error!(
            "somebody said in the name of its shim that {app} has ended, but {count} of its processes run: killing both"
        );
        self.kill_shim(litestream);
        // Its end is seen by its pidfd, and by Litestream's.
        self.disconnect();
        true
    }

    /// Somebody else has spoken for the shim, or has said what it cannot have said: it is killed with all of the app, as
    /// when that is seen by what runs ([`AppTree::refute`]). Whether there is one.
    pub(super) fn unmask(&mut self, sender: Option<i32>, litestream: Option<i32>) -> bool {
        if self.shim_pid.is_none() {
            return false;
        }
        let app = self.app_name();
        let by = sender.map_or_else(String::new, |pid| format!(", as process {pid}"));
        tracing::error!(
            "somebody said in the name of its shim that {app} is otherwise than it is{by}: killing both"
        );
        self.kill_shim(litestream);
        self.disconnect();
        true
    }
}

pub(super) fn program_name(argv: &[OsString]) -> String {
    let program = argv.first().map(Path::new).unwrap_or(Path::new(""));
    // `PASSWORD=x command` is a shell's, and no program.
    foreign::word(&program.file_name().unwrap_or(program.as_os_str()).to_string_lossy())
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio::task::LocalSet;

    use super::*;

    fn tree() -> AppTree {
        let commands = Commands {
            app: vec!["/srv/app".into(), "serve".into()],
            before: vec![vec!["/srv/migrate".into()]],
            env: Vec::new(),
            socket_names: None,
        };
        let workplace = Workplace::open(None).unwrap_or_else(|failure| panic!("{}", failure.message));
        AppTree::new(commands, Vec::new(), workplace)
    }

    #[test]
    fn what_runs_is_what_the_shim_was_told_last() {
        let mut tree = tree();
        assert_eq!(tree.running_name(), "the app (app)");
        assert!(tree.start(Running::Before(0)).is_ok(), "a shim that is gone is told of elsewhere");
        assert_eq!(tree.running_name(), "--before migrate");
        assert_eq!(tree.app_name(), "the app (app)");
        assert_eq!(tree.before_names(), ["migrate"]);
    }

    #[test]
    fn what_is_left_is_left_until_it_is_told_to_be_gone() {
        let mut tree = tree();
        tree.runs_as(7);
        tree.ended(2);
        assert!(tree.app.is_none() && tree.has_leftovers());
        tree.left_nothing();
        assert!(!tree.has_leftovers());
        tree.runs_as(8);
        tree.ended(1);
        tree.sweep();
        assert!(tree.is_swept());
        tree.swept();
        assert!(!tree.is_swept() && !tree.has_leftovers());
    }

    #[test]
    fn a_shim_that_never_greeted_can_neither_be_refuted_nor_unmasked() {
        let mut tree = tree();
        assert!(!tree.refute(None) && !tree.unmask(Some(7), None) && !tree.is_connected());
    }

    #[test]
    fn only_the_command_that_was_to_be_killed_is_and_only_its_locks_are_let_go() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, async {
            let mut tree = tree();
            let (outbox, mut inbox) = mpsc::unbounded_channel();
            assert!(tree.start(Running::App).is_ok());
            tree.hold_and_kill(Vec::new(), &outbox);
            let Some(Message::Kill(start, held)) = inbox.recv().await else { panic!("it was to be killed") };
            assert!(tree.start(Running::App).is_ok());
            assert!(!tree.kill(start, held, &outbox) && tree.held.is_none(), "the next one runs");
            tree.hold_and_kill(Vec::new(), &outbox);
            let Some(Message::Kill(start, held)) = inbox.recv().await else { panic!("it was to be killed") };
            assert!(tree.kill(start, held, &outbox));
            tree.let_go(0);
            assert!(tree.held.is_some(), "those were others");
            tree.let_go(1);
            assert!(tree.take_held().is_none());
        });
    }
}
