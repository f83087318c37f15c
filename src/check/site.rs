//! What is looked at.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::lint::{Lint, Rule};
use crate::config::{Config, Node, NodeKind};
use crate::os::user::Identity;

/// A configuration on this machine.
pub struct Site<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Whether the file itself holds secrets.
    pub has_secrets: bool,
    /// The files that variables of the app are in.
    pub env_files: Vec<PathBuf>,
    /// Who Litestream and the app will run as, unless it is the user of this process.
    pub user: Option<Identity>,
    /// The environment.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// The folder that the app will run in.
    pub cwd: &'a Path,
    /// Where the runtime folder may be.
    pub runtime_roots: &'a [PathBuf],
    /// The whole time of a stop, if it is set.
    pub stop_timeout: Option<Duration>,
    /// The same if it is not.
    pub default_stop: Duration,
}

impl Site<'_> {
    /// A finding on a line of the configuration.
    pub(super) fn lint(&self, rule: &'static Rule, line: usize, message: impl Into<String>) -> Lint {
        Lint::new(rule, self.config.origin(), message).at(line, 0)
    }

    /// A text of a replica, or of the file for all replicas, with its line: every one that there is.
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

    /// The whole time of a stop.
    pub(super) fn stop(&self) -> Duration {
        self.stop_timeout.unwrap_or(self.default_stop)
    }

    /// The name of the user that will run, for messages.
    pub(super) fn who(&self) -> String {
        match &self.user {
            Some(user) => format!("user {}", user.uid),
            None => "this user".to_owned(),
        }
    }
}
