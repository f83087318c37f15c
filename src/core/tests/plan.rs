//! How a simulated world behaves: how long everything takes, and what goes wrong when.

use std::collections::VecDeque;
use std::time::Duration;

use crate::core::{BackoffPolicy, Db, Ended, ExitCode, Gate, NotStarted, OnLag, Policy, Restart};

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Two databases, no one-shot commands, 10 s to stop.
pub(in crate::core) fn policy() -> Policy {
    Policy {
        restart: Restart::OnFailure,
        backoff: BackoffPolicy::default(),
        stop_timeout: secs(10),
        stop_signal: 15,
        gate: Gate::Replicated,
        gate_timeout: secs(60),
        max_lag: secs(60),
        on_lag: OnLag::Unready,
        before: 0,
        databases: 2,
        resolves: false,
        resolve_interval: None,
        orphan_grace: Duration::ZERO,
        terminal: false,
    }
}

/// What the replica says when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replica {
    Answers,
    /// Nothing reaches it.
    Away,
    /// The key is wrong.
    Refuses,
}

/// What happens out of the blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The operator stops the unit.
    Stop(i32),
    /// Any other signal comes.
    Signal(i32),
    LitestreamDies,
    /// Somebody sends Litestream a TERM: it passes it to the shim and waits.
    LitestreamAsked,
    /// Its copy of a database has diverged from it, as the next question tells.
    Parts(Db),
    /// It is stopped (SIGSTOP), or waits for a dead disk.
    LitestreamHangs,
    LitestreamWakes,
    ShimDies,
    /// It is stopped (SIGSTOP): it hears nothing, says nothing, and its app lives on.
    ShimStops,
    AppDies(Ended),
    Replica(Replica),
    /// Another file stands where the database was.
    Replaced(Db),
    /// The app makes this database's file from now on, or does not make it.
    Makes(Db, bool),
    /// Another keeper has its lock.
    LockLost(Db),
    /// Another Litestream replicates it as well.
    Doubled(Db),
    /// Another machine has its place.
    LeaseLost(Db),
    /// The source names this tenant from now on.
    Names(u8),
    /// It does not any more.
    Drops(u8),
    /// Somebody wants the sources to be asked now.
    Reload,
    /// Somebody waits for what is in it now.
    Waits(Db),
    /// Somebody finds that Litestream does not talk to its replica.
    Silent,
    /// The same of one database while the app runs.
    Stalled(Db),
}

/// How long everything takes and how it ends. The default is a world in which all is well.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) prepare: Duration,
    pub(super) prepare_fails: Option<ExitCode>,
    /// So many rows of an earlier run are on no replica.
    pub(super) owed: u64,
    /// Some database is missing; this long its restore takes.
    pub(super) restore: Option<Duration>,
    pub(super) restore_fails: Option<ExitCode>,
    /// How long the sources take to answer.
    pub(super) resolve: Duration,
    pub(super) resolve_fails: Option<ExitCode>,
    /// What they name is missing; this long its restore takes.
    pub(super) resolve_restores: bool,
    /// How long a database is looked at that a source names while the app runs.
    pub(super) admit: Duration,
    /// How long Litestream takes to take in a database, and to let go of one.
    pub(super) register: Duration,
    /// What was aborted sleeps in the kernel and never ends.
    pub(super) abort_hangs: bool,
    /// From the launch to the shim's first word; it never comes when there is none.
    pub(super) launch: Option<Duration>,
    /// Litestream ends this long after its launch, before its shim says a word.
    pub(super) launch_dies: Option<Duration>,
    /// The n-th launch is given up, since a database is damaged.
    pub(super) damaged: Option<u64>,
    /// This Litestream has a socket that confirms.
    pub(super) confirms: bool,
    pub(super) gate: Duration,
    /// The upload moves this often while the gate waits.
    pub(super) gate_moves: Option<Duration>,
    /// The one-shot commands.
    pub(super) before: Vec<(Duration, Ended)>,
    pub(super) not_started: Option<NotStarted>,
    /// How long each start of the app lives, and how it ends; after those it lives for ever.
    pub(super) lives: VecDeque<(Duration, Ended)>,
    /// How it answers the stop signal, if it does.
    pub(super) stops: Option<(Duration, Ended)>,
    /// What it started outlives it.
    pub(super) leaves: bool,
    /// How long that lives on after a signal, if it listens.
    pub(super) leftovers_stop: Option<Duration>,
    /// It sleeps in the kernel: no signal ends it.
    pub(super) tree_unkillable: bool,
    pub(super) litestream_unkillable: bool,
    /// How long a confirmation takes, for the watch and for the drain.
    pub(super) confirm: Duration,
    pub(super) drain: Duration,
    /// How long Litestream's own end takes once its shim has ended.
    pub(super) close: Duration,
    /// How long after its death the reaper says so.
    pub(super) reaped: Duration,
    /// The end of the shim's messages comes before Litestream's end; else after it.
    pub(super) shim_gone_first: bool,
    /// What a gate or a drain said before it was closed still arrives.
    pub(super) stale: bool,
    /// How long a Litestream may do nothing in a drain before somebody asks its replica, again and again.
    pub(super) notices: Option<Duration>,
    /// How often the app writes to each database.
    pub(super) writes: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            prepare: ms(30),
            prepare_fails: None,
            owed: 0,
            restore: None,
            restore_fails: None,
            resolve: ms(50),
            resolve_fails: None,
            resolve_restores: false,
            admit: ms(10),
            register: ms(30),
            abort_hangs: false,
            launch: Some(ms(30)),
            launch_dies: None,
            damaged: None,
            confirms: true,
            gate: ms(40),
            gate_moves: None,
            before: Vec::new(),
            not_started: None,
            lives: VecDeque::new(),
            stops: Some((ms(200), Ended::Code(0))),
            leaves: false,
            leftovers_stop: None,
            tree_unkillable: false,
            litestream_unkillable: false,
            confirm: ms(25),
            drain: ms(25),
            close: ms(20),
            reaped: ms(5),
            shim_gone_first: true,
            stale: false,
            notices: None,
            writes: ms(300),
        }
    }
}
