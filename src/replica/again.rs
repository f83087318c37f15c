//! Asking again while nobody answers at a replica.

use std::time::{Duration, Instant};

use crate::litestream::database::Database;
use crate::litestream::replica_error::ReplicaError;

/// Between two questions.
const PAUSE: Duration = Duration::from_secs(1);
/// In less than that nobody answers.
const LEAST: Duration = Duration::from_millis(50);

/// How long to go on with it.
pub struct Patience {
    limit: Duration,
    until: Instant,
    is_told: bool,
}

impl Patience {
    /// Goes on for so long.
    pub fn new(limit: Duration) -> Self {
        Self { limit, until: Instant::now() + limit, is_told: false }
    }

    /// Something came of it: the time begins anew.
    pub fn renew(&mut self) {
        self.until = Instant::now() + self.limit;
    }

    /// Waits for another try, if what was said can be otherwise soon, and there is time; whether there is one.
    pub async fn waits(&mut self, db: &Database, reason: &str) -> bool {
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

    /// How long that still is.
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// Has our own client ask a replica, which is given the time that is left, as often as it takes within the limit.
///
/// # Errors
/// The last answer's.
pub async fn ask_ourselves<T>(
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
