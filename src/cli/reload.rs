//! `litekeeper reload`.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::args;
use super::databases::{self, Source};
use super::settings;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign;
use crate::litestream::database::Database;
use crate::os::place;
use crate::printer;
use crate::supervise::{self, RELOAD, Report};

/// Has a running keeper ask its resolver, and waits for what comes of it.
///
/// # Errors
/// No keeper runs, or it could not ask, or not all of it came true.
pub(super) fn reload(args: &args::Reload) -> Result<ExitCode, Failure> {
    let socket = find(args)?;
    let report = ask(&socket)
        .map_err(|error| Failure::new(ExitCode::UNAVAILABLE, format!("{}: {error}", socket.display())))?;
    printer::data(&shown(&report, args.json))?;
    if report.exit_code == 0 {
        return Ok(ExitCode::OK);
    }
    let failed = report.failed.iter().map(|failed| failed.reason.clone());
    let all: Vec<String> = report.error.into_iter().chain(failed).collect();
    let failure =
        Failure::lines(ExitCode::of_app(report.exit_code), all.iter().flat_map(|one| one.split('\n')));
    Err(match report.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    })
}

/// The control socket of the keeper that is meant.
fn find(args: &args::Reload) -> Result<PathBuf, Failure> {
    let cwd = settings::current_dir()?;
    let dbs = match &args.db {
        Some(path) => {
            let path = cwd.join(path);
            vec![Database { meta: path.clone(), path, replica: String::new(), replica_folder: None }]
        }
        None => {
            let source = Source {
                config: args.config.as_deref(),
                dbs: &[],
                replicas: &[],
                no_expand_env: args.no_expand_env,
            };
            let found = databases::open(&source, &cwd)?;
            let (config, _) = databases::read(found, &source, &cwd)?;
            config.databases().iter().map(databases::database).collect()
        }
    };
    if let Some(socket) = dbs.iter().find_map(supervise::keeper_socket) {
        return Ok(socket);
    }
    if let Some(db) = dbs.first() {
        let message = format!("no keeper runs on {}", db.path.display());
        return Err(Failure::new(ExitCode::UNAVAILABLE, message)
            .hint("`litekeeper run` starts one; `--config` or `--db` says which one is meant"));
    }
    // The configuration names no database itself, so there is no lock to look at.
    let mut sockets = supervise::keeper_sockets(&settings::runtime_roots());
    match (sockets.pop(), sockets.len()) {
        (Some(socket), 0) => {
            if let Some(Ok(folder)) = socket.parent().map(std::path::Path::symlink_metadata) {
                place::belong_to_owner(&folder);
            }
            Ok(socket)
        }
        (None, _) => Err(Failure::new(ExitCode::UNAVAILABLE, "no keeper runs")
            .hint("`litekeeper run` starts one; LITEKEEPER_RUNTIME_DIR has to be what it is for that one")),
        (Some(_), others) => Err(Failure::new(
            ExitCode::USAGE,
            format!("{} keepers run, and the configuration does not tell which one is meant", others + 1),
        )
        .hint("name a database that it runs on: `litekeeper reload --db PATH`")),
    }
}

/// Room for the paths of ten thousand databases.
const LONGEST_ANSWER: u64 = 64 << 20;

fn ask(socket: &std::path::Path) -> std::io::Result<Report> {
    // The path is the word of whoever the databases belong to.
    let mut stream = place::theirs(|| UnixStream::connect(socket))?;
    stream.write_all(format!("{RELOAD}\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST_ANSWER)).read_line(&mut line)?;
    serde_json::from_str(&line).map_err(|_| std::io::Error::other("the keeper ended before it answered"))
}

fn shown(report: &Report, json: bool) -> String {
    if json {
        return format!("{}\n", foreign::json(&serde_json::json!(report)));
    }
    let changed = |what: &'static str, paths: &[String]| {
        paths.iter().map(move |path| format!("{what} {}\n", foreign::line(path))).collect::<String>()
    };
    let text = changed("added", &report.added) + &changed("removed", &report.removed);
    if report.exit_code == 0 && text.is_empty() { "nothing changed\n".to_owned() } else { text }
}
