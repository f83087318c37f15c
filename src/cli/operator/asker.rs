//! Litestream, to be asked about some databases.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::args::Given;
use super::candidate::Candidate;
use super::opened::Opened;
use crate::backup::trial::{Sample, Trials};
use crate::backup::{self, Apart, Restorer};
use crate::check;
use crate::cli::args::Run;
use crate::cli::findings;
use crate::cli::process::variable;
use crate::config::Series;
use crate::config::lint::Severity;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::inventory::{self, Inventory};
use crate::litestream::argv;
use crate::litestream::binary::{self, Named};
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::litestream::install;
use crate::litestream::version::Version;
use crate::os::children::Children;
use crate::replica::helper::Formats;

/// It, with a private folder for what it is told.
pub(super) struct Asker {
    /// Runs it.
    pub(super) runner: Runner,
    /// Which one it is.
    pub(super) version: Version,
    /// The configurations that it reads, which go with this.
    folder: Sample,
}

impl Asker {
    /// Finds Litestream, and asks it for its version.
    ///
    /// # Errors
    /// There is none that can be used, or not for this configuration.
    pub(super) async fn start(opened: &Opened, children: Children) -> Result<Self, Failure> {
        let args = &opened.said.layers.args;
        let (wanted, allowed) = (args.litestream_version, args.allow_litestream.as_deref());
        let runner = |binary| opened.runner(binary, children.clone());
        let found = check::look_for_litestream(opened.binary(), runner, wanted, allowed).await;
        let is_error = |severity: Severity| match severity {
            Severity::Error => true,
            Severity::Warning | Severity::Note => false,
        };
        let is_missing = found.usable.is_none();
        let bad = found.lints.into_iter().filter(|lint| is_missing || is_error(lint.rule.severity));
        findings::refusal(bad.collect())?;
        let Some((binary, version)) = found.usable else {
            return Err(Failure::new(ExitCode::CONFIG, "litestream was not found")
                .hint("`litekeeper install` gets it"));
        };
        if !version.is_ltx() {
            opened.refuse_parameters(version)?;
        }
        let series = Series::of(version.is_ltx());
        opened.said.configured.check(series).map_err(|error| inventory::failure(&error))?;
        let folder = Sample::make(None).map_err(|error| {
            Failure::new(
                ExitCode::UNAVAILABLE,
                format!("no private folder for litestream's configuration: {error}"),
            )
            .hint("set TMPDIR to a folder that this user may write to")
        })?;
        Ok(Self { runner: runner(binary), version, folder })
    }

    /// Writes a configuration for each of these databases by itself.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn apart(
        &self,
        inventory: &Inventory,
        chosen: &[Candidate],
    ) -> Result<Rc<BTreeMap<PathBuf, Apart>>, Failure> {
        let entries: Vec<_> = chosen.iter().filter_map(|one| one.entry.clone()).collect();
        let wanted: BTreeSet<PathBuf> = chosen.iter().map(|one| one.db.path.clone()).collect();
        // Nobody listens there: none of these commands replicates.
        let socket = self.folder.path("litestream.sock");
        let mut all = BTreeMap::new();
        for (number, (path, inputs)) in inventory.apart(&socket, &entries, &wanted).into_iter().enumerate() {
            let name = format!("{number}.yml");
            let written = self.folder.configure(&self.runner, &name, &inputs.config, &inputs.env);
            let (runner, config) = written.map_err(|reason| {
                Failure::new(ExitCode::UNAVAILABLE, reason).hint("set TMPDIR to a folder with some space")
            })?;
            all.insert(path, (config, runner.env));
        }
        Ok(Rc::new(all))
    }

    /// Restores the newest of each of these, by a configuration of its own.
    pub(super) fn restorer(
        &self,
        settings: &Run,
        apart: Rc<BTreeMap<PathBuf, Apart>>,
        timeout: Duration,
    ) -> Restorer {
        Restorer {
            runner: self.runner.clone(),
            version: self.version,
            allowed: self.version.is_allowed(settings.allow_litestream.as_deref()),
            config: PathBuf::new(),
            timeout,
            parallel: settings.restore_parallel,
            chosen: Rc::default(),
            elsewhere: Rc::default(),
            apart,
            trials: Trials::default(),
            manner: Rc::default(),
        }
    }

    /// Has a command of Litestream's list something of a database.
    ///
    /// # Errors
    /// It did not, in its words.
    pub(super) async fn list(
        &self,
        inventory: &Inventory,
        one: &Candidate,
        (command, options): (&str, &[OsString]),
        limit: Duration,
    ) -> Result<String, Failure> {
        let apart = self.apart(inventory, std::slice::from_ref(one))?;
        let Some((config, env)) = apart.get(&one.db.path) else {
            return Err(nameless(&one.db));
        };
        let runner = Runner { env: env.clone(), ..self.runner.clone() };
        let listed = match command {
            "ltx" if options.is_empty() => backup::files(&runner, config, &one.db, limit).await,
            command => {
                let args = argv::list(command, config, &one.db.path, options);
                backup::listed(&runner, &one.db, &args, limit).await
            }
        };
        listed.map_err(|error| failure(&error))
    }

    /// What a database's place holds of either series, or why that could not be seen; `None` where nobody but Litestream can look.
    pub(super) async fn held(
        &self,
        inventory: &Inventory,
        one: &Candidate,
        limit: Duration,
    ) -> Option<Result<Formats, String>> {
        let apart = self.apart(inventory, std::slice::from_ref(one)).ok()?;
        let (_, env) = apart.get(&one.db.path)?;
        let runner = Runner { env: env.clone(), ..self.runner.clone() };
        backup::held_formats(&runner, &one.db, limit).await
    }
}

/// Why Litestream cannot be asked about a database.
pub(super) const NAMELESS: &str = "its name is no UTF-8, and litestream cannot be asked about it";

/// The same as the end of a command.
pub(super) fn nameless(db: &Database) -> Failure {
    Failure::new(ExitCode::CONFIG, format!("{}: {NAMELESS}", db.path.display()))
        .hint("name it by its replica's URL")
}

/// What is wrong with a backup, as the end of a command.
pub(super) fn failure(error: &backup::Error) -> Failure {
    Failure::new(error.exit(), error.to_string()).hinted(error.hint())
}

/// Litestream, and what runs it, for who has no configuration.
pub(super) fn without_settings(
    given: &Given,
    children: Children,
) -> Result<(PathBuf, Runner), binary::Error> {
    let first = given.litestream_binary.clone().map(|path| ("--litestream-binary".to_owned(), path));
    let named = Named { first, ..Named::default() };
    let cwd = std::env::current_dir().unwrap_or_default();
    let path = binary::find(named, &variable, &cwd, install::installed(variable), None)?;
    let env = Rc::new(Vec::new());
    let runner = Runner { binary: path.clone(), user: None, children, env, inherit: Vec::new() };
    Ok((path, runner))
}
