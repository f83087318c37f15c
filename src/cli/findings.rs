//! Findings, sorted and shown, or refused.

use serde_json::json;

use crate::config::Origin;
use crate::config::lint::{Lint, Rule, Severity};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign;
use crate::printer;
use crate::secrets;

/// What belongs to one file comes together, the files and the rest in the order in which they were found.
pub(super) fn sort(lints: &mut Vec<Lint>) {
    let mut origins: Vec<Origin> = Vec::new();
    for lint in lints.iter() {
        if !origins.contains(&lint.origin) {
            origins.push(lint.origin.clone());
        }
    }
    lints.sort_by_key(|lint| {
        let origin = origins.iter().position(|origin| *origin == lint.origin);
        (origin, lint.line, lint.column, lint.rule.severity)
    });
    // One file may be named ten thousand times.
    lints.dedup();
}

/// Adds what is not said yet: what is wrong with a value is found in the text, with its column, and once more in what comes
/// of the text.
pub(super) fn add(lints: &mut Vec<Lint>, more: impl IntoIterator<Item = Lint>) {
    for lint in more {
        let is_it = |other: &Lint| {
            (other.rule, &other.origin, other.line) == (lint.rule, &lint.origin, lint.line)
                && other.message == lint.message
        };
        if !lints.iter().any(is_it) {
            lints.push(lint);
        }
    }
}

/// Prints findings to standard output, and a summary to standard error.
///
/// # Errors
/// Standard output is full.
pub(super) fn show(lints: &[Lint], json: bool) -> Result<(), Failure> {
    let mut text = String::new();
    if json {
        let all: Vec<_> = lints.iter().map(as_json).collect();
        text = format!("{:#}\n", serde_json::Value::from(all));
    } else {
        lints.iter().for_each(|lint| text.push_str(&as_text(lint)));
    }
    printer::data(&text)?;
    printer::note(&summary(lints));
    Ok(())
}

fn as_text(lint: &Lint) -> String {
    let (place, message) = (lint.place(), secrets::mask(&lint.message));
    let place = foreign::line(&place);
    let (severity, code, message) = (lint.rule.severity, lint.rule.code, foreign::line(&message));
    let mut text = format!("{place}: {severity}: {message} [{code}]\n");
    if let Some(hint) = &lint.hint {
        text.push_str(&format!("  hint: {}\n", foreign::line(&secrets::mask(hint))));
    }
    text
}

fn as_json(lint: &Lint) -> serde_json::Value {
    let position = |number: usize| (number > 0).then_some(number);
    json!({
        "severity": lint.rule.severity.to_string(),
        "code": lint.rule.code,
        "origin": lint.origin.to_string(),
        "file": lint.origin.file().map(|path| path.to_string_lossy()),
        "line": position(lint.line),
        "column": position(lint.column),
        "message": foreign::bounded(&secrets::mask(&lint.message)),
        "hint": lint.hint.as_deref().map(secrets::mask),
    })
}

fn summary(lints: &[Lint]) -> String {
    let count = |severity: Severity, one: &str| {
        let number = lints.iter().filter(|lint| lint.rule.severity == severity).count();
        format!("{number} {one}{}", if number == 1 { "" } else { "s" })
    };
    if lints.is_empty() {
        return "nothing found".to_owned();
    }
    let (errors, warnings) = (count(Severity::Error, "error"), count(Severity::Warning, "warning"));
    format!("{errors}, {warnings}, {}", count(Severity::Note, "note"))
}

/// Refuses a start, if there is anything to refuse it for.
///
/// # Errors
/// All of it, in the words of `check`.
pub(super) fn refusal(mut bad: Vec<Lint>) -> Result<(), Failure> {
    sort(&mut bad);
    bad.dedup_by(|one, other| said(one) == said(other));
    let Some(first) = bad.first() else { return Ok(()) };
    let failure = Failure::lines(ExitCode::CONFIG, bad.iter().map(said));
    let mut hints: Vec<&str> = bad.iter().filter_map(|lint| lint.hint.as_deref()).collect();
    hints.dedup();
    Err(match (hints.as_slice(), &first.hint) {
        ([], _) => failure,
        ([hint], _) => failure.hint(hint),
        (_, Some(hint)) => failure.hint(format!("{hint}; `litekeeper check` says what to do about each")),
        (_, None) => failure.hint("`litekeeper check` says what to do about each"),
    })
}

/// As `check` shows it, without the word that it is an error.
pub(super) fn said(lint: &Lint) -> String {
    let Rule { code, .. } = lint.rule;
    match lint.origin {
        Origin::File(_) | Origin::Resolver => format!("{}: {} [{code}]", lint.place(), lint.message),
        Origin::CommandLine | Origin::Environment => format!("{} [{code}]", lint.message),
    }
}
