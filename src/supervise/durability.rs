//! What whoever has waited for a database to be on its replica is told.

use crate::core::ExitCode;
use crate::litestream::version::Version;
use crate::status::{self, Copied, Waited};

/// So many databases are told one by one.
pub(super) const TOLD: usize = 32;

/// What whoever has waited is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum WaitAnswer {
    /// All that was in these when it was asked for is on their replicas: restores have it.
    Durable(Told),
    /// Of these it is not, as far as anybody knows, and the time is over.
    Timeout(Told),
    /// Another file stands in the place of these, or none: no Litestream that runs confirms it.
    Replaced(Told),
    /// No database is meant by that name, or several, or none any more: which, and what there is.
    Unknown { error: String, hint: Option<String> },
    /// The keeper is stopping. Its last drain has all on the replicas, or its exit code says that it has not.
    Stopping,
    /// This Litestream does not confirm.
    NotConfirmable(Version),
    /// Too many wait already.
    Busy,
    /// It is another keeper that is meant.
    Another,
}

/// Some databases.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Told {
    /// Each, up to [`TOLD`].
    pub(super) each: Vec<Copied>,
    /// There are so many others.
    pub(super) more: usize,
}

impl Told {
    /// One more.
    pub(super) fn add(&mut self, one: impl FnOnce() -> Copied) {
        if self.each.len() < TOLD { self.each.push(one()) } else { self.more += 1 }
    }

    /// Why each of them is not durable, a line each.
    fn complaint(&self) -> String {
        let line = |one: &Copied| {
            let why = one.error.as_deref().unwrap_or("it has not answered yet");
            let age = one.lag_seconds.filter(|age| *age > 0.0);
            let age = age.map_or_else(String::new, |age| format!(", its oldest change {age:.1} s old"));
            let at = |txid: &Option<String>| txid.clone().unwrap_or_else(|| "an unknown txid".to_owned());
            let replica = one.replica.as_deref().unwrap_or("its replica");
            let (path, here, there) = (&one.path, at(&one.txid), at(&one.replicated_txid));
            format!("{path}: litestream is at {here}, {replica} was confirmed up to {there}{age}: {why}")
        };
        let more = (self.more > 0).then(|| format!("and {} more databases", self.more));
        self.each.iter().map(line).chain(more).collect::<Vec<_>>().join("\n")
    }
}

impl WaitAnswer {
    /// The exit code that stands for it.
    pub(super) fn exit(&self) -> ExitCode {
        match self {
            Self::Durable(_) => ExitCode::OK,
            Self::Timeout(_) | Self::Replaced(_) => ExitCode::NOT_DRAINED,
            Self::Unknown { .. } | Self::NotConfirmable(_) => ExitCode::USAGE,
            Self::Stopping | Self::Another => ExitCode::UNAVAILABLE,
            Self::Busy => ExitCode::LOCKED,
        }
    }

    /// It in a word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Durable(_) => "durable",
            Self::Timeout(_) => "timeout",
            Self::Replaced(_) => "replaced",
            Self::Unknown { .. } => "unknown-database",
            Self::Stopping => "stopping",
            Self::NotConfirmable(_) => "not-confirmable",
            Self::Busy => "busy",
            Self::Another => "another",
        }
    }

    /// It as a document.
    pub(super) fn document(self) -> Waited {
        let (result, exit_code, holds) =
            (self.word().to_owned(), self.exit().get(), !matches!(self, Self::Another));
        let (error, hint) = self.said();
        let Told { each: databases, more } = match self {
            Self::Durable(told) | Self::Timeout(told) | Self::Replaced(told) => told,
            Self::Unknown { .. } | Self::Stopping | Self::NotConfirmable(_) | Self::Busy | Self::Another => {
                Told::default()
            }
        };
        Waited { version: status::VERSION, holds, result, exit_code, error, hint, databases, more }
    }

    /// Why it is none that was wanted, and what to do about it.
    fn said(&self) -> (Option<String>, Option<String>) {
        let said = |error: &str, hint: &str| (Some(error.to_owned()), Some(hint.to_owned()));
        match self {
            Self::Durable(_) | Self::Another => (None, None),
            Self::Timeout(told) => said(
                &told.complaint(),
                "what is not confirmed stays with the keeper, whose litestream goes on trying: its log has the reason; wait longer, or again",
            ),
            Self::Replaced(told) => said(
                &told.complaint(),
                "restart the keeper: it looks at the new file before litestream has it",
            ),
            Self::Unknown { error, hint } => (Some(error.clone()), hint.clone()),
            Self::Stopping => said(
                "litekeeper is stopping",
                "its end has the last writes confirmed: its exit code is 74 where they are not, else the app's",
            ),
            Self::NotConfirmable(version) => said(
                &format!("litestream {version} confirms nothing: litestream {} does", Version::CONFIRMS),
                "`litekeeper install` gets a newer one",
            ),
            Self::Busy => said("too many wait already", "wait again in a moment, and for fewer of them"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(path: &str) -> Copied {
        Copied { path: path.to_owned(), durable: true, ..Copied::default() }
    }

    #[test]
    fn each_answer_has_a_code_and_says_what_to_do() {
        let of = |answer: WaitAnswer| {
            let word = answer.word();
            let Waited { exit_code, holds, error, hint, result, .. } = answer.document();
            assert!(result == word && error.is_some() == (holds && exit_code != 0), "{word}");
            assert_eq!(error.is_some(), hint.is_some(), "{word}");
            exit_code
        };
        let behind = || Told { each: vec![copied("/srv/a.db")], more: 3 };
        let unknown = WaitAnswer::Unknown { error: "x".to_owned(), hint: Some("y".to_owned()) };
        let codes = [
            of(WaitAnswer::Durable(behind())),
            of(WaitAnswer::Timeout(behind())),
            of(WaitAnswer::Replaced(behind())),
            of(unknown),
            of(WaitAnswer::Stopping),
            of(WaitAnswer::NotConfirmable(Version::new(0, 3, 13))),
            of(WaitAnswer::Busy),
            of(WaitAnswer::Another),
        ];
        assert_eq!(codes, [0, 74, 74, 64, 69, 64, 75, 69]);
        let said = behind().complaint();
        assert!(said.starts_with("/srv/a.db: ") && said.ends_with("and 3 more databases"), "{said}");
    }
}
