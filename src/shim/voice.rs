//! What a shim tells whose keeper is dead: nobody else says why the app stops.

use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::wire::Log;
use crate::core::Ended;
use crate::os::signal;
use crate::printer::{self, Format};

/// The keeper's standard error, for as long as the shim lives.
pub(super) struct Voice {
    stderr: Option<OwnedFd>,
    log: Log,
    speaks: bool,
}

impl Voice {
    /// A voice that says nothing yet: the keeper does.
    pub(super) fn new(log: Log, stderr: Option<OwnedFd>) -> Self {
        Self { stderr, log, speaks: false }
    }

    /// What the app is called.
    pub(super) fn app(&self) -> &str {
        &self.log.app
    }

    pub(super) fn info(&mut self, text: &str) {
        if self.is_heard() {
            tracing::info!("{text}");
        }
    }

    pub(super) fn warn(&mut self, text: &str) {
        if self.is_heard() {
            tracing::warn!("{text}");
        }
    }

    pub(super) fn error(&mut self, text: &str) {
        if self.is_heard() {
            tracing::error!("{text}");
        }
    }

    /// Whether there is room for a line. A reader who does not read must not hold up the app's stop.
    fn is_heard(&mut self) -> bool {
        if !self.speaks {
            self.speaks = true;
            // The shim's own is a pipe to the keeper.
            let Some(Ok(())) = self.stderr.as_ref().map(nix::unistd::dup2_stderr) else { return false };
            let format = if self.log.json { Format::Json } else { Format::Text };
            printer::start(format, self.log.level.parse().unwrap_or(tracing::Level::INFO));
        }
        let Some(stderr) = &self.stderr else { return false };
        let mut waiting = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
        let is_ready = poll(&mut waiting, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
        is_ready && waiting[0].revents().is_some_and(|events| events.contains(PollFlags::POLLOUT))
    }
}

/// How something ended, in words.
pub(super) fn ended(how: Ended) -> String {
    match how {
        Ended::Code(code) => format!("ended with code {code}"),
        Ended::Signal(number) => format!("was ended by SIG{}", signal::name(number)),
    }
}

/// So many processes.
pub(super) fn processes(count: u32) -> String {
    if count == 1 { "one process".to_owned() } else { format!("{count} processes") }
}
