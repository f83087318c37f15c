//! What is executed is looked at before anything is restored for it.

use super::app_tree::program_name;
use super::setup::Setup;
use super::workplace::Workplace;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign;
use crate::os::exec::Command;
use crate::os::unstarted::{self, Unstarted};

/// Refuses a start whose first command, or whose resolver, is certain not to start. What a one-shot command comes before,
/// that command may make.
///
/// # Errors
/// Which, and why.
pub(super) fn refuse(setup: &Setup, workplace: &Workplace) -> Result<(), Failure> {
    let cwd = workplace.shown();
    let look = |argv: &[std::ffi::OsString]| {
        let command = Command { argv: argv.to_vec(), env: setup.env.clone() };
        unstarted::beforehand(&command, cwd.as_deref())
    };
    if let Some(command) = &setup.resolver
        && let Some(refused) = look(command)
    {
        let name = program_name(command);
        let message = format!("resolver `{name}`: cannot be started: {}", shown(&refused));
        return Err(Failure::new(ExitCode::UNAVAILABLE, message).hint(hint(&refused)));
    }
    let (name, argv) = match setup.before.first() {
        Some(argv) => (format!("--before {}", program_name(argv)), argv),
        None => (format!("the app ({})", program_name(&setup.app)), &setup.app),
    };
    let Some(refused) = look(argv) else { return Ok(()) };
    let (exit, what) = if refused.found {
        (ExitCode::NOT_EXECUTABLE, "cannot be executed")
    } else {
        (ExitCode::NOT_FOUND, "command not found")
    };
    Err(Failure::new(exit, format!("{name}: {what}: {}", shown(&refused))).hint(hint(&refused)))
}

fn hint(refused: &Unstarted) -> &'static str {
    if refused.found {
        "mend it, or name another one; nothing was begun for it"
    } else {
        "it is looked for in the PATH of the app, or relative to its folder; nothing was begun for it"
    }
}

fn shown(refused: &Unstarted) -> String {
    format!("{}: {}", foreign::word(&refused.program.to_string_lossy()), refused.why)
}
