//! What `check` knows to be wrong on this machine, said by `run` before it starts anything.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::findings::{self, refusal, said};
use super::process::variable;
use super::written::Written;
use crate::check::{self, CheckContext};
use crate::config::lint::Lint;
use crate::config::{self, Config, Origin};
use crate::core::Gate;
use crate::error::Failure;
use crate::inventory::Old;
use crate::litestream::database::Database;
use crate::litestream::folder::Folder;
use crate::os::user::Identity;
use crate::supervise::Looked;

/// How many names are looked at in a folder of databases.
const MOST: usize = 200_000;

/// What is looked at.
pub(super) struct Faults {
    pub(super) config: Config,
    pub(super) written: Written,
    pub(super) folders: Vec<Folder>,
    pub(super) user: Option<Identity>,
    pub(super) cwd: PathBuf,
    pub(super) stop_timeout: Duration,
    pub(super) gate: Gate,
    pub(super) old: Rc<Old>,
}

impl Faults {
    /// Refuses a start that cannot come to anything.
    ///
    /// # Errors
    /// Everything that is wrong, in the words of `check`.
    pub(super) fn refuse(&self, looked: Looked<'_>) -> Result<(), Failure> {
        let (mut bad, mut doubtful) = (self.find(looked), Vec::new());
        // No gate makes a text right that Litestream can do nothing with.
        if self.gate == Gate::None && !matches!(looked, Looked::Written(_)) {
            doubtful.append(&mut bad);
            // Of another file, or of a WAL that nobody reads, no one would learn in time.
            bad.extend(doubtful.extract_if(.., |lint| check::WHATEVER_THE_GATE.contains(&lint.rule)));
        }
        if matches!(looked, Looked::Configured) {
            bad.extend(self.in_any_case());
        }
        // Such a file system may keep what SQLite needs, as long as one machine uses it.
        doubtful.extend(bad.extract_if(.., |lint| lint.rule == check::ON_NETWORK));
        findings::sort(&mut doubtful);
        doubtful.dedup_by(|one, other| said(one) == said(other));
        for lint in &doubtful {
            let hint = lint.hint.as_ref().map_or_else(String::new, |hint| format!(": {hint}"));
            tracing::warn!("{}{hint}", said(lint));
        }
        refusal(bad)
    }

    /// All that is wrong with the text, if no Litestream could do anything with any of it: that is known before there is a
    /// folder, a lock or a version.
    fn in_any_case(&self) -> Vec<Lint> {
        let found = self.written.errors(&self.config, true);
        if found.is_empty() {
            return found;
        }
        let old = self.written.errors(&self.config, false);
        if found.iter().all(|lint| old.contains(lint)) { found } else { Vec::new() }
    }

    fn find(&self, looked: Looked<'_>) -> Vec<Lint> {
        let mut found = self.look(looked);
        if let Looked::Named(database) | Looked::Staying(database) = looked {
            // Only where there is something to say: one of thousands is looked for.
            for lint in &mut found {
                (lint.origin, lint.line) = self.place(&database.path);
            }
        }
        found
    }

    /// What a database is named by: a line of the configuration, or the answer of its resolver.
    fn place(&self, path: &Path) -> (Origin, usize) {
        let (written, folders) = (self.config.databases().iter(), self.config.directories().iter());
        let mut lines = written
            .filter(|written| written.path == path)
            .map(|written| written.line)
            .chain(folders.filter(|folder| path.starts_with(&folder.dir)).map(|folder| folder.line));
        lines.next().map_or((Origin::Resolver, 0), |line| (self.config.origin().clone(), line))
    }

    fn look(&self, looked: Looked<'_>) -> Vec<Lint> {
        let contents = match looked {
            Looked::Configured => check::contents(&self.folders, MOST),
            Looked::Number(databases) => return check::too_many(databases),
            Looked::Written(is_ltx) => return self.written.errors(&self.config, is_ltx),
            Looked::Named(_) | Looked::Staying(_) => Vec::new(),
        };
        let one: Vec<config::Database> = match looked {
            Looked::Configured | Looked::Written(_) | Looked::Number(_) => Vec::new(),
            Looked::Named(Database { path, meta, .. }) | Looked::Staying(Database { path, meta, .. }) => {
                let (path, meta_path) = (path.clone(), meta.clone());
                vec![config::Database { path, meta_path, replicas: Vec::new(), line: 0, place: None }]
            }
        };
        let databases = if one.is_empty() { self.config.databases() } else { &one };
        let context = CheckContext {
            config: &self.config,
            databases,
            written: databases.len(),
            contents: &contents,
            unset: Vec::new(),
            has_secrets: false,
            env_files: Vec::new(),
            user: self.user.clone(),
            variable: &variable,
            is_looked_up: &|_| false,
            cwd: &self.cwd,
            is_old: &|| self.old.is_it(),
            runtime_roots: &[],
            stop_timeout: Some(self.stop_timeout),
            default_stop: self.stop_timeout,
        };
        match looked {
            Looked::Configured | Looked::Written(_) | Looked::Number(_) => check::faults(&context),
            Looked::Named(_) => check::faults_of_databases(&context),
            Looked::Staying(_) => check::broken_off(&context),
        }
    }
}
