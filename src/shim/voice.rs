//! What a shim tells whose keeper is dead: nobody else says why the app stops.

use std::os::fd::OwnedFd;

use super::wire::Log;
use crate::core::Ended;
use crate::os::signal;
use crate::printer::{self, Format};

/// The keeper's standard error, for as long as the shim lives.
pub(super) struct Voice {
    /// Until it is the shim's own.
    stderr: Option<OwnedFd>,
    log: Log,
    speaks: bool,
}

impl Voice {
    /// A voice that says nothing yet: the keeper does.
    pub(super) fn new(log: Log, stderr: Option<OwnedFd>) -> Self {
        Self { stderr, log, speaks: false }
    }

    /// Speaks from now on, in the place of the keeper; what the shim had as its standard error was a pipe to that one.
    ///
    /// Lines wait for nobody: a reader who does not read must not hold up the app's stop.
    pub(super) fn take_over(&mut self) {
        let Some(stderr) = self.stderr.take() else { return };
        self.speaks = nix::unistd::dup2_stderr(stderr).is_ok();
        let format = if self.log.json { Format::Json } else { Format::Text };
        printer::start(format, self.log.level.parse().unwrap_or(tracing::Level::INFO));
    }

    /// What the app is called.
    pub(super) fn app(&self) -> &str {
        &self.log.app
    }

    pub(super) fn info(&self, text: &str) {
        if self.speaks {
            tracing::info!("{text}");
        }
    }

    pub(super) fn warn(&self, text: &str) {
        if self.speaks {
            tracing::warn!("{text}");
        }
    }

    pub(super) fn error(&self, text: &str) {
        if self.speaks {
            tracing::error!("{text}");
        }
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
