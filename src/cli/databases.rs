//! Which databases there are, and where they go: flags, then variables, then files, then what the
//! platform's environment says.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::layers;
use super::mounted::text_variable;
use super::process;
use crate::config::{self, Config, Document, KeeperSection, LoadOptions, lint};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::inventory::failure;
use crate::os::permit;
use crate::os::user::{self, Identity};
use crate::os::way::{self, Hand, Trusted};
use crate::secrets;

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

/// A database and its replica, if it does not have the environment's.
pub(super) type Pair = (String, Option<String>);

/// What there is to read.
pub(super) enum Found {
    /// Databases and their replicas, by flags or variables.
    Pairs(Vec<Pair>),
    /// A file, as a tree or with what keeps it from being one.
    File(PathBuf, Result<Box<Document>, config::Error>),
    /// The environment at most.
    Nothing,
}

impl Found {
    /// The configuration's file, if there is one.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path, _) => Some(path),
            Self::Pairs(_) | Self::Nothing => None,
        }
    }

    /// The tree of that file, if it is one.
    pub(super) fn document(&self) -> Option<&Document> {
        match self {
            Self::File(_, Ok(document)) => Some(document),
            Self::File(_, Err(_)) | Self::Pairs(_) | Self::Nothing => None,
        }
    }
}

/// Finds the configuration, and makes a tree of it if it is a file: the one tree that all else is read from.
///
/// # Errors
/// It cannot be said where it is.
pub(super) fn open(source: &Source<'_>, cwd: &Path) -> Result<Found, Failure> {
    know_secrets_of_variables();
    if let Some(pairs) = pairs(source)? {
        return Ok(Found::Pairs(pairs));
    }
    let Some((path, is_found)) = find(source.config, cwd)? else { return Ok(Found::Nothing) };
    let read = read_once(&path, is_found);
    let document = with_options(source.no_expand_env, cwd, |options| config::open_read(&path, read, options));
    // What is a secret in it is shown nowhere, whoever repeats it.
    document.iter().for_each(|document| config::each_secret(&document.root, &mut secrets::know));
    Ok(Found::File(path, document.map(Box::new)))
}

/// Where the configuration is, and whether it was found there without having been named.
///
/// # Errors
/// It was, and somebody else can have written it ([`search`]). In a folder of another user that nobody else may write to, a
/// file of root's own is taken by `run`: who starts an app there runs what that user has put there anyway.
pub(super) fn find(flag: Option<&Path>, cwd: &Path) -> Result<Option<(PathBuf, bool)>, Failure> {
    let found = search(flag, cwd)?;
    if let Some((path, true)) = &found {
        let trusted = Trusted { folders_of_others: user::is_root(), ..Trusted::default() };
        refuse(path, way::other_hand(&cwd.join(path), trusted))?;
    }
    Ok(found)
}

/// As [`find`], whoever can have written it.
///
/// Who writes a configuration decides what is run, and as whom. What is named is meant; but what is found where another
/// user decides what stands is not.
///
/// # Errors
/// There are two, and the second is of nobody else's making.
fn search(flag: Option<&Path>, cwd: &Path) -> Result<Option<(PathBuf, bool)>, Failure> {
    if let Some(named) = config::named(flag, &text_variable) {
        return Ok(Some((named, false)));
    }
    let exists = |path: &Path| is_there(&cwd.join(path));
    let hand = |path: &Path| way::other_hand(&cwd.join(path), Trusted::default());
    let mut usual = config::usual(&exists);
    let Some(first) = usual.next() else { return Ok(None) };
    if let Some(other) = hand(&first)
        && let Some(own) = usual.find(|path| hand(path).is_none())
    {
        let (first, own) = (first.display(), own.display());
        let whose = if user::is_root() { "root's" } else { "this user's" };
        let message = format!("{first}: {other} can put what it likes there, and {own} is {whose} own");
        return Err(Failure::new(ExitCode::CONFIG, message)
            .hint(format!("name the one that is meant: --config {own} or --config {first}")));
    }
    Ok(Some((first, true)))
}

/// A configuration that was found, without its having been named, where another user decides what stands, and who that is:
/// who wrote it is not known to be whoever starts this.
///
/// # Errors
/// As [`search`].
pub(super) fn of_another(source: &Source<'_>, cwd: &Path) -> Result<Option<(PathBuf, Hand)>, Failure> {
    if pairs(source)?.is_some() {
        return Ok(None);
    }
    let found = search(source.config, cwd)?.filter(|(_, is_found)| *is_found);
    let hand = |path: &Path| way::other_hand(&cwd.join(path), Trusted::default());
    Ok(found.and_then(|(path, _)| hand(&path).map(|hand| (path, hand))))
}

/// # Errors
/// There is such a configuration ([`of_another`]), where it is for more than its user: the app is to run as another one.
pub(super) fn refuse_of_another(source: &Source<'_>, cwd: &Path) -> Result<(), Failure> {
    match of_another(source, cwd)? {
        Some((path, hand)) => refuse(&path, Some(hand)),
        None => Ok(()),
    }
}

fn refuse(path: &Path, hand: Option<Hand>) -> Result<(), Failure> {
    let Some(hand) = hand else { return Ok(()) };
    let message = format!("{}: {}", path.display(), put_there(hand));
    Err(Failure::new(ExitCode::CONFIG, message).hint(name_it(path)))
}

/// What is said of a configuration that was found and is not taken.
pub(super) fn put_there(hand: Hand) -> String {
    format!("it was found, not named, and {hand} can put what it likes there")
}

/// What then helps.
pub(super) fn name_it(path: &Path) -> String {
    let does = if user::is_root() { "root" } else { "this user" };
    format!("if it is meant, name it: --config {}; who can write it decides what {does} does", path.display())
}

/// # Errors
/// Something that root has read for the app is what its user could not have read, though that user decides what stands there.
pub(super) fn refuse_unreadable(user: &Identity) -> Result<(), Failure> {
    permit::refuse_what_they_cannot_read(user).map_err(|path| {
        let message = format!(
            "{}: another user decides what stands there, and user {} cannot read it",
            path.display(),
            user.uid
        );
        Failure::new(ExitCode::CONFIG, message).hint(
            "let that user read it, or put it into a folder where root alone can write, by a path of root's",
        )
    })
}

/// What the configuration's file says. It is opened before and after the variables of `--env-file` are known, and what it says is
/// the same both times: a pipe (`<(…)`) has it once.
pub(super) fn read_once(path: &Path, is_found: bool) -> std::io::Result<Vec<u8>> {
    static READ: Mutex<Option<(PathBuf, Vec<u8>)>> = Mutex::new(None);
    let mut last = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, bytes)) = last.as_ref().filter(|(known, _)| known == path) {
        return Ok(bytes.clone());
    }
    let bytes = config::read(path, is_found)?;
    *last = Some((path.to_owned(), bytes.clone()));
    Ok(bytes)
}

/// The same of what a variable says that is called a secret.
fn know_secrets_of_variables() {
    for (name, value) in process::environment() {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
        // A folder is none, whatever the variable is called that names it: PWD, SSH_AUTH_SOCK.
        let is_place = Path::new(value).is_absolute()
            && (name.ends_with("_FILE") || Path::new(value).symlink_metadata().is_ok());
        if secrets::is_secret_name(name) && !is_place {
            secrets::know(value);
        }
        config::secrets_of_url(value).for_each(secrets::know);
    }
}

/// Reads Litestream's half of the configuration.
///
/// # Errors
/// Everything that is wrong with it, or that there is nothing to read.
pub(super) fn configured(found: Found, source: &Source<'_>, cwd: &Path) -> Result<Config, config::Error> {
    with_options(source.no_expand_env, cwd, |options| match found {
        Found::Pairs(pairs) => config::of_pairs(&pairs, options),
        Found::File(_, document) => config::of_document(*document?, options),
        Found::Nothing => config::of_environment(options)?.ok_or_else(|| nothing_given(options)),
    })
}

/// What to say where there is nothing to read.
pub(super) fn nothing_given(options: &LoadOptions<'_>) -> config::Error {
    config::nothing_given(options, &|file| options.cwd.join(file).is_file())
}

/// Reads Litekeeper's own half alone.
///
/// # Errors
/// Everything that is wrong in it, or with the file.
pub(super) fn section(found: &Found) -> Result<KeeperSection, config::Error> {
    match found {
        Found::File(_, Ok(document)) => KeeperSection::read(document, &text_variable, &layers::accepts()),
        Found::File(_, Err(error)) => Err(error.clone()),
        Found::Pairs(_) | Found::Nothing => Ok(KeeperSection::default()),
    }
}

/// Reads Litestream's half beside Litekeeper's own, which has been read.
///
/// # Errors
/// Everything that is wrong with either, or that there is nothing to read.
pub(super) fn both(
    found: Found,
    section: Result<KeeperSection, config::Error>,
    source: &Source<'_>,
    cwd: &Path,
) -> Result<(KeeperSection, Config), Failure> {
    let both = match (found, section) {
        (Found::File(_, Err(error)), _) => Err(error),
        (found, section) => config::Error::both(section, configured(found, source, cwd)),
    };
    both.map_err(|error| failure(&error))
}

pub(super) fn with_options<T>(no_expand_env: bool, cwd: &Path, f: impl FnOnce(&LoadOptions<'_>) -> T) -> T {
    let home = user::home();
    f(&LoadOptions {
        no_expand_env,
        env: &text_variable,
        cwd,
        home: home.as_deref(),
        pid: std::process::id(),
    })
}

/// `--db` and `--replica`, or the variables in their place; a flag outweighs every variable. Databases alone have the
/// replica of the environment, as they have it in a file.
pub(super) fn pairs(source: &Source<'_>) -> Result<Option<Vec<Pair>>, Failure> {
    source.replicas.iter().flat_map(|url| config::secrets_of_url(url)).for_each(secrets::know);
    let from_environment = config::names_replica(&text_variable);
    let given = !source.dbs.is_empty() || !source.replicas.is_empty();
    match (source.config, given) {
        (Some(_), true) => Err(Failure::new(ExitCode::USAGE, "--config and --db cannot be combined")
            .hint("put the database into the config file, or leave --config out")),
        (Some(_), false) => Ok(None),
        (None, true) if source.replicas.is_empty() && from_environment => {
            Ok(Some(source.dbs.iter().map(|db| (db.clone(), None)).collect()))
        }
        (None, true) if source.dbs.len() != source.replicas.len() => {
            let (dbs, replicas) = (source.dbs.len(), source.replicas.len());
            let variables = if replicas == 0 {
                ", or set LITESTREAM_REPLICA_URL or LITESTREAM_REPLICA_BUCKET for all"
            } else {
                ""
            };
            Err(Failure::new(ExitCode::USAGE, format!("{dbs} --db but {replicas} --replica"))
                .hint(format!("each database has one replica: --db PATH --replica URL{variables}")))
        }
        (None, true) => {
            Ok(Some(source.dbs.iter().cloned().zip(source.replicas.iter().cloned().map(Some)).collect()))
        }
        (None, false) => match (text_variable("LITEKEEPER_DB"), text_variable("LITEKEEPER_REPLICA")) {
            (Some(db), Some(replica)) => Ok(Some(vec![(db, Some(replica))])),
            (Some(db), None) if from_environment => Ok(Some(vec![(db, None)])),
            (None, None) => Ok(None),
            (Some(_), None) => Err(half("LITEKEEPER_DB", "LITEKEEPER_REPLICA")),
            (None, Some(_)) => Err(half("LITEKEEPER_REPLICA", "LITEKEEPER_DB")),
        },
    }
}

/// What they leave to the environment.
pub(super) fn said_by(pairs: &[Pair]) -> lint::Said<'static> {
    lint::Said::Pairs { are_whole: pairs.iter().all(|(_, replica)| replica.is_some()) }
}

/// Whether there is anything of this name. Docker makes a folder in the place of a file that it was to mount and that
/// is not there; passing over it would be another configuration than the one that was meant.
pub(super) fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn half(there: &str, missing: &str) -> Failure {
    let hint = match missing {
        "LITEKEEPER_DB" => "set it to the database's file, or leave both out",
        _ => {
            "set it to the replica's URL; or set LITESTREAM_REPLICA_URL or LITESTREAM_REPLICA_BUCKET, which count for it as well"
        }
    };
    Failure::new(ExitCode::USAGE, format!("{there} is set, but {missing} is not")).hint(hint)
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
            .hint("for example `resolver: {command: [bin/tenants, --json], interval: 30s}`")
    })
}
