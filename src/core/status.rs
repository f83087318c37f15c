//! What the machine knows of itself, for whoever asks: nothing is decided by it.

use std::time::Duration;

use super::{Db, Ended};

/// Where the unit is, and what became of its processes so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where it is, in a word.
    pub phase: &'static str,
    /// The same in a sentence.
    pub told: &'static str,
    /// The app runs, and no replica is further behind than is allowed.
    pub ready: bool,
    /// Why it is not ready, beside where it is.
    pub reasons: Vec<Unready>,
    /// So many databases are further behind than is allowed, whether or not that counts as not ready.
    pub behind: usize,
    /// A drain waits for so many.
    pub undrained: usize,
    /// What is left of the time of a stop; none if the unit is not to end.
    pub stops_within: Option<Duration>,
    /// What is under way ends by itself: the app does not, nor does a one-shot command.
    pub is_limited: bool,
    /// The app's lives; those of the one-shot commands are not among them.
    pub app: Lives<AppEnd>,
    /// Litestream's.
    pub litestream: Lives<Lost>,
}

/// A reason why a unit whose app runs is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unready {
    /// A change in this database has been unconfirmed for this long.
    Lagging(Db, Duration),
    /// The file of this one has not been there for this long.
    Missing(Db, Duration),
    /// The file of this one is not the one that Litestream replicates.
    Replaced(Db),
}

/// How often something was started, and how it ended last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lives<E> {
    starts: u64,
    last: Option<E>,
}

impl<E> Default for Lives<E> {
    fn default() -> Self {
        Self { starts: 0, last: None }
    }
}

impl<E: Copy> Lives<E> {
    pub(super) fn begin(&mut self) {
        self.starts += 1;
    }

    pub(super) fn end(&mut self, how: E) {
        self.last = Some(how);
    }

    /// How often it was started again.
    pub fn restarts(&self) -> u64 {
        self.starts.saturating_sub(1)
    }

    /// How it ended last; none if it never did.
    pub fn last(&self) -> Option<E> {
        self.last
    }
}

/// How the app ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppEnd {
    /// Its leader's end.
    pub how: Ended,
    /// What for.
    pub why: WhyEnded,
}

/// What the app ended for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyEnded {
    /// It ended by itself.
    Itself,
    /// Litestream was lost, or had to start again.
    Litestream,
    /// The unit is stopping.
    Stopped,
}

/// Why a Litestream had to be followed by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It ended, or never came up.
    Died,
    /// The shim was killed, and Litestream ends with it.
    ShimDied,
    /// Somebody told it to stop.
    Asked,
    /// Its copy of a database had diverged from it.
    Diverged,
    /// It did not go on, and its replica answered others.
    Stalled,
    /// The gate stayed shut.
    Gate,
}

impl Lost {
    /// The same in words that follow how it ended.
    pub fn told(self) -> &'static str {
        match self {
            Self::Died => "by itself",
            Self::ShimDied => "its shim was killed",
            Self::Asked => "somebody told it to stop",
            Self::Diverged => "its copy of a database had diverged",
            Self::Stalled => "it did not go on, and its replica answered others",
            Self::Gate => "its replicas confirmed nothing",
        }
    }
}

impl WhyEnded {
    /// The same in words that follow how it ended.
    pub fn told(self) -> &'static str {
        match self {
            Self::Itself => "by itself",
            Self::Litestream => "since litestream had to start again",
            Self::Stopped => "as it was told to stop",
        }
    }
}

/// How a database compares with its backup, as far as the machine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What of it holds.
    pub state: State,
    /// The age of the oldest change that nobody has confirmed; none where there is none.
    pub lag: Option<Duration>,
}

/// See [`Standing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// All is confirmed, or what is not is young.
    Replicated,
    /// What is not confirmed is older than is allowed.
    Lagging,
    /// The file is not there.
    Missing,
    /// The file is not the one that Litestream replicates.
    Replaced,
    /// Nobody is asked about it now: there is no Litestream that could tell, or it does not have this one.
    Unknown,
}

impl State {
    const ALL: [Self; 5] = [Self::Replicated, Self::Lagging, Self::Missing, Self::Replaced, Self::Unknown];

    /// The one that this word stands for.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// It in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Replicated => "replicated",
            Self::Lagging => "lagging",
            Self::Missing => "missing",
            Self::Replaced => "replaced",
            Self::Unknown => "unknown",
        }
    }
}
