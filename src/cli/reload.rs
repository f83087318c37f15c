//! `litekeeper reload`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::args;
use super::databases::{self, Source};
use super::keeper_socket;
use super::process;
use super::settings;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign;
use crate::holder;
use crate::inventory;
use crate::litestream::database::Database;
use crate::printer;
use crate::supervise::{RELOAD, Report};

/// Has a running keeper ask its resolver, and waits for what comes of it.
///
/// # Errors
/// No keeper runs, or it could not ask, or not all of it came true.
pub(super) fn reload(args: &args::Reload) -> Result<ExitCode, Failure> {
    let Socket { socket, of } = find(args)?;
    let lock = of.as_ref().map(|(_, lock)| *lock);
    let said = keeper_socket::ask(&socket, RELOAD, lock, args.timeout);
    let report = said.and_then(|line| serde_json::from_slice(&line).map_err(|_| keeper_socket::cut_off()));
    let mut report: Report = report.map_err(|error: io::Error| {
        let failure = Failure::new(ExitCode::UNAVAILABLE, format!("{}: {error}", socket.display()));
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused if of.is_some() => failure.hint(
                "its keeper is ending, was killed, or runs in another container, where its socket is: ask there",
            ),
            ErrorKind::TimedOut => {
                failure.hint("the keeper goes on with it, and its log tells; --timeout waits longer")
            }
            ErrorKind::PermissionDenied => {
                failure.hint("ask as the user that the keeper's databases belong to, or as root")
            }
            _ => failure.hint("it is ending, or was killed: its log tells; `litekeeper run` starts one"),
        }
    })?;
    let holds = std::mem::take(&mut report.holds);
    if let Some((db, _)) = of.filter(|_| !holds && report.exit_code == 0) {
        let (db, socket) = (db.display(), socket.display());
        let message =
            format!("{db}: the keeper that answers at {socket} is not the one that runs on this database");
        return Err(Failure::new(ExitCode::UNAVAILABLE, message)
            .hint("that one runs elsewhere, where the same path is its own socket's: ask in its container"));
    }
    printer::data(&shown(&report, args.json))?;
    if report.exit_code == 0 {
        return Ok(ExitCode::OK);
    }
    let error = report.error.as_deref().into_iter().flat_map(|error| error.split('\n')).map(Cow::Borrowed);
    // A name in it is a source's, and its lines are none of ours.
    let failed = report.failed.iter().map(|failed| foreign::line(&failed.reason));
    let failure = Failure::lines(ExitCode::of_app(report.exit_code), error.chain(failed));
    let hints: BTreeSet<&str> = report
        .hint
        .iter()
        .chain(report.failed.iter().filter_map(|failed| failed.hint.as_ref()))
        .map(String::as_str)
        .collect();
    Err(if hints.is_empty() {
        failure
    } else {
        failure.hint(hints.into_iter().collect::<Vec<_>>().join("; "))
    })
}

/// The control socket of the keeper that is meant.
struct Socket {
    socket: PathBuf,
    /// The database by whose lock it was found, and which file that lock is: whoever answers has to have it.
    of: Option<(PathBuf, (u64, u64))>,
}

fn find(args: &args::Reload) -> Result<Socket, Failure> {
    let cwd = process::current_dir()?;
    let (mut file, mut control) = (None, None);
    let dbs = match &args.db {
        Some(path) => {
            let path = cwd.join(path);
            vec![Database::at(path)]
        }
        None => {
            let source = Source {
                config: args.config.as_deref(),
                dbs: &[],
                replicas: &[],
                no_expand_env: args.no_expand_env,
            };
            let found = databases::open(&source, &cwd)?;
            let section = databases::section(&found);
            let (_, config) = databases::both(found, section, &source, &cwd)?;
            file = config.origin().file().map(|file| settings::real(&cwd, file));
            control = config.socket();
            config.databases().iter().map(inventory::database).collect()
        }
    };
    let found = |db: &Database| {
        let found = holder::keeper_socket(db)?;
        Ok::<_, Failure>(found.map(|(socket, lock)| Socket { socket, of: Some((db.path.clone(), lock)) }))
    };
    for db in &dbs {
        if let Some(found) = found(db)? {
            return Ok(found);
        }
    }
    if let Some(db) = dbs.first() {
        let message = format!("no keeper runs on {}", db.path.display());
        return Err(Failure::new(ExitCode::UNAVAILABLE, message)
            .hint("`litekeeper run` starts one; `--config` or `--db` says which one is meant"));
    }
    // The configuration names no database itself, so there is no lock to look at.
    let mut sockets = keeper_socket::without_database(file.as_deref(), control.as_deref());
    match (sockets.pop(), sockets.len()) {
        (Some(socket), 0) => {
            keeper_socket::belong_to_owner(&socket);
            Ok(Socket { socket, of: None })
        }
        (None, _) => Err(Failure::new(ExitCode::UNAVAILABLE, "no keeper runs")
            .hint("`litekeeper run` starts one; LITEKEEPER_RUNTIME_DIR has to be what it is for that one")),
        (Some(_), others) => Err(Failure::new(
            ExitCode::USAGE,
            format!("{} keepers run, and the configuration does not tell which one is meant", others + 1),
        )
        .hint(
            "name its own configuration (--config FILE), or a database that it runs on: `litekeeper reload --db PATH`",
        )),
    }
}

/// What is printed of a report.
pub fn shown(report: &Report, json: bool) -> String {
    if json {
        return format!("{}\n", foreign::json(&serde_json::json!(report)));
    }
    let changed = |what: &'static str, paths: &[String]| {
        paths.iter().map(move |path| format!("{what} {}\n", foreign::line(path))).collect::<String>()
    };
    let text = changed("added", &report.added) + &changed("removed", &report.removed);
    if report.exit_code == 0 && text.is_empty() { "nothing changed\n".to_owned() } else { text }
}
