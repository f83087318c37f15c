//! A configuration as `run` needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use super::database::{Database, Directory, Entry};
use super::duplicates;
use super::exec;
use super::kind::Kind;
use super::overlap;
use super::path::Base;
use super::real;
use super::templates;
use super::templates::{Additions, Completed};
use crate::config::error::{Error, Origin, Problem};
use crate::config::load::overrides::Override;
use crate::config::own::keys::SECTION;
use crate::config::schema::spelling;
use crate::config::schema::types;
use crate::config::schema::{self, Section, Series, Type};
use crate::config::values::options::{Env, LoadOptions};
use crate::config::values::traces::Traces;
use crate::config::values::variables;
use crate::yaml::{Budget, Node, NodeKind};

/// A configuration that was read and found consistent.
#[derive(Clone)]
pub struct Config {
    origin: Origin,
    root: Node,
    databases: Vec<Database>,
    directories: Vec<Directory>,
    unset: Vec<String>,
    traces: Traces,
    overrides: Vec<Override>,
    /// What the names and the default replicas of the entries of `dbs` say beside what is in the tree, by the entry's number.
    pub(in crate::config) completed: BTreeMap<usize, Completed>,
    cwd: PathBuf,
    home: Option<PathBuf>,
}

impl Config {
    /// Reads the tree of a configuration: what is sound of it, and what is not. `unset` are the variables
    /// that had no value, `traces` where values are from.
    pub(in crate::config) fn read_sound(
        origin: Origin,
        mut root: Node,
        options: &LoadOptions<'_>,
        unset: Vec<String>,
        traces: Traces,
    ) -> (Self, Result<(), Error>) {
        let (mut found, budget) = (Vec::new(), Budget::default());
        spelling::normalise(&mut root, schema::Section::Top, &mut found);
        if let NodeKind::Mapping(entries) = &mut root.kind {
            let settings = |key: &Node| !matches!(key.key(), SECTION | "dbs");
            for (key, value) in entries.iter_mut().filter(|(key, _)| settings(key)) {
                variables::fill_in(value, key.key(), options.env, true, &budget, &mut found);
            }
        }
        if (has_resolver(&root) || has_replicas(&root)) && root.get("dbs").is_none() {
            root.set("dbs", Node::list(Vec::new()));
        }
        if let Some(dbs) = root.get_mut("dbs") {
            variables::fill_in(dbs, "dbs", options.env, true, &budget, &mut found);
        }
        let completed = complete_entries(&mut root, 0, options.env, &budget, &mut found);
        let mut config = Self {
            origin,
            root,
            databases: Vec::new(),
            directories: Vec::new(),
            unset,
            traces,
            overrides: Vec::new(),
            completed,
            cwd: options.cwd.to_owned(),
            home: options.home.map(Path::to_owned),
        };
        config.read_entries(&budget, &mut found);
        found.extend(config.traces.gaps());
        let result = Error::of(&config.origin, config.traces.blame(found), &config.unset);
        (config, result)
    }

    /// Returns those further databases that are sound, each as if it stood on the line that `lines` has for it, and what is
    /// not sound, by itself or beside the others.
    ///
    /// Aliases, templates and the default replica of the environment, which is `env`, are understood in them; what they
    /// themselves name by `{env: NAME}` is looked up in `own`: a source that names a database sees no variable by that which
    /// is hidden from him.
    pub fn with_entries(
        &self,
        mut entries: Vec<Node>,
        lines: &[usize],
        env: &dyn Fn(&str) -> Option<String>,
        own: &dyn Fn(&str) -> Option<String>,
    ) -> (Self, Result<(), Error>) {
        entries.iter_mut().zip(lines).for_each(|(entry, line)| entry.place(*line));
        let mut config = self.with_tree(self.root.clone());
        config.completed.clone_from(&self.completed);
        let (mut found, budget) = (Vec::new(), Budget::default());
        let dbs = config.root.get_mut("dbs").map(|dbs| std::mem::replace(dbs, Node::plain("")).kind);
        let mut all = match dbs {
            Some(NodeKind::Sequence(known)) => known,
            Some(NodeKind::Scalar(_) | NodeKind::Mapping(_)) | None => Vec::new(),
        };
        let first = all.len();
        all.extend(entries);
        all[first..].iter_mut().for_each(|entry| {
            spelling::normalise(entry, schema::Section::Database, &mut found);
            variables::fill_in(entry, "dbs", own, false, &budget, &mut found);
        });
        config.root.set("dbs", Node::list(all));
        let completed = complete_entries(&mut config.root, first, env, &budget, &mut found);
        config.completed.extend(completed);
        config.read_entries(&budget, &mut found);
        let result = Error::of(&Origin::Resolver, found, &[]);
        (config, result)
    }

    /// Reads `dbs`, and adds what is wrong with it to `found`, in the order of the file.
    fn read_entries(&mut self, budget: &Budget, found: &mut Vec<(usize, Problem)>) {
        // As in the text itself, a limit is the only thing that is told.
        if budget.is_spent() {
            return budget.settle(found);
        }
        // Where something is wrong already, the rest follows from it.
        let known: BTreeSet<_> = found.iter().map(|(line, _)| *line).collect();
        // What stands at the top of the file is in the place of each.
        let read = |entries: &[Node]| {
            let left = entries.iter().take_while(|_| !budget.is_spent());
            left.map(|entry| Entry::read(entry, &self.root, &self.base(), budget)).collect::<Vec<_>>()
        };
        let mut more = Vec::new();
        match self.entries().map(read) {
            Err(problem) => more.push(problem),
            Ok(_) if budget.is_spent() => return budget.settle(found),
            Ok(entries) => {
                for entry in entries {
                    match entry {
                        Ok(Entry::Database(database)) => self.databases.push(database),
                        Ok(Entry::Directory(directory)) => self.directories.push(directory),
                        Err(problem) => more.push(problem),
                    }
                }
            }
        }
        more.extend(overlap::find(&self.databases, &self.directories));
        more.extend(duplicates::of_databases(&self.databases));
        more.extend(duplicates::of_folders(&self.directories));
        found.extend(more.into_iter().filter(|(line, _)| !known.contains(line)));
        found.sort_by_key(|(line, _)| *line);
        // A template that several databases use is wrong once.
        let mode = |problem: &Problem| matches!(problem, Problem::BadPathMode { .. });
        found.dedup_by(|one, other| one == other || one.0 == other.0 && mode(&one.1) && mode(&other.1));
    }

    /// Says whether there is anything to replicate. A tree without is sound, and nothing to run with.
    ///
    /// # Errors
    /// There is no database, no folder of databases, and no resolver.
    pub fn names_any(&self) -> Result<(), Error> {
        if !self.databases.is_empty() || !self.directories.is_empty() || has_resolver(&self.root) {
            return Ok(());
        }
        Err(Error::no_databases(&self.origin, self.root.get("dbs").map_or(0, |dbs| dbs.line)))
    }

    /// Returns the databases, in the order of the file.
    pub fn databases(&self) -> &[Database] {
        &self.databases
    }

    /// Returns the folders of databases, in the order of the file.
    pub fn directories(&self) -> &[Directory] {
        &self.directories
    }

    /// Says whether a replica is in Google's storage, which each series has another name for: no file is for both then.
    pub fn uses_google(&self) -> bool {
        let of_databases = self.databases.iter().flat_map(|database| &database.replicas);
        let of_folders = self.directories.iter().flat_map(|folder| &folder.replicas);
        of_databases.chain(of_folders).any(|replica| replica.kind == Kind::Gcs)
    }

    /// Returns the same with these entries for `dbs`, which are complete; and what is not sound of them.
    pub(in crate::config) fn with_only(&self, entries: Vec<Node>) -> (Self, Result<(), Error>) {
        let mut root = self.root.clone();
        root.set("dbs", Node::list(entries));
        let mut config = self.with_tree(root);
        let mut found = Vec::new();
        config.read_entries(&Budget::default(), &mut found);
        let result = Error::of(&self.origin, self.traces.blame(found), &self.unset);
        (config, result)
    }

    /// Returns the same with another tree, of whose entries nothing has been made yet: [`Config::generate`] needs no more.
    pub(in crate::config) fn with_tree(&self, root: Node) -> Self {
        Self {
            origin: self.origin.clone(),
            root,
            databases: Vec::new(),
            directories: Vec::new(),
            unset: self.unset.clone(),
            traces: self.traces.clone(),
            overrides: self.overrides.clone(),
            completed: BTreeMap::new(),
            cwd: self.cwd.clone(),
            home: self.home.clone(),
        }
    }

    pub(in crate::config) fn retain_databases(&mut self, keep: impl FnMut(&Database) -> bool) {
        self.databases.retain(keep);
    }

    /// Adds another place that the only database's may be meant to be.
    pub(in crate::config) fn with_other(mut self, other: Option<Node>) -> Self {
        if other.is_some() {
            self.completed.entry(0).or_default().other = other;
        }
        self
    }

    pub(in crate::config) fn with_overrides(self, overrides: Vec<Override>) -> Self {
        Self { overrides, ..self }
    }

    /// Returns what variables of the environment made of it.
    pub fn overrides(&self) -> &[Override] {
        &self.overrides
    }

    /// Says which values came from variables.
    pub(in crate::config) fn traces(&self) -> &Traces {
        &self.traces
    }

    /// Returns what this was read from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the settings as they are meant, secrets included: keys respelled, templates and aliases in their place.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Returns the names that the user gave to files, and those files.
    pub fn aliases(&self) -> Vec<(String, PathBuf)> {
        let aliases = self.root.get(SECTION).and_then(|own| own.get("aliases"));
        let Some(NodeKind::Mapping(entries)) = aliases.map(|aliases| &aliases.kind) else {
            return Vec::new();
        };
        let named = |(name, file): &(Node, Node)| {
            let path = self.base().absolute("path", file.as_str()?).ok()?;
            Some((name.key().to_owned(), path))
        };
        entries.iter().filter_map(named).collect()
    }

    /// Returns the command of `exec`, split as Litestream splits it; none if it is not set or empty.
    ///
    /// # Errors
    /// When Litestream would silently run something else than what is written: it stops at `&&`, `;`,
    /// `|`, `<` and `>`, and takes backticks and parentheses for text.
    pub fn exec(&self) -> Result<Option<Vec<String>>, Error> {
        let Some(node) = self.root.get("exec") else { return Ok(None) };
        let problem = |problem| Error::new(self.origin.clone(), node.line, 0, problem);
        let line = node.as_str().ok_or_else(|| problem(types::wrong_type(node, "exec", Type::Text)))?;
        let arguments = exec::split(line).map_err(problem)?;
        Ok(Some(arguments).filter(|arguments| !arguments.is_empty()))
    }

    /// Says whether this series of Litestream can do what is written.
    ///
    /// # Errors
    /// Every value that this series refuses. For 0.5, every database with more than one replica; for
    /// 0.3, every folder of databases, and replicas of one database with one name.
    pub fn check(&self, series: Series) -> Result<(), Error> {
        Error::of(&self.origin, self.traces.blame(self.refused(series)), &self.unset)
    }

    /// Does as [`Config::check`], where all but the databases of an answer is known to be sound: what is wrong stands
    /// in that, and in no file.
    ///
    /// # Errors
    /// The same, of the resolver.
    pub fn check_answer(&self, series: Series) -> Result<(), Error> {
        let mut found = self.refused(series);
        // The driver knows what runs already by its real path, and names both.
        found.retain(|(_, problem)| !matches!(problem, Problem::SameDatabase { .. }));
        Error::of(&Origin::Resolver, found, &[])
    }

    fn refused(&self, series: Series) -> Vec<(usize, Problem)> {
        let refused =
            types::refused(&self.root, series).into_iter().filter(|(_, problem)| !problem.is_taken());
        let mut found: Vec<_> = refused.map(|(node, problem)| (node.line, problem)).collect();
        found.extend(real::find(&self.databases, &self.directories));
        match series {
            Series::V03 => {
                found.extend(self.directories.iter().map(|d| (d.line, Problem::NotIn03)));
                found.extend(self.databases.iter().filter_map(same_name));
            }
            Series::V05 => {
                let databases = self.databases.iter().map(|d| (d.line, &d.path, d.replicas.len()));
                let directories = self.directories.iter().map(|d| (d.line, &d.dir, d.replicas.len()));
                found.extend(databases.chain(directories).filter(|(_, _, count)| *count > 1).map(
                    |(line, path, count)| {
                        (line, Problem::SeveralReplicas { database: path.display().to_string(), count })
                    },
                ));
            }
        }
        found.sort_by_key(|(line, _)| *line);
        found
    }

    /// Returns what relative paths of this configuration are relative to.
    pub(in crate::config) fn base(&self) -> Base<'_> {
        Base { cwd: &self.cwd, home: self.home.as_deref() }
    }

    fn entries(&self) -> Result<&[Node], (usize, Problem)> {
        if !self.root.is_mapping() && !self.root.is_null() {
            return Err((self.root.line, Problem::NotMapping { what: "a configuration".to_owned() }));
        }
        let dbs = self.root.get("dbs").ok_or((0, Problem::NoDatabases))?;
        dbs.as_list()
            .ok_or_else(|| (dbs.line, types::wrong_type(dbs, "dbs", Type::Mappings(Section::Database))))
    }

    /// Returns the user's own place for the control socket; none if Litekeeper chooses it.
    ///
    /// Litestream takes the path as it is written, `~` included.
    pub fn socket(&self) -> Option<PathBuf> {
        let path = self.if_on("path")?.as_str().filter(|path| !path.is_empty())?;
        Some(self.base().cwd.join(Path::new(path)))
    }

    /// Says how long Litestream keeps its own files of single transactions at least; none for its default of five minutes.
    pub fn l0_retention(&self) -> Option<std::time::Duration> {
        let retention = crate::config::duration::of_setting(self.root().get("l0-retention")?)?;
        // 0 keeps them for ever.
        (!retention.is_zero()).then_some(retention)
    }

    /// Says whether the control socket is switched off, which cannot be.
    pub fn is_socket_off(&self) -> bool {
        self.socket_setting("enabled").and_then(Node::as_bool) == Some(false)
    }

    /// Returns the permissions that the user wants for it.
    pub(in crate::config) fn socket_permissions(&self) -> Option<Node> {
        self.if_on("permissions").filter(|permissions| permissions.as_u64().is_some()).cloned()
    }

    /// Returns a setting of the socket; where there is to be none, its settings do not count.
    fn if_on(&self, key: &str) -> Option<&Node> {
        self.socket_setting(key).filter(|_| !self.is_socket_off())
    }

    fn socket_setting(&self, key: &str) -> Option<&Node> {
        self.root().get("socket")?.get(key)
    }
}

/// Finds two replicas of one name: 0.3 knows a replica by its name, or else by its type.
fn same_name(database: &Database) -> Option<(usize, Problem)> {
    let mut names = BTreeSet::new();
    let twice = database.replicas.iter().find(|replica| !names.insert(replica.name.as_str()))?;
    let database = database.path.display().to_string();
    Some((twice.line, Problem::SameName { database, name: twice.name.clone() }))
}

/// Says whether the file names replicas that are only read, which is enough for some.
fn has_replicas(root: &Node) -> bool {
    root.get(SECTION).and_then(|own| own.get("vfs")).is_some_and(Node::is_mapping)
}

/// Says whether databases are still to be found.
pub(in crate::config) fn has_resolver(root: &Node) -> bool {
    root.get(SECTION).and_then(|own| own.get("resolver")).is_some()
}

/// Makes of the entries of `dbs`, from `first` on, what Litestream understands, and says the rest of it.
fn complete_entries(
    root: &mut Node,
    first: usize,
    env: Env<'_>,
    budget: &Budget,
    found: &mut Vec<(usize, Problem)>,
) -> BTreeMap<usize, Completed> {
    let mut completed = BTreeMap::new();
    // Nothing below looks for it in the tree meanwhile.
    let Some(mut dbs) = root.get_mut("dbs").map(|dbs| std::mem::replace(dbs, Node::plain(""))) else {
        return completed;
    };
    if let NodeKind::Sequence(entries) = &mut dbs.kind {
        let takers: Vec<usize> = entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| templates::has_no_replica(entry))
            .map(|(n, _)| n)
            .collect();
        // One that a resolver names later may have none either.
        let alone = matches!(&takers[..], [only] if entries[*only].get("dir").is_none())
            && first == 0
            && !has_resolver(root);
        let additions = Additions::of(root, env, budget);
        for (number, entry) in entries.iter_mut().enumerate().skip(first) {
            let Some(mut said) = additions.complete(entry, alone, found) else { continue };
            // Of several, the first is the one that was there alone, if any was.
            let is_first = first == 0 && takers.first() == Some(&number);
            said.other = said.other.take().filter(|_| is_first);
            completed.insert(number, said);
        }
    }
    root.set("dbs", dbs);
    completed
}

/// Without the tree, which holds secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("origin", &self.origin)
            .field("databases", &self.databases)
            .field("directories", &self.directories)
            .finish_non_exhaustive()
    }
}
