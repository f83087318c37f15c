//! A database that the app does not make: what it has open instead.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::effects::World;
use crate::core::Db;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::os::place;
use crate::sqlite::held;

/// How long the search may take.
const LIMIT: Duration = Duration::from_secs(5);
/// The most files that are named.
const SHOWN: usize = 5;

impl World {
    /// Tells that a database is not there, with what may be meant in its place.
    pub(super) fn say_missing(&self, db: Db) {
        let Some(database) = self.roster.get(db).cloned() else { return };
        let (runner, shim, listed) = (self.runner.clone(), self.shim_pid, self.roster.listed());
        let app = self.running_name();
        tokio::task::spawn_local(async move {
            let open = match shim {
                Some(shim) => open_below(&runner, shim).await,
                None => Vec::new(),
            };
            let known: Vec<PathBuf> = listed.iter().map(|(_, database)| real(&database.path)).collect();
            let (configured, others): (Vec<_>, Vec<_>) =
                open.into_iter().partition(|path| known.contains(path));
            say(&app, &database, !configured.is_empty(), others);
        });
    }
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
    place::theirs(|| path.canonicalize()).unwrap_or_else(|_| path.to_owned())
}

fn say(app: &str, database: &Database, has_configured: bool, open: Vec<PathBuf>) {
    let path = database.path.display();
    let shown: Vec<_> = open.iter().take(SHOWN).map(|path| path.display().to_string()).collect();
    let more = if open.len() > SHOWN { format!(" and {} more", open.len() - SHOWN) } else { String::new() };
    let instead = match shown.is_empty() {
        true if has_configured => format!("{app} has no SQLite file open but those that are configured"),
        true => format!("{app} has no other SQLite file open either"),
        false => format!("{app} has open: {}{more}, which nobody replicates", shown.join(", ")),
    };
    tracing::warn!(
        "{path} is not there, so nothing is replicated of it; {instead}. Correct the path, or have the app take it from \
         LITEKEEPER_DATABASE"
    );
}
