//! The databases at run time: what the configuration says of them, and what sources named since.
//!
//! A source's answer is read once, into the same tree as a configuration's file; an entry keeps its part of that tree.
//!
//! Architecture invariant: nothing here runs or waits. It imports `config` and `litestream`.

mod entry;
mod paths;
mod series;

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

pub use entry::{Elsewhere, Entry, Inputs, Named, Trial};
pub use paths::{common, database, databases, folders};
pub use series::Old;

use crate::config::{self, Config, GenerateOptions, Generated, Kind, Owner, Series};
use crate::error::Failure;
use crate::yaml::Node;

/// The environments of Litestream and of the resolver.
pub struct Environment {
    /// Looks up a variable, set or mounted.
    pub variable: fn(&str) -> Option<String>,
    /// Variables that are mounted as files and that Litestream looks up by itself.
    pub mounted: fn() -> Vec<(String, String)>,
    /// What the resolver can see.
    pub seen: Vec<(OsString, OsString)>,
}

/// What the configuration knows of its databases and of those that come and go.
pub struct Inventory {
    config: Config,
    /// Databases that are restored from elsewhere if their replica holds no backup.
    from: Option<Config>,
    shutdown_sync: Duration,
    /// Further ones may be named while Litestream runs.
    resolves: bool,
    environment: Environment,
    old: Rc<Old>,
}

impl Inventory {
    /// Makes it of this configuration; `from` has databases that are restored from elsewhere, `shutdown_sync` is
    /// Litestream's limit for the last sync of one of them.
    pub fn new(
        config: Config,
        from: Option<Config>,
        shutdown_sync: Duration,
        resolves: bool,
        environment: Environment,
        old: Rc<Old>,
    ) -> Self {
        Self { config, from, shutdown_sync, resolves, environment, old }
    }

    /// Returns what else databases are called, and which.
    pub fn aliases(&self) -> Vec<(String, PathBuf)> {
        self.config.aliases()
    }

    /// Returns the variable that tells the app where this database is, if there is one.
    pub fn variable_of(&self, path: &Path) -> Option<String> {
        if self.config.databases().first().is_some_and(|first| first.path == path) {
            return Some(config::variable_of_database(None));
        }
        let alias = self.aliases().into_iter().find(|(_, of)| of == path)?.0;
        Some(config::variable_of_database(Some(&alias)))
    }

    /// Returns what Litestream is started with: what the user wrote, and what the resolver named. What is in folders it
    /// finds itself.
    pub fn generate(&self, socket: &Path, named: &[Entry]) -> Inputs {
        self.inputs(socket, named.iter().filter(|entry| matches!(entry, Entry::Said(_))))
    }

    /// Returns what [`Inventory::generate`] says, with those of folders as databases of their own: what to restore them with.
    pub fn lookup(&self, socket: &Path, named: &[Entry]) -> Inputs {
        self.inputs(socket, named.iter())
    }

    /// Returns the same for each of these databases by itself: who is asked about one of a thousand reads one. What
    /// is not among them has no text of its own.
    pub fn apart(
        &self,
        socket: &Path,
        named: &[Entry],
        wanted: &BTreeSet<PathBuf>,
    ) -> Vec<(PathBuf, Inputs)> {
        let config = self.with(named.iter());
        let config = config.as_ref().unwrap_or(&self.config);
        let apart = config.generate_apart(&self.options(config, socket), wanted).into_iter();
        apart.map(|(path, generated)| (path, self.with_keys(generated))).collect()
    }

    /// Returns the places where a backup may be that is not on the replica.
    pub fn elsewhere(&self, socket: &Path) -> Vec<Elsewhere> {
        let others = Some(config::other_places(&self.config)).filter(|others| !others.databases().is_empty());
        let of = |config: &Config, is_source| Elsewhere {
            dbs: databases(config),
            is_source,
            inputs: self.as_inputs(config.generate(&self.options(config, socket))),
        };
        // What may be meant for the replica comes before what is a copy of another one's.
        others
            .iter()
            .map(|others| of(others, false))
            .chain(self.from.iter().map(|from| of(from, true)))
            .collect()
    }

    /// Tells of each of these databases, and of those of the configuration, by its path: where Litestream writes on trial, by what
    /// database, in which folder below its place. Nothing of folders of this machine, which need no Litestream, and of NATS,
    /// whose buckets have no folders. What is needed for it is made once, for the first that is asked about.
    pub fn trials(
        self: &Rc<Self>,
        named: Vec<Entry>,
    ) -> impl Fn(&Path, &Path, &str) -> Option<Trial> + use<> {
        let (inventory, all) = (self.clone(), OnceCell::new());
        let of_all = |inventory: &Self, named: &[Entry]| {
            let whole = inventory.with(named.iter()).unwrap_or_else(|_| inventory.config.clone());
            let numbered = whole.databases().iter().map(|database| database.path.clone()).zip(0..);
            let numbers: HashMap<PathBuf, usize> = numbered.collect();
            (whole, numbers)
        };
        move |path, sample, below| {
            let (whole, numbers) = all.get_or_init(|| of_all(&inventory, &named));
            let number = *numbers.get(path)?;
            let replica = whole.databases().get(number)?.replicas.first()?;
            match replica.kind {
                Kind::File | Kind::Nats => return None,
                Kind::S3 | Kind::Gcs | Kind::Abs | Kind::Oss | Kind::Sftp | Kind::Webdav | Kind::Other(_) => {
                }
            }
            let alone = config::probe(whole, Owner::Database(number), 0, sample, Some(below))?;
            Some(Trial {
                // No other can write once.
                inputs: inventory.with_keys(alone.generate_once(Series::V05)),
                shown: replica.below(below),
                webdav: config::webdav_of_probe(&alone).filter(|_| replica.kind == Kind::Webdav),
            })
        }
    }

    /// Reads a source's answer. Those of `kept` that it does not name are still there as well.
    ///
    /// # Errors
    /// The answer is no list of databases, or one of them is not sound beside the others.
    pub fn read(&self, answer: &[u8], kept: &[Entry]) -> Result<Vec<Named>, Failure> {
        let answer = config::parse_answer(answer).map_err(|error| failure(&error))?;
        let said: Vec<Entry> = answer.into_iter().map(|node| Entry::Said(Rc::new(node))).collect();
        let paths: HashSet<PathBuf> = said.iter().filter_map(|entry| self.path(entry)).collect();
        let is_named = |other: &&Entry| self.path(other).is_some_and(|path| paths.contains(&path));
        let kept = kept.iter().filter(|other| !is_named(other));
        let config = self.with(kept.chain(&said)).map_err(|error| failure(&error))?;
        config.check_answer(Series::V05).map_err(|error| failure(&error))?;
        Ok(self.named(&config, said))
    }

    /// Makes databases of files in folders; those of `kept` are there as well.
    ///
    /// # Errors
    /// One of them is not sound beside the others.
    pub fn in_folders(&self, files: Vec<(usize, PathBuf)>, kept: &[Entry]) -> Result<Vec<Named>, Failure> {
        let entries = files.into_iter().map(|(folder, below)| Entry::InFolder(folder, below));
        let entries: Vec<Entry> = entries.filter(|entry| self.path(entry).is_some()).collect();
        let config = self.with(kept.iter().chain(&entries)).map_err(|error| failure(&error))?;
        Ok(self.named(&config, entries))
    }

    /// Makes one of a folder that is not sound beside others, by itself: what it is called and where it would go.
    pub fn unsound_in_folder(&self, folder: usize, below: PathBuf) -> Option<Named> {
        self.in_folders(vec![(folder, below)], &[]).ok()?.pop()
    }

    fn with<'a>(&self, named: impl Iterator<Item = &'a Entry>) -> Result<Config, config::Error> {
        let entries = named.filter_map(|entry| self.node(entry)).collect();
        let own = also_in(self.environment.variable, &self.environment.seen);
        let (config, result) = self.config.with_entries(entries, &[], &self.environment.variable, &own);
        result.map(|()| config)
    }

    /// Returns it as it could stand under `dbs`.
    fn node(&self, entry: &Entry) -> Option<Node> {
        match entry {
            Entry::Said(node) => Some(Node::clone(node)),
            Entry::InFolder(folder, below) => config::in_folder(&self.config, *folder, below),
        }
    }

    /// Returns the path that it is said to have.
    fn path(&self, entry: &Entry) -> Option<PathBuf> {
        match entry {
            Entry::Said(node) => node.get("path")?.as_str().map(PathBuf::from),
            Entry::InFolder(folder, below) => config::path_in_folder(&self.config, *folder, below),
        }
    }

    fn inputs<'a>(&self, socket: &Path, named: impl Iterator<Item = &'a Entry>) -> Inputs {
        // Only what was found sound is ever named here.
        let config = self.with(named);
        let config = config.as_ref().unwrap_or(&self.config);
        self.with_keys(config.generate(&self.options(config, socket)))
    }

    fn options(&self, config: &Config, socket: &Path) -> GenerateOptions {
        options(config, socket, self.shutdown_sync, || self.old.is_it())
    }

    fn as_inputs(&self, generated: Generated) -> Inputs {
        let mut env = generated.env;
        env.extend((self.environment.mounted)());
        Inputs { config: generated.text, env }
    }

    /// Adds the key at the top of the file to the variables: what is registered later has no other way to it.
    fn with_keys(&self, generated: Generated) -> Inputs {
        let mut inputs = self.as_inputs(generated);
        if self.resolves {
            inputs.env.extend(config::key_variables(&self.config));
        }
        inputs
    }

    /// Returns the last databases of a configuration, which these entries made.
    fn named(&self, config: &Config, entries: Vec<Entry>) -> Vec<Named> {
        let keys = config::key_variables(&self.config);
        let env = |name: &str| {
            let own = keys.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            own.or_else(|| (self.environment.variable)(name))
        };
        let registrations = config::registrations(config, entries.len(), &env);
        let named = |(config::Registration { database: found, url, told }, entry)| Named {
            database: database(&found),
            url,
            told,
            entry,
        };
        registrations.into_iter().zip(entries).map(named).collect()
    }
}

/// Looks a variable up that a program with this environment has as well, with the same value: what is hidden from it,
/// it cannot name.
pub fn also_in(
    variable: fn(&str) -> Option<String>,
    env: &[(OsString, OsString)],
) -> impl Fn(&str) -> Option<String> {
    move |name| {
        let value = variable(name)?;
        let is_it = |(known, seen): &(OsString, OsString)| known == name && *seen == *value;
        env.iter().any(is_it).then_some(value)
    }
}

/// Returns what Litestream would be started with, as a tree.
pub fn tree(config: &Config, socket: &Path, shutdown_sync_timeout: Duration) -> Node {
    config.tree(&options(config, socket, shutdown_sync_timeout, || false))
}

/// Chooses the series. Google's storage has another name in each; all else both read alike, and which one runs is found out
/// meanwhile.
fn options(
    config: &Config,
    socket: &Path,
    shutdown_sync_timeout: Duration,
    is_old: impl FnOnce() -> bool,
) -> GenerateOptions {
    let series = if config.uses_google() && !is_old() { Series::V05 } else { Series::V03 };
    GenerateOptions { socket: socket.to_owned(), shutdown_sync_timeout, series }
}

/// Returns what is wrong with a configuration or an answer, as the program's end.
pub fn failure(error: &config::Error) -> Failure {
    let lines = error.findings().iter().map(ToString::to_string);
    Failure { hint: error.hint(), ..Failure::lines(error.exit(), lines) }
}
