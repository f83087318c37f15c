//! What is told of a run: to the log, to the service manager, and with the program's end.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::manager::Manager;
use super::notes::{self, Names};
use crate::core::{Cause, Db, ExitCode, Note};
use crate::error::Failure;

/// What was told, and the reasons of what will be.
#[derive(Default)]
pub(super) struct Notices {
    pub(super) manager: Manager,
    /// All was confirmed at the end.
    drained: bool,
    /// Of these not all was.
    undrained: Vec<Db>,
    /// What the program ends with, if it ends for this.
    failures: BTreeMap<Cause, Failure>,
    /// A database is damaged, which is why the program ends.
    damage: Option<Failure>,
    /// The latest reason why something did not get on.
    reason: Option<String>,
    /// The latest about each database that is behind.
    reasons: BTreeMap<Db, String>,
}

impl Notices {
    /// None yet.
    pub(super) fn to(manager: Manager) -> Self {
        Self { manager, ..Self::default() }
    }

    /// Something did not get on for this reason.
    pub(super) fn because(&mut self, reason: String) {
        self.reason = Some(reason);
    }

    /// A database is behind for this reason.
    pub(super) fn behind(&mut self, db: Db, reason: String) {
        self.reasons.insert(db, reason.clone());
        self.because(reason);
    }

    /// The program ends with this, if it ends for that.
    pub(super) fn fail(&mut self, cause: Cause, failure: Failure) {
        self.failures.insert(cause, failure);
    }

    /// As [`Notices::fail`], and something did not get on for it.
    pub(super) fn hold_up(&mut self, cause: Cause, failure: Failure) {
        self.because(failure.message.clone());
        self.fail(cause, failure);
    }

    /// The program ends with this, whatever it ends for.
    pub(super) fn damaged(&mut self, failure: Failure) {
        self.damage = Some(failure);
    }

    /// What failed up to now was got over.
    pub(super) fn gate_opened(&mut self) {
        self.failures.clear();
        self.reason = None;
    }

    /// A database is behind no more.
    pub(super) fn confirmed(&mut self, db: Db) {
        self.forget(db);
        self.reason = None;
    }

    /// Nothing is said of a database any more.
    pub(super) fn forget(&mut self, db: Db) {
        self.reasons.remove(&db);
    }

    /// What was said of each database was another Litestream's.
    pub(super) fn relaunched(&mut self) {
        self.reasons.clear();
    }

    /// This is the reason, unless there is one already.
    pub(super) fn otherwise(&mut self, reason: &RefCell<Option<String>>) {
        self.reason = self.reason.take().or_else(|| reason.take());
    }

    /// The latest reason, which is told once.
    pub(super) fn take_reason(&mut self) -> Option<String> {
        self.reason.take()
    }

    /// Why a database is behind.
    pub(super) fn reason_of(&self, db: Db) -> Option<String> {
        self.reasons.get(&db).cloned()
    }

    /// Why the gate has not opened yet, as far as anybody has said.
    pub(super) fn shut_by(&self) -> Option<&str> {
        self.failures.get(&Cause::Gate).map(|failure| failure.message.as_str())
    }

    /// Writes a line, and remembers what the end is told by.
    pub(super) fn log(&mut self, note: &Note, names: &Names<'_>) {
        notes::log(note, names);
        self.drained |= matches!(note, Note::Drained | Note::NeverMade { rest: true, .. });
        if let Note::NotDrained(dbs) = note {
            self.undrained.clone_from(dbs);
        }
        if matches!(note, Note::GateTimeout) {
            let not_confirmed = || notes::not_confirmed(names);
            self.failures.entry(Cause::Gate).or_insert_with(not_confirmed);
        }
    }

    /// Whether it was told that all is on the replica.
    pub(super) fn is_drained(&self) -> bool {
        self.drained
    }

    /// Of which it was told that not all of it is.
    pub(super) fn undrained(&self) -> &[Db] {
        &self.undrained
    }

    /// What the program ends with.
    ///
    /// # Errors
    /// What it ended for, where that has words of its own.
    pub(super) fn end(&mut self, code: ExitCode, cause: Cause) -> Result<ExitCode, Failure> {
        if let Some(damage) = self.damage.take() {
            return Err(Failure { exit: code, ..damage });
        }
        match self.failures.remove(&cause) {
            Some(failure) => Err(failure),
            None => Ok(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::OnLag;

    fn failure(message: &str) -> Failure {
        Failure::new(ExitCode::UNAVAILABLE, message).hint("wait")
    }

    fn names() -> Names<'static> {
        Names {
            dbs: &[],
            absent: Vec::new(),
            app: String::new(),
            started: String::new(),
            before: Vec::new(),
            sources: Vec::new(),
            reason: None,
            stop_timeout: Duration::ZERO,
            gate_timeout: Duration::ZERO,
            on_lag: OnLag::Warn,
            why_killed: "",
        }
    }

    fn ended(mut notices: Notices, cause: Cause) -> Result<ExitCode, String> {
        notices.end(ExitCode::UNAVAILABLE, cause).map_err(|failure| failure.message)
    }

    #[test]
    fn the_program_ends_with_the_words_of_what_it_ends_for() {
        let failed = || {
            let mut notices = Notices::default();
            notices.fail(Cause::Litestream, failure("it fell"));
            notices.hold_up(Cause::Gate, failure("no bucket"));
            notices
        };
        assert_eq!(ended(failed(), Cause::Gate), Err("no bucket".to_owned()));
        assert_eq!(ended(failed(), Cause::Litestream), Err("it fell".to_owned()));
        assert_eq!(ended(failed(), Cause::Taken), Ok(ExitCode::UNAVAILABLE));
        let mut opened = failed();
        opened.gate_opened();
        assert_eq!(opened.take_reason(), None);
        assert_eq!(ended(opened, Cause::Gate), Ok(ExitCode::UNAVAILABLE), "that was got over");
        let mut damaged = failed();
        damaged.damaged(failure("no database"));
        assert_eq!(ended(damaged, Cause::Gate), Err("no database".to_owned()), "whatever else is wrong");
    }

    #[test]
    fn a_gate_that_stays_shut_has_words_of_its_own_unless_its_replica_had_some() {
        let mut silent = Notices::default();
        silent.log(&Note::GateTimeout, &names());
        assert!(ended(silent, Cause::Gate).is_err_and(|said| said.contains("not confirmed within")));
        let mut refused = Notices::default();
        refused.hold_up(Cause::Gate, failure("no bucket"));
        refused.log(&Note::GateTimeout, &names());
        assert_eq!(ended(refused, Cause::Gate), Err("no bucket".to_owned()));
    }

    #[test]
    fn a_reason_is_told_once_and_a_databases_own_until_it_is_confirmed() {
        let mut notices = Notices::default();
        notices.behind(Db(1), "slow".to_owned());
        assert_eq!(notices.take_reason().as_deref(), Some("slow"));
        assert_eq!(notices.take_reason(), None);
        assert_eq!(notices.reason_of(Db(1)).as_deref(), Some("slow"));
        assert_eq!(notices.reason_of(Db(0)), None);
        notices.behind(Db(0), "slower".to_owned());
        notices.confirmed(Db(1));
        assert_eq!((notices.take_reason(), notices.reason_of(Db(1))), (None, None));
        notices.relaunched();
        assert_eq!(notices.reason_of(Db(0)), None, "it was another litestream's");
    }

    #[test]
    fn the_end_is_told_by_what_was_noted() {
        let mut notices = Notices::default();
        notices.log(&Note::NotDrained(vec![Db(2)]), &names());
        assert_eq!((notices.is_drained(), notices.undrained()), (false, [Db(2)].as_slice()));
        let never_made = |rest| Note::NeverMade { dbs: vec![Db(0)], rest };
        notices.log(&never_made(false), &names());
        assert!(!notices.is_drained());
        notices.log(&never_made(true), &names());
        assert!(notices.is_drained());
    }
}
