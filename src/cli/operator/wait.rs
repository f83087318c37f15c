//! `litekeeper wait`: until all that is in the databases now is on their replicas, as a running keeper has it confirmed.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::args;
use super::candidate::{Candidate, Candidates};
use super::keeper;
use super::opened;
use super::shown::{self, Lines};
use super::told::{self, Reached};
use crate::cli::process;
use crate::cli::{keeper_socket, mounted};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign;
use crate::printer::Paint;
use crate::status::{self, Copied, Waited};

/// What the app of a keeper is told.
pub(super) const SOCKET: &str = "LITEKEEPER_SOCKET";

/// Waits for one of the databases, or for all of them.
///
/// # Errors
/// Not all of it was confirmed in time, or there is nobody to ask.
pub(in crate::cli) fn wait(args: &args::Wait) -> Result<ExitCode, Failure> {
    let waited = waited(args)?;
    if args.json {
        shown::json(&json(&waited))?;
    } else if !waited.databases.is_empty() {
        let mut lines = Lines::new(["DATABASE", "RESULT", "TXID", "REPLICATED"]);
        waited.databases.iter().for_each(|one| add_to(&mut lines, one, &waited.result));
        lines.print("")?;
    }
    if waited.exit_code == 0 {
        return Ok(ExitCode::OK);
    }
    // A name in it is a source's, and its lines are none of ours.
    let lines =
        waited.error.as_deref().unwrap_or("the keeper does not say why").split('\n').map(foreign::line);
    let failure = Failure::lines(ExitCode::of_app(waited.exit_code), lines);
    Err(match &waited.hint {
        Some(hint) => failure.hint(foreign::line(hint)),
        None => failure,
    })
}

fn json(waited: &Waited) -> Value {
    let Waited { result, databases, more, error, hint, .. } = waited;
    json!({"result": result, "databases": databases, "more": more, "error": error, "hint": hint})
}

fn add_to(lines: &mut Lines, one: &Copied, result: &str) {
    let paint = if one.durable { Paint::Good } else { Paint::Bad };
    let txids = [shown::known(one.txid.clone()), shown::known(one.replicated_txid.clone())];
    lines.add(paint, [foreign::piece(&one.path), foreign::piece(result)].into_iter().chain(txids));
}

/// What the keeper says.
fn waited(args: &args::Wait) -> Result<Waited, Failure> {
    let until = Instant::now() + args.timeout;
    let Keeper { socket, lock, names } = Keeper::find(args)?;
    let mut names = names.into_iter().peekable();
    loop {
        let name = names.next();
        let limit = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let asked = keeper_socket::ask_about(&socket, status::WAIT, lock, name.as_deref(), limit);
        let waited = asked.and_then(|line| read(&line)).map_err(|error| silent(&socket, &error))?;
        if !waited.holds {
            let message =
                format!("{}: the keeper that answers there is not the one that is meant", socket.display());
            return Err(Failure::new(ExitCode::UNAVAILABLE, message).hint(
                "that one runs elsewhere, where the same path is its own socket's: ask in its container",
            ));
        }
        // A word may be a path here, or a name there.
        if waited.exit_code != ExitCode::USAGE.get() || names.peek().is_none() {
            return Ok(waited);
        }
    }
}

/// Reads what a keeper says.
///
/// # Errors
/// It is nothing that a keeper says which knows how to wait.
fn read(line: &[u8]) -> io::Result<Waited> {
    let said: serde_json::Value = serde_json::from_slice(line).map_err(|_| keeper_socket::cut_off())?;
    match serde_json::from_value::<Waited>(said) {
        Ok(waited) if waited.version == status::VERSION => Ok(waited),
        Ok(_) | Err(_) => Err(io::Error::new(
            ErrorKind::Unsupported,
            "this keeper does not know how to wait: it is another version of litekeeper",
        )),
    }
}

fn silent(socket: &Path, error: &io::Error) -> Failure {
    let message = format!("{}: {}", socket.display(), foreign::piece(&error.to_string()));
    Failure::new(ExitCode::UNAVAILABLE, message).hint(match error.kind() {
        ErrorKind::TimedOut => "is the keeper stopped? its log says what it did last",
        ErrorKind::PermissionDenied => "ask as root, or as the user that the app runs as",
        ErrorKind::Unsupported => "restart it with this one",
        _ => "its keeper is ending, was killed, or runs in another container, where its socket is: ask there",
    })
}

/// The keeper that is meant, and by which names it may know the database, the first of them first; all without any.
struct Keeper {
    socket: PathBuf,
    lock: Option<(u64, u64)>,
    names: Vec<String>,
}

impl Keeper {
    /// Whoever runs below an app asks that one's keeper, and needs no configuration for it.
    fn find(args: &args::Wait) -> Result<Self, Failure> {
        let of_app = mounted::text_variable(SOCKET).filter(|_| args.given.config.is_none());
        if let Some(socket) = of_app {
            let names = match &args.db {
                Some(word) => names(&process::current_dir()?, word),
                None => Vec::new(),
            };
            let socket = PathBuf::from(socket);
            keeper_socket::belong_to_owner(&socket);
            return Ok(Self { socket, lock: None, names });
        }
        let opened = opened::open(&args.given, None)?;
        let inventory = opened.inventory();
        let mut candidates = Candidates::look(&opened, &inventory)?;
        let has_sources = told::has_sources(&opened)?;
        let (chosen, names) = match &args.db {
            None => (candidates.every().to_vec(), Vec::new()),
            Some(word) => match candidates.choose(std::slice::from_ref(word)) {
                Ok(chosen) => {
                    let path = chosen.iter().map(|one| one.db.path.to_string_lossy().into_owned()).collect();
                    (chosen, path)
                }
                // What a resolver names a running keeper alone knows.
                Err(_) if has_sources => (candidates.every().to_vec(), names(&opened.said.cwd, word)),
                Err(failure) => return Err(failure),
            },
        };
        Self::of(told::find(&opened, chosen.iter().map(|one| &one.db))?, &chosen, names)
    }

    fn of(found: Option<Reached>, chosen: &[Candidate], names: Vec<String>) -> Result<Self, Failure> {
        match found {
            None => Err(keeper::none(chosen)),
            Some(Reached { at: Some((socket, lock)), .. }) => Ok(Self { socket, lock, names }),
            Some(Reached { at: None, .. }) => {
                let message = "a keeper runs, and does not say where it can be asked";
                Err(Failure::new(ExitCode::UNAVAILABLE, message)
                    .hint("it is starting, or another version of litekeeper: wait again in a moment"))
            }
        }
    }
}

/// By which names a keeper may know what is meant by a word: a path that is there, or else what is called so.
fn names(cwd: &Path, word: &str) -> Vec<String> {
    let path = cwd.join(word);
    let is_path = word.contains('/') || path.exists();
    let path = is_path.then(|| path.to_string_lossy().into_owned());
    path.into_iter().chain([word.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_path_that_is_there_or_a_name() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("app.db"), "").expect("ours");
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        assert_eq!(names(folder.path(), "app.db"), [path("app.db"), "app.db".to_owned()]);
        assert_eq!(names(folder.path(), "main"), ["main"]);
        assert_eq!(names(folder.path(), "data/x.db"), [path("data/x.db"), "data/x.db".to_owned()]);
    }

    #[test]
    fn only_what_a_keeper_says_that_knows_how_to_wait_counts() {
        let waited = Waited {
            version: status::VERSION,
            holds: true,
            result: "durable".to_owned(),
            exit_code: 0,
            error: None,
            hint: None,
            databases: Vec::new(),
            more: 0,
        };
        let line = |waited: &Waited| serde_json::to_vec(waited).expect("texts");
        assert_eq!(read(&line(&waited)).expect("it is one"), waited);
        let newer = Waited { version: status::VERSION + 1, ..waited };
        let kind = |line: &[u8]| read(line).expect_err("it is none").kind();
        assert_eq!(kind(&line(&newer)), ErrorKind::Unsupported);
        let older = br#"{"added":[],"removed":[],"failed":[],"error":"`wait`: no such word","hint":null,"exit_code":64}"#;
        assert_eq!(kind(older), ErrorKind::Unsupported);
        assert_eq!(kind(b"{\"version\":1,"), ErrorKind::Other, "it was cut off");
    }
}
