//! What Litestream's control socket can and a keeper's Litestream may not be asked: `start`, `stop`, `register`, `unregister`.
//!
//! A keeper answers for each database that its Litestream has: it holds the lock and the place, knows what the backup has of each
//! page, and drains at the end. A database that Litestream lets go of under it is lag at best, and loses what the app writes into the WAL meanwhile
//! at worst: nothing keeps the app's checkpoint from beginning it anew. One that it takes in has no lock, no look at its replica and no drain.

use super::args;
use crate::core::ExitCode;
use crate::error::Failure;

/// Says why not, and what there is in its place.
///
/// # Errors
/// Always.
pub(in crate::cli) fn kept_out(word: KeptOut, _args: &args::KeptOut) -> Result<ExitCode, Failure> {
    Err(word.refusal())
}

/// A command that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptOut {
    /// Of a database that Litestream has and does not replicate.
    Start,
    /// Have it not replicate one.
    Stop,
    /// Have it take one in.
    Register,
    /// Have it let go of one.
    Unregister,
}

impl KeptOut {
    /// The one of this name.
    pub(super) fn named(word: &str) -> Option<Self> {
        [Self::Start, Self::Stop, Self::Register, Self::Unregister].into_iter().find(|one| one.word() == word)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Register => "register",
            Self::Unregister => "unregister",
        }
    }

    /// The failure that says so.
    pub(super) fn refusal(self) -> Failure {
        let (why, hint) = match self {
            Self::Start | Self::Stop => (
                "the app would go on writing to a database that nobody replicates",
                "stop the keeper with TERM, which stops the app and drains first; `litekeeper run` starts both",
            ),
            Self::Register => (
                "nobody would have its lock, look at its replica, or drain it at the end",
                "name it in the configuration and start the keeper again; or put it into a folder of databases, or have a resolver name it, and \
                 `litekeeper reload`",
            ),
            Self::Unregister => (
                "the app would go on writing to a database that nobody replicates",
                "take it out of the configuration and start the keeper again; or have the resolver name it no more, and `litekeeper reload`",
            ),
        };
        let message = format!("a keeper's litestream is not told to {} a database: {why}", self.word());
        Failure::new(ExitCode::USAGE, message).hint(hint)
    }
}
