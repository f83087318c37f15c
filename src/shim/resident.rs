//! The shim's life: one thread, one `poll(2)`, and what the [`Policy`] wants done.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use nix::libc;
use nix::poll::{PollFlags, PollTimeout, poll};

use super::App;
use super::action::{Action, To};
use super::drain::{drain, is_readable, readable};
use super::event::Event;
use super::policy::{LOOK_AGAIN, Limits, Policy};
use super::voice::Voice;
use super::wire::{ShimConfig, ToKeeper, ToShim, Update, receive, send, value};
use crate::core::ExitCode;
use crate::os::alarm::Alarm;
use crate::os::fork::{self, Born, Verdict};
use crate::os::packet::Outgoing;
use crate::os::reap::{self, Reaped};
use crate::os::signal::{self, Signals};
use crate::os::{fd, limit, oom_score, pidfd, proc, tree};

/// Runs the shim on the descriptor that its command line names; the exit code is for the process.
pub fn main(link: Option<&str>) -> u8 {
    crate::os::user::hide_from_others();
    let adopted = link.and_then(|number| number.parse().ok()).map(fd::adopt);
    let Some(Ok(link)) = adopted else {
        let _ = writeln!(io::stderr(), "error: this command is litekeeper's own, and is started by it");
        return ExitCode::USAGE.get();
    };
    match Resident::new(link).and_then(|mut resident| resident.live()) {
        Ok(code) => code,
        Err(error) => {
            // Nobody may be left to read it.
            let _ = writeln!(io::stderr(), "error: the shim cannot go on: {error}");
            ExitCode::LITESTREAM.get()
        }
    }
}

struct Resident {
    policy: Policy,
    /// Gone once the keeper is.
    link: Option<OwnedFd>,
    outgoing: Outgoing,
    config: ShimConfig,
    /// The locks of databases that came later; those of the others were inherited.
    locks: BTreeMap<u64, OwnedFd>,
    /// Litestream's process number, and the watch on it where the kernel has one.
    parent: i32,
    litestream: Option<OwnedFd>,
    signals: Signals,
    /// When the lease is over, if there is one.
    alarm: Option<Alarm>,
    /// The app that is to be started: its value, and its descriptors.
    app: Vec<OwnedFd>,
    /// What the leader has to say about its exec.
    verdict: Option<Verdict>,
    voice: Voice,
    /// What to end with.
    code: Option<ExitCode>,
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
        let (config, stderr) = match receive::<ToShim>(&link, true)? {
            Some((ToShim::Setup, mut fds)) if !fds.is_empty() => {
                (value::<ShimConfig>(fds.remove(0))?, fds.into_iter().next())
            }
            Some(_) => return Err(io::Error::other("the keeper did not begin with its orders")),
            None => return Err(io::Error::other("the keeper is gone")),
        };
        // Not the number that the keeper started: that may be a wrapper around Litestream.
        let parent = nix::unistd::getppid().as_raw();
        let litestream = pidfd::open(parent);
        let policy = Policy::new(Limits {
            birth: fork::LIMIT,
            orphan_grace: config.orphan_grace,
            grace: config.grace,
            stop_signal: config.stop_signal,
        });
        let voice = Voice::new(config.log.clone(), stderr);
        let alarm = config.lease.map(Alarm::at).transpose()?;
        Ok(Self {
            policy,
            link: Some(link),
            outgoing: Outgoing::default(),
            config,
            locks: BTreeMap::new(),
            parent,
            litestream,
            signals,
            alarm,
            app: Vec::new(),
            verdict: None,
            voice,
            code: None,
        })
    }

    fn live(&mut self) -> io::Result<u8> {
        self.tell(&ToKeeper::Ready(std::process::id() as i32));
        loop {
            if self.policy.stage().has_litestream() && self.litestream_is_gone() {
                self.happens(Event::LitestreamGone);
            }
            if let Some(code) = self.code {
                return Ok(code.get());
            }
            let (keeper, children) = self.wait()?;
            self.look_at_leader();
            if children {
                self.take_signals();
            }
            if keeper {
                self.take_messages()?;
            }
            // A shim that was stopped has not heard yet that there is more time.
            if self.is_lease_over() {
                // Once is enough, and what is to be killed is killed as often as it takes.
                self.alarm = None;
                self.happens(Event::LeaseOver);
            }
            self.policy.handle_timeout(Instant::now());
            self.act();
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
        let watches_litestream = self.policy.stage().has_litestream();
        if watches_litestream && let Some(litestream) = &self.litestream {
            waiting.push(readable(litestream.as_fd()));
        }
        waiting.extend(self.alarm.as_ref().map(|alarm| readable(alarm.as_fd())));
        if let Some(verdict) = &self.verdict {
            waiting.push(readable(verdict.as_fd()));
        }
        let until_due = self.policy.poll_timeout().map(|at| at.saturating_duration_since(Instant::now()));
        // On a kernel without pidfds the parent has to be looked at.
        let looks = (watches_litestream && self.litestream.is_none()).then_some(LOOK_AGAIN);
        let timeout = match looks.into_iter().chain(until_due).min() {
            Some(time) => PollTimeout::from(signal::poll_millis(time)),
            None => PollTimeout::NONE,
        };
        match poll(&mut waiting, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok((keeper.is_some_and(|at| is_readable(&waiting[at])), is_readable(&waiting[0])))
    }

    // What happens.

    fn happens(&mut self, event: Event) {
        self.policy.handle(Instant::now(), event);
        self.act();
    }

    /// A process keeps its parent until that one dies, and a pidfd of a dead process is readable.
    fn litestream_is_gone(&self) -> bool {
        let parent = nix::unistd::getppid().as_raw();
        parent != self.parent
            || parent == self.config.keeper
            || self.litestream.as_ref().is_some_and(|litestream| {
                let mut waiting = [readable(litestream.as_fd())];
                poll(&mut waiting, PollTimeout::ZERO).is_ok() && is_readable(&waiting[0])
            })
    }

    fn is_lease_over(&self) -> bool {
        self.alarm.as_ref().is_some_and(|alarm| {
            let mut waiting = [readable(alarm.as_fd())];
            poll(&mut waiting, PollTimeout::ZERO).is_ok() && is_readable(&waiting[0])
        })
    }

    fn take_signals(&mut self) {
        while let Some(signal::Received { number, .. }) = self.signals.take() {
            match number {
                libc::SIGCHLD => self.reap(),
                _ => self.happens(Event::Received(number)),
            }
        }
    }

    fn take_messages(&mut self) -> io::Result<()> {
        while self.code.is_none()
            && let Some(link) = &self.link
        {
            // As in `tell`.
            let _ = self.outgoing.flush(link.as_fd());
            match receive::<ToShim>(link, false) {
                Ok(Some((ToShim::Start, fds))) if fds.len() < 4 => {}
                Ok(Some((ToShim::Start, fds))) => {
                    self.app = fds;
                    self.happens(Event::Start);
                    self.app.clear();
                }
                Ok(Some((ToShim::Signal(target, number), _))) => self.happens(Event::Signal(target, number)),
                Ok(Some((ToShim::KillTree, _))) => self.happens(Event::KillTree),
                Ok(Some((ToShim::Update, fds))) => self.update(fds)?,
                Ok(Some((ToShim::Release, _))) => self.happens(Event::Release),
                Ok(Some((ToShim::Lease(until), _))) => {
                    self.alarm.as_ref().map_or(Ok(()), |alarm| alarm.set(until))?;
                }
                Ok(Some((ToShim::Setup, _))) => {}
                Ok(None) => self.lose_keeper(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(error),
                Err(_) => self.lose_keeper(),
            }
        }
        Ok(())
    }

    fn lose_keeper(&mut self) {
        self.link = None;
        self.happens(Event::KeeperGone);
    }

    fn update(&mut self, mut fds: Vec<OwnedFd>) -> io::Result<()> {
        if fds.is_empty() {
            return Ok(());
        }
        let Update { requests, came, went } = value(fds.remove(0))?;
        self.config.requests = requests;
        self.locks.retain(|number, _| !went.contains(number));
        self.locks.extend(came.into_iter().zip(fds));
        Ok(())
    }

    /// What became of the leader, if it is not the app yet and has said so.
    fn look_at_leader(&mut self) {
        let Some(verdict) = self.verdict.as_ref().and_then(Verdict::look) else { return };
        self.verdict = None;
        self.happens(match verdict {
            Ok(()) => Event::Became,
            Err(error) => Event::NotBecome(errno(&error)),
        });
    }

    fn reap(&mut self) {
        let mut ended = None;
        let left = loop {
            match reap::next() {
                Reaped::Ended(pid, how) => {
                    if self.policy.leader() == Some(pid) {
                        // It may have come as far meanwhile, or have said why not.
                        self.look_at_leader();
                        ended = Some(how);
                    }
                }
                Reaped::Stopped(pid, number) => {
                    self.look_at_leader();
                    self.happens(Event::Stopped(pid, number));
                }
                Reaped::Quiet => break true,
                Reaped::Childless => break false,
            }
        };
        match ended {
            Some(how) => {
                self.verdict = None;
                let left =
                    if left { tree::descendants(std::process::id() as i32).len().max(1) as u32 } else { 0 };
                self.happens(Event::LeaderEnded(how, left));
            }
            None if !left => self.happens(Event::Childless),
            None => {}
        }
    }

    // What is done.

    fn act(&mut self) {
        while let Some(action) = self.policy.poll_action() {
            match action {
                Action::Tell(message) => self.tell(&message),
                Action::Say(note) => self.voice.say(note),
                Action::TakeOver => {
                    // Litestream's log had one reader. Its last sync must not wait for room in that pipe.
                    fd::give_up_outputs();
                    // Not before: what is given up is the pipe to the keeper, and not what that wrote to.
                    self.voice.take_over();
                }
                Action::Start => self.start(),
                Action::Signal { to, number, wakes } => signal(to, number, wakes),
                Action::KillTree => tree::signal_descendants(std::process::id() as i32, libc::SIGKILL),
                Action::KillLitestream => signal::send(self.parent, libc::SIGKILL),
                Action::Reap => self.reap(),
                Action::Drain => self.drain(),
                Action::Exit(code) => self.code = Some(code),
            }
        }
    }

    fn tell(&mut self, message: &ToKeeper) {
        if let Some(link) = &self.link {
            // A keeper that is gone shows as the end of its messages.
            let _ = send::<_, ()>(link, &mut self.outgoing, message, None, &[]);
        }
    }

    fn start(&mut self) {
        let mut fds = std::mem::take(&mut self.app);
        let memory = fds.remove(0);
        let started = value::<App>(memory).and_then(|app| app.into_child(fds).start());
        match started {
            Ok(Born { pid, verdict }) => {
                self.verdict = Some(verdict);
                self.happens(Event::Born(pid));
            }
            Err(error) => self.happens(Event::NotBorn(errno(&error))),
        }
    }

    fn drain(&mut self) {
        // Its end may have come with the app's.
        if self.litestream_is_gone() {
            return self.happens(Event::LitestreamGone);
        }
        let ShimConfig { socket, requests, drain: time, .. } = &self.config;
        let confirmed = drain(socket, requests, *time, self.litestream.as_ref(), self.alarm.as_ref());
        if self.is_lease_over() {
            // Its own last sync must not follow: it is killed before this process ends.
            return;
        }
        self.happens(Event::Drained { confirmed, asked: requests.len() });
    }
}

fn signal(to: To, number: i32, wakes: bool) {
    let mut to_wake = Vec::new();
    match to {
        To::Leader(pid) => {
            signal::send(pid, number);
            to_wake = if wakes { proc::in_group(pid) } else { Vec::new() };
        }
        To::Group(pid) => signal::send_to_group(pid, number),
        To::Tree => {
            to_wake = tree::descendants(std::process::id() as i32);
            to_wake.iter().for_each(|pid| signal::send(*pid, number));
        }
    }
    if wakes {
        to_wake.retain(|pid| proc::is_stopped(*pid));
        to_wake.into_iter().for_each(|pid| signal::send(pid, libc::SIGCONT));
    }
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
