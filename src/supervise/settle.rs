//! What is made of the databases that are here before anything runs: whether each stays, is restored, or keeps the app
//! from starting.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::rc::Rc;

use nix::errno::Errno;

use super::setup::{Faults, IfBehind, Looked};
use crate::backup::{self, Chosen, Freshness};
use crate::core::{ExitCode, Gate};
use crate::error::Failure;
use crate::ledger::FileState;
use crate::litestream::database::Database;
use crate::litestream::ltx;
use crate::litestream::position::{self, Position};
use crate::litestream::replica_error::ReplicaError;
use crate::litestream::version::Version;
use crate::os::permit;

/// See [`Rules::owing`].
pub(super) type Owing = Rc<RefCell<BTreeSet<PathBuf>>>;

/// What was found.
pub(super) struct Prepared {
    pub(super) version: Version,
    pub(super) missing: Vec<Database>,
    /// These are what was left, or what the user takes for it.
    pub(super) inspected: Vec<PathBuf>,
    /// Of these Litestream has to make a new copy, and why.
    pub(super) whole: Vec<(PathBuf, String)>,
}

/// A database that is here.
pub(super) struct Present<'a> {
    pub(super) db: &'a Database,
    /// How it stands to its backup.
    pub(super) freshness: Result<Freshness, backup::Error>,
    /// What it is by Litestream's files beside it.
    pub(super) file: Result<FileState, String>,
}

/// What becomes of a database by what its file is.
enum Settled {
    /// Its backup takes its place.
    Restored,
    /// It stays, and the launch sees to the rest.
    AtLaunch,
    /// It stays, and Litestream goes on.
    Stays,
    /// It stays, and Litestream makes a new copy of all of it, for this reason.
    CopiedWhole(String),
}

/// What the user wants to be done about a database that is not what its backup was made of.
pub(super) struct Rules {
    pub(super) if_behind: IfBehind,
    pub(super) if_unrelated: IfBehind,
    pub(super) gate: Gate,
    pub(super) chosen: Rc<Chosen>,
    pub(super) faults: Faults,
    /// Of these something is known to be on no replica, as soon as it is.
    pub(super) owing: Owing,
}

impl Rules {
    /// Settles all of them: which are missing, which are what was left, and of which a new copy has to be made.
    ///
    /// # Errors
    /// Why the app must not be started.
    pub(super) fn settle_all(
        &self,
        version: Version,
        dbs: &[Database],
        present: Vec<Present<'_>>,
    ) -> Result<Prepared, Failure> {
        let missing = dbs.iter().filter(|db| !db.exists()).cloned().collect();
        let mut prepared = Prepared { version, missing, inspected: Vec::new(), whole: Vec::new() };
        for Present { db, freshness, file } in present {
            refuse_newer_files(db, version)?;
            let is_empty = matches!(freshness, Ok(Freshness::Empty | Freshness::Cut { replica: None, .. }));
            // What nobody has ever replicated is no run's, and as it was before this one.
            if is_empty && position::local(version, &db.meta).is_some() {
                self.owing.borrow_mut().insert(db.path.clone());
            }
            let is_missing = match self.settle_freshness(db, freshness, &file, is_empty)? {
                Some(is_missing) => {
                    is_missing || (version.is_ltx() && self.settle_file(db, file, is_empty, &mut prepared)?)
                }
                None => {
                    prepared.inspected.push(db.path.clone());
                    false
                }
            };
            if is_missing {
                prepared.missing.push(db.clone());
            }
        }
        for db in &prepared.missing {
            // It is put into quarantine, for its backup.
            self.owing.borrow_mut().remove(&db.path);
        }
        self.tell_of_staying(dbs, &prepared.missing)?;
        Ok(prepared)
    }

    /// Tells of those that are here and stay.
    fn tell_of_staying(&self, dbs: &[Database], missing: &[Database]) -> Result<(), Failure> {
        let missing: HashSet<&PathBuf> = missing.iter().map(|db| &db.path).collect();
        for db in dbs.iter().filter(|db| !missing.contains(&db.path) && db.exists()) {
            (self.faults)(Looked::Staying(db))?;
            if self.chosen.of(&db.path).is_none() {
                continue;
            }
            tracing::warn!(
                "--restore-txid has no effect: {} is here. To go back to that txid, move it away with its {}",
                db.path.display(),
                db.meta.display()
            );
        }
        Ok(())
    }

    /// Says whether a database is to be restored by how it stands to its backup; none where its file says nothing more.
    fn settle_freshness(
        &self,
        db: &Database,
        freshness: Result<Freshness, backup::Error>,
        file: &Result<FileState, String>,
        is_empty: bool,
    ) -> Result<Option<bool>, Failure> {
        match freshness {
            Ok(Freshness::Current | Freshness::Empty) => Ok(Some(false)),
            Ok(Freshness::Behind { local, replica }) => {
                let behind = format!("({local}) is older than its backup on {} ({replica})", db.replica);
                self.settle_behind(db, &behind).map(Some)
            }
            Ok(Freshness::Unrelated { replica }) => self.settle_unrelated(db, &replica).map(Some),
            // With a newest file that is broken, the launch puts them all aside.
            Ok(Freshness::Apart { .. })
                if matches!(file, Ok(FileState::NotSqlite | FileState::Broken(_))) =>
            {
                Ok(Some(false))
            }
            Ok(Freshness::Apart { replica, first }) => {
                let is_restored = self.settle_apart(db, &replica, first)?;
                Ok(is_restored.then_some(true))
            }
            Ok(Freshness::Cut { first, replica }) => {
                let is_refused = matches!(file, Ok(FileState::NotSqlite))
                    || matches!(file, Ok(FileState::Malformed { .. }))
                        && is_empty
                        && self.if_behind != IfBehind::Ignore;
                if is_refused {
                    return Ok(Some(false));
                }
                begin_anew(db, first, replica.as_ref()).map(|()| None)
            }
            Err(error) if self.gate == Gate::None => {
                tracing::warn!("{error}: starting all the same, as --gate none says");
                Ok(Some(false))
            }
            Err(error) => Err(failure(&error)),
        }
    }

    /// Says whether the database is to be restored, because another file stands in its place.
    fn settle_file(
        &self,
        db: &Database,
        file: Result<FileState, String>,
        is_replica_empty: bool,
        prepared: &mut Prepared,
    ) -> Result<bool, Failure> {
        let why = match self.settle_state(db, file, is_replica_empty)? {
            Settled::Restored => return Ok(true),
            Settled::AtLaunch => return Ok(false),
            Settled::Stays => None,
            Settled::CopiedWhole(why) => Some(why),
        };
        prepared.whole.extend(why.map(|why| (db.path.clone(), why)));
        prepared.inspected.push(db.path.clone());
        Ok(false)
    }

    /// Says what becomes of a database by what its file is.
    fn settle_state(
        &self,
        db: &Database,
        file: Result<FileState, String>,
        is_replica_empty: bool,
    ) -> Result<Settled, Failure> {
        use FileState::{
            Broken, Current, Damaged, Diverged, Malformed, New, NotSqlite, Older, Other, Resized, Unfounded,
            Written,
        };
        let path = db.path.display();
        Ok(Settled::CopiedWhole(match file {
            Ok(New | Current) => return Ok(Settled::Stays),
            Ok(Unfounded) => super::ledger::UNFOUNDED.to_owned(),
            // The launch sees to it.
            Ok(Broken(_)) => return Ok(Settled::AtLaunch),
            Ok(NotSqlite) => {
                let message = format!("{path}: it is no SQLite database");
                return Err(Failure::new(ExitCode::CONFIG, message)
                    .hint("correct the path; Litestream cannot replicate a database that is encrypted"));
            }
            Ok(Diverged { why, since }) => super::ledger::diverged(&why, since),
            Ok(Written { pages, txid }) => {
                tracing::warn!(
                    "{path}: somebody wrote to it while litekeeper did not run ({pages} pages): going on from what is there now; what was left before is txid {txid:016x} of the backup"
                );
                "it was written to while litekeeper did not run".to_owned()
            }
            Ok(Damaged { pages, txid }) => {
                tracing::warn!(
                    "{path}: {pages} of its pages are not as they were left, although nobody wrote to it: the disk may have damaged it, and its backup is as it was: going on from what is there now; what was left is txid {txid:016x} of the backup"
                );
                "its pages have changed although nobody wrote to it".to_owned()
            }
            Ok(Malformed { why }) => return self.settle_malformed(db, &why, is_replica_empty),
            Ok(Older(pages)) => {
                let behind = format!(
                    "is an older copy of the database that was left ({pages} of its pages are as they once were): it is older than its backup on {}",
                    db.replica
                );
                if self.settle_behind(db, &behind)? {
                    return Ok(Settled::Restored);
                }
                "it is an older copy".to_owned()
            }
            Ok(Other { why }) => {
                let behind = format!("is not the file that was left: {why}");
                if self.settle_behind(db, &behind)? {
                    return Ok(Settled::Restored);
                }
                "it is another file".to_owned()
            }
            Ok(Resized { was, now, other }) => {
                return self.settle_resized(db, was, now, other, is_replica_empty);
            }
            Err(error) if self.gate == Gate::None => {
                tracing::warn!("{path}: {error}: starting all the same, as --gate none says");
                return Ok(Settled::Stays);
            }
            Err(error) => return Err(incomparable(db, &error)),
        }))
    }

    /// Says what becomes of a file that SQLite cannot read.
    fn settle_malformed(&self, db: &Database, why: &str, is_replica_empty: bool) -> Result<Settled, Failure> {
        let path = db.path.display();
        // It would take the place of a backup that is whole.
        let damage = || super::ledger::damage(db, why);
        if self.if_behind == IfBehind::Refuse {
            // What is told of any such file is told of this one.
            (self.faults)(Looked::Staying(db))?;
        }
        if is_replica_empty && self.if_behind != IfBehind::Ignore {
            let Failure { message, .. } = damage();
            let message = format!("{message}; and {} holds no backup", db.replica);
            return Err(Failure::new(ExitCode::UNAVAILABLE, message).hint(
                "name the place where its backup is, or bring the file from elsewhere; `--if-behind ignore` goes on from it \
                 as it is",
            ));
        }
        if self.settle(db, &format!("{path}: {why}"), damage, || Ok(()))? {
            return Ok(Settled::Restored);
        }
        Ok(Settled::CopiedWhole(format!("{why}; going on from it, as --if-behind ignore says")))
    }

    /// Says what becomes of a file whose pages have another size than those of its copy.
    fn settle_resized(
        &self,
        db: &Database,
        was: u32,
        now: u32,
        other: Option<String>,
        is_replica_empty: bool,
    ) -> Result<Settled, Failure> {
        let path = db.path.display();
        if let Some(why) = other {
            let refusal = || super::ledger::resized_other(db, was, now, &why);
            if self.settle(db, &format!("{path}: {why}"), refusal, || Ok(()))? {
                return Ok(Settled::Restored);
            }
        }
        if !is_replica_empty {
            return Err(super::ledger::resized(db, was, now));
        }
        let kept = backup::quarantine_metadata(db).map_err(|error| failure(&error))?;
        tracing::warn!(
            "{path}: its pages have {now} bytes now, and those that litestream has copied have {was}; {} holds no backup: \
             beginning with a fresh copy; {kept}",
            db.replica
        );
        Ok(Settled::Stays)
    }
    /// Says whether the database is to be restored: what `--if-behind` says of a file that is not what its backup was made of.
    /// `go_on` is for who goes on from it.
    fn settle(
        &self,
        db: &Database,
        why: &str,
        refusal: impl FnOnce() -> Failure,
        go_on: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        match self.if_behind {
            IfBehind::Refuse => Err(refusal()),
            IfBehind::Ignore => go_on().map(|()| false),
            IfBehind::Restore => quarantine(db, why).map(|()| true),
        }
    }

    /// Does as [`Rules::settle`], of a file that is older.
    fn settle_behind(&self, db: &Database, behind: &str) -> Result<bool, Failure> {
        let behind = format!("{} {behind}", db.path.display());
        let refusal = || {
            Failure::new(ExitCode::UNAVAILABLE, &behind).hint(
                "`--if-behind restore` keeps this file under another name and restores the backup; `--if-behind ignore` \
                 goes on from it, and what only the backup has leaves the latest restore",
            )
        };
        self.settle(db, &behind, refusal, || {
            tracing::warn!("{behind}: going on from it, as --if-behind ignore says");
            Ok(())
        })
    }

    /// Says whether the database is to be restored: nothing beside it says that it is what the backup was made of, and it is not the same.
    fn settle_unrelated(&self, db: &Database, replica: &Position) -> Result<bool, Failure> {
        let (path, place) = (db.path.display(), &db.replica);
        let why = format!(
            "{path}: nothing of litestream's is beside it, and it is not what its replica {place} holds ({replica})"
        );
        match self.if_unrelated {
            IfBehind::Refuse => Err(Failure::new(ExitCode::UNAVAILABLE, why).hint(
                "nothing was changed: `--if-unrelated restore` keeps this file under another name and restores the backup; \
                 `--if-unrelated adopt` takes this file for the truth, and what the backup has leaves the latest restore; if the \
                 place is another database's, name this one's own",
            )),
            IfBehind::Restore => quarantine(db, &why).map(|()| true),
            IfBehind::Ignore => {
                tracing::warn!(
                    "{why}: going on from it, as --if-unrelated adopt says; what is there can be restored by time or txid until its \
                     retention ends"
                );
                Ok(false)
            }
        }
    }

    /// Does as [`Rules::settle`], of a backup that was not made of the database, as far as anybody knows.
    fn settle_apart(&self, db: &Database, replica: &Position, first: Option<u64>) -> Result<bool, Failure> {
        let (path, place) = (db.path.display(), &db.replica);
        let apart = match first {
            None => format!(
                "{path}: {place} ends at {replica}, and that transaction is another one than this database's: {}",
                backup::NOT_ITS_OWN
            ),
            Some(first) => format!(
                "{path}: {place} ends at {replica}, and litestream's local files begin at txid {first:016x}: nobody knows whether \
                 that is this database's backup"
            ),
        };
        let refusal = || {
            Failure::new(ExitCode::UNAVAILABLE, &apart).hint(
                "nothing was changed there: name this database's own place, or an empty one; `--if-behind restore` keeps this \
                 file under another name and restores that backup; `--if-behind ignore` puts a fresh copy of this one on top \
                 of it",
            )
        };
        self.settle(db, &apart, refusal, || {
            let kept = backup::quarantine_metadata(db).map_err(|error| failure(&error))?;
            tracing::warn!(
                "{apart}: beginning with a fresh copy on top of it, as --if-behind ignore says; {kept}"
            );
            Ok(())
        })
    }
}

/// Refuses Litestream's own files beside a database that a newer one than this has written: it would fail at them for ever, and one
/// without a socket while the app runs.
fn refuse_newer_files(db: &Database, version: Version) -> Result<(), Failure> {
    if !version.is_ltx() || version.reads_blocks() {
        return Ok(());
    }
    let folder = ltx::folder(&db.meta);
    let newest = position::txids(&folder).max().map(|txid| folder.join(ltx::name(txid)));
    // What cannot be read is told by whoever needs it.
    let is_newer = |path: &PathBuf| permit::theirs(|| ltx::has_blocks(path)).unwrap_or(false);
    let Some(file) = newest.filter(is_newer) else { return Ok(()) };
    let message = format!("{}: litestream {version} cannot read {}", db.path.display(), file.display());
    Err(Failure::new(ExitCode::UNAVAILABLE, message).hint(ReplicaError::Newer.hint()))
}

/// Puts the database into quarantine; the backup takes its place.
fn quarantine(db: &Database, why: &str) -> Result<(), Failure> {
    let kept = backup::quarantine_database(db).map_err(|error| failure(&error))?;
    tracing::warn!("{why}: the backup is restored in its place; {kept}");
    Ok(())
}

/// Puts Litestream's own files into quarantine for a replica that they cannot be uploaded to: it holds nothing, and they do not
/// begin where a backup begins. Litestream would wait for ever.
fn begin_anew(db: &Database, first: u64, replica: Option<&Position>) -> Result<(), Failure> {
    let (path, place) = (db.path.display(), &db.replica);
    let meta = db.meta.display();
    if let Some(replica) = replica {
        // Whose backup that is nobody knows.
        let message = format!(
            "{path}: {place} ends at {replica}, and litestream's local files begin at txid {first:016x}: what is in between \
             cannot be uploaded any more"
        );
        return Err(Failure::new(ExitCode::UNAVAILABLE, message).hint(format!(
            "was this database replicated to another place before? Name that one, or an empty one; to begin with a fresh \
             copy on top of what {place} holds, move {meta} away"
        )));
    }
    let kept = backup::quarantine_metadata(db).map_err(|error| failure(&error))?;
    tracing::warn!(
        "{path}: {place} holds no backup (it was emptied, or is another one than before), and litestream's local files begin \
         at txid {first:016x} only: beginning with a fresh copy; {kept}"
    );
    Ok(())
}

/// What cannot be compared, as the program's end.
fn incomparable(db: &Database, error: &str) -> Failure {
    let path = db.path.display();
    let message = format!("{path}: cannot be compared with what litestream has copied: {error}");
    let hint = if is_full(error) {
        "free some space: nothing is lost, and nothing is to be moved away for it".to_owned()
    } else {
        let meta = db.meta.display();
        format!("see to {meta}, or move it away: litestream then makes a new copy of the whole database")
    };
    Failure::new(ExitCode::UNAVAILABLE, message).hint(hint)
}

/// Says whether these are the words for a file system, or a quota, without room: the system's, or SQLite's.
fn is_full(error: &str) -> bool {
    let says = |number: Errno| error.contains(&std::io::Error::from(number).to_string());
    says(Errno::ENOSPC) || says(Errno::EDQUOT) || error.contains("database or disk is full")
}

/// Makes a backup's error the program's end.
pub(super) fn failure(error: &backup::Error) -> Failure {
    Failure::new(error.exit(), error.to_string()).hinted(error.hint())
}

/// Makes several of them one end: the first one's code, everybody's words and hints.
pub(super) fn failures(errors: &[backup::Error]) -> Failure {
    let Some(first) = errors.first() else {
        return Failure::new(ExitCode::UNAVAILABLE, "a restore failed and left no reason");
    };
    Failure::all(first.exit(), &errors.iter().map(failure).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
