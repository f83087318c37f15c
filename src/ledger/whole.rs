//! The files of a backup in a folder of this machine, read to the end: `__ledger whole MILLISECONDS TXID FOLDER`.
//!
//! A restore reads what the newest state needs. All others are for the points before it, and a broken one is not missed until one of those is
//! wanted.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::answer::Answer;
use crate::litestream::ltx::{self, Ltx};

/// The word for it on a command line.
pub(super) const WORD: &str = "whole";
/// What is compacted meanwhile is looked at again so often.
const TRIES: usize = 3;

/// A question about one backup.
#[derive(Clone, Copy, Debug)]
pub struct Whole<'a> {
    /// Where it is.
    pub folder: &'a Path,
    /// The transaction that it has to reach, where that is known.
    pub txid: Option<u64>,
    /// How long it may take.
    pub limit: Duration,
}

impl Whole<'_> {
    /// The arguments of the process that answers it: [`Answer::Whole`], [`Answer::Broken`] or [`Answer::Unfinished`].
    pub fn args(&self) -> [OsString; 5] {
        [
            "__ledger".into(),
            WORD.into(),
            self.limit.as_millis().to_string().into(),
            self.txid.unwrap_or(0).to_string().into(),
            self.folder.into(),
        ]
    }

    /// Reads its arguments behind the word.
    pub(super) fn parse(args: &[OsString]) -> Option<Whole<'_>> {
        let [limit, txid, folder] = args else { return None };
        let limit = Duration::from_millis(limit.to_str()?.parse().ok()?);
        let txid = txid.to_str()?.parse().ok().filter(|txid| *txid > 0);
        Some(Whole { folder: folder.as_ref(), txid, limit })
    }

    /// Answers it in this process.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn ask(&self) -> io::Result<Answer> {
        let deadline = Instant::now() + self.limit;
        let mut found = self.once(deadline)?;
        for _ in 1..TRIES {
            if !matches!(found, Answer::Broken(_)) {
                break;
            }
            found = self.once(deadline)?;
        }
        Ok(found)
    }

    fn once(&self, deadline: Instant) -> io::Result<Answer> {
        // That of all levels has no files of its own.
        let levels: Vec<PathBuf> = ltx::levels(self.folder).skip(1).collect();
        let mut all = Vec::new();
        for (level, folder) in levels.iter().enumerate() {
            let files = files(folder)?;
            if let Some(fault) = gap(level, &files).or_else(|| self.end(level, &files)) {
                return Ok(Answer::Broken(fault));
            }
            all.extend(files.into_iter().map(|(_, path)| path));
        }
        for (done, path) in all.iter().enumerate() {
            if Instant::now() >= deadline {
                return Ok(Answer::Unfinished(u8::try_from(done * 100 / all.len()).unwrap_or(99)));
            }
            let fault = match Ltx::open(path) {
                Ok(Some(ltx)) => ltx.verify().err().map(|error| error.to_string()),
                Ok(None) => Some("it is no LTX file".to_owned()),
                // It was compacted meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            if let Some(why) = fault {
                return Ok(Answer::Broken(format!("{}: {why}", path.display())));
            }
        }
        Ok(Answer::Whole)
    }

    /// The newest file of a single transaction stays (`EnforceL0RetentionByTime` in Litestream's db.go).
    fn end(&self, level: usize, files: &[(Span, PathBuf)]) -> Option<String> {
        let txid = self.txid.filter(|_| level == 0)?;
        let has = files.iter().any(|((_, max), _)| *max >= txid);
        (!has).then(|| format!("the file {} is gone", ltx::name(txid)))
    }
}

/// From which transaction to which.
type Span = (u64, u64);

/// What is in the folder of a level, in order.
fn files(folder: &Path) -> io::Result<Vec<(Span, PathBuf)>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let file =
        |entry: std::fs::DirEntry| Some((ltx::span(entry.file_name().to_str()?)?.into_inner(), entry.path()));
    let mut files: Vec<_> = entries.flatten().filter_map(file).collect();
    files.sort_unstable();
    Ok(files)
}

/// The transactions that are missing between the files of a level; a snapshot has all from the first on.
fn gap(level: usize, files: &[(Span, PathBuf)]) -> Option<String> {
    files.windows(2).find_map(|pair| {
        let [((_, max), path), ((min, _), next)] = pair else { return None };
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_gap = max.checked_add(1).is_some_and(|expected| expected < *min);
        is_gap.then(|| format!("between {} and {} of level {level} a file is gone", name(path), name(next)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_between_two_files_is_told() {
        let files = |spans: &[Span]| spans.iter().map(|span| (*span, PathBuf::from("x"))).collect::<Vec<_>>();
        assert_eq!(gap(0, &files(&[(3, 3), (4, 4), (5, 9)])), None);
        assert_eq!(gap(9, &files(&[(1, 4), (1, 90)])), None);
        assert_eq!(gap(9, &files(&[(1, u64::MAX), (2, 3)])), None);
        assert!(gap(1, &files(&[(1, 4), (6, 7)])).is_some());
    }
}
