//! What the world tells the machine.

use std::time::Duration;

use super::{Db, ExitCode};

/// How a process ended (`wait(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It returned this code.
    Code(u8),
    /// This signal ended it.
    Signal(i32),
}

impl Ended {
    /// The exit code that stands for it in a shell.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Code(code) => ExitCode::of_app(code),
            Self::Signal(number) => ExitCode::of_signal(number),
        }
    }
}

/// Why a command could not be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// There is no such command.
    NotFound,
    /// There is, but it cannot be executed.
    NotExecutable,
    /// A database that was replicated is gone: the app would begin with a new one.
    WithoutDatabase,
}

impl NotStarted {
    /// The exit code that stands for it in a shell.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::NotFound => ExitCode::NOT_FOUND,
            Self::NotExecutable => ExitCode::NOT_EXECUTABLE,
            Self::WithoutDatabase => ExitCode::UNAVAILABLE,
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The keeper is set up: go.
    Start,
    /// The databases, their replicas and Litestream's version were looked at.
    Prepared {
        /// Some database is missing.
        restore: bool,
        /// This Litestream has a control socket that confirms.
        confirms: bool,
    },
    /// They must not be started with; or the look was aborted.
    PrepareFailed(ExitCode),
    /// What an earlier run left in this database is not on its replica, as far as is known here.
    Owed(Db),
    /// Each missing database was restored, or its replica holds no backup.
    Restored,
    /// One could not be; or the restore was aborted.
    RestoreFailed(ExitCode),
    /// A source names a database, and it is being looked at, each for itself: it counts from now on.
    Awaited(Db),
    /// A database that is named is locked, and restored unless `Resolved` says otherwise.
    Named(Db),
    /// One that is awaited, and was replicated until a moment ago, is locked again: the Litestream that is being started has
    /// it where it was.
    Returned(Db),
    /// No source names this database any more, or not as it was.
    Dropped(Db),
    /// The sources were asked, and what they name that is new or gone was told.
    Resolved {
        /// Some database of theirs is missing.
        restore: bool,
    },
    /// They could not be, or their answer is wrong; or the asking was aborted.
    ResolveFailed(ExitCode),
    /// Somebody wants the sources to be asked now.
    Reload,
    /// Litestream took a database in and confirmed it; or it did not, and knows nothing of it. One that was
    /// awaited is so again.
    Registered {
        /// Which.
        db: Db,
        /// It did.
        ok: bool,
    },
    /// A database was confirmed, or had only been coming, and Litestream let go of it; or it still has it.
    Unregistered {
        /// Which.
        db: Db,
        /// It let go.
        ok: bool,
    },
    /// Litestream has started the shim, so it is up.
    ShimReady,
    /// Somebody told Litestream to stop: it waits for the shim now.
    LitestreamAsked,
    /// The shim is gone, and with it the app's leader; what the app started may live.
    ShimGone,
    /// Litestream ended, or could not be executed. The first word counts: the shim's, which sees it
    /// before it kills the app, or the reaper's.
    LitestreamEnded {
        /// It ended with 0 and reported no failed final sync.
        clean: bool,
    },
    /// The gate moved: bytes went out, a database was confirmed.
    GateProgress,
    /// What the gate asks for is true.
    GateOpened,
    /// The replica's answer will not change by waiting: wrong key, no such bucket.
    GateRefused,
    /// The command could not be executed.
    AppNotStarted(NotStarted),
    /// The app's leader (or a one-shot command's) ended.
    AppEnded {
        /// How.
        how: Ended,
        /// It left so many processes behind.
        left: u32,
    },
    /// Nothing is left of a tree whose leader left something, or whose shim is gone.
    TreeGone,
    /// A database file or its WAL changed.
    Changed(Db),
    /// A database file is not there, and was not since this Litestream was started.
    Missing(Db),
    /// A database file was deleted, or another one stands in its place.
    Replaced(Db),
    /// Another keeper has the lock of a database that this one was to have alone.
    LockLost(Db),
    /// A Litestream that is not this keeper's replicates a database as well.
    Doubled(Db),
    /// Another machine has the place that a database is replicated to, or the one that several have in common.
    LeaseLost(Option<Db>),
    /// Another machine may have it from now on.
    LeaseOver,
    /// The file of one is gone that a resolver has named, while Litestream was away or the gate waited: it is let go of.
    Removed(Db),
    /// The app was seen to write to the file of one that was let go since that had been deleted or moved.
    Abandoned(Db),
    /// That file is replicated again, by the name that it has now.
    FoundAgain(Db),
    /// Somebody waits for all that is in a database now to be on its replica.
    Wanted(Db),
    /// Nobody does any more.
    Unwanted(Db),
    /// The watch's question about a database was answered.
    Confirmed {
        /// Which.
        db: Db,
        /// Everything up to the question is on the replica.
        ok: bool,
    },
    /// Litestream's copy of a database has diverged from it, and only a fresh Litestream makes a new one.
    Diverged(Db),
    /// A launch was given up: a database is to be copied as a whole and is damaged.
    Damaged,
    /// A database is confirmed on its replica, as the drain asked, or Litestream does not have it, and never will; of a Litestream without a socket:
    /// its last sync at its end will have it.
    Drained(Db),
    /// Litestream does not talk to a replica that the drain waits for, and which answers others.
    Silent,
    /// The same while the app runs, of this database's replica, for longer than any pause between two tries.
    Stalled(Db),
    /// The keeper itself was not there for so long until now: stopped with its job, or without a processor.
    WasAway(Duration),
    /// A signal to stop came.
    StopSignal(i32),
    /// Any other signal came.
    Signal(i32),
}
