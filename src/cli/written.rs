//! What is written, and what Litestream would refuse of it, choke on later, or swallow without a word.

use std::path::{Path, PathBuf};

use super::databases::{self, Found, Source};
use super::findings;
use super::mounted::text_variable;
use crate::config::lint::{self, Lint, Severity};
use crate::config::{Config, Document, Series};
use crate::error::Failure;

/// A configuration with the text that it was read from.
#[derive(Clone)]
pub(super) struct Written {
    text: Text,
    no_expand_env: bool,
    cwd: PathBuf,
}

#[derive(Clone)]
enum Text {
    File(Box<Document>),
    /// There are the variables alone.
    None(lint::Said<'static>),
}

impl Written {
    /// Keeps what there is to look at until it is known which Litestream reads it.
    pub(super) fn of(found: &Found, source: &Source<'_>, cwd: &Path) -> Self {
        let text = match found {
            Found::File(_, Ok(document)) => Text::File(document.clone()),
            Found::Pairs(pairs) => Text::None(databases::said_by(pairs)),
            // Of a file that is no tree nothing is left to look at.
            Found::Nothing | Found::File(_, Err(_)) => Text::None(lint::Said::Nowhere),
        };
        Self { text, no_expand_env: source.no_expand_env, cwd: cwd.to_owned() }
    }

    /// Whether this series of Litestream can do what is configured. What it would do otherwise than it is written is
    /// logged; notes are for `check`.
    ///
    /// # Errors
    /// What it cannot.
    pub(super) fn check(&self, config: &Config, is_ltx: bool) -> Result<(), Failure> {
        findings::refusal(self.errors(config, is_ltx))?;
        let lints = self.lints(config, Series::of(is_ltx));
        for lint in lints.iter().filter(|lint| lint.rule.severity == Severity::Warning) {
            let hint = lint.hint.as_ref().map_or_else(String::new, |hint| format!(": {hint}"));
            tracing::warn!("{}: {}{hint}", lint.place(), lint.message);
        }
        Ok(())
    }

    /// What it cannot: the errors of `check`, in the same words.
    pub(super) fn errors(&self, config: &Config, is_ltx: bool) -> Vec<Lint> {
        let series = Series::of(is_ltx);
        let mut found = self.lints(config, series);
        findings::add(&mut found, refused(config, series));
        found.retain(|lint| lint.rule.severity == Severity::Error);
        found
    }

    fn lints(&self, config: &Config, series: Series) -> Vec<Lint> {
        let mut found = match &self.text {
            Text::File(document) => databases::with_options(self.no_expand_env, &self.cwd, |options| {
                lint::lint(document, options, Some(series), &[])
            }),
            Text::None(said) => lint::environment(*said, config.origin(), &text_variable),
        };
        found.extend(lint::replicas(config, series));
        found
    }
}

fn refused(config: &Config, series: Series) -> Vec<Lint> {
    config.check(series).err().iter().flat_map(lint::of_error).collect()
}
