//! The end of a run: nothing outlives it, and how each database is left is written down.

use std::time::{Duration, Instant};

use tokio::io::unix::AsyncFd;
use tokio::task::JoinSet;

use super::world::World;
use super::{ledger, snapshots};
use crate::backup;
use crate::core::{Cause, ExitCode};
use crate::error::Failure;
use crate::litestream::database::Database;
use crate::os::signal::Signals;
use crate::replica::mark;

/// How long the marks of what was not confirmed may take: it is a moment, and the platform's own KILL may be near.
const OWING: Duration = Duration::from_millis(500);
/// How long the removal of locks may take in the end.
const LETTING_GO: Duration = Duration::from_millis(200);
/// How often it is looked for what is still being killed, beside each end of a process.
const SWEEP: Duration = Duration::from_millis(10);
/// How long the last sweep may take.
const LAST_SWEEP: Duration = Duration::from_secs(2);

/// A world whose machine has come to its end.
pub(super) struct Ending<'a> {
    world: World,
    signals: &'a AsyncFd<Signals>,
}

impl<'a> Ending<'a> {
    pub(super) fn new(world: World, signals: &'a AsyncFd<Signals>) -> Self {
        Self { world, signals }
    }

    /// Ends it: nothing outlives the keeper.
    ///
    /// # Errors
    /// Something is not as it was when Litestream ended.
    pub(super) async fn end(mut self, code: ExitCode, cause: Cause) -> Result<ExitCode, Failure> {
        self.world.notices.manager.ends();
        let deadline = Instant::now() + LAST_SWEEP;
        let children = self.world.runner.children.clone();
        children.reap();
        while children.kill_all() && Instant::now() < deadline {
            // Each end is a SIGCHLD; the limit is for one that came before this wait.
            if let Ok(Ok(mut ready)) = tokio::time::timeout(SWEEP, self.signals.readable()).await {
                while self.signals.get_ref().take().is_some() {}
                ready.clear_ready();
            }
            children.reap();
        }
        self.world.tree.take_terminal_back();
        let is_undrained = cause == Cause::NotDrained;
        let leaves =
            self.world.litestream.launches() > 0 && self.world.litestream.version.confirms() && !is_undrained;
        let left = if leaves { self.leave().await } else { Ok(()) };
        if !leaves && !is_undrained && self.world.litestream.launches() > 0 {
            let mut marking = JoinSet::new();
            marking.spawn_local(self.mark());
            self.done_within(ledger::LEAVING, marking).await;
        }
        if is_undrained && self.world.litestream.version.is_ltx() {
            self.owe().await;
        }
        // Who has not answered until the end of a drain does not answer now.
        if !is_undrained {
            self.release().await;
        }
        self.world.databases.table.let_go(Instant::now() + LETTING_GO);
        left?;
        self.world.notices.end(code, cause)
    }

    /// Gives up the places in buckets: whoever comes next need not wait.
    async fn release(&mut self) {
        let Some(held) = self.world.leases.take() else { return };
        // What the end of a start has ended was asked in vain.
        self.world.runner.children.go_on();
        let mut releasing = JoinSet::new();
        releasing.spawn_local(held.release());
        self.done_within(backup::RELEASE, releasing).await;
    }

    /// Writes beside each database that was made in this life whose place it has.
    fn mark(&self) -> impl Future<Output = ()> + use<> {
        let (runner, listed) = (self.world.runner.clone(), self.world.databases.table.listed());
        async move {
            let dbs: Vec<Database> = listed.iter().map(|(_, database)| database.clone()).collect();
            mark::settle(&runner, &dbs).await;
        }
    }

    /// Remembers how the databases are left, so that the next start knows them again.
    async fn leave(&self) -> Result<(), Failure> {
        let began = Instant::now();
        let mut leaving = JoinSet::new();
        let marking = self.mark();
        leaving.spawn_local(async move {
            marking.await;
            None
        });
        for (_, database) in self.world.databases.table.listed().iter() {
            let (runner, database) = (self.world.runner.clone(), database.clone());
            let snapshots = self.world.litestream.heard.snapshots.clone();
            leaving.spawn_local(async move {
                let cut = snapshots.settle(&runner, &database).await.err();
                Some((ledger::leave(&runner, &database).await.or(cut), database))
            });
        }
        // A look at a snapshot asks the server four times, and a slow one is no reason to call the backup incomplete.
        let limit = if self.world.litestream.heard.snapshots.due().is_empty() {
            ledger::LEAVING
        } else {
            snapshots::TRIAL
        };
        let left = self.done_within(limit, leaving).await;
        let mut diverged = reasons(left.into_iter().flatten().collect());
        if diverged.is_empty() {
            diverged = self.scan_late_snapshots(began).await;
        }
        if !self.world.notices.is_drained() {
            return Ok(());
        }
        if diverged.is_empty() {
            let unknown = self.world.litestream.heard.snapshots.due().into_iter();
            let unknown: Vec<_> =
                unknown.map(|db| format!("{} -> {}", db.path.display(), db.replica)).collect();
            if unknown.is_empty() {
                return Ok(());
            }
            let message = format!(
                "nobody knows yet whether the last snapshot is whole that litestream made of {}: the look at it was not over within {} s",
                unknown.join(", "),
                snapshots::TRIAL.as_secs()
            );
            return Err(Failure::new(ExitCode::NOT_DRAINED, message).hint(
                "all rows are there; a snapshot that was cut off keeps them from being restored: `litekeeper restore -o FILE DB` tells",
            ));
        }
        let message = format!("not everything is on the replica: {}", diverged.join("; "));
        Err(Failure::new(ExitCode::NOT_DRAINED, message)
            .hint("the local files have it, and the next start copies them as a whole"))
    }

    /// Looks at the snapshots of which Litestream told in its last words; what is wrong with them.
    async fn scan_late_snapshots(&self, began: Instant) -> Vec<String> {
        let mut looking = JoinSet::new();
        for database in self.world.litestream.heard.snapshots.due() {
            let (runner, snapshots) =
                (self.world.runner.clone(), self.world.litestream.heard.snapshots.clone());
            looking.spawn_local(async move { (snapshots.settle(&runner, &database).await.err(), database) });
        }
        if looking.is_empty() {
            return Vec::new();
        }
        let limit = snapshots::TRIAL.saturating_sub(began.elapsed());
        reasons(self.done_within(limit, looking).await)
    }

    /// Remembers what was not confirmed, so that the next start answers for it even if it is stopped before it can ask.
    async fn owe(&self) {
        let mut owing = JoinSet::new();
        for db in self.world.notices.undrained() {
            let database = self.world.databases.table.get(*db).filter(|database| database.exists());
            if let Some(database) = database {
                owing.spawn_local(ledger::owe(self.world.runner.clone(), database.clone()));
            }
        }
        self.done_within(OWING, owing).await;
    }

    /// What came of these in that time. Whoever does it has processes, which are reaped meanwhile.
    async fn done_within<T: 'static>(&self, limit: Duration, mut tasks: JoinSet<T>) -> Vec<T> {
        let deadline = tokio::time::Instant::now() + limit;
        let mut done = Vec::new();
        loop {
            tokio::select! {
                one = tasks.join_next() => match one {
                    Some(one) => done.extend(one),
                    None => return done,
                },
                Ok(mut ready) = self.signals.readable() => {
                    while self.signals.get_ref().take().is_some() {}
                    ready.clear_ready();
                    self.world.runner.children.reap();
                }
                () = self.world.notices.manager.beat() => {}
                () = tokio::time::sleep_until(deadline) => return done,
            }
        }
    }
}

/// What is wrong, of each database with which something is.
fn reasons(looked: Vec<(Option<String>, Database)>) -> Vec<String> {
    let of =
        |(why, database): (Option<String>, Database)| Some(format!("{}: {}", database.path.display(), why?));
    looked.into_iter().filter_map(of).collect()
}
