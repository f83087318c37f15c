//! Everything that is wrong with one configuration: findings, each with its place and the next step.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::hints;
pub use crate::config::problem::Problem;
use crate::core::ExitCode;
use crate::{foreign, secrets};

/// Everything that is wrong with a configuration; at least one finding.
///
/// Shown as one line a finding. No text of it holds a value that could be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.findings.iter().map(shown).collect::<Vec<_>>().join("\n"))]
pub struct Error {
    findings: Vec<Finding>,
    unset: Vec<String>,
}

/// Returns one line, with no secret of a URL in it.
fn shown(finding: &Finding) -> String {
    foreign::line(&secrets::mask(&finding.to_string())).into_owned()
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}{}{problem}", Position { line: *line, column: *column })]
pub struct Finding {
    /// What the configuration was read from.
    pub origin: Origin,
    /// The line, from 1; 0 when the whole is meant.
    pub line: usize,
    /// The column in characters, from 1; 0 when the whole line is meant.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What a configuration was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file, as it was named.
    File(PathBuf),
    /// `--db` and `--replica`.
    CommandLine,
    /// `LITESTREAM_REPLICA_URL` and its like.
    Environment,
    /// The command of `litekeeper.resolver`.
    Resolver,
}

impl Error {
    /// Makes an error of one finding.
    pub fn new(origin: Origin, line: usize, column: usize, problem: Problem) -> Self {
        Self { findings: vec![Finding { origin, line, column, problem }], unset: Vec::new() }
    }

    /// Makes the error of neither a configuration file nor anything in its place.
    pub fn nothing_given(seen: Option<String>) -> Self {
        Self::new(Origin::CommandLine, 0, 0, Problem::NothingGiven { seen })
    }

    /// Makes the error of an `origin` that names no database, though `dbs` stands on this line.
    pub(super) fn no_databases(origin: &Origin, line: usize) -> Self {
        Self::new(origin.clone(), line, 0, Problem::NoDatabases)
    }

    /// Returns everything that was found, in the order of the file.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Returns the next step: the hint of the first finding that has one, and the variables that were not set.
    pub fn hint(&self) -> Option<String> {
        let hint = self.findings.first().map(Finding::hint);
        // `${VAR:-x}` names a variable with all of that in its name, and x may be a secret.
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let shown = |name: &String| match name.find(|c| !is_name(c)) {
            Some(end) => format!("{}…", &name[..end]),
            None => name.clone(),
        };
        // What a finding is about need not be said again.
        let is_told = |name: &&String| self.variables().any(|told| told == *name);
        let unset: Vec<String> = self.unset.iter().filter(|name| !is_told(name)).map(shown).collect();
        let unset = match unset.as_slice() {
            [] => None,
            [name] => Some(format!("the file uses ${{{name}}}, which is not set")),
            names => Some(format!("the file uses variables that are not set: {}", names.join(", "))),
        };
        match (hint, unset) {
            (Some(hint), Some(unset)) => Some(format!("{hint}; {unset}")),
            (hint, unset) => hint.or(unset),
        }
    }

    /// Returns the variables without a value that findings are about.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.findings.iter().filter_map(|finding| match &finding.problem {
            Problem::Unset { name, .. } => Some(name.as_str()),
            _ => None,
        })
    }

    /// Returns 78, or 64 when the command line alone is at fault.
    pub fn exit(&self) -> ExitCode {
        let usage = self.findings.iter().all(|finding| {
            matches!(finding.problem, Problem::NothingGiven { .. } | Problem::ReplicaNotUrl { .. })
                && finding.origin == Origin::CommandLine
        });
        if usage { ExitCode::USAGE } else { ExitCode::CONFIG }
    }

    /// Returns `Ok` if nothing was found.
    pub(super) fn of(
        origin: &Origin,
        mut found: Vec<(usize, Problem)>,
        unset: &[String],
    ) -> Result<(), Self> {
        // One variable that is missing, or wrong, is one thing to be done, in however many databases it stands.
        let mut told = HashSet::new();
        found.retain(|(_, problem)| match problem {
            Problem::Unset { name, .. } => told.insert(name.clone()),
            Problem::Given(given) => told.insert(given.to_string()),
            _ => true,
        });
        if found.is_empty() {
            return Ok(());
        }
        let finding = |(line, problem)| Finding { origin: origin.clone(), line, column: 0, problem };
        Err(Self { findings: found.into_iter().map(finding).collect(), unset: unset.to_vec() })
    }

    /// Returns both values, or all that is wrong with either, in the order of the file.
    ///
    /// # Errors
    /// When at least one of them is one.
    pub fn both<A, B>(one: Result<A, Self>, other: Result<B, Self>) -> Result<(A, B), Self> {
        match (one, other) {
            (Ok(one), Ok(other)) => Ok((one, other)),
            (Err(mut error), Err(other)) => {
                error.findings.extend(other.findings);
                error.findings.sort_by_key(|finding| finding.line);
                Err(error)
            }
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        }
    }
}

impl Finding {
    /// Returns the next step.
    pub fn hint(&self) -> String {
        hints::hint(&self.problem)
    }
}

impl Origin {
    /// Returns the file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Origin::File(path) => Some(path),
            Origin::CommandLine | Origin::Environment | Origin::Resolver => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::CommandLine => f.write_str("command line"),
            Origin::Environment => f.write_str("environment"),
            Origin::Resolver => f.write_str("resolver"),
        }
    }
}

/// `:12:3: `, as compilers write it.
struct Position {
    line: usize,
    column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => f.write_str(": "),
            (line, 0) => write!(f, ":{line}: "),
            (line, column) => write!(f, ":{line}:{column}: "),
        }
    }
}
