//! `litekeeper run`.

use super::args;
use super::settings;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::os::exec::{self, Command};
use crate::os::signal;
use crate::printer;
use crate::supervise;

/// The variables that make `run` get out of the way.
const SWITCHES: [&str; 2] = ["LITEKEEPER_ENABLED", "LITESTREAM_ENABLED"];

/// Runs the app under Litestream; returns what the whole ended with.
///
/// # Errors
/// Why the app could not be run.
pub(super) fn run(args: &args::Run) -> Result<ExitCode, Failure> {
    printer::start(args.log_format, level(args.log_level));
    if let Some(switch) = SWITCHES.into_iter().find(|name| settings::is_switched_off(name)) {
        return run_without(args, switch);
    }
    supervise::supervise(settings::resolve(args)?)
}

fn run_without(args: &args::Run, switch: &str) -> Result<ExitCode, Failure> {
    tracing::warn!("{switch} switches replication off: running the app alone, with no backup");
    let argv = settings::app_alone(args)?;
    let name = argv[0].to_string_lossy().into_owned();
    signal::reset_for_exec();
    let error = exec::execute(&Command { argv, env: settings::environment() });
    let exit = match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => ExitCode::NOT_FOUND,
        _ => ExitCode::NOT_EXECUTABLE,
    };
    Err(Failure::new(exit, format!("{name}: {error}")))
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
