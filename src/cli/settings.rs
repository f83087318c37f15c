//! The command line as it is meant: flag, variable, file and default have become one value each.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args;
use super::databases::{self, Source};
use crate::config::Config;
use crate::core::{self, BackoffPolicy, ExitCode, Policy};
use crate::error::Failure;
use crate::litestream::{binary, install};
use crate::os::terminal::Terminal;
use crate::os::user::Identity;
use crate::supervise::{self, Setup};

/// The whole environment, as it was at the start.
pub(super) fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

/// Looks a variable up; an empty one counts as unset.
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// What a variable says that switches something off: `false`, `0`, `no` or `off`.
pub(super) fn is_switched_off(name: &str) -> bool {
    variable(name)
        .and_then(|value| value.into_string().ok())
        .is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "false" | "0" | "no" | "off"))
}

/// The current folder.
pub(super) fn current_dir() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| {
        Failure::new(ExitCode::USAGE, format!("the current folder cannot be entered: {error}"))
            .hint("start litekeeper in a folder that is there")
    })
}

/// Resolves the settings of one run.
///
/// # Errors
/// What is wrong with them.
pub(super) fn resolve(args: &args::Run) -> Result<Setup, Failure> {
    let cwd = current_dir()?;
    let configured = databases::read(&source(args), &cwd)?;
    let app = app(&args.command, &configured)?;
    let dbs = databases::databases(&configured);
    let user = user(args.user.as_deref())?;
    let stop_timeout = stop_timeout(args);
    let installed = install::installed(variable);
    let binary = binary::find(&variable, &cwd, installed)
        .map_err(|error| Failure::new(error.exit(), error.to_string()).hint(error.hint()))?;
    let policy = policy(args, stop_timeout, dbs.len());
    // Litestream's last sync has the part of the budget that the drain has.
    let shutdown_sync = policy.drain_reserve().max(Duration::from_secs(1));
    let listen_fds = listen_fds();
    let runtime_roots = runtime_roots();
    let checked = configured.clone();
    Ok(Setup {
        policy,
        dbs,
        replicates: !configured.databases().is_empty() || !configured.directories().is_empty(),
        binary,
        allowed_version: args.allow_litestream.clone(),
        env: app_environment(user.as_ref()),
        user,
        app,
        before: args.before.iter().map(|command| split(command)).collect::<Result<_, _>>()?,
        cwd,
        listen_fds,
        if_behind: match args.if_behind {
            args::IfBehind::Refuse => supervise::IfBehind::Refuse,
            args::IfBehind::Restore => supervise::IfBehind::Restore,
            args::IfBehind::Ignore => supervise::IfBehind::Ignore,
        },
        restore_timeout: args.restore_timeout,
        restore_parallel: args.restore_parallel,
        check: Box::new(move |is_ltx| databases::check(&checked, is_ltx)),
        generate: Box::new(move |socket: &Path| databases::generate(&configured, socket, shutdown_sync)),
        runtime_roots,
    })
}

fn source(args: &args::Run) -> Source<'_> {
    Source {
        config: args.config.as_deref(),
        dbs: &args.db,
        replicas: &args.replica,
        no_expand_env: args.no_expand_env,
    }
}

fn policy(args: &args::Run, stop_timeout: Duration, databases: usize) -> Policy {
    Policy {
        restart: match args.restart {
            args::Restart::Never => core::Restart::Never,
            args::Restart::OnFailure => core::Restart::OnFailure,
            args::Restart::Always => core::Restart::Always,
        },
        backoff: BackoffPolicy {
            initial: args.restart_delay,
            cap: args.restart_delay_max,
            reset_after: args.restart_reset,
            limit: args.start_limit,
            window: args.start_window,
        },
        stop_timeout,
        stop_signal: args.stop_signal,
        gate: match args.gate {
            args::Gate::Replicated => core::Gate::Replicated,
            args::Gate::Reachable => core::Gate::Reachable,
            args::Gate::None => core::Gate::None,
        },
        gate_timeout: args.gate_timeout,
        max_lag: args.max_lag,
        on_lag: match args.on_lag {
            args::OnLag::Warn => core::OnLag::Warn,
            args::OnLag::Unready => core::OnLag::Unready,
            args::OnLag::Stop => core::OnLag::Stop,
        },
        before: args.before.len(),
        databases,
        orphan_grace: args.orphan_grace,
        terminal: Terminal::open().is_some_and(|terminal| terminal.is_own()),
    }
}

/// Fly gives 5 s between INT and the end of the machine unless `kill_timeout` says otherwise.
fn stop_timeout(args: &args::Run) -> Duration {
    let default = if variable("FLY_APP_NAME").is_some() { 5 } else { 10 };
    args.stop_timeout.unwrap_or(Duration::from_secs(default))
}

fn app(command: &[OsString], configured: &Config) -> Result<Vec<OsString>, Failure> {
    if !command.is_empty() {
        return Ok(command.to_vec());
    }
    let exec = configured.exec().map_err(|error| databases::failure(&error))?;
    let exec: Vec<OsString> = exec.unwrap_or_default().into_iter().map(Into::into).collect();
    if exec.is_empty() {
        return Err(Failure::new(ExitCode::USAGE, "there is no app to run")
            .hint("give its command after `--`: litekeeper run -- COMMAND ARG…"));
    }
    Ok(exec)
}

/// Splits a one-shot command into words, without a shell.
fn split(command: &str) -> Result<Vec<OsString>, Failure> {
    match shlex::split(command) {
        Some(words) if !words.is_empty() => Ok(words.into_iter().map(Into::into).collect()),
        Some(_) | None => Err(Failure::new(ExitCode::USAGE, format!("--before `{command}`: not a command"))
            .hint("check its quotes; no shell reads it, so write sh -c '…' for what needs one")),
    }
}

fn user(text: Option<&str>) -> Result<Option<Identity>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let identity =
        Identity::find(text).map_err(|error| Failure::new(ExitCode::CONFIG, format!("--user: {error}")))?;
    if identity.is_current() {
        return Ok(None);
    }
    if !crate::os::user::is_root() {
        return Err(Failure::new(
            ExitCode::CONFIG,
            format!("--user {text}: only root may become another user"),
        )
        .hint("start litekeeper as root, or as that user without --user"));
    }
    Ok(Some(identity))
}

/// What the app gets: this process's own, with the home of the user that it runs as.
fn app_environment(user: Option<&Identity>) -> Vec<(OsString, OsString)> {
    let mut env = environment();
    if let Some(home) = user.and_then(|user| user.home.clone()) {
        env.retain(|(name, _)| name != "HOME");
        env.push(("HOME".into(), home.into()));
    }
    env
}

/// `LISTEN_FDS` of `sd_listen_fds(3)`, if it is meant for this process.
fn listen_fds() -> usize {
    let number = |name| variable(name).and_then(|value| value.to_str()?.parse::<usize>().ok());
    let for_us = number(crate::shim::LISTEN_PID) == usize::try_from(std::process::id()).ok();
    if for_us { number(crate::shim::LISTEN_FDS).unwrap_or(0) } else { 0 }
}

/// Where the runtime folder may be, the best first.
pub(super) fn runtime_roots() -> Vec<PathBuf> {
    if let Some(dir) = variable("LITEKEEPER_RUNTIME_DIR") {
        return vec![dir.into()];
    }
    let mut roots = vec![PathBuf::from("/run/litekeeper")];
    roots.extend(variable("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("litekeeper")));
    roots.push(std::env::temp_dir().join(format!("litekeeper-{}", crate::os::user::own_number())));
    roots
}

/// The app's command when it runs without Litestream: no other setting matters then, and no config
/// file needs to be right, unless the command is in it.
pub(super) fn app_alone(args: &args::Run) -> Result<Vec<OsString>, Failure> {
    if !args.command.is_empty() {
        return Ok(args.command.clone());
    }
    let cwd = current_dir()?;
    app(&[], &databases::read(&source(args), &cwd)?)
}
