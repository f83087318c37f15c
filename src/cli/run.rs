//! `litekeeper run`.

use std::ffi::OsString;

use super::alone;
use super::args;
use super::layers::Line;
use super::settings::{self, First};
use super::{findings, mounted, switch};
use crate::check;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::inventory;
use crate::os::limit;
use crate::printer::{self, Format};
use crate::supervise;

/// Runs the app under Litestream; returns how log lines look, and what the whole ended with or why
/// the app could not be run.
pub(super) fn run(args: &args::Run, words: &[OsString]) -> (Format, Result<ExitCode, Failure>) {
    let line = Line { words, subcommand: "run", run: args };
    match switch::off() {
        Ok(None) => {}
        Ok(Some(switch)) => {
            printer::start(args.log_format, level(args.log_level));
            return (args.log_format, run_without(line, &format!("{switch} switches replication off")));
        }
        Err(error) => return (args.log_format, Err(inventory::failure(&error))),
    }
    let first = match First::mount(line) {
        Ok(first) => first,
        Err(failure) => return (args.log_format, Err(failure)),
    };
    if let Some(why) = first.disabled() {
        printer::start(args.log_format, level(args.log_level));
        return (args.log_format, run_without(line, &why));
    }
    // Without them nothing gets as far as to say what is missing. The app gets back what there was.
    limit::raise_open_files();
    let possible = findings::refusal(check::too_many(0)).and_then(|()| mounted::check());
    if let Err(failure) = possible {
        return (args.log_format, Err(failure));
    }
    let said = match settings::read(line, first) {
        Ok(said) => said,
        Err(failure) => return (args.log_format, Err(failure)),
    };
    let format = said.layers.args.log_format;
    printer::start(format, level(said.layers.args.log_level));
    (format, settings::resolve(said).and_then(|setup| supervise::supervise(setup, &printer::STDERR)))
}

fn run_without(line: Line<'_>, why: &str) -> Result<ExitCode, Failure> {
    tracing::warn!("{why}: running the app alone, with no backup");
    alone::alone(line)?.become_it()
}

fn level(level: args::LogLevel) -> tracing::Level {
    match level {
        args::LogLevel::Error => tracing::Level::ERROR,
        args::LogLevel::Warn => tracing::Level::WARN,
        args::LogLevel::Info => tracing::Level::INFO,
        args::LogLevel::Debug => tracing::Level::DEBUG,
        args::LogLevel::Trace => tracing::Level::TRACE,
    }
}
