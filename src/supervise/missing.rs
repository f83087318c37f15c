//! A database that the app does not make, or does not use: what it has open instead.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::app_tree::AppTree;
use super::message::{Message, Outbox};
use super::table::Listed;
use crate::litestream::command::Runner;
use crate::litestream::database::{Database, with_suffix};
use crate::os::permit;
use crate::sqlite::held;

/// How long the search may take.
const LIMIT: Duration = Duration::from_secs(5);
/// The most files that are named.
const SHOWN: usize = 5;
/// When to look whether the app uses what is replicated, each after the one before; sooner where a lag is told sooner.
const LOOKS: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(25), Duration::from_secs(270)];

/// A file's times are those of the last tick of the kernel's clock, which has a hundred a second at least.
const TICK: Duration = Duration::from_millis(10);

/// Whether the app uses what is replicated.
#[derive(Clone, Default)]
pub(super) struct Use {
    /// When it was first started, or the last write before that if it was in the same moment.
    since: Option<SystemTime>,
    is_watched: bool,
    told: Rc<Cell<bool>>,
}

impl Use {
    /// The app is about to start: what is written from now on may be its own.
    pub(super) fn mark(&mut self, listed: &Listed) {
        if self.since.is_some() {
            return;
        }
        let now = SystemTime::now();
        let written = listed.iter().filter_map(|(_, database)| last_written(&database.path));
        // A time to come says nothing of when that was.
        let last = written.filter(|last| *last <= now).max();
        let tick = now - TICK;
        self.since = Some(last.map_or(tick, |last| last.max(tick)));
    }

    /// The app runs: a few looks follow.
    pub(super) fn watch(&mut self, outbox: Outbox, soonest: Duration) {
        if std::mem::replace(&mut self.is_watched, true) {
            return;
        }
        tokio::task::spawn_local(async move {
            for after in LOOKS {
                tokio::time::sleep(after.min(soonest)).await;
                if outbox.send(Message::LookAtUse).is_err() {
                    return;
                }
            }
        });
    }

    /// Tells once if the app has other databases open, and none of those that are replicated: a wrong path is the most
    /// usual mistake, and the file that it names may be there from an earlier try.
    pub(super) fn look(&self, listed: Listed, runner: &Runner, tree: &AppTree) {
        let Self { since: Some(since), told, .. } = self.clone() else { return };
        let (Some(shim), false) = (tree.shim_pid(), told.get()) else { return };
        let (runner, app) = (runner.clone(), tree.running_name());
        tokio::task::spawn_local(async move {
            let open = open_below(&runner, shim).await;
            let known: Vec<PathBuf> = listed.iter().map(|(_, database)| real(&database.path)).collect();
            // Of a database that is not there more is said elsewhere.
            let is_used = |database: &Database| !database.exists() || was_written(&database.path, since);
            if open.is_empty()
                || open.iter().any(|path| known.contains(path))
                || listed.iter().any(|(_, database)| is_used(database))
                || told.replace(true)
            {
                return;
            }
            let of_listed = match listed.as_slice() {
                [] => "no database is there to be replicated".to_owned(),
                [(_, database)] => {
                    format!("{} was not written to since it was started", database.path.display())
                }
                [(_, database), rest @ ..] => format!(
                    "neither {} nor the other {} that are replicated were written to since it was started",
                    database.path.display(),
                    rest.len()
                ),
            };
            tracing::warn!(
                "{app} has open: {}, which nobody replicates, and {of_listed}. If that is its database, correct the path, or \
                 have the app take it from LITEKEEPER_DATABASE",
                shown(&open)
            );
        });
    }
}

/// Tells that a database is not there, with what may be meant in its place.
pub(super) fn tell(
    database: &Database,
    variable: Option<String>,
    listed: &Listed,
    runner: &Runner,
    tree: &AppTree,
) {
    let (database, listed) = (database.clone(), listed.clone());
    let (runner, shim, app) = (runner.clone(), tree.shim_pid(), tree.running_name());
    tokio::task::spawn_local(async move {
        let open = match shim {
            Some(shim) => open_below(&runner, shim).await,
            None => Vec::new(),
        };
        let known: Vec<PathBuf> = listed.iter().map(|(_, database)| real(&database.path)).collect();
        let (configured, others): (Vec<_>, Vec<_>) = open.into_iter().partition(|path| known.contains(path));
        say(&app, &database, variable, !configured.is_empty(), others);
    });
}

/// Whether anything of a database has changed since then.
fn was_written(path: &Path, since: SystemTime) -> bool {
    last_written(path).is_some_and(|modified| modified > since)
}

/// When anything of a database has changed.
fn last_written(path: &Path) -> Option<SystemTime> {
    let modified = |path: PathBuf| permit::theirs(|| path.metadata()?.modified()).ok();
    modified(path.to_owned()).max(modified(with_suffix(path, "-wal")))
}

fn shown(open: &[PathBuf]) -> String {
    let shown: Vec<_> = open.iter().take(SHOWN).map(|path| path.display().to_string()).collect();
    let more = if open.len() > SHOWN { format!(" and {} more", open.len() - SHOWN) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

async fn open_below(runner: &Runner, shim: i32) -> Vec<PathBuf> {
    let args = ["__held".into(), shim.to_string().into()];
    // Without an answer the path alone is told.
    runner
        .ask_own(&args, Vec::new(), LIMIT)
        .await
        .map_or_else(|_| Vec::new(), |printed| held::parse(&printed))
}

/// As the kernel says it of what is open.
fn real(path: &Path) -> PathBuf {
    permit::theirs(|| path.canonicalize()).unwrap_or_else(|_| path.to_owned())
}

fn say(app: &str, database: &Database, variable: Option<String>, has_configured: bool, open: Vec<PathBuf>) {
    let path = database.path.display();
    let instead = match open.is_empty() {
        true if has_configured => format!("{app} has no SQLite file open but those that are configured"),
        true => format!("{app} has no other SQLite file open either"),
        false => format!("{app} has open: {}, which nobody replicates", shown(&open)),
    };
    let from = variable.map_or_else(String::new, |name| format!(", or have the app take it from {name}"));
    tracing::warn!("{path} is not there, so nothing is replicated of it; {instead}. Correct the path{from}");
}
