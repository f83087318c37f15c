//! The process of Litestream: which one runs, since when, what it said, why it ended.

use std::time::Instant;

use super::litestream_log::Heard;
use crate::core::Ended;
use crate::litestream::version::Version;
use crate::os::{oom, signal};

/// Litestream, of which one runs after the other.
pub(super) struct Litestream {
    /// As what it runs.
    pid: Option<i32>,
    /// How often one was launched: by this number they are told apart.
    launches: u64,
    launched: Instant,
    /// Since when that is.
    started: Option<jiff::Timestamp>,
    /// How the last one ended.
    ended: Option<Ended>,
    /// It was killed by this process.
    killed: bool,
    /// What it says.
    pub(super) heard: Heard,
    pub(super) version: Version,
    /// How often the kernel had killed something for want of memory, when that was last asked.
    oom_kills: oom::Count,
}

impl Litestream {
    /// None was launched yet.
    pub(super) fn new() -> Self {
        Self {
            pid: None,
            launches: 0,
            launched: Instant::now(),
            started: None,
            ended: None,
            killed: false,
            heard: Heard::default(),
            version: Version::new(0, 0, 0),
            oom_kills: oom::Count::now(),
        }
    }

    /// The next one is launched.
    pub(super) fn launch(&mut self) {
        self.killed = false;
        self.launches += 1;
        self.launched = Instant::now();
        self.heard = Heard {
            snapshots: self.heard.snapshots.clone(),
            loudness: self.heard.loudness.clone(),
            ..Heard::default()
        };
    }

    /// The number of the last one that was launched.
    pub(super) fn launches(&self) -> u64 {
        self.launches
    }

    /// When that was.
    pub(super) fn launched(&self) -> Instant {
        self.launched
    }

    /// It runs as this process.
    pub(super) fn runs_as(&mut self, pid: i32) {
        (self.pid, self.started) = (Some(pid), Some(jiff::Timestamp::now()));
    }

    /// Since when it runs.
    pub(super) fn started(&self) -> Option<jiff::Timestamp> {
        self.started.filter(|_| self.pid.is_some())
    }

    /// It ended like this.
    pub(super) fn ended(&mut self, how: Ended) {
        self.ended = Some(how);
    }

    /// How the last one ended.
    pub(super) fn last_end(&self) -> Option<Ended> {
        self.ended
    }

    pub(super) fn pid(&self) -> Option<i32> {
        self.pid
    }

    /// It runs no more, or will not soon; the process that it was.
    pub(super) fn gone(&mut self) -> Option<i32> {
        self.pid.take()
    }

    /// Kills it; whether there is one.
    pub(super) fn kill(&mut self) -> bool {
        let Some(pid) = self.pid else { return false };
        self.killed = true;
        signal::send(pid, nix::libc::SIGKILL);
        true
    }

    /// Why it ended, where that was by a signal that this process has not sent.
    pub(super) fn why_ended(&mut self, how: Ended) -> Option<String> {
        let (Ended::Signal(number), false) = (how, self.killed) else { return None };
        let why = if number == nix::libc::SIGKILL { self.why_killed() } else { "" };
        Some(format!("by SIG{}{why}", signal::name(number)))
    }

    /// What a SIGKILL that nobody here has sent may come from, in words that follow its name.
    pub(super) fn why_killed(&mut self) -> &'static str {
        std::mem::replace(&mut self.oom_kills, oom::Count::now()).why_killed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_number_of_its_own_and_what_one_said_is_not_the_next_ones() {
        let mut litestream = Litestream::new();
        assert_eq!((litestream.launches(), litestream.pid()), (0, None));
        litestream.launch();
        litestream.runs_as(7);
        litestream.heard.error.replace(Some("no bucket".to_owned()));
        litestream.heard.unclean.set(true);
        let snapshots = litestream.heard.snapshots.clone();
        assert_eq!((litestream.gone(), litestream.gone()), (Some(7), None));
        litestream.launch();
        assert_eq!((litestream.launches(), litestream.pid()), (2, None));
        assert!(litestream.heard.error.take().is_none() && !litestream.heard.unclean.get());
        assert!(std::rc::Rc::ptr_eq(&snapshots, &litestream.heard.snapshots), "what it uploaded stays so");
    }

    #[test]
    fn only_a_signal_that_others_sent_is_a_reason() {
        let mut litestream = Litestream::new();
        litestream.launch();
        assert!(!litestream.kill(), "there is none");
        assert_eq!(litestream.why_ended(Ended::Code(1)), None);
        assert_eq!(litestream.why_ended(Ended::Signal(nix::libc::SIGTERM)).as_deref(), Some("by SIGTERM"));
        // No process has this number.
        litestream.runs_as(i32::MAX);
        assert!(litestream.kill());
        assert_eq!(litestream.why_ended(Ended::Signal(nix::libc::SIGKILL)), None);
        litestream.launch();
        assert!(litestream.why_ended(Ended::Signal(nix::libc::SIGTERM)).is_some(), "the next was not killed");
    }
}
