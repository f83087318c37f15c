//! A configuration as `check` opens it: whatever is wrong with one half, the other is looked at.

use std::path::{Path, PathBuf};

use super::args;
use super::databases;
use super::findings;
use super::layers;
use super::settings;
use crate::config::lint::{self, Lint};
use crate::config::{self, Config, Document, LoadOptions, Origin, SECTION, Section, Series, Setting};
use crate::error::Failure;

/// What there is to read.
pub(super) enum Opened {
    Pairs(Vec<databases::Pair>),
    File(PathBuf, Result<Box<Document>, config::Error>),
    Nothing,
}

pub(super) fn open(args: &args::Run, options: &LoadOptions<'_>) -> Result<Opened, Failure> {
    databases::know_secrets_of_variables();
    if let Some(pairs) = databases::pairs(&settings::source(args))? {
        return Ok(Opened::Pairs(pairs));
    }
    Ok(match databases::find(args.config.as_deref(), options.cwd)? {
        Some((path, is_found)) => {
            let read = databases::read_once(&path, is_found);
            let document = config::open_read(&path, read, options).map(Box::new);
            document.iter().for_each(|document| databases::know_secrets_of(document));
            Opened::File(path, document)
        }
        None => Opened::Nothing,
    })
}

impl Opened {
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Opened::File(path, _) => Some(path),
            Opened::Pairs(_) | Opened::Nothing => None,
        }
    }

    pub(super) fn document(&self) -> Option<&Document> {
        match self {
            Opened::File(_, Ok(document)) => Some(document),
            Opened::File(_, Err(_)) | Opened::Pairs(_) | Opened::Nothing => None,
        }
    }

    fn said_without_file(&self) -> Option<(lint::Said<'static>, Origin)> {
        match self {
            Opened::Pairs(pairs) => Some((databases::said_by(pairs), Origin::CommandLine)),
            Opened::Nothing => Some((lint::Said::Nowhere, Origin::Environment)),
            Opened::File(..) => None,
        }
    }

    /// The variables that the text uses and nobody has set.
    pub(super) fn unset(&self) -> Vec<String> {
        match self {
            Opened::File(_, Ok(document)) => document.unset.clone(),
            Opened::Pairs(_) | Opened::File(_, Err(_)) | Opened::Nothing => Vec::new(),
        }
    }

    /// The `litekeeper` section, with what is wrong in it and what changes nothing.
    pub(super) fn section(&self, options: &LoadOptions<'_>) -> (Section, Vec<Lint>) {
        let Opened::File(_, Ok(document)) = self else { return (Section::default(), Vec::new()) };
        let section = match Section::read(document, options.env, &layers::accepts()) {
            Ok(section) => section,
            Err(error) => return (Section::default(), lint::of_error(&error)),
        };
        let idle = section.settings().iter().filter(|setting| setting.key.is_idle());
        let lint = |setting: &Setting| {
            let message = format!("`{SECTION}.{}` has no effect in this version", setting.key.path);
            Lint::new(lint::NO_EFFECT, &document.origin, message).at(setting.line, 0)
        };
        let lints = idle.map(lint).collect();
        (section, lints)
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
        let (config, error) = match self {
            Opened::Pairs(pairs) => parts(Config::from_pairs(&pairs, options)),
            Opened::File(_, Ok(document)) => {
                let (config, result) = document.clone().sound_config(options);
                let told: Vec<&str> =
                    result.as_ref().err().into_iter().flat_map(config::Error::variables).collect();
                lints.extend(lint::lint(&document, options, series, &told));
                (Some(config), result.err())
            }
            Opened::File(_, Err(error)) => (None, Some(error)),
            Opened::Nothing => parts(
                Config::from_environment(options)
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
