//! The shim's life: one thread, one `poll(2)`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFlags, PollTimeout, poll};

use super::becoming::Becoming;
use super::drain::{drain, is_readable, readable};
use super::voice::{Voice, ended, processes};
use super::wire::{Orders, Target, ToKeeper, ToShim, Update, receive, send, value};
use super::{App, LISTEN_FDNAMES, LISTEN_FDS, LISTEN_PID};
use crate::core::Ended;
use crate::os::child::Child;
use crate::os::exec::Command;
use crate::os::fork::Born;
use crate::os::packet::Outgoing;
use crate::os::reap::{self, Reaped};
use crate::os::signal::{self, Signals};
use crate::os::{fd, limit, oom_score, pidfd, proc, tree};

/// How often a tree that is being killed is looked at again for what was born meanwhile, and the
/// parent on a kernel without pidfds.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Runs the shim on the descriptor that its command line names; the exit code is for the process.
pub fn main(link: Option<&str>) -> u8 {
    crate::os::user::hide_from_others();
    let adopted = link.and_then(|number| number.parse().ok()).map(fd::adopt);
    let Some(Ok(link)) = adopted else {
        let _ = writeln!(io::stderr(), "error: this command is litekeeper's own, and is started by it");
        return crate::core::ExitCode::USAGE.get();
    };
    match Resident::new(link).and_then(|mut resident| resident.live()) {
        Ok(code) => code,
        Err(error) => {
            // Nobody may be left to read it.
            let _ = writeln!(io::stderr(), "error: the shim cannot go on: {error}");
            crate::core::ExitCode::LITESTREAM.get()
        }
    }
}

/// The app's process tree, as the shim sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tree {
    Gone,
    /// The leader lives.
    Led(i32),
    /// The leader ended, what it started lives.
    Left,
}

/// Why the shim is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alone {
    No,
    /// The keeper is dead: stop the app in order, drain, end with 0.
    WithoutKeeper,
    /// Litestream is dead: end the app, then this process.
    WithoutLitestream,
}

struct Resident {
    /// Gone once the keeper is.
    link: Option<OwnedFd>,
    outgoing: Outgoing,
    orders: Orders,
    /// The locks of databases that came later; those of the others were inherited.
    locks: BTreeMap<u64, OwnedFd>,
    /// Litestream's process number, and the watch on it where the kernel has one.
    parent: i32,
    litestream: Option<OwnedFd>,
    signals: Signals,
    tree: Tree,
    /// The leader, until it is known to be the app.
    becoming: Option<Becoming>,
    killing: bool,
    kill_at: Option<Instant>,
    alone: Alone,
    voice: Voice,
}

impl Resident {
    fn new(link: OwnedFd) -> io::Result<Self> {
        limit::raise_open_files();
        oom_score::lower();
        // The locks that it inherited are its own, and all that it opens or receives is marked so anyway.
        fd::close_on_exec_from(3);
        let signals = Signals::take_all()?;
        nix::sys::prctl::set_child_subreaper(true)?;
        let _ = nix::sys::prctl::set_name(c"litekeeper-shim");
        let (orders, stderr) = match receive::<ToShim>(&link, true)? {
            Some((ToShim::Setup, mut fds)) if !fds.is_empty() => {
                (value::<Orders>(fds.remove(0))?, fds.into_iter().next())
            }
            Some(_) => return Err(io::Error::other("the keeper did not begin with its orders")),
            None => return Err(io::Error::other("the keeper is gone")),
        };
        // Not the number that the keeper started: that may be a wrapper around Litestream.
        let parent = nix::unistd::getppid().as_raw();
        let litestream = pidfd::open(parent);
        let voice = Voice::new(orders.log.clone(), stderr);
        Ok(Self {
            parent,
            link: Some(link),
            outgoing: Outgoing::default(),
            orders,
            locks: BTreeMap::new(),
            litestream,
            signals,
            tree: Tree::Gone,
            becoming: None,
            killing: false,
            kill_at: None,
            alone: Alone::No,
            voice,
        })
    }

    fn live(&mut self) -> io::Result<u8> {
        self.tell(&ToKeeper::Ready(std::process::id() as i32));
        loop {
            if self.alone != Alone::WithoutLitestream && self.litestream_is_gone() {
                self.lose_litestream();
            }
            if self.tree == Tree::Gone {
                match self.alone {
                    Alone::No => {}
                    Alone::WithoutLitestream => return Ok(crate::core::ExitCode::LITESTREAM.get()),
                    Alone::WithoutKeeper => {
                        let Orders { socket, requests, drain: time, .. } = &self.orders;
                        let confirmed = drain(socket, requests, *time, self.litestream.as_ref());
                        let asked = requests.len();
                        self.tell_drained(confirmed, asked);
                        return Ok(0);
                    }
                }
            }
            let (keeper, children) = self.wait()?;
            self.look_at_leader();
            if children {
                self.take_signals();
            }
            if keeper && self.take_messages()? {
                return Ok(0);
            }
            if self.kill_at.is_some_and(|at| at <= Instant::now()) {
                self.kill_at = None;
                self.killing = true;
                if self.link.is_none() && self.tree != Tree::Gone {
                    let app = self.voice.app();
                    self.voice.warn(&format!("{app} did not stop in its time: killing it"));
                }
            }
            if self.killing && self.tree != Tree::Gone {
                tree::signal_descendants(std::process::id() as i32, libc::SIGKILL);
                self.reap();
            }
        }
    }

    /// Waits for anything; what is readable of the keeper's end and the signals.
    fn wait(&self) -> io::Result<(bool, bool)> {
        let mut waiting = vec![readable(self.signals.as_fd())];
        let keeper = self.link.as_ref().map(|link| {
            let mut link = readable(link.as_fd());
            if !self.outgoing.is_empty() {
                link.set_events(link.events() | PollFlags::POLLOUT);
            }
            waiting.push(link);
            waiting.len() - 1
        });
        let watches_litestream = self.alone != Alone::WithoutLitestream;
        if watches_litestream && let Some(litestream) = &self.litestream {
            waiting.push(readable(litestream.as_fd()));
        }
        let becoming = self.becoming.as_ref().and_then(Becoming::awaited);
        if let Some((verdict, _)) = becoming {
            waiting.push(readable(verdict));
        }
        let looks =
            (self.killing && self.tree != Tree::Gone) || (watches_litestream && self.litestream.is_none());
        let due = self.kill_at.into_iter().chain(becoming.map(|(_, until)| until)).min();
        let until_due = due.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = match looks.then_some(LOOK_AGAIN).into_iter().chain(until_due).min() {
            Some(time) => PollTimeout::from(signal::poll_millis(time)),
            None => PollTimeout::NONE,
        };
        match poll(&mut waiting, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok((keeper.is_some_and(|at| is_readable(&waiting[at])), is_readable(&waiting[0])))
    }

    /// A process keeps its parent until that one dies, and a pidfd of a dead process is readable.
    fn litestream_is_gone(&self) -> bool {
        let parent = nix::unistd::getppid().as_raw();
        parent != self.parent
            || parent == self.orders.keeper
            || self.litestream.as_ref().is_some_and(|litestream| {
                let mut waiting = [readable(litestream.as_fd())];
                poll(&mut waiting, PollTimeout::ZERO).is_ok() && is_readable(&waiting[0])
            })
    }

    fn lose_litestream(&mut self) {
        self.alone = Alone::WithoutLitestream;
        if self.orders.orphan_grace.is_zero() {
            // Before the keeper is told: what counts now is milliseconds.
            tree::signal_descendants(std::process::id() as i32, libc::SIGKILL);
            self.killing = true;
        } else {
            self.signal(Target::Leader, self.orders.stop_signal);
            self.kill_at = Some(Instant::now() + self.orders.orphan_grace);
        }
        if self.link.is_none() {
            let app = self.voice.app();
            self.voice.error(&format!(
                "litestream is dead as well, so what {app} wrote last may not be on the replica"
            ));
        }
        self.tell(&ToKeeper::LitestreamGone);
        self.reap();
    }

    fn lose_keeper(&mut self) {
        self.link = None;
        // Litestream's log had one reader. Its last sync must not wait for room in that pipe.
        fd::give_up_outputs();
        // Not before: what is given up is the pipe to the keeper, and not what that wrote to.
        self.voice.take_over();
        if self.alone == Alone::No {
            self.alone = Alone::WithoutKeeper;
            let app = self.voice.app();
            let after = self.orders.grace.as_secs_f32();
            let (target, what) = match self.tree {
                Tree::Led(_) => (Target::Leader, format!("stopping {app}, which has {after} s for that")),
                Tree::Left => (Target::Tree, format!("stopping what {app} left")),
                Tree::Gone => (Target::Tree, "nothing of the app runs".to_owned()),
            };
            self.voice
                .warn(&format!("litekeeper was killed: {what}; then a last sync, then litestream ends"));
            self.signal(target, self.orders.stop_signal);
            self.kill_at = Some(Instant::now() + self.orders.grace);
        }
    }

    /// An answer alone is no proof: nobody has compared the databases with it.
    fn tell_drained(&self, confirmed: usize, asked: usize) {
        match (confirmed, asked) {
            (_, 0) => self.voice.info("the app has ended: litestream does its last sync"),
            (all, _) if all == asked => self.voice.info(&format!(
                "the app has ended, and litestream has confirmed each database ({all}): the next start compares them"
            )),
            (some, _) => self.voice.error(&format!(
                "the app has ended, and litestream has confirmed {some} of {asked} databases: the local files have \
                 the rest, and the next start uploads it"
            )),
        }
    }

    /// Whoever the leader's end leaves is to end in order as well: with the keeper there, the keeper says so.
    fn end_leftovers(&mut self, how: Ended, unborn: Option<i32>, left: u32) {
        if self.link.is_some() {
            return;
        }
        let app = self.voice.app();
        let mut text = match unborn {
            Some(errno) => format!("{app} was not started: {}", io::Error::from_raw_os_error(errno)),
            None => format!("{app} {}", ended(how)),
        };
        if left > 0 {
            text.push_str(&format!(": stopping {} that it left", processes(left)));
            self.signal(Target::Tree, self.orders.stop_signal);
        }
        self.voice.info(&text);
    }

    fn take_signals(&mut self) {
        while let Some(signal::Received { number, .. }) = self.signals.take() {
            match number {
                libc::SIGCHLD => self.reap(),
                // Litestream passes these on and waits: somebody told it to stop.
                libc::SIGTERM | libc::SIGINT => self.tell(&ToKeeper::Asked(number)),
                // Nobody else has business with the shim.
                _ => {}
            }
        }
    }

    /// Takes what the keeper says; whether that was the last.
    fn take_messages(&mut self) -> io::Result<bool> {
        while let Some(link) = &self.link {
            // As in `tell`.
            let _ = self.outgoing.flush(link.as_fd());
            match receive::<ToShim>(link, false) {
                Ok(Some((ToShim::Start, fds))) => self.start(fds),
                Ok(Some((ToShim::Signal(target, number), _))) => self.signal(target, number),
                Ok(Some((ToShim::KillTree, _))) => self.killing = self.tree != Tree::Gone,
                Ok(Some((ToShim::Update, fds))) => self.update(fds)?,
                Ok(Some((ToShim::Release, _))) => return Ok(true),
                Ok(Some((ToShim::Setup, _))) => {}
                Ok(None) => self.lose_keeper(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(error),
                Err(_) => self.lose_keeper(),
            }
        }
        Ok(false)
    }

    fn update(&mut self, mut fds: Vec<OwnedFd>) -> io::Result<()> {
        if fds.is_empty() {
            return Ok(());
        }
        let Update { requests, came, went } = value(fds.remove(0))?;
        self.orders.requests = requests;
        self.locks.retain(|number, _| !went.contains(number));
        self.locks.extend(came.into_iter().zip(fds));
        Ok(())
    }

    fn start(&mut self, mut fds: Vec<OwnedFd>) {
        if self.alone != Alone::No || self.tree != Tree::Gone || fds.len() < 4 {
            return;
        }
        (self.killing, self.kill_at) = (false, None);
        let memory = fds.remove(0);
        let started = value::<App>(memory).and_then(|app| child_of(app, fds).start());
        match started {
            Ok(Born { pid, verdict }) => {
                self.tree = Tree::Led(pid);
                self.becoming = Some(Becoming::new(pid, verdict));
            }
            Err(error) => self.tell(&ToKeeper::NotStarted(error.raw_os_error().unwrap_or(libc::EIO))),
        }
    }

    /// Tells that the leader has become the app, as soon as it has.
    fn look_at_leader(&mut self) {
        if let Tree::Led(pid) = self.tree
            && self.becoming.as_mut().is_some_and(Becoming::has_become)
        {
            self.becoming = None;
            self.tell(&ToKeeper::Started(pid));
        }
    }

    fn signal(&mut self, target: Target, number: i32) {
        let leader = match self.tree {
            Tree::Led(pid) => Some(pid),
            Tree::Left | Tree::Gone => None,
        };
        let mut to_wake = Vec::new();
        match (target, leader) {
            (Target::Leader, Some(pid)) => {
                signal::send(pid, number);
                to_wake = proc::in_group(pid);
            }
            (Target::Group, Some(pid)) => signal::send_to_group(pid, number),
            (Target::Tree, _) => {
                to_wake = tree::descendants(std::process::id() as i32);
                to_wake.iter().for_each(|pid| signal::send(*pid, number));
            }
            (Target::Leader | Target::Group, None) => {}
        }
        if number == self.orders.stop_signal {
            // Whoever is stopped hears of nothing. The others are left alone: some do something on SIGCONT.
            to_wake.retain(|pid| proc::is_stopped(*pid));
            to_wake.into_iter().for_each(|pid| signal::send(pid, libc::SIGCONT));
        }
    }

    fn reap(&mut self) {
        let mut ended = None;
        let left = loop {
            match reap::next() {
                Reaped::Ended(pid, how) => {
                    if self.tree == Tree::Led(pid) {
                        // It may have come as far meanwhile, or have said why not.
                        self.look_at_leader();
                        ended = Some(how);
                    }
                }
                Reaped::Stopped(pid, number) => {
                    self.look_at_leader();
                    if self.tree == Tree::Led(pid) && self.becoming.is_some() {
                        // No terminal's job yet, and nobody would continue it. SIGSTOP is somebody's wish.
                        if number != libc::SIGSTOP {
                            signal::send(pid, libc::SIGCONT);
                        }
                    } else if self.tree == Tree::Led(pid) {
                        self.tell(&ToKeeper::Stopped(number));
                    }
                }
                Reaped::Quiet => break true,
                Reaped::Childless => break false,
            }
        };
        match (ended, self.tree) {
            (Some(how), _) => {
                self.tree = if left { Tree::Left } else { Tree::Gone };
                let left =
                    if left { tree::descendants(std::process::id() as i32).len().max(1) as u32 } else { 0 };
                let unborn = self.becoming.take().and_then(|leader| leader.failure());
                self.end_leftovers(how, unborn, left);
                self.tell(&match (unborn, how) {
                    (Some(errno), _) => ToKeeper::NotStarted(errno),
                    (None, Ended::Code(code)) => ToKeeper::Exited { code, left },
                    (None, Ended::Signal(number)) => ToKeeper::Signaled { number, left },
                });
            }
            (None, Tree::Left) if !left => {
                self.tree = Tree::Gone;
                self.tell(&ToKeeper::TreeGone);
            }
            (None, Tree::Gone | Tree::Led(_) | Tree::Left) => {}
        }
        if self.tree == Tree::Gone {
            self.killing = false;
        }
    }

    fn tell(&mut self, message: &ToKeeper) {
        if let Some(link) = &self.link {
            // A keeper that is gone shows as the end of its messages.
            let _ = send::<_, ()>(link, &mut self.outgoing, message, None, &[]);
        }
    }
}

fn child_of(app: App, mut fds: Vec<OwnedFd>) -> Child {
    let folder = (app.has_folder && fds.len() > 3).then(|| fds.remove(3));
    let sockets = fds.len() - 3;
    let mut env = app.env;
    let own = [LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES];
    env.retain(|(name, _)| own.iter().all(|own| name != own.as_bytes()));
    if sockets > 0 {
        env.push((LISTEN_FDS.into(), sockets.to_string().into()));
        env.extend(app.socket_names.map(|names| (LISTEN_FDNAMES.into(), names)));
    }
    Child {
        command: Command::from_bytes(app.argv, env),
        folder,
        may_stay: app.inherits_folder,
        foreground: app.foreground,
        ignored: signal::Numbers(app.ignored),
        fds,
        own_number_in: (sockets > 0).then(|| LISTEN_PID.into()),
    }
}
