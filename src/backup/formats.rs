//! A place that holds the backups of two series: a Litestream that reads only one of them restores that one, however old it
//! is beside the other.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::error::Error;
use super::restorer::Restorer;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::litestream::version::Version;
use crate::os::permit;
use crate::replica::helper::{self, Formats};

/// More files are not looked at in a folder.
const MOST: usize = 1_000_000;

/// What a Litestream that reads one series finds beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Other {
    /// Nothing that matters.
    Nothing,
    /// All that there is.
    Alone,
    /// What is newer.
    Newer,
}

/// What is beside what a Litestream reads, that reads the LTX files if it `is_ltx`, and else the generations.
fn beside(found: Formats, is_ltx: bool) -> Other {
    let (own, other) = if is_ltx { (found.ltx, found.generations) } else { (found.generations, found.ltx) };
    match (own, other) {
        (_, None) => Other::Nothing,
        (None, Some(_)) => Other::Alone,
        (Some(own), Some(other)) if other > own => Other::Newer,
        (Some(_), Some(_)) => Other::Nothing,
    }
}

impl Restorer {
    /// See [`refuse`].
    pub(super) async fn refuse_newer_format(&self, db: &Database) -> Result<(), Error> {
        refuse(&self.runner, self.version, db, self.timeout).await
    }
}

/// Refuses to go on from what this Litestream reads, or over it, where another one has gone on since, or has all there is.
///
/// # Errors
/// [`Error::OtherFormat`] or [`Error::NewerFormat`].
pub async fn refuse(runner: &Runner, version: Version, db: &Database, limit: Duration) -> Result<(), Error> {
    if version.reads_both() {
        return Ok(());
    }
    let Some(found) = held(runner, db, limit).await else { return Ok(()) };
    let beside = match found {
        Ok(found) => beside(found, version.is_ltx()),
        Err(reason) => {
            // Litestream's own client may get there all the same, and says what is wrong if it does not.
            tracing::debug!("{}: cannot be looked at: {reason}", db.replica);
            return Ok(());
        }
    };
    let held = if version.is_ltx() { "0.3" } else { "0.5" };
    let (db, replica, running) = (db.path.clone(), db.replica.clone(), version);
    match beside {
        Other::Nothing => Ok(()),
        Other::Alone => Err(Error::OtherFormat { db, replica, held, running }),
        Other::Newer => Err(Error::NewerFormat { db, replica, held, running }),
    }
}

/// When the newest file of each series was written at a database's replica, or why nobody can tell; `None` where no client of ours gets
/// there.
pub async fn held(runner: &Runner, db: &Database, limit: Duration) -> Option<Result<Formats, String>> {
    if let Some(folder) = &db.replica_folder {
        return Some(permit::theirs(|| in_folder(folder)).map_err(|error| error.to_string()));
    }
    Some(helper::formats(runner, db.place.as_ref()?, limit.min(TRIAL)).await)
}

/// How long our own client is waited for.
const TRIAL: Duration = Duration::from_secs(30);

/// What a folder holds.
fn in_folder(folder: &Path) -> io::Result<Formats> {
    let newest = |name: &str| newest_below(&folder.join(name));
    Ok(Formats { generations: newest("generations")?, ltx: newest("ltx")? })
}

fn newest_below(folder: &Path) -> io::Result<Option<u64>> {
    let (mut newest, mut folders, mut left) = (None, vec![folder.to_owned()], MOST);
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                continue;
            }
            entries => entries?,
        };
        for entry in entries.flatten().take(left) {
            left = left.saturating_sub(1);
            // Gone meanwhile, or no link to anywhere else.
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                folders.push(entry.path());
            } else if found.is_file() {
                newest = newest.max(found.modified().ok().map(millis));
            }
        }
    }
    Ok(newest)
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_newer_or_alone_is_another_ones() {
        let formats = |generations, ltx| Formats { generations, ltx };
        for (found, old, new) in [
            (formats(None, None), Other::Nothing, Other::Nothing),
            (formats(Some(1), None), Other::Nothing, Other::Alone),
            (formats(None, Some(1)), Other::Alone, Other::Nothing),
            (formats(Some(1), Some(2)), Other::Newer, Other::Nothing),
            (formats(Some(2), Some(1)), Other::Nothing, Other::Newer),
            (formats(Some(1), Some(1)), Other::Nothing, Other::Nothing),
        ] {
            assert_eq!((beside(found, false), beside(found, true)), (old, new), "{found:?}");
        }
    }

    #[test]
    fn a_folder_is_looked_through() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(in_folder(root.path()).unwrap(), Formats::default());
        assert_eq!(in_folder(&root.path().join("nowhere")).unwrap(), Formats::default());
        for file in ["generations/0123456789abcdef/snapshots/00000000.snapshot.lz4", "ltx/0/x.ltx"] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
        }
        let set = |file: &str, seconds| {
            let file = fs::File::options().write(true).open(root.path().join(file)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        };
        set("generations/0123456789abcdef/snapshots/00000000.snapshot.lz4", 7);
        set("ltx/0/x.ltx", 9);
        let found = in_folder(root.path()).unwrap();
        assert_eq!(found, Formats { generations: Some(7000), ltx: Some(9000) });
    }
}
