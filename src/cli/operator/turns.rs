//! Whose turn it is to be verified, where only a part is each time: who was not for the longest time.
//!
//! That is remembered by each database's path, and not by a place in a list, so that those that come and go change nothing for the others,
//! and in one file for all configurations of a user. It is beside no database: their folders may be read-only, and belong to the app.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::candidate::Candidate;
use super::private_file::Pending;
use super::shown;
use super::verdict::Verdict;
use crate::cli::process::variable;
use crate::error::Failure;
use crate::litestream::database::with_suffix;
use crate::os::way::{self, Trusted};
use crate::os::{open, permit, user};
use crate::printer;

/// Its name.
const NAME: &str = "verified.json";
/// A hundred thousand databases have less.
const LONGEST: usize = 32 << 20;
/// What is named by no configuration any more is forgotten after so long.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What is remembered.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Remembered {
    /// When each database was verified last, by its path.
    verified: BTreeMap<String, String>,
}

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
        let file = file()?;
        let pending = Pending::begin(&file).map_err(|error| forgotten(&file, &error))?;
        let times = read(&file);
        let mut all: Vec<(Option<Timestamp>, u64, Candidate)> = all
            .into_iter()
            .map(|one| (times.get(&key(&one.db.path)).copied(), size(&one.db.path), one))
            .collect();
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
        let mut times = read(&file);
        let clock = Timestamp::now();
        times.retain(|_, time| clock.duration_since(*time) < KEPT);
        // Each is later than all before, whatever was done to the clock.
        let mut last = times.values().max().copied().unwrap_or(Timestamp::UNIX_EPOCH);
        for one in &now {
            last = clock.max(last.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(last));
            times.insert(key(&one.db.path), last);
        }
        let verified = times.into_iter().map(|(path, time)| (path, time.to_string())).collect();
        let text = serde_json::to_string(&Remembered { verified }).map_err(io::Error::other);
        text.and_then(|text| pending.put(&text, true)).map_err(|error| forgotten(&file, &error))
    }
}

/// The file: `$STATE_DIRECTORY` is a service's own (`systemd.exec(5)`), the rest the XDG Base Directory Specification's.
fn file() -> Result<PathBuf, Failure> {
    let named = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let service = variable("STATE_DIRECTORY").and_then(|all| std::env::split_paths(&all).next());
    let folder = service
        .filter(|path| path.is_absolute())
        .or_else(|| named("XDG_STATE_HOME").map(|state| state.join("litekeeper")))
        .or_else(|| named("HOME").map(|home| home.join(".local/state/litekeeper")))
        .or_else(|| user::is_root().then(|| "/var/lib/litekeeper".into()));
    let Some(folder) = folder else {
        let message = "there is no folder to remember in which databases had their turn";
        return Err(Failure::new(Verdict::Inconclusive.exit(), message).hint(HINT));
    };
    let file = folder.join(NAME);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.map_err(|error| forgotten(&file, &error))?;
    match way::leads_root(&file, Trusted::default()) {
        None => Ok(file),
        Some(hand) => Err(forgotten(&file, &io::Error::other(format!("{hand} decides what stands there")))),
    }
}

/// The next step where nothing can be remembered.
const HINT: &str = "set STATE_DIRECTORY to a folder of this user's; without --budget nothing is remembered";

fn forgotten(file: &Path, error: &io::Error) -> Failure {
    let message =
        format!("{}: it cannot be remembered which databases had their turn: {error}", file.display());
    Failure::new(Verdict::Inconclusive.exit(), message).hint(HINT)
}

/// When each was verified last. What cannot be read is forgotten, and said: then all begins anew.
fn read(file: &Path) -> BTreeMap<String, Timestamp> {
    let text = match open::whole(file, LONGEST) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return BTreeMap::new(),
        Err(error) => {
            printer::note(&format!("{}: {error}: all databases have their turn anew", file.display()));
            return BTreeMap::new();
        }
    };
    match serde_json::from_slice::<Remembered>(&text) {
        Ok(remembered) => {
            let times = remembered.verified.into_iter();
            times.filter_map(|(path, time)| Some((path, time.parse().ok()?))).collect()
        }
        Err(error) => {
            printer::note(&format!(
                "{}: it is broken ({error}): all databases have their turn anew",
                file.display()
            ));
            BTreeMap::new()
        }
    }
}

fn key(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A database with its WAL; nothing where it is not there.
fn size(path: &Path) -> u64 {
    let length = |path: &Path| permit::theirs(|| path.metadata()).map_or(0, |found| found.len());
    length(path).saturating_add(length(&with_suffix(path, "-wal")))
}
