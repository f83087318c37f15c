//! Asking again while nobody answers at a replica: of the clients in Litestream some try for minutes by themselves, and others
//! give up at once.

use std::cell::Cell;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::error::Error;
use super::watched;
use crate::litestream::command::{self, Output, Runner};
use crate::litestream::database::Database;
use crate::litestream::replica_error::ReplicaError;

/// Between two questions.
const PAUSE: Duration = Duration::from_secs(1);
/// In less than that nobody answers.
const LEAST: Duration = Duration::from_millis(50);

/// How long to go on with it.
pub(super) struct Patience {
    limit: Duration,
    until: Instant,
    is_told: bool,
}

impl Patience {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, until: Instant::now() + limit, is_told: false }
    }

    /// Something came of it: the time begins anew.
    pub(super) fn renew(&mut self) {
        self.until = Instant::now() + self.limit;
    }

    /// Waits for another try, if what was said can be otherwise soon, and there is time; whether there is one.
    pub(super) async fn waits(&mut self, db: &Database, reason: &str) -> bool {
        // Near the end there is a shorter pause, and time for the answer behind it.
        let pause = PAUSE.min(self.left() / 2);
        if !ReplicaError::of(reason).may_pass() || pause < LEAST {
            return false;
        }
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(
                "{}: replica {}: {reason}: asking again, for {} s at most",
                db.path.display(),
                db.replica,
                self.left().as_secs()
            );
        }
        tokio::time::sleep(pause).await;
        true
    }

    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// Has our own client ask a replica, which is given the time that is left, as often as it takes within the limit.
///
/// # Errors
/// The last answer's.
pub(super) async fn ask_ourselves<T>(
    db: &Database,
    limit: Duration,
    mut ask: impl AsyncFnMut(Duration) -> Result<T, String>,
) -> Result<T, String> {
    let mut patience = Patience::new(limit);
    loop {
        match ask(patience.left()).await {
            Err(reason) if patience.waits(db, &reason).await => {}
            answer => return answer,
        }
    }
}

/// Asks Litestream about a replica, as often as it takes within the limit. Is that over while it is asked, what was said
/// before is the answer.
///
/// # Errors
/// It gave none, or will give none.
pub(super) async fn ask(
    runner: &Runner,
    db: &Database,
    args: &[OsString],
    limit: Duration,
) -> Result<Output, Error> {
    let (mut patience, mut before) = (Patience::new(limit), None);
    loop {
        let left = if before.is_some() { patience.left() } else { limit };
        let any = Cell::new(false);
        let asked = match watched::ask(runner, db, &any, runner.ask(args, left)).await {
            Ok(asked) => asked,
            Err(reason) => return Err(Error::refused(db, reason)),
        };
        let output = match (asked, before) {
            (Err(command::Error::Timeout(_)), Some(before)) => return Ok(before),
            (Ok(output), _) => output,
            (Err(error), _) => return Err(Error::of_command(db, error).explained(runner, db).await),
        };
        match output.answer() {
            Err(reason) if patience.waits(db, &reason).await => before = Some(output),
            Ok(_) | Err(_) => return Ok(output),
        }
    }
}
