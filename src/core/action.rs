//! What the machine wants from the world.

use std::time::Duration;

use super::{Db, Ended, ExitCode, NotStarted};

/// What the driver carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look at the databases, their replicas and Litestream's version.
    Prepare,
    /// Restore each missing database.
    Restore,
    /// Ask the sources which databases there are.
    Resolve,
    /// End what `Prepare`, `Restore` or `Resolve` started; its event still comes.
    Abort,
    /// Start Litestream, with a fresh shim.
    Launch,
    /// Find out whether what the gate asks for is true.
    OpenGate,
    /// Stop finding out.
    CloseGate,
    /// Start the n-th one-shot command.
    StartBefore(usize),
    /// Start the app.
    StartApp,
    /// Signal the app's leader.
    SignalApp(i32),
    /// Signal everything that descends from the app.
    SignalTree(i32),
    /// End everything that descends from the app, until nothing is left.
    KillTree,
    /// End the shim, which does not end the app's tree, and then that tree.
    KillShim,
    /// Ask whether a database is confirmed on its replica.
    Confirm(Db),
    /// Have the running Litestream take in a database, and confirm it.
    Register(Db),
    /// Have a database confirmed on its replica, then Litestream let go of it.
    Unregister(Db),
    /// Give up what was begun for a database that is named no more, and have Litestream let go of it.
    Cancel(Db),
    /// Let go of a database that is not taken in, and of what was begun for it.
    Forget(Db),
    /// The same, but it is named, and is tried again with the next answer.
    PutOff(Db),
    /// Have each database confirmed on its replica, however often it takes.
    Drain,
    /// Stop draining.
    CloseDrain,
    /// Let the shim end with 0, upon which Litestream syncs and ends by itself.
    Release,
    /// End Litestream: the only signal that it ever gets.
    KillLitestream,
    /// The unit is ready to serve, or is not any more.
    Ready(bool),
    /// Tell the operator.
    Note(Note),
    /// All is over.
    Exit(ExitCode, Cause),
}

/// Whose word an exit code is, and why: the same number can be the app's own and one of the keeper's reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The app's, or the signal's that came before there was one.
    App,
    /// A one-shot command's.
    Before,
    /// Before any launch: the databases, their restore, or the answer of the sources.
    Start,
    /// The replica confirmed nothing, or refused.
    Gate,
    /// The app or a one-shot command could not be executed.
    NotStarted,
    /// A database is damaged, and a launch would copy it.
    Damaged,
    /// Another keeper or Litestream has a database.
    Taken,
    /// Litestream could not be started, or ended too often.
    Litestream,
    /// A replica was behind for too long.
    Lag,
    /// Something is on this machine alone.
    NotDrained,
}

impl Cause {
    /// The code that always goes with it; of the others it is somebody else's.
    pub(super) fn code(self) -> Option<ExitCode> {
        match self {
            Self::App | Self::Before | Self::Start | Self::NotStarted => None,
            Self::Gate | Self::Damaged => Some(ExitCode::UNAVAILABLE),
            Self::Taken => Some(ExitCode::LOCKED),
            Self::Litestream | Self::Lag => Some(ExitCode::LITESTREAM),
            Self::NotDrained => Some(ExitCode::NOT_DRAINED),
        }
    }
}

/// What the operator is told about the machine's decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The app ended, and that is the end.
    AppEnded(Ended),
    /// The app ended and is started again after a delay.
    AppRestart(Ended, Duration),
    /// The app ended too often.
    AppGivenUp(Ended),
    /// The app, or a one-shot command, ended by itself and left so many processes behind, which are ended.
    LeftBehind(u32, Ended),
    /// The app could not be executed.
    AppNotStarted(NotStarted),
    /// A one-shot command failed: its place, and how.
    BeforeFailed(usize, Ended),
    /// Litestream ended under the app, which is being stopped.
    LitestreamDied,
    /// The shim was killed under the app, which died with it.
    ShimDied,
    /// Somebody told Litestream to stop.
    LitestreamAsked,
    /// Litestream's copy of a database has diverged from it: it has to start again.
    Diverged(Db),
    /// Litestream does not go on with a database that is too far behind, and whose replica answers others.
    Stalled(Db),
    /// Litestream is started again after a delay.
    LitestreamRestart(Duration),
    /// Litestream could not be started at all.
    LitestreamNotStarted,
    /// Litestream ended too often.
    LitestreamGivenUp,
    /// Litestream died with changes that nobody confirmed: it is started again, to drain.
    DrainRelaunch,
    /// Litestream does not go on, and its replica answers others: it is ended, and a fresh one drains.
    DrainAfresh,
    /// Litestream did not come up in its time.
    LaunchTimeout,
    /// Each existing database is confirmed, so what is next may start.
    GateOpened,
    /// The gate has been waiting for this long.
    GateWaiting(Duration),
    /// The gate made no progress in its time.
    GateTimeout,
    /// The replica refuses.
    GateRefused,
    /// A change has been unconfirmed for this long.
    Lagging(Db, Duration),
    /// The app runs, and this database's file is not there.
    Missing(Db),
    /// It has not been there for this long, which counts as a lag.
    StillMissing(Db, Duration),
    /// It is there now, and on its replica.
    Made(Db),
    /// The replica has caught up.
    CaughtUp(Db),
    /// The database file is not the one that Litestream replicates.
    Replaced(Db),
    /// Another keeper runs on a database: this one stops.
    LockLost(Db),
    /// Another Litestream replicates a database as well: this keeper stops.
    Doubled(Db),
    /// Another machine replicates to the place of a database: everything is ended at once, and this is confirmed nowhere.
    LeaseLost(Option<Db>, Vec<Db>),
    /// The time of the lease is over: the same.
    LeaseOver(Vec<Db>),
    /// A stop began.
    Stopping,
    /// It came before anything was confirmed: what an earlier run left may be on this machine alone.
    NotUp,
    /// The app did not end in its grace, which was this long, and is killed.
    GraceOver(Duration),
    /// A second signal: the app's grace is skipped.
    GraceSkipped,
    /// Something of the app's tree does not die: its shim may be stopped, and is killed.
    ShimStuck,
    /// Something of the app's tree cannot be killed, and may go on writing.
    TreeStuck,
    /// Each database is confirmed on its replica after the app's end.
    Drained,
    /// At the end of the app the files of these are not there.
    NeverMade {
        /// Which.
        dbs: Vec<Db>,
        /// There are others, and each is confirmed on its replica.
        rest: bool,
    },
    /// These databases were deleted or replaced while the app ran.
    NotReplicated(Vec<Db>),
    /// These databases were not confirmed in time.
    NotDrained(Vec<Db>),
    /// Sources name these, the app has written to them, and Litestream was never told of them.
    NotTakenIn(Vec<Db>),
    /// A start has come to nothing, and these have what an earlier run left on this machine alone.
    StillOwed(Vec<Db>),
    /// Litestream did not end in its time and is killed.
    CloseTimeout,
    /// A third signal: everything is ended.
    EndingNow(Vec<Db>),
}
