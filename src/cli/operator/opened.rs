//! The settings of a run, for a command that runs no app.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser as _;

use super::args::Given;
use crate::cli::args::{Cli, Command, Run};
use crate::cli::databases;
use crate::cli::layers::Line;
use crate::cli::mounted::{self, text_variable};
use crate::cli::process;
use crate::cli::settings::{self, First, Said};
use crate::cli::typed;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::inventory::{self, Environment, Inventory, Old};
use crate::litestream::binary;
use crate::litestream::command::Runner;
use crate::litestream::version::Version;
use crate::os::children::Children;
use crate::os::permit;
use crate::os::user::{self, Identity};
use crate::secrets;

/// All that is said, by flag, variable and file, and read.
pub(super) struct Opened {
    /// It.
    pub(super) said: Said,
    /// Who Litestream runs as, and whom the databases belong to, unless that is this process's own user.
    pub(super) user: Option<Identity>,
    /// A replica's URL in the place of a configuration.
    url: Option<String>,
}

/// What a replica's URL begins with (`NewReplicaClientFromURL` in Litestream's replica_url.go, and its clients).
const SCHEMES: [&str; 9] = ["s3", "file", "gs", "abs", "sftp", "nats", "webdav", "webdavs", "oss"];

/// Reads the settings; `pair` is a database and its replica's URL in the place of a configuration.
///
/// # Errors
/// What `run` would say of them.
pub(super) fn open(given: &Given, pair: Option<(&OsStr, &str)>) -> Result<Opened, Failure> {
    if pair.is_some() && given.config.is_some() {
        return Err(Failure::new(ExitCode::USAGE, "a replica's URL and --config cannot be combined").hint(
            "name the database of the configuration; or leave --config out: keys for a URL come from the environment, or --env-file",
        ));
    }
    if let Some((_, url)) = pair {
        refuse_unknown(url)?;
    }
    let opened = open_any(given, pair)?;
    opened.said.configured.names_any().map_err(|error| inventory::failure(&error))?;
    Ok(opened)
}

/// The same for who needs no database.
///
/// # Errors
/// As [`open`].
pub(super) fn open_any(given: &Given, pair: Option<(&OsStr, &str)>) -> Result<Opened, Failure> {
    let words = words(given, pair);
    let run = match Cli::try_parse_from(&words) {
        Ok(Cli { command: Command::Run(run) }) => run,
        Ok(_) => return Err(Failure::new(ExitCode::USAGE, "the command is not `run`").hint("report this")),
        // What is refused stands in a variable.
        Err(mut error) => {
            typed::mask(&mut error);
            return Err(Failure::lines(ExitCode::USAGE, error.to_string().trim_end().split('\n'))
                .hint("correct the variable, or leave it out"));
        }
    };
    let line = Line { words: &words, subcommand: "run", run: &run };
    // As in `check`: a look at a folder is no word that what lies there is to be believed.
    databases::refuse_of_another(&settings::source(&run), &process::current_dir()?)?;
    let said = settings::read(line, First::mount(line)?).map_err(|failure| explained(failure, &run))?;
    mounted::check()?;
    let named = settings::named_user(&said.layers)?;
    let user = named.filter(|named| user::is_root() && !named.is_current());
    if let Some(user) = &user {
        databases::refuse_unreadable(user)?;
    }
    permit::belong_to(user.as_ref());
    Ok(Opened { said, user, url: pair.map(|(_, url)| url.to_owned()) })
}

fn refuse_unknown(url: &str) -> Result<(), Failure> {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    if SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Ok(());
    }
    let what = format!("{}: litestream replicates to no `{scheme}://`", secrets::mask(url));
    Err(Failure::new(ExitCode::USAGE, what).hint(format!("it knows {}", SCHEMES.join("://, ") + "://")))
}

/// With the next step of these commands, where there is no configuration at all.
fn explained(failure: Failure, run: &Run) -> Failure {
    let source = settings::source(run);
    let found = || Some(databases::find(source.config, &process::current_dir().ok()?).ok()?.is_some());
    let is_given = !matches!(databases::pairs(&source), Ok(None)) || found() != Some(false);
    if is_given || failure.exit != ExitCode::USAGE {
        let hint = failure.hint.as_deref().map(with_variables);
        return Failure { hint, ..failure };
    }
    failure.hint(
        "name a litestream.yml with --config, or set LITEKEEPER_DB and LITEKEEPER_REPLICA; `litekeeper init` writes one; a list takes a \
         replica's URL in the place of both",
    )
}

/// A hint of `run`'s, for commands that have variables in the place of its `--db` and `--replica`.
fn with_variables(hint: &str) -> String {
    ["give --db and --replica", "give --db PATH --replica URL", "give both: --db PATH --replica URL"]
        .iter()
        .fold(hint.to_owned(), |hint, flags| hint.replace(flags, "set LITEKEEPER_DB and LITEKEEPER_REPLICA"))
}

/// The command line of a run with these settings.
fn words(given: &Given, pair: Option<(&OsStr, &str)>) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["litekeeper".into(), "run".into()];
    let mut add = |option: &str, value: &OsStr| {
        let mut word = OsString::from(option);
        word.push("=");
        word.push(value);
        words.push(word);
    };
    given.config.iter().for_each(|file| add("--config", file.as_os_str()));
    given.env_file.iter().for_each(|file| add("--env-file", file.as_os_str()));
    given.litestream_binary.iter().for_each(|file| add("--litestream-binary", file.as_os_str()));
    if let Some((db, url)) = pair {
        add("--db", db);
        add("--replica", url.as_ref());
    }
    if given.no_expand_env {
        words.push("--no-expand-env".into());
    }
    words
}

impl Opened {
    /// Refuses a URL that means something else to a Litestream that reads no parameters.
    ///
    /// # Errors
    /// It has parameters.
    pub(super) fn refuse_parameters(&self, version: Version) -> Result<(), Failure> {
        match self.url.as_deref().filter(|url| url.contains('?')) {
            None => Ok(()),
            Some(url) => Err(Failure::new(
                ExitCode::USAGE,
                format!("{}: litestream {version} reads no parameters in a URL", secrets::mask(url)),
            )
            .hint("write the endpoint as s3://BUCKET.HOST:PORT/PATH, or name the database of a configuration that has `endpoint`")),
        }
    }

    /// Where Litestream is, as far as that is known without running it.
    pub(super) fn binary(&self) -> Result<PathBuf, binary::Error> {
        settings::litestream(&self.said.layers, &self.said.cwd, self.user.as_ref())
    }

    /// Runs a Litestream for these settings.
    pub(super) fn runner(&self, binary: PathBuf, children: Children) -> Runner {
        let env = Rc::new(mounted::for_litestream());
        Runner { binary, user: self.user.clone(), children, env, inherit: Vec::new() }
    }

    /// What the configuration knows of its databases, for the Litestream that is here.
    pub(super) fn inventory(&self) -> Inventory {
        // Of which series it is matters before it has been run.
        let path = self.binary().unwrap_or_default();
        let old = Old::of(&path, self.said.layers.args.litestream_version);
        let environment = Environment {
            variable: text_variable,
            mounted: mounted::for_litestream,
            seen: process::environment(),
        };
        let shutdown_sync = Duration::from_secs(1);
        Inventory::new(self.said.configured.clone(), None, shutdown_sync, false, environment, old.into())
    }
}
