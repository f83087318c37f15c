//! Which databases there are, and where they go: flags, then variables, then files, then what the
//! platform's environment says.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::layers;
use super::settings::variable;
use crate::config::lint::{self, Lint, Severity};
use crate::config::{self, Config, Document, GenerateOptions, Kind, LoadOptions, Node, Section, Series};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::litestream::database::Database;
use crate::litestream::folder::{self, Backups, Folder};
use crate::os::user;
use crate::supervise::Inputs;

/// Where the command line says that the databases are.
pub(super) struct Source<'a> {
    /// `--config`.
    pub(super) config: Option<&'a Path>,
    /// Each `--db`.
    pub(super) dbs: &'a [String],
    /// Each `--replica`.
    pub(super) replicas: &'a [String],
    /// `--no-expand-env`.
    pub(super) no_expand_env: bool,
}

/// What there is to read.
pub(super) enum Found {
    /// Databases and their replicas, by flags or variables.
    Pairs(Vec<(String, String)>),
    /// A file.
    File(Document),
    /// The environment at most.
    Nothing,
}

/// Finds the configuration, and opens it if it is a file.
///
/// # Errors
/// Why it cannot be opened.
pub(super) fn open(source: &Source<'_>, cwd: &Path) -> Result<Found, Failure> {
    if let Some(pairs) = pairs(source)? {
        return Ok(Found::Pairs(pairs));
    }
    let exists = |path: &Path| is_there(&cwd.join(path));
    let Some(path) = config::find(source.config, &text_variable, &exists) else { return Ok(Found::Nothing) };
    let document = with_options(source.no_expand_env, cwd, |options| config::open(&path, options));
    document.map(Found::File).map_err(|error| failure(&error))
}

/// Reads both halves of the configuration: what is Litestream's, and what is Litekeeper's own.
///
/// # Errors
/// Everything that is wrong with either, or that there is nothing to read.
pub(super) fn read(found: Found, source: &Source<'_>, cwd: &Path) -> Result<(Config, Section), Failure> {
    with_options(source.no_expand_env, cwd, |options| match found {
        Found::Pairs(pairs) => Ok((Config::from_pairs(&pairs, options)?, Section::default())),
        Found::File(document) => {
            let section = Section::read(&document, &text_variable, &layers::accepts);
            let (section, config) = config::Error::both(section, document.config(options))?;
            Ok((config, section))
        }
        Found::Nothing => match Config::from_environment(options)? {
            Some(config) => Ok((config, Section::default())),
            None => Err(config::Error::nothing_given()),
        },
    })
    .map_err(|error| failure(&error))
}

/// What Litestream would swallow of a file without a word, or choke on later.
pub(super) struct Swallowed {
    document: Option<Document>,
    no_expand_env: bool,
    cwd: PathBuf,
}

impl Swallowed {
    /// Keeps what there is to look at until it is known which Litestream reads it.
    pub(super) fn of(found: &Found, source: &Source<'_>, cwd: &Path) -> Self {
        let document = match found {
            Found::File(document) => Some(document.clone()),
            Found::Pairs(_) | Found::Nothing => None,
        };
        Self { document, no_expand_env: source.no_expand_env, cwd: cwd.to_owned() }
    }

    /// What has to be said before the app starts; notes are for `check`.
    fn lints(&self, series: Series) -> Vec<Lint> {
        let Some(document) = &self.document else { return Vec::new() };
        with_options(self.no_expand_env, &self.cwd, |options| {
            let mut lints = lint::lint(document, options, Some(series), &[]);
            lints.retain(|lint| lint.rule.severity != Severity::Note);
            lints
        })
    }
}

/// Litekeeper's own half alone, which an app without Litestream needs.
///
/// # Errors
/// Everything that is wrong in it.
pub(super) fn section(found: &Found) -> Result<Section, Failure> {
    match found {
        Found::File(document) => {
            Section::read(document, &text_variable, &layers::accepts).map_err(|error| failure(&error))
        }
        Found::Pairs(_) | Found::Nothing => Ok(Section::default()),
    }
}

fn with_options<T>(no_expand_env: bool, cwd: &Path, f: impl FnOnce(&LoadOptions<'_>) -> T) -> T {
    let home = user::home();
    f(&LoadOptions {
        no_expand_env,
        env: &text_variable,
        cwd,
        home: home.as_deref(),
        pid: std::process::id(),
    })
}

/// `--db` and `--replica`, or the variables in their place; a flag outweighs every variable.
pub(super) fn pairs(source: &Source<'_>) -> Result<Option<Vec<(String, String)>>, Failure> {
    let given = !source.dbs.is_empty() || !source.replicas.is_empty();
    match (source.config, given) {
        (Some(_), true) => Err(Failure::new(ExitCode::USAGE, "--config and --db cannot be combined")
            .hint("put the database into the config file, or leave --config out")),
        (Some(_), false) => Ok(None),
        (None, true) if source.dbs.len() != source.replicas.len() => {
            let (dbs, replicas) = (source.dbs.len(), source.replicas.len());
            Err(Failure::new(ExitCode::USAGE, format!("{dbs} --db but {replicas} --replica"))
                .hint("each database has one replica: --db PATH --replica URL"))
        }
        (None, true) => Ok(Some(source.dbs.iter().cloned().zip(source.replicas.iter().cloned()).collect())),
        (None, false) => match (text_variable("LITEKEEPER_DB"), text_variable("LITEKEEPER_REPLICA")) {
            (Some(db), Some(replica)) => Ok(Some(vec![(db, replica)])),
            (None, None) => Ok(None),
            (Some(_), None) => Err(half("LITEKEEPER_DB", "LITEKEEPER_REPLICA")),
            (None, Some(_)) => Err(half("LITEKEEPER_REPLICA", "LITEKEEPER_DB")),
        },
    }
}

/// Whether there is anything of this name. Docker makes a folder in the place of a file that it was to mount and that
/// is not there; passing over it would be another configuration than the one that was meant.
pub(super) fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn half(there: &str, missing: &str) -> Failure {
    Failure::new(ExitCode::USAGE, format!("{there} is set, but {missing} is not"))
        .hint("set both, or neither")
}

/// The databases as the other rooms want them.
pub(super) fn databases(config: &Config) -> Vec<Database> {
    config.databases().iter().map(database).collect()
}

/// The folders of databases as the other rooms want them.
pub(super) fn folders(config: &Config) -> Vec<Folder> {
    let folder = |(place, directory): (usize, &config::Directory)| Folder {
        dir: directory.dir.clone(),
        pattern: directory.pattern.clone(),
        recursive: directory.recursive,
        watch: directory.watch,
        backups: backups(config, place, directory),
    };
    config.directories().iter().enumerate().map(folder).collect()
}

fn backups(config: &Config, place: usize, directory: &config::Directory) -> Backups {
    let Some(replica) = directory.replicas.first() else { return Backups::Unlisted("no replica".to_owned()) };
    let unlisted = |why: &str| Backups::Unlisted(why.to_owned());
    match (&replica.kind, config.folder_s3(place)) {
        (Kind::File, _) => Backups::Folder(PathBuf::from(&replica.display)),
        (Kind::S3, Ok(Some(s3))) => {
            let mut order = serde_json::json!(s3);
            order["recursive"] = directory.recursive.into();
            let json = order.to_string().into_bytes();
            Backups::S3(folder::Order { place: replica.display.clone(), json })
        }
        (Kind::S3, Err(why)) => unlisted(why),
        (kind, _) => unlisted(&format!("it is on {kind}")),
    }
}

/// A database as the other rooms want it.
pub(super) fn database(database: &config::Database) -> Database {
    let replica = database.replicas.first();
    let folder =
        replica.filter(|replica| replica.kind == Kind::File).map(|replica| PathBuf::from(&replica.display));
    let places: Vec<&str> = database.replicas.iter().map(|replica| replica.display.as_str()).collect();
    Database {
        path: database.path.clone(),
        meta: database.meta_path.clone(),
        replica: places.join(" and "),
        replica_folder: folder,
    }
}

/// The program that names further databases.
///
/// # Errors
/// What is wrong with what is written about it.
pub(super) fn resolver(config: &Config) -> Result<Option<config::Resolver>, Failure> {
    config::Resolver::read(config.root()).map_err(|(line, what)| {
        let place =
            config.origin().file().map_or_else(String::new, |file| format!("{}:{line}: ", file.display()));
        Failure::new(ExitCode::CONFIG, format!("{place}{what}"))
    })
}

/// Whether this series of Litestream can do what is configured. What it would do otherwise than it is
/// written is logged.
///
/// # Errors
/// What it cannot.
pub(super) fn check(config: &Config, swallowed: &Swallowed, is_ltx: bool) -> Result<(), Failure> {
    let series = if is_ltx { Series::V05 } else { Series::V03 };
    config.check(series).map_err(|error| failure(&error))?;
    for lint in swallowed.lints(series).into_iter().chain(lint::replicas(config, series)) {
        let hint = lint.hint.as_ref().map_or_else(String::new, |hint| format!(": {hint}"));
        tracing::warn!("{}:{}: {}{hint}", lint.origin, lint.line, lint.message);
    }
    Ok(())
}

/// What Litestream gets: the form that both series read, since which one runs is found out meanwhile.
pub(super) fn generate(config: &Config, socket: &Path, shutdown_sync_timeout: Duration) -> Inputs {
    let generated = config.generate(&generate_options(socket, shutdown_sync_timeout));
    Inputs { config: generated.text, env: generated.env }
}

/// The same as a tree.
pub(super) fn tree(config: &Config, socket: &Path, shutdown_sync_timeout: Duration) -> Node {
    config.tree(&generate_options(socket, shutdown_sync_timeout))
}

fn generate_options(socket: &Path, shutdown_sync_timeout: Duration) -> GenerateOptions {
    GenerateOptions { socket: socket.to_owned(), shutdown_sync_timeout, series: Series::V03 }
}

pub(super) fn text_variable(name: &str) -> Option<String> {
    variable(name).and_then(|value| value.into_string().ok())
}

/// Looks a variable up that a program with this environment has as well, with the same value: what is hidden from it,
/// it cannot name.
pub(super) fn also_in(env: &[(OsString, OsString)]) -> impl Fn(&str) -> Option<String> {
    |name| {
        let value = text_variable(name)?;
        let is_it = |(known, seen): &(OsString, OsString)| known == name && *seen == *value;
        env.iter().any(is_it).then_some(value)
    }
}

/// A room's error, as the program's end.
pub(super) fn failure(error: &config::Error) -> Failure {
    let failure = Failure::lines(error.exit(), error.findings().iter().map(ToString::to_string));
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
