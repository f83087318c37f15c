//! The app, or another program, in the place of this one.

use std::ffi::OsString;
use std::path::PathBuf;

use super::app_env;
use super::databases::{self, Found};
use super::layers::{Layers, Line};
use super::process::current_dir;
use super::settings;
use crate::config::KeeperSection;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::inventory;
use crate::os::exec::{self, Command};
use crate::os::user::Identity;
use crate::os::{signal, unstarted};
use crate::printer;

/// What such an app is started with.
pub(super) struct Alone {
    /// Its words.
    pub(super) argv: Vec<OsString>,
    /// Its environment.
    pub(super) env: Vec<(OsString, OsString)>,
    /// Its folder, if it is another than this process's.
    pub(super) cwd: Option<PathBuf>,
    /// Who it runs as, unless that is this process's own user.
    pub(super) user: Option<Identity>,
}

impl Alone {
    /// Replaces this process by it.
    ///
    /// # Errors
    /// It cannot be started; or a signal to stop came before.
    pub(super) fn become_it(self) -> Result<ExitCode, Failure> {
        let Self { argv, env, cwd, user } = self;
        if let Some(user) = user {
            let refused = |error| {
                Failure::new(ExitCode::CONFIG, format!("--user: {error}")).hint(
                    "a container needs CAP_SETUID and CAP_SETGID for that; or start all of it as that user",
                )
            };
            user.become_it().map_err(refused)?;
        }
        // A folder that is named is one that this user may enter.
        if let Some(cwd) = &cwd {
            std::env::set_current_dir(cwd).map_err(|error| {
                let message = format!("the app's folder {} cannot be entered: {error}", cwd.display());
                Failure::new(ExitCode::CONFIG, message).hint("make it, or let the app's user enter it")
            })?;
        }
        // As PID 1 a stop that came meanwhile would be lost when it is let go.
        if let Some(number) = signal::held_stop() {
            return Err(Failure::new(ExitCode::of_signal(number), "interrupted"));
        }
        printer::finish();
        signal::reset_for_exec(signal::ignored_at_start(), true);
        let command = Command { argv, env };
        let error = exec::execute(&command);
        let refused = unstarted::explain(&command, cwd.as_deref(), &error);
        let exit = if refused.found { ExitCode::NOT_EXECUTABLE } else { ExitCode::NOT_FOUND };
        Err(Failure::new(exit, refused.to_string()))
    }
}

/// Resolves what an app needs that runs without Litestream: nothing that is Litestream's matters then.
///
/// # Errors
/// What is wrong with what the app itself needs. With a command on the command line that is nothing:
/// then a configuration that cannot be read is passed over.
pub(super) fn alone(line: Line<'_>) -> Result<Alone, Failure> {
    let cwd = current_dir()?;
    let source = settings::source(line.run);
    // Whatever is wrong with the one that is meant, another one must not take its place.
    if !matches!(databases::pairs(&source), Ok(Some(_))) {
        databases::find(source.config, &cwd)?;
    }
    let found = databases::open(&source, &cwd).and_then(|found| {
        let section = databases::section(&found).map_err(|error| inventory::failure(&error))?;
        Ok((section, found))
    });
    let (section, found) = match found {
        Err(_) if !line.run.command.is_empty() => (KeeperSection::default(), Found::Nothing),
        found => found?,
    };
    let layers = Layers::of(line, &section, found.file())?;
    // Without a backup the app still has to know where its database is, if anybody does.
    let configured = databases::configured(found, &source, &cwd).map_err(|error| inventory::failure(&error));
    let mut databases = configured.as_ref().map(app_env::databases).unwrap_or_default();
    let argv = if layers.args.command.is_empty() {
        settings::app(&layers, &configured?)?
    } else {
        layers.args.command.clone()
    };
    let named = settings::user(&layers)?;
    databases.extend(app_env::replicas(&section, &cwd, named.as_ref()));
    let inherited = settings::inherited(named.as_ref());
    let env = app_env::environment(inherited, &layers, section.variables(), &databases, &cwd)?;
    let user = settings::another(named, &source, &cwd)?;
    Ok(Alone { argv, env, cwd: settings::app_folder(&layers, &cwd)?, user })
}
