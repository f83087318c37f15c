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
mod finding;
mod placeholder;
mod problem;
mod replica;
mod rules;
mod text;
mod tree;

use crate::config::schema::Series;
use crate::config::values::document::Document;
use crate::config::values::options::LoadOptions;
use crate::config::variable_names::{unset_hint, unset_words};

pub use environment::{Said, environment, is_written};
pub use finding::{Lint, Rule, Severity};
pub use problem::of_error;
pub use replica::replicas;
pub use rules::{DATABASE_PATH, LIMIT, RULES, SECRET_IN_FILE, UNUSED_VARIABLE};

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
