//! What is known of the asking that is under way, and what the sources have answered.

use std::collections::BTreeMap;

use super::reload::{Asking, Reason, Report};
use super::repeats;
use crate::error::Failure;
use crate::inventory::Named;
use crate::os::lock::Lock;
use crate::replica::listing;

/// A question that is under way, and who waits for what comes of it.
#[derive(Default)]
pub(super) struct Rounds {
    pub(super) asking: bool,
    /// A client has asked for it.
    pub(super) by_hand: bool,
    /// What came of it so far.
    pub(super) report: Report,
    pub(super) waiting: Vec<Asking>,
    /// These came when a question was under way already, whose answer may be older.
    pub(super) next: Vec<Asking>,
    /// The last complaint about each database, and about the answer as a whole: each is said once.
    pub(super) said: BTreeMap<String, Reason>,
}

impl Rounds {
    /// Whether somebody waits for what comes of an asking.
    pub(super) fn is_waited_for(&self) -> bool {
        !(self.waiting.is_empty() && self.next.is_empty())
    }

    /// Says what is wrong, unless it was the last that was said of it.
    pub(super) fn complain(&mut self, about: &str, reason: &Reason) {
        let is_same = |last: &Reason| repeats::lasting(&last.said) == repeats::lasting(&reason.said);
        if !self.said.get(about).is_some_and(is_same) {
            tracing::error!("{}", reason.said);
            self.said.insert(about.to_owned(), reason.clone());
        }
    }

    /// Notes that a database cannot come, or not go.
    pub(super) fn refuse(&mut self, path: &str, reason: impl Into<Reason>) {
        let reason = reason.into();
        self.complain(path, &reason);
        self.report.fail(path.to_owned(), reason);
    }

    /// Reports what was said of a database last as what came of it this time.
    pub(super) fn report_said(&mut self, path: &str) {
        if let Some(reason) = self.said.get(path) {
            self.report.fail(path.to_owned(), reason.clone());
        }
    }
}

/// What the sources say.
pub(super) struct Answer {
    /// What the resolver printed.
    pub(super) said: Vec<u8>,
    /// At the start: the backups of each folder of databases, where they can be listed.
    pub(super) backups: Vec<Option<Vec<listing::Found>>>,
}

/// What was found out about a database that a source named.
pub(super) struct Admission {
    pub(super) named: Named,
    /// Its lock, and whether it is still missing.
    pub(super) result: Result<(Lock, bool), Failure>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_said_once_and_reported_to_each_who_asks() {
        let mut rounds = Rounds::default();
        rounds.refuse("/data/a.db", "no bucket".to_owned());
        assert_eq!(rounds.said.get("/data/a.db").map(|reason| reason.said.as_str()), Some("no bucket"));
        let report = std::mem::take(&mut rounds.report);
        assert_eq!(report.failed.len(), 1);
        rounds.report_said("/data/b.db");
        assert!(rounds.report.failed.is_empty(), "nothing was said of it");
        rounds.report_said("/data/a.db");
        assert_eq!(rounds.report, report);
    }
}
