//! A configuration as `check` looks at it: whatever is wrong with one half, the other is looked at.

use super::databases::{self, Found};
use super::findings;
use crate::config::lint::{self, Lint};
use crate::config::{self, Config, Document, KeeperSection, LoadOptions, Origin, Series};

/// What there is to read, and Litekeeper's own half of it.
pub(super) struct ConfigInput {
    pub(super) found: Found,
    pub(super) section: Result<KeeperSection, config::Error>,
}

impl ConfigInput {
    /// Reads Litekeeper's own half of what was found.
    pub(super) fn of(found: Found) -> Self {
        let section = databases::section(&found);
        Self { found, section }
    }

    fn said_without_file(&self) -> Option<(lint::Said<'static>, Origin)> {
        match &self.found {
            Found::Pairs(pairs) => Some((databases::said_by(pairs), Origin::CommandLine)),
            Found::Nothing => Some((lint::Said::Nowhere, Origin::Environment)),
            Found::File(..) => None,
        }
    }

    /// The variables that the text uses and nobody has set.
    pub(super) fn unset(&self) -> Vec<String> {
        self.found.document().map(|document| document.unset.clone()).unwrap_or_default()
    }

    /// The `litekeeper` section, with what is wrong in it.
    pub(super) fn section(&self) -> (KeeperSection, Vec<Lint>) {
        match &self.section {
            Ok(section) => (section.clone(), Vec::new()),
            Err(error) if self.found.document().is_some() => {
                (KeeperSection::default(), lint::of_error(error))
            }
            Err(_) => (KeeperSection::default(), Vec::new()),
        }
    }

    /// Litestream's half, as far as it can be read, and whether that is all of it.
    pub(super) fn config(
        self,
        options: &LoadOptions<'_>,
        series: Option<Series>,
        lints: &mut Vec<Lint>,
    ) -> (Option<Config>, bool) {
        if let Some((said, origin)) = self.said_without_file() {
            lints.extend(lint::environment(said, &origin, options.env));
        }
        let (config, error) = match self.found {
            Found::Pairs(pairs) => parts(config::of_pairs(&pairs, options)),
            Found::File(_, Ok(document)) => {
                let (config, result) = config::sound_of_document(Document::clone(&document), options);
                let told: Vec<&str> =
                    result.as_ref().err().into_iter().flat_map(config::Error::variables).collect();
                lints.extend(lint::lint(&document, options, series, &told));
                (Some(config), result.err())
            }
            Found::File(_, Err(error)) => (None, Some(error)),
            Found::Nothing => parts(
                config::of_environment(options)
                    .and_then(|found| found.ok_or_else(|| databases::nothing_given(options))),
            ),
        };
        let is_sound = error.is_none();
        let of_config = |config: &Config| {
            let several = is_sound.then(|| config.check(series.unwrap_or(Series::V05)).err()).flatten();
            let none = is_sound.then(|| config.names_any().err()).flatten();
            several.into_iter().chain(none).chain(config.exec().err()).collect::<Vec<_>>()
        };
        let more = config.as_ref().map(of_config).unwrap_or_default();
        findings::add(lints, error.iter().chain(&more).flat_map(lint::of_error));
        (config, is_sound)
    }
}

fn parts(config: Result<Config, config::Error>) -> (Option<Config>, Option<config::Error>) {
    match config {
        Ok(config) => (Some(config), None),
        Err(error) => (None, Some(error)),
    }
}
