//! The configuration, asked again and again while databases come and go.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::databases;
use crate::config::{self, Config, Node};
use crate::error::Failure;
use crate::litestream::install;
use crate::litestream::version::Version;
use crate::supervise::{self, Elsewhere, Entry, Inputs, Named};

/// See [`supervise::Catalogue`].
pub(super) struct Catalogue {
    config: Config,
    /// Databases that are restored from elsewhere if their replica holds no backup.
    from: Option<Config>,
    shutdown_sync: Duration,
    /// Further ones may be named while Litestream runs.
    resolves: bool,
    /// What whoever names them can see.
    env: Vec<(OsString, OsString)>,
    old: Rc<Old>,
}

/// Whether Litestream is of the 0.3 line, as far as that is known without running it: found out where it matters.
pub(super) struct Old {
    binary: PathBuf,
    required: Option<Version>,
    is_it: OnceCell<bool>,
}

impl Old {
    pub(super) fn of(binary: &Path, required: Option<Version>) -> Self {
        Self { binary: binary.to_owned(), required, is_it: OnceCell::new() }
    }

    pub(super) fn is_it(&self) -> bool {
        // The one that the wrapper for Ruby brings.
        let look = || match self.required {
            Some(version) => !version.is_ltx(),
            None => install::is_release(&self.binary, "0.3.13"),
        };
        *self.is_it.get_or_init(look)
    }
}

impl Catalogue {
    pub(super) fn new(
        config: Config,
        from: Option<Config>,
        shutdown_sync: Duration,
        resolves: bool,
        env: Vec<(OsString, OsString)>,
        old: Rc<Old>,
    ) -> Self {
        Self { config, from, shutdown_sync, resolves, env, old }
    }

    fn with<'a>(&self, named: impl Iterator<Item = &'a Entry> + Clone) -> Result<Config, config::Error> {
        let entries = self.nodes(named)?;
        let own = databases::also_in(&self.env);
        let (config, result) = self.config.with_entries(entries, &[], &databases::text_variable, &own);
        result.map(|()| config)
    }

    /// As they could stand under `dbs`.
    fn nodes<'a>(&self, named: impl Iterator<Item = &'a Entry> + Clone) -> Result<Vec<Node>, config::Error> {
        // There can be thousands: none is copied on the way.
        let said = |entry: &'a Entry| match entry {
            Entry::Said(value) => Some(value),
            Entry::InFolder(..) => None,
        };
        let text = serde_json::to_string(&named.clone().filter_map(said).collect::<Vec<&Value>>())
            .unwrap_or_default();
        let mut said = config::said(&text)?.into_iter();
        let node = |entry: &Entry| match entry {
            Entry::Said(_) => said.next(),
            Entry::InFolder(folder, below) => self.config.in_folder(*folder, below),
        };
        Ok(named.filter_map(node).collect())
    }

    /// The path that an entry is said to have.
    fn path(&self, entry: &Entry) -> Option<String> {
        match entry {
            Entry::Said(value) => value.get("path")?.as_str().map(str::to_owned),
            Entry::InFolder(folder, below) => {
                let node = self.config.in_folder(*folder, below)?;
                node.get("path")?.as_str().map(str::to_owned)
            }
        }
    }

    fn inputs(&self, socket: &Path, named: &[Entry]) -> Inputs {
        // Only what was found sound is ever named here.
        let config = self.with(named.iter());
        let config = config.as_ref().unwrap_or(&self.config);
        let mut inputs = databases::generate(config, socket, self.shutdown_sync, || self.old.is_it());
        self.add_keys(&mut inputs);
        inputs
    }

    /// A key at the top of the file is nowhere else for what is registered later.
    fn add_keys(&self, inputs: &mut Inputs) {
        if self.resolves {
            inputs.env.extend(self.config.key_variables());
        }
    }

    /// The last databases of a configuration, which these entries made.
    fn named(&self, config: &Config, entries: Vec<Entry>) -> Vec<Named> {
        let keys = self.config.key_variables();
        let env = |name: &str| {
            let own = keys.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            own.or_else(|| databases::text_variable(name))
        };
        let registrations = config.registrations(entries.len(), &env);
        let named = |(config::Registration { database, url, told }, entry)| Named {
            database: databases::database(&database),
            url,
            told,
            entry,
        };
        registrations.into_iter().zip(entries).map(named).collect()
    }
}

impl supervise::Catalogue for Catalogue {
    fn elsewhere(&self, socket: &Path) -> Vec<Elsewhere> {
        let others = Some(self.config.others()).filter(|others| !others.databases().is_empty());
        let of = |config: &Config, is_source| Elsewhere {
            dbs: databases::databases(config),
            is_source,
            inputs: databases::generate(config, socket, self.shutdown_sync, || self.old.is_it()),
        };
        // What may be meant for the replica comes before what is a copy of another one's.
        others
            .iter()
            .map(|others| of(others, false))
            .chain(self.from.iter().map(|from| of(from, true)))
            .collect()
    }

    fn generate(&self, socket: &Path, named: &[Entry]) -> Inputs {
        let said = |entry: &&Entry| matches!(entry, Entry::Said(_));
        self.inputs(socket, &named.iter().filter(said).cloned().collect::<Vec<_>>())
    }

    fn lookup(&self, socket: &Path, named: &[Entry]) -> Inputs {
        self.inputs(socket, named)
    }

    fn apart(&self, socket: &Path, named: &[Entry], wanted: &BTreeSet<PathBuf>) -> Vec<(PathBuf, Inputs)> {
        let config = self.with(named.iter());
        let config = config.as_ref().unwrap_or(&self.config);
        let is_old = || self.old.is_it();
        let mut apart = databases::generate_apart(config, socket, self.shutdown_sync, is_old, wanted);
        apart.iter_mut().for_each(|(_, inputs)| self.add_keys(inputs));
        apart
    }

    fn read(&self, answer: &[u8], kept: &[Entry]) -> Result<Vec<Named>, Failure> {
        let failure = |error| databases::failure(&error);
        let answer = config::parse_answer(answer).map_err(failure)?;
        let said: Vec<Entry> = answer.into_iter().map(Entry::Said).collect();
        let paths: std::collections::HashSet<String> =
            said.iter().filter_map(|entry| self.path(entry)).collect();
        let is_named = |other: &&Entry| self.path(other).is_some_and(|path| paths.contains(&path));
        let kept = kept.iter().filter(|other| !is_named(other));
        let config = self.with(kept.chain(&said)).map_err(failure)?;
        config.check_answer(config::Series::V05).map_err(failure)?;
        Ok(self.named(&config, said))
    }

    fn in_folders(&self, files: Vec<(usize, PathBuf)>, kept: &[Entry]) -> Result<Vec<Named>, Failure> {
        let entries = files.into_iter().map(|(folder, below)| Entry::InFolder(folder, below));
        let entries: Vec<Entry> = entries.filter(|entry| self.path(entry).is_some()).collect();
        let config = self.with(kept.iter().chain(&entries)).map_err(|error| databases::failure(&error))?;
        Ok(self.named(&config, entries))
    }
}
