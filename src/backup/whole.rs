//! A restore counts once what came of it was looked at; where it is spoiled, the newest that is not is looked for.
//!
//! Litestream's restore checks no more than that its own files are what it wrote: a backup that diverged from its
//! database restores to a malformed file, with exit code 0.

use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::MultiProgress;

use super::error::Error;
use super::freshness::NO_BACKUP;
use super::newest::Newest;
use super::quarantine;
use super::remains;
use super::restorer::{REPORT, Restorer};
use super::search::{self, Search, Span, candidates};
use crate::foreign::piece;
use crate::litestream::argv;
use crate::litestream::command;
use crate::litestream::database::Database;
use crate::litestream::replica_error::ReplicaError;
use crate::os::proc;
use crate::sqlite::check::Verdict;

/// So many transactions are tried at most.
const MOST_TRIES: usize = 40;

/// A file that is whole; or none, where there is no backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Whole {
    /// The last transaction that is in it, where Litestream says it.
    pub(super) txid: Option<u64>,
    /// What SQLite says of what is in it all the same.
    pub(super) said: Option<String>,
}

/// What became of a restore.
enum Fetched {
    /// The file is there and whole, or there is no file, and no backup.
    Whole(Whole),
    /// What Litestream wrote is malformed, in SQLite's words.
    Malformed(String),
    /// Litestream could not write it, in its own.
    Broken(String),
}

impl Restorer {
    /// Has Litestream write `output`, whole, or nothing when there is no backup.
    pub(super) async fn fetch_whole(
        &self,
        db: &Database,
        output: &Path,
        bars: Option<&MultiProgress>,
    ) -> Result<Whole, Error> {
        let (what, is_malformed) = match self.tried(db, output, bars).await? {
            Ok(whole) => return Ok(whole),
            Err(spoiled) => spoiled,
        };
        let txid = self.chosen.of(&db.path);
        quarantine::remove_partial(output);
        let newest = self.newest_whole(db, output, txid, is_malformed, &what).await?;
        let (path, replica) = (db.path.clone(), db.replica.clone());
        Err(Error::Spoiled { db: path, replica, what, newest })
    }

    /// Does as [`Restorer::fetch_whole`], and looks for nothing else where that is not whole: it says in what, and whether a file is there.
    pub(super) async fn tried(
        &self,
        db: &Database,
        output: &Path,
        bars: Option<&MultiProgress>,
    ) -> Result<Result<Whole, (String, bool)>, Error> {
        self.refuse_newer_format(db).await?;
        let txid = self.chosen.of(&db.path);
        let fetched = match self.fetched(db, output, txid, bars).await {
            Err(Error::Refused { reason, .. }) if reason.contains(NO_BACKUP) && txid.is_some() => {
                return Err(self.no_such(db, txid.unwrap_or_default()).await);
            }
            fetched => fetched?,
        };
        Ok(Err(match fetched {
            Fetched::Whole(whole) => return Ok(Ok(whole)),
            Fetched::Malformed(words) => {
                let which =
                    txid.map_or_else(String::new, |txid| format!("txid {} of ", argv::txid_text(txid)));
                (format!("{which}its backup restores to a malformed database: {words}"), true)
            }
            Fetched::Broken(words) => {
                // A connection that breaks in a new way looks the same. Nobody shall give rows up for that.
                quarantine::remove_partial(output);
                if let Fetched::Whole(whole) = self.fetched(db, output, txid, bars).await? {
                    tracing::warn!(
                        "{}: restored at the second try; at the first: {words}",
                        db.path.display()
                    );
                    return Ok(Ok(whole));
                }
                (format!("its backup cannot be restored: {words}"), false)
            }
        }))
    }

    pub(super) async fn no_such(&self, db: &Database, txid: u64) -> Error {
        // What is nearest is only for the hint.
        let txids = self.files(db).await.map(candidates).unwrap_or_default();
        let older = txids.iter().find(|found| **found < txid).copied();
        let newer = txids.iter().rfind(|found| **found > txid).copied();
        let (path, replica) = (db.path.clone(), db.replica.clone());
        Error::NoSuchTxid { db: path, replica, txid, near: [older, newer] }
    }

    /// Restores to `output` and looks at it.
    async fn fetched(
        &self,
        db: &Database,
        output: &Path,
        txid: Option<u64>,
        bars: Option<&MultiProgress>,
    ) -> Result<Fetched, Error> {
        // Others are tried to find the newest that is whole.
        let is_told = txid == self.chosen.of(&db.path);
        match self.fetch(db, output, txid, bars, is_told).await {
            Ok(reached) if txid.is_none() && !is_there(output) => {
                Ok(Fetched::Whole(Whole { txid: reached, said: None }))
            }
            Ok(reached) => Ok(match self.check(db, output).await? {
                Ok(said) => Fetched::Whole(Whole { txid: reached, said }),
                Err(words) => Fetched::Malformed(words),
            }),
            Err(Error::Refused { reason, .. }) if ReplicaError::of(&reason) == ReplicaError::Damaged => {
                Ok(Fetched::Broken(reason))
            }
            Err(error) => Err(error),
        }
    }

    /// What SQLite says of a restored file that is whole, or what is wrong with it.
    async fn check(&self, db: &Database, file: &Path) -> Result<Result<Option<String>, String>, Error> {
        let unchecked = |why: String| Error::Unchecked { path: db.path.clone(), why };
        let (mut before, mut report_at) = (None, Instant::now() + REPORT);
        let moves = |pid| {
            if Instant::now() >= report_at {
                report_at = Instant::now() + REPORT;
                tracing::info!("checking what was restored of {}", db.path.display());
            }
            let now = proc::computed(pid);
            std::mem::replace(&mut before, now) != now
        };
        let args = ["__check".into(), file.into(), self.manner.depth.word().into()];
        let output = match self.runner.run_own(&args, Vec::new(), self.timeout, moves).await {
            Ok(output) => output,
            Err(command::Error::Aborted) => return Err(Error::Command(command::Error::Aborted)),
            Err(error) => return Err(unchecked(error.to_string())),
        };
        match Verdict::parse(&output.stdout).filter(|_| output.is_success()) {
            Some(Verdict::Whole) => Ok(Ok(None)),
            Some(Verdict::Odd(words)) => {
                let words = piece(&words);
                tracing::warn!("{}: restored, and SQLite says of what is in it: {words}", db.path.display());
                Ok(Ok(Some(words)))
            }
            Some(Verdict::Malformed(words)) => Ok(Err(piece(&words))),
            None => {
                let last = output.stderr.lines().rfind(|line| !line.trim().is_empty());
                let killed = output.killed().map(|killed| format!("SQLite {killed}"));
                Err(unchecked(
                    killed.unwrap_or_else(|| last.map_or_else(|| format!("{:?}", output.ended), piece)),
                ))
            }
        }
    }

    /// Looks for it, within the time that a restore may go without progress.
    async fn newest_whole(
        &self,
        db: &Database,
        output: &Path,
        chosen: Option<u64>,
        newest_is_bad: bool,
        what: &str,
    ) -> Result<Newest, Error> {
        if !self.version.is_ltx() {
            return Ok(Newest::NoTxids);
        }
        tracing::error!("{}: {what}; looking for the newest txid that restores whole", db.path.display());
        let deadline = Instant::now() + self.timeout;
        let txids = match self.files(db).await {
            Ok(files) => candidates(files),
            Err(command::Error::Aborted) => return Err(Error::Command(command::Error::Aborted)),
            Err(error) => return Ok(Newest::GivenUp(error.to_string())),
        };
        let Some(&of) = txids.first() else { return Ok(Newest::Nothing { tries: 0, covered: None }) };
        let bad = match chosen {
            Some(chosen) => txids.iter().take_while(|txid| **txid >= chosen).count(),
            None => usize::from(newest_is_bad),
        };
        let mut search = Search::new(txids.len(), bad);
        let mut tries = 0;
        let mut stopped = None;
        while let Some(place) = search.next() {
            let left = deadline.saturating_duration_since(Instant::now());
            if tries == MOST_TRIES || left == Duration::ZERO {
                stopped = Some(format!("{tries} tried in {} s", self.timeout.as_secs()));
                break;
            }
            tries += 1;
            let txid = txids[place];
            let tried = tokio::time::timeout(left, self.fetched(db, output, Some(txid), None)).await;
            quarantine::remove_partial(output);
            let is_whole = match tried {
                Ok(Ok(fetched)) => matches!(fetched, Fetched::Whole(_)),
                Ok(Err(Error::Refused { reason, .. })) if reason.contains(NO_BACKUP) => false,
                Ok(Err(error @ Error::Command(command::Error::Aborted))) => return Err(error),
                Ok(Err(error)) => {
                    stopped = Some(error.to_string());
                    break;
                }
                // The deadline, which is seen above.
                Err(_) => continue,
            };
            let verdict = if is_whole { "whole" } else { "not whole" };
            tracing::info!("{}: txid {}: {verdict}", db.path.display(), argv::txid_text(txid));
            search.tell(place, is_whole);
        }
        Ok(match (search.whole(), stopped) {
            (Some(place), stopped) => {
                if let Some(why) = stopped {
                    tracing::warn!("{}: there may be a newer one that is whole: {why}", db.path.display());
                }
                let txid = txids[place];
                let option = self.chosen.option(&db.path, txid);
                Newest::Found { txid, of, option, is_broken: !newest_is_bad }
            }
            (None, Some(why)) => Newest::GivenUp(why),
            (None, None) => {
                Newest::Nothing { tries, covered: self.covered_snapshot(db, newest_is_bad).await }
            }
        })
    }

    /// Has Litestream make a snapshot of a database that went back to an older transaction. It goes on behind
    /// what was left out, which a restore reads up to the next snapshot: were one of these files broken, no restore
    /// would succeed until then, for a day by default.
    ///
    /// Litestream does it for all databases at once, and others it must not get before they were looked at.
    pub(super) async fn begin_anew(&self, db: &Database) {
        let made = if self.chosen.is_alone && self.version.confirms() {
            self.runner.snapshot(&self.config, self.timeout).await
        } else {
            Err("litestream is not asked for one with several databases, nor before 0.5.9".to_owned())
        };
        match made {
            Ok(()) => tracing::info!("{}: its backup begins anew with a snapshot", db.path.display()),
            Err(why) => tracing::warn!(
                "{}: its backup has no snapshot of this yet ({why}): if a file of it is broken, it cannot be restored \
                 until litestream makes one, at once by `litestream replicate -once -force-snapshot`",
                db.path.display()
            ),
        }
    }

    /// The newest snapshot, where the backup hangs together without it: Litestream begins with it all the same (`CalcRestorePlan` in its
    /// replica.go).
    async fn covered_snapshot(&self, db: &Database, is_malformed: bool) -> Option<String> {
        if is_malformed {
            return None;
        }
        let listing = remains::list(&self.runner, &self.config, &db.path, self.timeout).await.ok()?;
        search::covered_snapshot(&listing.stdout)
    }

    /// The files of a backup.
    pub(super) async fn files(&self, db: &Database) -> Result<Vec<Span>, command::Error> {
        let listing = remains::list(&self.runner, &self.config, &db.path, self.timeout).await?;
        Ok(Span::listed(&listing.stdout))
    }
}

pub(super) fn is_there(output: &Path) -> bool {
    crate::os::permit::theirs(|| output.symlink_metadata()).is_ok()
}
