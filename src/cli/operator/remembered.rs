//! What verifications leave for later: who had a turn when, and what came of it, which `status` shows.
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

use super::private_file::Pending;
use super::verdict::{Verdict, Verified};
use crate::cli::process::variable;
use crate::error::Failure;
use crate::os::way::{self, Trusted};
use crate::os::{open, user};
use crate::printer;
use crate::status::Verification;

/// Its name.
const NAME: &str = "verified.json";
/// A hundred thousand databases have less.
const LONGEST: usize = 64 << 20;
/// What is named by no configuration any more is forgotten after so long.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What is remembered.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// When each database had its turn last, by its path.
    verified: BTreeMap<String, String>,
    /// What came of the last verification of each that told anything.
    #[serde(default)]
    verdicts: BTreeMap<String, LastVerdict>,
}

/// What was told of a database and its backup at this place.
#[derive(Debug, Serialize, Deserialize)]
struct LastVerdict {
    replica: String,
    #[serde(flatten)]
    verification: Verification,
}

impl Remembered {
    /// Reads it. What cannot be read is forgotten, and said: then all begins anew.
    pub(super) fn read(file: &Path) -> Self {
        Self::found_in(file).unwrap_or_else(|error| {
            printer::note(&format!("{}: {error}: all databases have their turn anew", file.display()));
            Self::default()
        })
    }

    /// Reads what there is, where there is something to be read.
    pub(super) fn found() -> Self {
        let file = place().ok().filter(|file| way::leads_root(file, Trusted::default()).is_none());
        file.and_then(|file| Self::found_in(&file).ok()).unwrap_or_default()
    }

    fn found_in(file: &Path) -> Result<Self, String> {
        match open::whole(file, LONGEST) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| format!("it is broken ({error})")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// When a database had its turn last.
    pub(super) fn turn_of(&self, path: &Path) -> Option<Timestamp> {
        self.verified.get(&key(path))?.parse().ok()
    }

    /// What came of its last verification, if its backup is still there.
    pub(super) fn verdict_of(&self, path: &Path, replica: &str) -> Option<Verification> {
        let told = self.verdicts.get(&key(path)).filter(|told| told.replica == replica);
        told.map(|told| told.verification.clone())
    }

    /// These had their turn now, in this order.
    pub(super) fn had_their_turn<'a>(&mut self, paths: impl Iterator<Item = &'a Path>) {
        let clock = Timestamp::now();
        self.verified.retain(|_, time| is_kept(time, clock));
        // Each is later than all before, whatever was done to the clock.
        let times = self.verified.values().filter_map(|time| time.parse::<Timestamp>().ok());
        let mut last = times.max().unwrap_or(Timestamp::UNIX_EPOCH);
        for path in paths {
            last = clock.max(last.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(last));
            self.verified.insert(key(path), last.to_string());
        }
    }

    /// That is what came of these; of what told nothing the one before is kept.
    fn came_of(&mut self, all: &[Verified]) {
        let clock = Timestamp::now();
        self.verdicts.retain(|_, told| is_kept(&told.verification.at, clock));
        let at = Timestamp::from_second(clock.as_second()).unwrap_or(clock).to_string();
        for one in all.iter().filter(|one| one.verdict() != Verdict::Inconclusive) {
            let verification = Verification { at: at.clone(), verdict: one.verdict().word().to_owned() };
            self.verdicts.insert(key(&one.path), LastVerdict { replica: one.replica.clone(), verification });
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// It cannot be.
    pub(super) fn put(&self, pending: Pending, file: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string(self).map_err(io::Error::other);
        text.and_then(|text| pending.put(&text, true)).map_err(|error| forgotten(file, &error))
    }
}

fn is_kept(time: &str, clock: Timestamp) -> bool {
    time.parse::<Timestamp>().is_ok_and(|time| clock.duration_since(time) < KEPT)
}

/// Remembers what came of these, where something can be: a verification is one without it.
pub(super) fn remember(all: &[Verified]) {
    let remembered = || {
        let file = file()?;
        let pending = Pending::begin(&file).map_err(|error| forgotten(&file, &error))?;
        let mut remembered = Remembered::found_in(&file).unwrap_or_default();
        remembered.came_of(all);
        remembered.put(pending, &file)
    };
    if let Err(failure) = remembered() {
        tracing::debug!("{}", failure.message);
    }
}

/// The file, in a folder that is there.
///
/// # Errors
/// There is none, or somebody else decides what stands there.
pub(super) fn file() -> Result<PathBuf, Failure> {
    let file = place()?;
    let made = DirBuilder::new().recursive(true).mode(0o700).create(file.parent().unwrap_or(&file));
    made.map_err(|error| forgotten(&file, &error))?;
    match way::leads_root(&file, Trusted::default()) {
        None => Ok(file),
        Some(hand) => Err(forgotten(&file, &io::Error::other(format!("{hand} decides what stands there")))),
    }
}

/// `$STATE_DIRECTORY` is a service's own (`systemd.exec(5)`), the rest the XDG Base Directory Specification's.
fn place() -> Result<PathBuf, Failure> {
    let named = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let service = variable("STATE_DIRECTORY").and_then(|all| std::env::split_paths(&all).next());
    let folder = service
        .filter(|path| path.is_absolute())
        .or_else(|| named("XDG_STATE_HOME").map(|state| state.join("litekeeper")))
        .or_else(|| named("HOME").map(|home| home.join(".local/state/litekeeper")))
        .or_else(|| user::is_root().then(|| "/var/lib/litekeeper".into()));
    folder.map(|folder| folder.join(NAME)).ok_or_else(|| {
        let message = "there is no folder to remember in which databases had their turn";
        Failure::new(Verdict::Inconclusive.exit(), message).hint(HINT)
    })
}

/// The next step where nothing can be remembered.
const HINT: &str = "set STATE_DIRECTORY to a folder of this user's; without --budget it is not needed";

/// It cannot be remembered, for this reason.
pub(super) fn forgotten(file: &Path, error: &io::Error) -> Failure {
    let message =
        format!("{}: it cannot be remembered which databases had their turn: {error}", file.display());
    Failure::new(Verdict::Inconclusive.exit(), message).hint(HINT)
}

fn key(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_told_nothing_takes_the_place_of_nothing() {
        let mut remembered = Remembered::default();
        let path = PathBuf::from("/data/app.db");
        let verdict =
            |remembered: &Remembered| remembered.verdict_of(&path, "s3://b/a").map(|one| one.verdict);
        let mut one = Verified::new(path.clone(), "s3://b/a".to_owned());
        remembered.came_of(std::slice::from_ref(&one));
        assert_eq!(verdict(&remembered).as_deref(), Some("in-sync"));
        one.bad = Some(Verdict::Inconclusive.because("x", "y"));
        remembered.came_of(std::slice::from_ref(&one));
        assert_eq!(verdict(&remembered).as_deref(), Some("in-sync"));
        one.bad = Some(Verdict::NotRestorable.because("x", "y"));
        remembered.came_of(std::slice::from_ref(&one));
        assert_eq!(verdict(&remembered).as_deref(), Some("not-restorable"));
        assert_eq!(remembered.turn_of(&path), None, "it had no turn");
        assert_eq!(remembered.verdict_of(&path, "s3://b/other"), None, "that is another backup");
    }

    #[test]
    fn what_is_older_than_three_months_is_forgotten() {
        let old = r#"{"verified": {"/a": "2020-01-01T00:00:00Z", "/b": "rubbish"},
                      "verdicts": {"/a": {"replica": "s3://b/a", "at": "2020-01-01T00:00:00Z", "verdict": "in-sync"}}}"#;
        let mut remembered: Remembered = serde_json::from_str(old).expect("it is whole");
        remembered.had_their_turn([Path::new("/c"), Path::new("/d")].into_iter());
        remembered.came_of(&[]);
        assert_eq!(remembered.verified.keys().collect::<Vec<_>>(), ["/c", "/d"]);
        assert!(remembered.turn_of(Path::new("/c")) < remembered.turn_of(Path::new("/d")));
        assert!(remembered.verdicts.is_empty());
    }
}
