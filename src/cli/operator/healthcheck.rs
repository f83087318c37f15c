//! `litekeeper healthcheck`: whether the app is up and replicated, for a platform that asks a command.

use super::args;
use super::candidate::Candidates;
use super::opened;
use super::told::{self, Answer, Told};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign;
use crate::printer;
use crate::secrets;

/// All that is not well: Docker knows 0 and 1, and has reserved the rest (`HEALTHCHECK` in its Dockerfile reference).
const UNHEALTHY: ExitCode = ExitCode::of_app(1);

/// Says whether a keeper is ready, in a line.
///
/// # Errors
/// It is not, or cannot be asked.
pub(in crate::cli) fn healthcheck(args: &args::Healthcheck) -> Result<ExitCode, Failure> {
    let phase = ask(args).map_err(|failure| Failure { exit: UNHEALTHY, ..failure })?;
    printer::data(&format!("{phase}, ready\n"))?;
    Ok(ExitCode::OK)
}

/// Asks it, and nobody else: neither a replica nor Litestream.
fn ask(args: &args::Healthcheck) -> Result<String, Failure> {
    let opened = opened::open(&args.given, None)?;
    let inventory = opened.inventory();
    let candidates = Candidates::look(&opened, &inventory)?;
    let told = told::ask(&opened, candidates.known(), args.timeout)?;
    let keeper = match told.map(|Told { answer, .. }| answer) {
        Some(Answer::Said(document)) => document.keeper,
        Some(Answer::Silent(why)) => {
            return Err(unhealthy(
                &format!("the keeper does not answer: {why}"),
                "is it stopped, or was it killed? its log says what it did last; --timeout waits longer",
            ));
        }
        Some(Answer::None) => {
            return Err(unhealthy(
                "a keeper runs, and cannot be asked from here",
                "ask in its own container, as root or as the user that the app runs as",
            ));
        }
        None => None,
    };
    let Some(keeper) = keeper else {
        return Err(unhealthy(
            "no keeper runs on what this configuration names",
            "`litekeeper run` starts one; with another configuration than its own, name that with --config",
        ));
    };
    if keeper.ready {
        return Ok(foreign::piece(&keeper.phase));
    }
    let reasons = match keeper.reasons.is_empty() {
        true => String::new(),
        false => format!(": {}", keeper.reasons.join("; ")),
    };
    Err(unhealthy(
        &format!("{}, not ready{reasons}", keeper.phase),
        "`litekeeper status` says how each database is",
    ))
}

fn unhealthy(what: &str, hint: &str) -> Failure {
    Failure::new(UNHEALTHY, foreign::line(&secrets::mask(what))).hint(hint)
}
