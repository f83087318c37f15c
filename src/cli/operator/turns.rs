//! Whose turn it is to be verified, where only a part is each time: who was not for the longest time.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::budget::Budget;
use super::candidate::Candidate;
use super::private_file::Pending;
use super::remembered::{self, Remembered};
use super::shown;
use crate::error::Failure;
use crate::litestream::database::with_suffix;
use crate::os::permit;
use crate::printer;

/// The part that is verified now, and what is next.
pub(super) struct Turn {
    /// Those whose turn it is.
    pub(super) now: Vec<Candidate>,
    pending: Pending,
    file: PathBuf,
    sizes: [u64; 2],
    count: usize,
    next: PathBuf,
}

impl Turn {
    /// Looks at whose turn it is of those.
    ///
    /// # Errors
    /// It cannot be remembered.
    pub(super) fn take(all: Vec<Candidate>, budget: Budget) -> Result<Self, Failure> {
        let file = remembered::file()?;
        let pending = Pending::begin(&file).map_err(|error| remembered::forgotten(&file, &error))?;
        let remembered = Remembered::read(&file);
        let mut all: Vec<(Option<Timestamp>, u64, Candidate)> =
            all.into_iter().map(|one| (remembered.turn_of(&one.db.path), size(&one.db.path), one)).collect();
        // Who was never verified comes first, then as they are in the configuration.
        all.sort_by_key(|(time, ..)| *time);
        let sizes: Vec<u64> = all.iter().map(|(_, size, _)| *size).collect();
        let count = budget.count(&sizes);
        let sum = |sizes: &[u64]| sizes.iter().fold(0, |all: u64, size| all.saturating_add(*size));
        let next = all.get(count).or(all.first()).map(|(.., one)| one.db.path.clone()).unwrap_or_default();
        Ok(Self {
            pending,
            file,
            sizes: [sum(&sizes[..count]), sum(&sizes)],
            count: all.len(),
            next,
            now: all.into_iter().take(count).map(|(.., one)| one).collect(),
        })
    }

    /// Remembers that they had their turn, however it ended: one that cannot be verified keeps none of the others waiting. Says what is next.
    ///
    /// # Errors
    /// It cannot be remembered.
    pub(super) fn over(self) -> Result<(), Failure> {
        let Self { now, pending, file, sizes: [done, all], count, next } = self;
        let (done, all) = (shown::size(Some(done)), shown::size(Some(all)));
        printer::note(&format!(
            "verified {} of {count} databases, {done} of {all}; next is {}",
            now.len(),
            next.display()
        ));
        // Another verification may have ended meanwhile.
        let mut remembered = Remembered::read(&file);
        remembered.had_their_turn(now.iter().map(|one| one.db.path.as_path()));
        remembered.put(pending, &file)
    }
}

/// A database with its WAL; nothing where it is not there.
fn size(path: &Path) -> u64 {
    let length = |path: &Path| permit::theirs(|| path.metadata()).map_or(0, |found| found.len());
    length(path).saturating_add(length(&with_suffix(path, "-wal")))
}
