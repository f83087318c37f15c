//! What the driver is told by whatever it has set going.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::prepare::Prepared;
use super::reload::Asking;
use super::rounds::{Admission, Answer};
use super::waits::WaitAsked;
use super::wal::WalLocks;
use crate::core::{Cause, Db, Ended, Event};
use crate::error::Failure;
use crate::http;
use crate::status::Piece;

/// What tasks tell the driver.
pub(super) enum Message {
    /// It happened.
    Event(Event),
    /// It happened, and this is what the program ends with if the machine decides so.
    Failed(Event, Cause, Failure),
    /// Until then, since the machine was booted, it has the places of its databases.
    Leased(Duration),
    /// The latest reason why the gate or the drain does not get on.
    Reason(Cause, Failure),
    /// The n-th Litestream's copy of a database has diverged from it.
    Diverged(u64, Db, String),
    /// All of a database has to be compared with its backup, at some time.
    ProofDue(u64, Db),
    /// That took this long.
    Proved(Db, Duration),
    /// The tree of the n-th command is to be killed, with these locks held.
    Kill(u64, WalLocks),
    /// They were held long enough.
    LetGo(u64),
    /// It is time to look whether the app uses what is replicated.
    LookAtUse,
    /// The n-th Litestream can start on what it has to copy as a whole, or not.
    Emptied(u64, Result<(), Failure>),
    /// The n-th Litestream does not have this database.
    Unknown(u64, Db),
    /// The file of this database went while the gate waits for it, in which launch.
    Gone(u64, Db),
    /// The latest reason why the watch's question about a database got no good answer.
    NotConfirmed(Db, String),
    /// The n-th question of the watch's was answered: all that was in the database when it was asked is on its replica, or not.
    Confirmed(Db, u64, bool),
    /// Somebody waits for that of a database.
    Wait(WaitAsked),
    /// One who has waited is gone.
    WaiterLeft,
    /// What was found out before the start.
    Prepared(Prepared),
    /// The source's answer.
    Answered(Result<Answer, Failure>),
    /// What became of the databases that it names at the start.
    Admitted(Vec<Admission>),
    /// What became of the n-th look at a database that is new in it.
    LookedAt(Db, u64, Result<(), Failure>),
    /// What became of the n-th look at a database's new place.
    Probed(Db, u64, Result<(), Failure>),
    /// The n-th Litestream took a database in, or did not.
    Registered(u64, Db, Result<(), Failure>),
    /// It let go of one, or did not.
    Unregistered(u64, Db, Result<(), Failure>),
    /// Somebody wants the sources to be asked now.
    Reload(Asking),
    /// Somebody wants to know how the unit is.
    Status(StatusAsked),
    /// The same over HTTP.
    Asked(http::Ask),
    /// The time of somebody who waits for a report is over.
    ReloadLate,
    /// The n-th Litestream has not become one.
    NotLaunched(u64, Failure),
    /// The n-th Litestream was reaped.
    LitestreamReaped(u64, Ended),
}

/// Somebody who wants one piece of what is known of the unit.
pub(super) struct StatusAsked {
    /// From this database on; none for the first piece.
    pub(super) from: Option<Db>,
    /// The lock that is to be this keeper's.
    pub(super) holding: Option<(u64, u64)>,
    /// Where it goes.
    pub(super) sender: oneshot::Sender<Piece>,
}

pub(super) type Outbox = mpsc::UnboundedSender<Message>;
