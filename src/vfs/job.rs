//! What the process that asks a replica is told, and what it leaves behind.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is to be asked, and how. No secret: where the replica is, and its key, are in the environment.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// The extension.
    pub library: PathBuf,
    /// Where the replica is, for people.
    pub place: String,
    /// The state at this time (RFC 3339) in the place of the newest.
    pub at: Option<String>,
    /// What is asked; without it, what standard input says.
    pub sql: Option<String>,
    /// How rows look.
    pub format: Format,
    /// How long each step may go without a row.
    pub limit: Duration,
    /// How long ago the replica may have answered last, in seconds.
    pub max_lag: Option<u64>,
}

/// How rows look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Columns below each other.
    Table,
    /// An array of objects for each statement.
    Json,
    /// RFC 4180, with the names of the columns first.
    Csv,
}

/// How far it has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The extension is being loaded.
    Loading,
    /// It looks for a backup.
    Opening,
    /// It looks for the state of that time.
    GoingBack,
    /// SQL is run, or waited for.
    Asking,
    /// All was asked.
    Done,
}

/// Why it ended early.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wrong {
    /// The extension cannot be loaded.
    Library(String),
    /// The replica cannot be read.
    Replica(String),
    /// It has no state of that time.
    Past(String),
    /// SQL that SQLite refuses.
    Sql(String),
    /// SQL that would change something.
    Writes,
    /// Standard input cannot be read.
    Input(String),
    /// Standard output cannot be written.
    Output(String),
}

/// What it leaves behind, whatever became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How far it got.
    pub step: Step,
    /// Why no further.
    pub wrong: Option<Wrong>,
    /// How many seconds ago the replica had answered, where that was more than it might be.
    pub lag: Option<u64>,
}

impl Report {
    /// One of who has just begun.
    pub fn new() -> Self {
        Self { step: Step::Loading, wrong: None, lag: None }
    }

    /// Writes it in the place of what was there.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write(&self, mut file: &File) -> io::Result<()> {
        let bytes = serde_json::to_vec(self).map_err(io::Error::other)?;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(&bytes)
    }

    /// Reads it; none where nothing whole was left.
    pub fn read(mut file: &File) -> Option<Self> {
        let mut bytes = Vec::new();
        file.rewind().ok()?;
        file.read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_report_counts() {
        let file = tempfile::tempfile().expect("a file");
        assert_eq!(Report::read(&file), None);
        let long = Report { wrong: Some(Wrong::Sql("no such table: x".to_owned())), ..Report::new() };
        long.write(&file).expect("ours");
        let short = Report { step: Step::Done, ..Report::new() };
        short.write(&file).expect("ours");
        assert_eq!(Report::read(&file), Some(short));
    }
}
