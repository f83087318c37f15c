//! What the rules check: a configuration on this machine.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::lint::{Lint, Rule};
use crate::config::{Config, Database, Directory};
use crate::litestream::folder::Contents;
use crate::os::user::Identity;
use crate::yaml::{Node, NodeKind};

/// How many findings of a kind are shown about databases that the file does not name itself.
const FEW: usize = 5;

/// A configuration on this machine.
pub struct CheckContext<'a> {
    /// The configuration, with what a resolver named.
    pub config: &'a Config,
    /// Its databases, and after them those that are in its folders.
    pub databases: &'a [Database],
    /// How many of these the file itself names.
    pub written: usize,
    /// What is in each of its folders, as far as they were looked into.
    pub contents: &'a [Contents],
    /// The variables that the configuration uses and that are not set.
    pub unset: Vec<String>,
    /// Whether the file itself holds secrets.
    pub has_secrets: bool,
    /// The files that variables of the app are in.
    pub env_files: Vec<PathBuf>,
    /// Who Litestream and the app will run as, unless it is the user of this process.
    pub user: Option<Identity>,
    /// The environment.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// Whether the value of a variable came from a file.
    pub is_looked_up: &'a dyn Fn(&str) -> bool,
    /// The folder that the app will run in.
    pub cwd: &'a Path,
    /// Whether Litestream is of the 0.3 line; asked only where that matters.
    pub is_old: &'a dyn Fn() -> bool,
    /// Where the runtime folder may be.
    pub runtime_roots: &'a [PathBuf],
    /// The whole time of a stop, if it is set.
    pub stop_timeout: Option<Duration>,
    /// The same if it is not.
    pub default_stop: Duration,
}

#[cfg(test)]
impl<'a> CheckContext<'a> {
    /// That of a test: a configuration whose databases the file names, and nothing else that counts.
    pub(super) fn of(config: &'a Config) -> Self {
        Self {
            unset: Vec::new(),
            config,
            databases: config.databases(),
            written: config.databases().len(),
            contents: &[],
            has_secrets: false,
            env_files: Vec::new(),
            user: None,
            variable: &|_| None,
            is_looked_up: &|_| false,
            cwd: Path::new("/"),
            is_old: &|| false,
            runtime_roots: &[],
            stop_timeout: None,
            default_stop: crate::core::policy::STOP,
        }
    }
}

impl CheckContext<'_> {
    /// Collects what `look` finds of each database, which is given the folder whose database it is.
    pub(super) fn of_each(
        &self,
        mut look: impl FnMut(&Database, Option<&Directory>) -> Vec<Lint>,
    ) -> Vec<Lint> {
        let (written, discovered) = self.databases.split_at(self.written.min(self.databases.len()));
        let mut found: Vec<Lint> = written.iter().flat_map(|database| look(database, None)).collect();
        let first_in_folder = self.config.databases().len().saturating_sub(written.len());
        let discovered = discovered.iter().enumerate().flat_map(|(place, database)| {
            let is_of =
                |folder: &&Directory| folder.line == database.line && database.path.starts_with(&folder.dir);
            let folder = self.config.directories().iter().find(is_of);
            look(database, folder.filter(|_| place >= first_in_folder))
        });
        found.extend(self.few(discovered));
        found
    }

    /// Keeps a few of each kind on each line, and says how many more there are: a folder holds thousands.
    pub(super) fn few(&self, lints: impl IntoIterator<Item = Lint>) -> Vec<Lint> {
        let mut found = Vec::new();
        let mut counts = BTreeMap::new();
        for lint in lints {
            let (_, count) = counts.entry((lint.rule.code, lint.line)).or_insert((lint.rule, 0));
            *count += 1;
            if *count <= FEW {
                found.push(lint);
            }
        }
        let more = counts.into_iter().filter(|(_, (_, count))| *count > FEW);
        found.extend(more.map(|((_, line), (rule, count))| {
            self.lint(rule, line, format!("the same is found {} times more", count - FEW))
        }));
        found
    }

    /// Makes a finding on a line of the configuration.
    pub(super) fn lint(&self, rule: &'static Rule, line: usize, message: impl Into<String>) -> Lint {
        Lint::new(rule, self.config.origin(), message).at(line, 0)
    }

    /// Returns each value of a key, with its line, of the replicas and of the file for all replicas.
    pub(super) fn replica_settings(&self, key: &str) -> Vec<&Node> {
        let root = self.config.root();
        let entries = root.get("dbs").and_then(Node::as_list).unwrap_or_default();
        let replicas = entries.iter().flat_map(|entry| {
            let several = entry.get("replicas").and_then(Node::as_list).unwrap_or_default();
            entry.get("replica").into_iter().chain(several)
        });
        std::iter::once(root)
            .chain(replicas)
            .filter_map(|node| node.get(key))
            .flat_map(|value| match &value.kind {
                NodeKind::Sequence(items) => items.iter().collect(),
                NodeKind::Scalar(_) => vec![value],
                NodeKind::Mapping(_) => Vec::new(),
            })
            .collect()
    }

    /// Returns the whole time of a stop.
    pub(super) fn stop(&self) -> Duration {
        self.stop_timeout.unwrap_or(self.default_stop)
    }

    /// Names the user that will run, for messages.
    pub(super) fn who(&self) -> String {
        match &self.user {
            Some(user) => format!("user {}", user.uid),
            None => "this user".to_owned(),
        }
    }
}
