//! What all lives came to.

use std::collections::BTreeMap;

use crate::life::{Ending, Report};

/// The sums.
#[derive(Default)]
pub struct Tally {
    lives: u64,
    failed: u64,
    confirmed: u64,
    unconfirmed: BTreeMap<String, u64>,
    restless: u64,
    idle: u64,
    stuck: u64,
    rows: u64,
    failures: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Adds a life.
    pub fn add(&mut self, report: &Report, calm: bool) {
        self.lives += 1;
        self.rows += report.rows;
        self.failed += u64::from(!report.failures.is_empty());
        self.idle += u64::from(!report.ran);
        match &report.ending {
            Ending::Confirmed(_) => self.confirmed += 1,
            Ending::Unconfirmed(how) => {
                self.restless += u64::from(calm);
                *self.unconfirmed.entry(how.clone()).or_default() += 1;
            }
        }
        let mut kinds: Vec<_> = report.failures.iter().map(|failure| failure.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            *self.failures.entry(kind).or_default() += 1;
        }
    }

    /// A world whose keeper would not start its app any more.
    pub fn add_stuck(&mut self) {
        self.stuck += 1;
    }

    /// Whether every life was as it should be.
    pub fn is_good(&self) -> bool {
        self.failed == 0
    }

    /// The summary; its last line is the one that tools read.
    pub fn text(&self) -> String {
        let list = |all: Vec<String>| if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        let unconfirmed = list(self.unconfirmed.iter().map(|(how, n)| format!("{n} x {how}")).collect());
        let failures = list(self.failures.iter().map(|(kind, n)| format!("{n} x {kind}")).collect());
        format!(
            "{} lives: {} confirmed; unconfirmed: {unconfirmed} ({} of them calm); {} whose app never ran; {} worlds given up\n\
             {} rows compared\nfailures: {failures}\n{} passed, {} failed",
            self.lives,
            self.confirmed,
            self.restless,
            self.idle,
            self.stuck,
            self.rows,
            self.lives - self.failed,
            self.failed
        )
    }
}
