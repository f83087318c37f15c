//! What `check` finds in a configuration's text and `run` refuses, whatever is set where the app runs.

use std::io;
use std::path::Path;

use crate::cli::process::variable;
use crate::config::lint::{self, Lint, Severity};
use crate::config::{self, Document, LoadOptions, Problem, Series};
use crate::error::Failure;
use crate::inventory;
use crate::os::user;

/// A configuration, and what is wrong with it: errors and warnings.
pub(super) struct Looked {
    pub document: Document,
    pub lints: Vec<Lint>,
}

/// Looks at a configuration that `read` is the text of, as if it was used in this folder.
///
/// # Errors
/// The text is not a configuration.
pub(super) fn look(file: &Path, read: io::Result<Vec<u8>>, root: &Path) -> Result<Looked, Failure> {
    let env = |name: &str| variable(name).and_then(|value| value.into_string().ok());
    let home = user::home();
    let options = LoadOptions {
        no_expand_env: false,
        env: &env,
        cwd: root,
        home: home.as_deref(),
        pid: std::process::id(),
    };
    let document = config::open_read(file, read, &options).map_err(|error| inventory::failure(&error))?;
    let (config, result) = config::sound_of_document(document.clone(), &options);
    // Litestream 0.5 reads what `init` writes.
    let series = Series::V05;
    let refused = [result.err(), config.check(series).err(), config.exec().err()];
    let mut lints = lint::lint(&document, &options, Some(series), &[]);
    for error in refused.into_iter().flatten() {
        let all = lint::of_error(&error);
        let of_text = error.findings().iter().zip(all);
        lints.extend(of_text.filter(|(finding, _)| !is_elsewhere(&finding.problem)).map(|(_, lint)| lint));
    }
    lints.extend(lint::replicas(&config, series));
    // What comes from the environment is set where the app runs, and not here.
    lints.retain(|lint| {
        lint.origin == document.origin
            && lint.rule.severity <= Severity::Warning
            && !["no-variable", "unset-variable"].contains(&lint.rule.code)
    });
    lints.dedup();
    Ok(Looked { document, lints })
}

/// What another environment may mend.
fn is_elsewhere(problem: &Problem) -> bool {
    matches!(problem, Problem::Unset { .. } | Problem::NoVariable { .. } | Problem::NoReplica { .. })
}

impl Looked {
    /// What is refused.
    pub fn errors(&self) -> Vec<&Lint> {
        self.lints.iter().filter(|lint| lint.rule.severity == Severity::Error).collect()
    }

    /// What was found, and the variables that say it if that is not in its words.
    pub fn words(&self, lint: &Lint) -> String {
        let line = self.line(lint);
        let names = line.split("${").skip(1).filter_map(|part| part.split_once('}')).map(|(name, _)| name);
        let names: Vec<&str> = names.filter(|name| !lint.message.contains(name)).collect();
        match names.is_empty() {
            true => lint.message.clone(),
            false => format!("{}; it comes from {}", lint.message, names.join(", ")),
        }
    }

    /// Whether a finding is about a replica, of a text as `init` writes it.
    pub fn is_of_replica(&self, lint: &Lint) -> bool {
        // It stands deeper than its database, of which these are said.
        self.line(lint).starts_with("      ")
            || ["replica-place", "same-replica", "same-metadata"].contains(&lint.rule.code)
    }

    fn line(&self, lint: &Lint) -> &str {
        let index = lint.line.checked_sub(1);
        index.and_then(|index| self.document.text.lines().nth(index)).unwrap_or_default()
    }
}
