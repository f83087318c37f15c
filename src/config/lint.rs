//! Everything that can be said of a configuration's text: what Litestream refuses, what it silently
//! ignores, and what it takes for something else than was meant.
//!
//! ```text
//! text ─ text.rs ─────────────┐
//! tree ─ tree.rs ─────────────┤
//! replicas ─ replica.rs ──────┼─ Lint
//! variables ─ environment.rs ─┤
//! Error ─ problem.rs ─────────┘
//! ```

mod environment;
mod placeholder;
mod problem;
mod replica;
mod rules;
mod text;
mod tree;
mod value;

use std::fmt;

use super::error::{Origin, unset_hint, unset_words};
use super::load::{Document, LoadOptions};
use super::model::Series;

pub use environment::{Said, environment, is_written};
pub use problem::of_error;
pub use replica::replicas;
pub use rules::{DATABASE_PATH, LIMIT, NO_EFFECT, RULES, SECRET_IN_FILE, UNUSED_VARIABLE};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It will not work, or loses data.
    Error,
    /// It works, but not as it seems to be meant, or not always.
    Warning,
    /// Good to know.
    Note,
}

/// A kind of finding.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, which stays the same from version to version; kebab-case.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it means, in a line.
    pub meaning: &'static str,
}

/// One finding. None of its texts holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    /// Its kind.
    pub rule: &'static Rule,
    /// What it was found in.
    pub origin: Origin,
    /// The line, from 1; 0 when the whole is meant.
    pub line: usize,
    /// The column in characters, from 1; 0 when the whole line is meant.
    pub column: usize,
    /// What was found: a lowercase fragment.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Lint {
    /// A finding of a whole file, or of none, without a hint.
    pub fn new(rule: &'static Rule, origin: &Origin, message: impl Into<String>) -> Self {
        Self { rule, origin: origin.clone(), line: 0, column: 0, message: message.into(), hint: None }
    }

    /// The same finding at this line.
    pub fn at(self, line: usize, column: usize) -> Self {
        Self { line, column, ..self }
    }

    /// Where it is: `litestream.yml:3:7`, as far as it has a line and a column.
    pub fn place(&self) -> String {
        let origin = &self.origin;
        match (self.line, self.column) {
            (0, _) => origin.to_string(),
            (line, 0) => format!("{origin}:{line}"),
            (line, column) => format!("{origin}:{line}:{column}"),
        }
    }

    /// The same finding with a next step.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Looks at a configuration that could be parsed, for the Litestream that will read it (0.5 if that
/// is not known). What makes it no configuration at all is an [`super::Error`], see [`of_error`].
///
/// `told` are the variables without a value that an error is about already.
pub fn lint(
    document: &Document,
    options: &LoadOptions<'_>,
    series: Option<Series>,
    told: &[&str],
) -> Vec<Lint> {
    // What is wrong with a value for want of a variable is said of the variable.
    let mut told = told.to_vec();
    let mut found = Vec::new();
    for lint in tree::lint(document, series.unwrap_or(Series::V05)) {
        let (line, column) = (lint.line, lint.column);
        match (document.traces.unset(line, column), document.traces.words(line, column)) {
            (Some(name), _) if told.contains(&name) => {}
            (Some(name), _) => {
                told.push(name);
                let message = format!("{}: {}", unset_words(name), lint.message);
                found.push(Lint { rule: rules::NO_VARIABLE, message, hint: Some(unset_hint(name)), ..lint });
            }
            (None, Some(words)) => found.push(Lint { message: format!("{}; {words}", lint.message), ..lint }),
            (None, None) => found.push(lint),
        }
    }
    found.extend(text::lint(document, options, &told));
    found.extend(environment(Said::File(document), &document.origin, options.env));
    found.extend(tree::plain_secrets(document));
    found.sort_by_key(|lint| (lint.line, lint.column));
    found
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        })
    }
}
