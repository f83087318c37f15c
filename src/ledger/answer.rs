//! What the keeper asks, and what it is told.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long it may take to look whether a file is whole before all of it is copied: tens of gigabytes.
pub(super) const CHECKING: Duration = Duration::from_secs(120);

/// What to do about a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Compare what changed since the last time, and all of it if that takes no time to speak of.
    Look,
    /// Compare all of it.
    All,
    /// Compare all of it when nobody else needs the machine.
    Background,
    /// Compare all of it once more, since nobody writes any more; for what was proved in this run there is half of the
    /// time.
    Last,
    /// After the end: compare what changed, and remember how the file is left.
    Leave,
    /// After an end in which not all of it was confirmed: remember that, for a start that is stopped before it can ask.
    Owe,
    /// Before the start: what is the file that is here?
    Inspect,
    /// Before all of it is copied: is it whole?
    Check,
    /// Put Litestream's own files into quarantine, so that it begins with a fresh copy.
    Reset,
    /// Compare all of it with a restored backup, which is named in place of the metadata folder.
    Restored,
}

impl Task {
    const ALL: [(&str, Self); 10] = [
        ("look", Self::Look),
        ("all", Self::All),
        ("background", Self::Background),
        ("last", Self::Last),
        ("leave", Self::Leave),
        ("owe", Self::Owe),
        ("inspect", Self::Inspect),
        ("check", Self::Check),
        ("reset", Self::Reset),
        ("restored", Self::Restored),
    ];

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, task)| *task)
    }

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, task)| *task == self).map_or("", |(name, _)| name)
    }
}

/// A question about one database.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What to do.
    pub task: Task,
    /// The database's file.
    pub database: &'a Path,
    /// Litestream's metadata folder for it, or the file of [`Task::Restored`].
    pub meta: &'a Path,
    /// How long it may take; what is not compared by then is left.
    pub limit: Duration,
    /// What Litestream says to be on the replica, which is noted if the database is the same; 0 for nothing.
    pub confirmed: u64,
}

impl Request<'_> {
    /// The arguments of the process that answers it.
    pub fn args(&self) -> [OsString; 6] {
        [
            "__ledger".into(),
            self.task.word().into(),
            self.limit.as_millis().to_string().into(),
            self.confirmed.to_string().into(),
            self.database.into(),
            self.meta.into(),
        ]
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// All that was compared is the same.
    Equal {
        /// A comparison of all pages is due, and takes some time.
        due: bool,
    },
    /// The copy is not the database.
    Diverged {
        /// In what.
        why: String,
        /// When both were the same for certain, in seconds since 1970.
        since: Option<u64>,
    },
    /// Litestream has copied nothing yet.
    New,
    /// Nothing is known of the copy: its beginning is not here.
    Unfounded,
    /// One of Litestream's files is broken, which Litestream cannot go on from either: which, and how.
    Broken(String),
    /// Before a launch: pages of `now` bytes cannot be added to a copy with pages of `was` bytes.
    Resized {
        /// In one of Litestream's files.
        was: u32,
        /// In the database.
        now: u32,
    },
    /// Time ran out; so many per cent were compared, and are the same.
    Unfinished(u8),
    /// To [`Task::Inspect`].
    Stands(FileState),
    /// The same, and something of it is on no replica.
    Owes(FileState),
    /// To [`Task::Check`]: as far as SQLite can see.
    Whole,
    /// To [`Task::Check`], in SQLite's words.
    Malformed(String),
}

impl Answer {
    /// Reads what the process printed.
    ///
    /// # Errors
    /// It is no answer.
    pub fn parse(printed: &str) -> Result<Self, String> {
        serde_json::from_str(printed).map_err(|error| format!("no answer: {error}"))
    }
}

/// What a file that is here is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileState {
    /// Litestream has copied nothing of it.
    New,
    /// It cannot be compared: the beginning of the copy is not here.
    Unfounded,
    /// It cannot be compared: one of Litestream's files is broken.
    Broken(String),
    /// It is no database.
    NotSqlite,
    /// What was left.
    Current,
    /// What was left, but the copy has diverged from it.
    Diverged {
        /// In what.
        why: String,
        /// When both were the same for certain, in seconds since 1970.
        since: Option<u64>,
    },
    /// What was left, and so many pages have changed although nobody wrote to it.
    Damaged {
        /// So many pages.
        pages: u64,
        /// The newest transaction of what was left.
        txid: u64,
    },
    /// It is not what was left, and SQLite cannot read it.
    Malformed {
        /// What differs, and SQLite's words.
        why: String,
    },
    /// What was left, and somebody wrote to it meanwhile.
    Written {
        /// So many pages.
        pages: u64,
        /// The newest transaction of what was left.
        txid: u64,
    },
    /// An older copy: so many pages are as they once were.
    Older(u64),
    /// Its pages have `now` bytes, and those of the copy `was`: Litestream cannot go on from it.
    Resized {
        /// In one of Litestream's files.
        was: u32,
        /// In the database.
        now: u32,
        /// It is an older copy, or another file: in what.
        other: Option<String>,
    },
    /// Another file, or an older copy that somebody wrote to.
    Other {
        /// In what.
        why: String,
    },
}
