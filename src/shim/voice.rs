//! What a shim tells whose keeper is dead: nobody else says why the app stops.

use std::io;
use std::os::fd::OwnedFd;

use super::action::{Note, Remains};
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

    pub(super) fn say(&self, note: Note) {
        if !self.speaks {
            return;
        }
        let (level, text) = words(&self.log.app, note);
        match level {
            Level::Info => tracing::info!("{text}"),
            Level::Warn => tracing::warn!("{text}"),
            Level::Error => tracing::error!("{text}"),
        }
    }
}

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Info,
    Warn,
    Error,
}

fn words(app: &str, note: Note) -> (Level, String) {
    match note {
        Note::KeeperDied(remains, grace) => {
            let what = match remains {
                Remains::App => format!("stopping {app}, which has {} s for that", grace.as_secs_f32()),
                Remains::Leftovers => format!("stopping what {app} left"),
                Remains::Nothing => "nothing of the app runs".to_owned(),
            };
            let text = format!("litekeeper was killed: {what}; then a last sync, then litestream ends");
            (Level::Warn, text)
        }
        Note::LitestreamDied => {
            let text =
                format!("litestream is dead as well, so what {app} wrote last may not be on the replica");
            (Level::Error, text)
        }
        Note::LeaseOver => {
            let text = format!(
                "the time of the lease is over, and another machine may have its place: killing litestream and {app}"
            );
            (Level::Error, text)
        }
        Note::GraceOver => (Level::Warn, format!("{app} did not stop in its time: killing it")),
        Note::Ended { how, unborn, left } => {
            let mut text = match unborn {
                Some(errno) => format!("{app} was not started: {}", io::Error::from_raw_os_error(errno)),
                None => format!("{app} {}", ended(how)),
            };
            if left > 0 {
                text.push_str(&format!(": stopping {} that it left", processes(left)));
            }
            (Level::Info, text)
        }
        // An answer alone is no proof: nobody has compared the databases with it.
        Note::Drained { confirmed, asked } => match (confirmed, asked) {
            (_, 0) => (Level::Info, "the app has ended: litestream does its last sync".to_owned()),
            (all, _) if all == asked => {
                let text = format!(
                    "the app has ended, and litestream has confirmed each database that it had ({all}): the next start compares them"
                );
                (Level::Info, text)
            }
            (some, _) => {
                let text = format!(
                    "the app has ended, and litestream has confirmed {some} of {asked} databases: the local files have \
                     the rest, and the next start uploads it"
                );
                (Level::Error, text)
            }
        },
    }
}

/// How something ended, in words.
fn ended(how: Ended) -> String {
    match how {
        Ended::Code(code) => format!("ended with code {code}"),
        Ended::Signal(number) => format!("was ended by SIG{}", signal::name(number)),
    }
}

/// So many processes.
fn processes(count: u32) -> String {
    if count == 1 { "one process".to_owned() } else { format!("{count} processes") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_note_has_its_words_and_its_weight() {
        let died = |remains| Note::KeeperDied(remains, Duration::from_millis(1500));
        let ended = |how, unborn, left| Note::Ended { how, unborn, left };
        let drained = |confirmed, asked| Note::Drained { confirmed, asked };
        for (note, level, text) in [
            (
                died(Remains::App),
                Level::Warn,
                "litekeeper was killed: stopping the app (x), which has 1.5 s for that; then a last sync, then \
                 litestream ends",
            ),
            (
                died(Remains::Leftovers),
                Level::Warn,
                "litekeeper was killed: stopping what the app (x) left; then a last sync, then litestream ends",
            ),
            (
                died(Remains::Nothing),
                Level::Warn,
                "litekeeper was killed: nothing of the app runs; then a last sync, then litestream ends",
            ),
            (
                Note::LitestreamDied,
                Level::Error,
                "litestream is dead as well, so what the app (x) wrote last may not be on the replica",
            ),
            (
                Note::LeaseOver,
                Level::Error,
                "the time of the lease is over, and another machine may have its place: killing litestream and the app (x)",
            ),
            (Note::GraceOver, Level::Warn, "the app (x) did not stop in its time: killing it"),
            (ended(Ended::Code(3), None, 0), Level::Info, "the app (x) ended with code 3"),
            (
                ended(Ended::Signal(15), None, 1),
                Level::Info,
                "the app (x) was ended by SIGTERM: stopping one process that it left",
            ),
            (
                ended(Ended::Signal(9), Some(2), 2),
                Level::Info,
                "the app (x) was not started: No such file or directory (os error 2): stopping 2 processes that it left",
            ),
            (drained(0, 0), Level::Info, "the app has ended: litestream does its last sync"),
            (
                drained(2, 2),
                Level::Info,
                "the app has ended, and litestream has confirmed each database that it had (2): the next start compares them",
            ),
            (
                drained(1, 2),
                Level::Error,
                "the app has ended, and litestream has confirmed 1 of 2 databases: the local files have the rest, and \
                 the next start uploads it",
            ),
        ] {
            assert_eq!(words("the app (x)", note), (level, text.to_owned()));
        }
    }
}
