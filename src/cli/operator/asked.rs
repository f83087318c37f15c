//! A question on a terminal.

use std::io::{self, BufRead as _, IsTerminal as _};

use crate::core::ExitCode;
use crate::error::Failure;
use crate::os::signal;
use crate::printer;

/// Whether anybody is there who could be asked.
pub(in crate::cli) fn is_possible() -> bool {
    io::stdin().is_terminal()
}

/// Asks.
///
/// # Errors
/// They do not say yes; or a signal to stop came meanwhile.
pub(in crate::cli) fn yes(question: &str) -> Result<(), Failure> {
    printer::note(question);
    let mut answer = String::new();
    // A job in the background is stopped by the kernel until somebody can answer.
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    let exit = signal::held_stop().map_or(ExitCode::USAGE, ExitCode::of_signal);
    Err(Failure::new(exit, "nothing was done").hint("`--yes` says so without a question"))
}
