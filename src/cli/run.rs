//! `litekeeper run`.

use std::ffi::OsString;

use super::alone::{self, Alone};
use super::args;
use super::layers::Line;
use super::settings::{self, First};
use super::{findings, mounted, switch};
use crate::check;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::inventory;
use crate::os::exec::{self, Command};
use crate::os::{limit, signal, unstarted};
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
    let Alone { argv, env, cwd, user } = alone::alone(line)?;
    if let Some(user) = user {
        let refused = |error| {
            Failure::new(ExitCode::CONFIG, format!("--user: {error}"))
                .hint("a container needs CAP_SETUID and CAP_SETGID for that; or start all of it as that user")
        };
        user.become_it().map_err(refused)?;
    }
    // A folder that is named is one that this user may enter.
    if let Some(cwd) = &cwd {
        std::env::set_current_dir(cwd).map_err(|error| {
            let message = format!("the app's folder {} cannot be entered: {error}", cwd.display());
            Failure::new(ExitCode::CONFIG, message).hint("make it, or let the app's user enter it")
        })?;
    }
    // As PID 1 a stop that came meanwhile would be lost when it is let go.
    if let Some(number) = signal::held_stop() {
        return Err(Failure::new(ExitCode::of_signal(number), "interrupted"));
    }
    printer::finish();
    signal::reset_for_exec(signal::ignored_at_start(), true);
    let command = Command { argv, env };
    let error = exec::execute(&command);
    let refused = unstarted::explain(&command, cwd.as_deref(), &error);
    let exit = if refused.found { ExitCode::NOT_EXECUTABLE } else { ExitCode::NOT_FOUND };
    Err(Failure::new(exit, refused.to_string()))
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
