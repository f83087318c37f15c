//! What is done about a database's WAL while Litestream or the app is not as it should be.
//!
//! Litestream takes an orphan ([`wal`]) for a commit, and diverges from the database once another process
//! writes over it ([`crate::core::Event::Diverged`]). Were the dead process' connection the last one, SQLite
//! would count the orphan as committed when the database is next opened. Litestream's connections keep
//! it from that, so it is made to do so here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::ledger;
use crate::core::{Db, ExitCode};
use crate::error::Failure;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::sqlite::check;
use crate::sqlite::wal::{self, Guard};

/// How long it may take: a writer is waited for.
const LIMIT: Duration = Duration::from_secs(10);

/// Between two tries to take a writer's place.
const HOLDING: Duration = Duration::from_millis(1);

/// Sees to a database whose app is gone: at once for the next app, whose SQLite recovers it if it is a
/// new one, and in a moment for those that cannot while Litestream reads.
pub(super) fn settle(runner: &Runner, database: &Path) {
    let settled = wal::may_have_orphan(database).and_then(|may| {
        if may {
            // Who holds the lock is waited for there.
            wal::try_clear(database)?;
        }
        Ok(!may)
    });
    match settled {
        Ok(true) => {}
        Ok(false) => {
            let (runner, database) = (runner.clone(), database.to_owned());
            tokio::task::spawn_local(async move { recover(&runner, &database).await });
        }
        Err(error) => complain(database, &error.to_string()),
    }
}

/// Locks that keep whoever is killed from leaving an orphan, and Litestream from passing over one.
pub(super) struct WalLocks(Vec<Guard>);

impl WalLocks {
    /// Takes them, those of busy databases within `patience`; what is busy for longer goes without.
    pub(super) async fn take(databases: Vec<PathBuf>, patience: Duration) -> Self {
        let deadline = Instant::now() + patience;
        // What cannot be opened has no WAL, or no more descriptors are to be had.
        let mut guards: Vec<Guard> =
            databases.iter().filter_map(|database| Guard::open(database).ok().flatten()).collect();
        loop {
            let mut all = true;
            for guard in &mut guards {
                all &= guard.try_hold();
            }
            if all || Instant::now() >= deadline {
                return Self(guards);
            }
            tokio::time::sleep(HOLDING).await;
        }
    }

    /// Has what stands in the WALs counted as committed, as far as nobody else can write just now.
    pub(super) fn clear(&self) {
        for guard in &self.0 {
            // What fails here is looked at again, by a process of its own.
            let _ = guard.clear();
        }
    }
}

/// The databases behind whose last commit something stands.
#[derive(Default)]
pub(super) struct Suspects(BTreeMap<Db, Option<wal::State>>);

impl Suspects {
    /// Which they are.
    pub(super) fn all(&self) -> Vec<Db> {
        self.0.keys().copied().collect()
    }

    /// Suspects it no more.
    pub(super) fn forget(&mut self, db: Db) {
        self.0.remove(&db);
    }

    /// Looks at a database of a running app: has what a dead process left counted as committed, before
    /// another one writes over it.
    pub(super) fn look(&mut self, runner: &Runner, db: Db, database: &Path) {
        if !wal::may_have_orphan(database).unwrap_or(false) {
            self.0.remove(&db);
            return;
        }
        let recovered = self.0.entry(db).or_default();
        // With a writer at work it is a commit on its way. What stays when it was recovered was taken back.
        let state = wal::settled_index(database).unwrap_or(wal::State::Unknown);
        if state != wal::State::Unknown && *recovered != Some(state) {
            *recovered = Some(state);
            let (runner, database) = (runner.clone(), database.to_owned());
            tokio::task::spawn_local(async move { recover(&runner, &database).await });
        }
    }
}

/// Counts what is in the WAL as committed ([`crate::sqlite::repair`]).
pub(super) async fn recover(runner: &Runner, database: &Path) {
    if let Err(reason) = try_recover(runner, database).await {
        complain(database, &reason);
    }
}

async fn try_recover(runner: &Runner, database: &Path) -> Result<(), String> {
    let args = ["__recover".into(), database.into()];
    runner.ask_own(&args, Vec::new(), LIMIT).await.map(drop)
}

/// Has the WAL of a database emptied, so that Litestream, which does not have it, copies all of it.
///
/// # Errors
/// Somebody uses the database for as long as `patience`, or what SQLite says.
pub(super) async fn empty(
    runner: &Runner,
    database: &Database,
    why: &str,
    patience: Duration,
) -> Result<(), Failure> {
    let path = &database.path;
    let args = ["__empty".into(), path.into(), patience.as_millis().to_string().into()];
    let path = path.display();
    match runner.ask_own(&args, Vec::new(), patience + LIMIT).await {
        Ok(_) => {
            tracing::warn!("{path}: it is copied as a whole: {why}");
            Ok(())
        }
        Err(error) if check::is_said_of_damage(&error) => {
            Err(ledger::damage(database, &format!("{why}, and sqlite cannot read it: {error}")))
        }
        Err(error) => {
            let message =
                format!("{path}: {why}, and it cannot be made ready to be copied as a whole: {error}");
            Err(Failure::new(ExitCode::LITESTREAM, message)
                .hint("end whoever has the database open (`fuser` names them): litestream would miss rows"))
        }
    }
}

fn complain(database: &Path, reason: &str) {
    tracing::warn!(
        "{}-shm cannot be read or recovered, so what a process of the app may have left in the WAL is not seen: {reason}",
        database.display()
    );
}
