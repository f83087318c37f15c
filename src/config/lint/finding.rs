//! A finding, and its kind.

use std::fmt;

use crate::config::error::Origin;

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
    /// Makes a finding of a whole file, or of none, without a hint.
    pub fn new(rule: &'static Rule, origin: &Origin, message: impl Into<String>) -> Self {
        Self { rule, origin: origin.clone(), line: 0, column: 0, message: message.into(), hint: None }
    }

    /// Returns the same finding at this line.
    pub fn at(self, line: usize, column: usize) -> Self {
        Self { line, column, ..self }
    }

    /// Says where it is: `litestream.yml:3:7`, as far as it has a line and a column.
    pub fn place(&self) -> String {
        let origin = &self.origin;
        match (self.line, self.column) {
            (0, _) => origin.to_string(),
            (line, 0) => format!("{origin}:{line}"),
            (line, column) => format!("{origin}:{line}:{column}"),
        }
    }

    /// Returns the same finding with a next step.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
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
