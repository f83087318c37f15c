//! What comes of a verification.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::shown;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::printer::Paint;

/// What a backup is worth; each is worse than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// It restores to what the database is.
    InSync,
    /// Nobody can tell.
    Inconclusive,
    /// It restores, and to something else.
    OutOfSync,
    /// Nothing whole comes of it.
    NotRestorable,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::InSync => "in-sync",
            Self::Inconclusive => "inconclusive",
            Self::OutOfSync => "out-of-sync",
            Self::NotRestorable => "not-restorable",
        }
    }

    /// The exit code.
    pub(super) fn exit(self) -> ExitCode {
        match self {
            Self::InSync => ExitCode::OK,
            // `EX_TEMPFAIL`: another time it may be told.
            Self::Inconclusive => ExitCode::LOCKED,
            Self::OutOfSync => ExitCode::of_app(1),
            Self::NotRestorable => ExitCode::UNAVAILABLE,
        }
    }

    /// What is missing on this machine before anything was asked says nothing of a backup.
    pub(super) fn of_setup(failure: Failure) -> Failure {
        match failure.exit {
            ExitCode::UNAVAILABLE => Failure { exit: Self::Inconclusive.exit(), ..failure },
            _ => failure,
        }
    }

    /// How its line looks.
    pub(super) fn paint(self) -> Paint {
        match self {
            Self::InSync => Paint::Good,
            Self::Inconclusive | Self::OutOfSync | Self::NotRestorable => Paint::Bad,
        }
    }

    /// With its reason, and the next step.
    pub(super) fn because(self, what: impl AsRef<str>, hint: impl AsRef<str>) -> Bad {
        Bad { verdict: self, failure: Failure::new(self.exit(), what).hint(hint) }
    }
}

/// A verdict that is not the best.
#[derive(Clone, Debug)]
pub(super) struct Bad {
    pub(super) verdict: Verdict,
    pub(super) failure: Failure,
}

/// A database that was verified.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) path: PathBuf,
    /// Where its backup is.
    pub(super) replica: String,
    /// From the commit of the row until it was on the replica; nothing where none was asked for.
    pub(super) replicated: Option<Duration>,
    /// How long the restore took, with the look at what came of it.
    pub(super) restored: Option<Duration>,
    /// How closely SQLite has looked at it.
    pub(super) integrity: Option<&'static str>,
    /// How many rows were compared.
    pub(super) rows: Option<u64>,
    pub(super) bad: Option<Bad>,
}

impl Verified {
    /// One of which nothing is known yet.
    pub(super) fn new(path: PathBuf, replica: String) -> Self {
        Self { path, replica, replicated: None, restored: None, integrity: None, rows: None, bad: None }
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.bad.as_ref().map_or(Verdict::InSync, |bad| bad.verdict)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "path": self.path.to_string_lossy(),
            "verdict": self.verdict().word(),
            "replicated_after_ms": self.replicated.map(shown::milliseconds),
            "restored_after_ms": self.restored.map(shown::milliseconds),
            "integrity": self.integrity,
            "rows_compared": self.rows,
            "error": self.bad.as_ref().map(|bad| &bad.failure.message),
        })
    }

    /// Its line of a table.
    pub(super) fn cells(&self) -> [String; 6] {
        [
            self.path.to_string_lossy().into_owned(),
            self.verdict().word().to_owned(),
            shown::took(self.replicated),
            shown::took(self.restored),
            shown::known(self.integrity),
            shown::number(self.rows),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_several_is_the_one_that_restores_nothing() {
        let all = [Verdict::OutOfSync, Verdict::InSync, Verdict::NotRestorable, Verdict::Inconclusive];
        assert_eq!(all.into_iter().max(), Some(Verdict::NotRestorable));
        assert_eq!(all.map(|verdict| verdict.exit().get()), [1, 0, 69, 75]);
    }
}
