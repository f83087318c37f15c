//! The configuration, asked again and again while databases come and go.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::databases;
use crate::config::{self, Config};
use crate::error::Failure;
use crate::supervise::{self, Entry, Inputs, Named};

/// See [`supervise::Catalogue`].
pub(super) struct Catalogue {
    config: Config,
    shutdown_sync: Duration,
    /// Further ones may be named while Litestream runs.
    resolves: bool,
}

impl Catalogue {
    pub(super) fn new(config: Config, shutdown_sync: Duration, resolves: bool) -> Self {
        Self { config, shutdown_sync, resolves }
    }

    fn with(&self, named: &[Value]) -> Result<Config, config::Error> {
        self.config.with_databases(&serde_json::json!(named).to_string(), &databases::text_variable)
    }

    /// As it could stand under `dbs`.
    fn value(&self, entry: &Entry) -> Option<Value> {
        match entry {
            Entry::Said(value) => Some(value.clone()),
            Entry::InFolder(folder, below) => self.config.in_folder(*folder, below),
        }
    }

    fn inputs(&self, socket: &Path, named: &[Value]) -> Inputs {
        // Only what was found sound is ever named here.
        let config = self.with(named);
        let config = config.as_ref().unwrap_or(&self.config);
        let mut inputs = databases::generate(config, socket, self.shutdown_sync);
        if self.resolves {
            // A key at the top of the file is nowhere else for what is registered later.
            inputs.env.extend(self.config.key_variables());
        }
        inputs
    }
}

impl Catalogue {
    /// The last databases of a configuration, which these entries made.
    fn named(&self, config: &Config, entries: Vec<Entry>) -> Vec<Named> {
        let keys = self.config.key_variables();
        let env = |name: &str| {
            let own = keys.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            own.or_else(|| databases::text_variable(name))
        };
        let registrations = config.registrations(entries.len(), &env);
        let named = |((database, url), entry)| Named { database: databases::database(&database), url, entry };
        registrations.into_iter().zip(entries).map(named).collect()
    }
}

impl supervise::Catalogue for Catalogue {
    fn generate(&self, socket: &Path, named: &[Entry]) -> Inputs {
        let said = named.iter().filter(|entry| matches!(entry, Entry::Said(_)));
        self.inputs(socket, &said.filter_map(|entry| self.value(entry)).collect::<Vec<_>>())
    }

    fn lookup(&self, socket: &Path, named: &[Entry]) -> Inputs {
        self.inputs(socket, &named.iter().filter_map(|entry| self.value(entry)).collect::<Vec<_>>())
    }

    fn read(&self, answer: &[u8], kept: &[Entry]) -> Result<Vec<Named>, Failure> {
        let failure = |error| databases::failure(&error);
        let answer = config::parse_answer(answer).map_err(failure)?;
        let is_named = |other: &Value| answer.iter().any(|entry| entry.get("path") == other.get("path"));
        let kept = kept.iter().filter_map(|entry| self.value(entry)).filter(|other| !is_named(other));
        let all: Vec<Value> = kept.chain(answer.iter().cloned()).collect();
        let config = self.with(&all).map_err(failure)?;
        config.check(config::Series::V05).map_err(failure)?;
        Ok(self.named(&config, answer.into_iter().map(Entry::Said).collect()))
    }

    fn in_folders(&self, files: Vec<(usize, PathBuf)>, kept: &[Entry]) -> Result<Vec<Named>, Failure> {
        let values = files.into_iter().filter_map(|(folder, below)| {
            Some((self.config.in_folder(folder, &below)?, Entry::InFolder(folder, below)))
        });
        let (values, entries): (Vec<Value>, Vec<Entry>) = values.unzip();
        let kept = kept.iter().filter_map(|entry| self.value(entry));
        let all: Vec<Value> = kept.chain(values).collect();
        let config = self.with(&all).map_err(|error| databases::failure(&error))?;
        Ok(self.named(&config, entries))
    }
}
