//! The configuration, asked again and again while databases come and go.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::databases;
use crate::config::{self, Config};
use crate::error::Failure;
use crate::supervise::{self, Inputs, Named};

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
}

impl supervise::Catalogue for Catalogue {
    fn generate(&self, socket: &Path, named: &[Value]) -> Inputs {
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

    fn read(&self, answer: &[u8], kept: &[Value]) -> Result<Vec<Named>, Failure> {
        let failure = |error| databases::failure(&error);
        let answer = config::parse_answer(answer).map_err(failure)?;
        let is_named = |other: &&Value| answer.iter().any(|entry| entry.get("path") == other.get("path"));
        let kept = kept.iter().filter(|other| !is_named(other)).chain(&answer);
        let config = self.with(&kept.cloned().collect::<Vec<_>>()).map_err(failure)?;
        config.check(config::Series::V05).map_err(failure)?;
        let keys = self.config.key_variables();
        let env = |name: &str| {
            let own = keys.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            own.or_else(|| databases::text_variable(name))
        };
        let registrations = config.registrations(answer.len(), &env);
        let each = registrations.into_iter().zip(answer);
        let named = |((database, url), entry)| Named { database: databases::database(&database), url, entry };
        Ok(each.map(named).collect())
    }
}
