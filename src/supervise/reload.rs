//! The report of one asking of the sources, and the clients that wait for it.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::core::ExitCode;
use crate::error::Failure;

/// The word at the keeper's own control socket.
pub const RELOAD: &str = "reload";
/// What follows it in a line of its own: how many milliseconds the client waits. A keeper that does not know this does not
/// read on.
pub const WITHIN: &str = "within ";
/// What may follow that in one more line: the device and inode of the lock that the keeper is to have.
pub const HOLDING: &str = "holding ";
/// What came of asking the sources once more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Databases that are replicated from now on.
    pub added: Vec<String>,
    /// Databases that are not any more.
    pub removed: Vec<String>,
    /// Databases of which neither came true.
    pub failed: Vec<Failed>,
    /// Why nothing could be asked, or the answer was not taken.
    pub error: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The keeper has the lock that it was asked for: without this nothing was done, whatever else is said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holds: bool,
    /// The exit code that stands for all this.
    pub exit_code: u8,
}

/// A database that could not be added or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Its path.
    pub database: String,
    /// Why.
    pub reason: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Why something did not come true, and what to do about it.
#[derive(Clone, Debug)]
pub(super) struct Reason {
    pub(super) said: String,
    pub(super) hint: Option<String>,
}

impl From<Failure> for Reason {
    fn from(failure: Failure) -> Self {
        Self { said: failure.message, hint: failure.hint }
    }
}

impl From<String> for Reason {
    fn from(said: String) -> Self {
        Self { said, hint: None }
    }
}

impl Reason {
    /// Returns the same with this behind it.
    pub(super) fn and(self, more: &str) -> Self {
        Self { said: format!("{}{more}", self.said), ..self }
    }
}

impl Report {
    /// Makes a report of nothing but this.
    pub(super) fn of_failure(failure: &Failure) -> Self {
        Self {
            error: Some(failure.message.clone()),
            hint: failure.hint.clone(),
            exit_code: failure.exit.get(),
            ..Self::default()
        }
    }

    /// Notes that a database is replicated from now on.
    pub(super) fn add(&mut self, database: String) {
        self.came_true(&database);
        self.added.push(database);
    }

    /// Notes that one is not any more.
    pub(super) fn remove(&mut self, database: String) {
        self.came_true(&database);
        self.removed.push(database);
    }

    /// Drops what was said against it before.
    fn came_true(&mut self, database: &str) {
        self.failed.retain(|failed| failed.database != database);
        if self.failed.is_empty() && self.error.is_none() {
            self.exit_code = 0;
        }
    }

    /// Notes why a database could not be added or removed, in place of what was said of it before.
    pub(super) fn fail(&mut self, database: String, reason: impl Into<Reason>) {
        let Reason { said, hint } = reason.into();
        // The last word counts.
        self.failed.retain(|failed| failed.database != database);
        self.failed.push(Failed { database, reason: said, hint });
        if self.exit_code == 0 {
            self.exit_code = ExitCode::UNAVAILABLE.get();
        }
    }
}

/// A client that waits for a report.
pub(super) struct Asking {
    sender: oneshot::Sender<Report>,
    /// Until then; then it is what has come true.
    until: Option<Instant>,
    /// The lock that is to be this keeper's.
    holding: Option<(u64, u64)>,
}

impl Asking {
    /// Makes one that waits until then; `holding` is the lock that is to be this keeper's.
    pub(super) fn new(
        sender: oneshot::Sender<Report>,
        until: Option<Instant>,
        holding: Option<(u64, u64)>,
    ) -> Self {
        Self { sender, until, holding }
    }

    /// Sends it the report.
    pub(super) fn answer(self, report: Report) {
        // Who has gone meanwhile needs no answer.
        let _ = self.sender.send(Report { holds: self.holding.is_some(), ..report });
    }

    /// Answers that another keeper is meant.
    pub(super) fn refuse(self) {
        let _ = self.sender.send(Report::default());
    }

    /// Returns the lock that is to be this keeper's.
    pub(super) fn holding(&self) -> Option<(u64, u64)> {
        self.holding
    }

    /// Says whether its time is over.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Calls this once its time is over, if it has one.
    pub(super) fn wake(&self, late: impl FnOnce() + 'static) {
        let Some(until) = self.until else { return };
        tokio::task::spawn_local(async move {
            tokio::time::sleep_until(until.into()).await;
            late();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_about_a_database_counts() {
        let mut report = Report::default();
        report.fail("a".to_owned(), "no answer".to_owned());
        report.fail("a".to_owned(), Reason::from("it is locked".to_owned()).and(" by another"));
        report.fail("b".to_owned(), "no answer".to_owned());
        assert_eq!(report.exit_code, ExitCode::UNAVAILABLE.get());
        let said: Vec<&str> = report.failed.iter().map(|failed| failed.reason.as_str()).collect();
        assert_eq!(said, ["it is locked by another", "no answer"]);
        report.add("a".to_owned());
        assert_eq!(report.exit_code, ExitCode::UNAVAILABLE.get(), "b has failed still");
        report.remove("b".to_owned());
        assert_eq!((report.exit_code, report.failed.len()), (0, 0));
        assert_eq!((report.added, report.removed), (vec!["a".to_owned()], vec!["b".to_owned()]));
    }

    #[test]
    fn what_kept_all_from_being_asked_is_not_forgotten_for_one_that_came_true() {
        let failure = Failure::new(ExitCode::CONFIG, "the answer is no list").hint("print one");
        let mut report = Report::of_failure(&failure);
        report.fail("a".to_owned(), "no answer".to_owned());
        report.add("a".to_owned());
        assert_eq!((report.exit_code, report.error.as_deref()), (78, Some("the answer is no list")));
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report, "it travels as it is");
    }

    #[test]
    fn who_asks_for_a_lock_hears_whether_it_is_this_keepers() {
        let (sender, mut told) = oneshot::channel();
        let now = Instant::now();
        let asking = Asking::new(sender, Some(now), Some((1, 2)));
        assert!(asking.is_late(now) && asking.holding() == Some((1, 2)));
        asking.answer(Report::default());
        assert!(told.try_recv().unwrap().holds);
        let (sender, mut told) = oneshot::channel();
        let asking = Asking::new(sender, None, Some((1, 2)));
        assert!(!asking.is_late(now), "it waits as long as it takes");
        asking.refuse();
        assert!(!told.try_recv().unwrap().holds, "another keeper is meant");
    }
}
