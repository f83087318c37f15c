//! Before anything runs: which Litestream this is, which databases are missing, and how those that
//! are there stand to their backups.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use nix::errno::Errno;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::setup::{Faults, IfBehind, Looked};
use crate::backup::trial::Trials;
use crate::backup::{self, Chosen, Freshness, Lineages, Restorer};
use crate::core::{ExitCode, Gate};
use crate::error::Failure;
use crate::ledger;
use crate::litestream::command::{Error, Runner};
use crate::litestream::database::{Database, names, of_names};
use crate::litestream::ltx;
use crate::litestream::position::{self, Position};
use crate::litestream::replica_error::ReplicaError;
use crate::litestream::version::{EXPECTED, Judged, Version, judge};
use crate::os::permit;

/// What is looked at.
pub(super) struct Preparation {
    pub(super) runner: Runner,
    pub(super) config: PathBuf,
    pub(super) dbs: Rc<Vec<Database>>,
    pub(super) allowed_version: Option<String>,
    pub(super) required_version: Option<Version>,
    pub(super) if_behind: IfBehind,
    pub(super) if_unrelated: IfBehind,
    pub(super) compare_limit: u64,
    pub(super) gate: Gate,
    pub(super) limit: Duration,
    pub(super) parallel: usize,
    pub(super) chosen: Rc<Chosen>,
    /// See [`super::Setup`].
    pub(super) check: Rc<dyn Fn(bool) -> Result<(), Failure>>,
    pub(super) faults: Faults,
    /// Of these something is known to be on no replica, as soon as it is.
    pub(super) owing: Owing,
}

/// See [`Preparation::owing`].
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

/// Tells of files with other names: of the first, and how many more there are.
fn warn_of_names(present: &[Database]) {
    let mut found = present.iter().filter_map(|db| Some((&db.path, names(&db.path)?)));
    let Some((path, count)) = found.next() else { return };
    let (message, hint) = of_names(path, count);
    let more = match found.count() {
        0 => String::new(),
        more => format!("; the same of {more} more"),
    };
    tracing::warn!("{}: {message}: {hint}{more}", path.display());
}

/// A database that is here.
struct Present<'a> {
    db: &'a Database,
    /// How it stands to its backup.
    freshness: Result<Freshness, backup::Error>,
    /// What it is by Litestream's files beside it.
    file: Result<ledger::FileState, String>,
}

/// What the files of databases are, by Litestream's own beside them.
pub(super) struct Inspected {
    dbs: Vec<Database>,
    files: Vec<Result<ledger::FileState, String>>,
}

impl Preparation {
    /// What can be told without the replicas: whoever is stopped from then on knows what an earlier run left.
    pub(super) async fn inspect_all(&self) -> Inspected {
        let dbs: Vec<Database> = self.dbs.iter().filter(|db| db.exists()).cloned().collect();
        let files = self.inspect(&dbs).await;
        Inspected { dbs, files }
    }

    /// Looks; what was inspected in this moment is not inspected again.
    ///
    /// # Errors
    /// Why the app must not be started.
    pub(super) async fn look(&self, inspected: Option<Inspected>) -> Result<Prepared, Failure> {
        let present: Vec<Database> = self.dbs.iter().filter(|db| db.exists()).cloned().collect();
        warn_of_names(&present);
        // It is told before Litestream is asked more with it. Most are of the series that is expected, and right.
        let mut known = None;
        if (self.faults)(Looked::Written(EXPECTED.is_ltx())).is_err() {
            let version = self.version().await?;
            (self.faults)(Looked::Written(version.is_ltx()))?;
            known = Some(version);
        }
        let expected = async {
            // Asking costs a process for each database, so not before the version is known to matter.
            if present.is_empty() { Vec::new() } else { self.freshness_of(&present, EXPECTED).await }
        };
        let asked = async {
            match known {
                Some(version) => Ok(version),
                None => self.version().await,
            }
        };
        let files = async {
            match inspected.filter(|inspected| inspected.dbs == present) {
                Some(inspected) => inspected.files,
                None => self.inspect(&present).await,
            }
        };
        let (version, mut fresh, files) = tokio::join!(asked, expected, files);
        let version = version?;
        // What Litestream refuses of a configuration it says of each database, in words of its own.
        (self.check)(version.is_ltx())?;
        if !version.plans() && !present.is_empty() {
            fresh = self.freshness_of(&present, version).await;
        }
        let present = zip(&present, fresh, files);
        self.settle_and_mark(version, &self.dbs, present).await
    }

    /// What is known of all is settled, and whose their places are is written down.
    async fn settle_and_mark(
        &self,
        version: Version,
        dbs: &[Database],
        mut present: Vec<Present<'_>>,
    ) -> Result<Prepared, Failure> {
        for Present { db, .. } in present.iter().filter(|_| !version.is_ltx()) {
            let refused = backup::refuse_newer_format(&self.runner, version, db, self.limit).await;
            refused.map_err(|error| failure(&error))?;
        }
        self.pass(version, &mut present).await?;
        self.recognise(version, &mut present).await;
        let listed: Vec<_> =
            present.iter().filter_map(|one| Some((one.db, one.freshness.as_ref().ok()?))).collect();
        let lineages = Lineages::read(&self.runner, &listed).await.map_err(|error| failure(&error))?;
        let prepared = self.settle_all(version, dbs, present)?;
        let written = lineages.write(&self.runner, &prepared.missing).await;
        written.map_err(|error| failure(&error))?;
        Ok(prepared)
    }

    /// As [`Preparation::look`], for one database more once the version is known: whether it is missing.
    /// `listed` is how new its backup is, where somebody has seen that already.
    ///
    /// # Errors
    /// As for [`Preparation::look`].
    pub(super) async fn is_missing(
        &self,
        db: &Database,
        version: Version,
        listed: Option<Option<Position>>,
    ) -> Result<bool, Failure> {
        (self.faults)(Looked::Named(db))?;
        let db = std::slice::from_ref(db);
        let present = if db[0].exists() { db } else { &[] };
        warn_of_names(present);
        let files = self.inspect(present).await;
        let fresh = match listed {
            Some(replica) => {
                let ask = |db: Database, runner: Runner| {
                    let (config, limit, replica) = (self.config.clone(), self.limit, replica.clone());
                    async move { Ok(backup::against(&runner, version, &config, &db, replica, limit).await) }
                };
                self.of_each(present, ask).await
            }
            None => self.freshness_of(present, version).await,
        };
        let present = zip(present, fresh, files);
        Ok(!self.settle_and_mark(version, db, present).await?.missing.is_empty())
    }

    /// Which of those have been what their backups end with, and were replicated elsewhere since then: they come back.
    async fn pass(&self, version: Version, present: &mut [Present<'_>]) -> Result<(), Failure> {
        use ledger::FileState::{Current, New};
        for Present { db, freshness, file } in present.iter_mut().filter(|_| version.is_ltx()) {
            let Ok(
                Freshness::Behind { replica, .. }
                | Freshness::Apart { replica, first: Some(_) }
                | Freshness::Cut { replica: Some(replica), .. },
            ) = freshness
            else {
                continue;
            };
            let Position::Txid(newest) = *replica else { continue };
            // What is odd about the file itself comes first.
            if !matches!(file, Ok(Current | New))
                || !backup::has_passed(&self.runner, db, newest, self.limit).await
            {
                continue;
            }
            let kept = backup::quarantine_metadata(db).map_err(|error| failure(&error))?;
            tracing::warn!(
                "{}: {} ends at {replica}, which this database had when it was replicated there before: going on there with a fresh copy; {kept}",
                db.path.display(),
                db.replica
            );
            (*freshness, *file) = (Ok(Freshness::Current), Ok(New));
        }
        Ok(())
    }

    /// Which of those that Litestream's own files beside them call older than their backups are what these have: it is the
    /// files that are older, or some of them are missing.
    async fn recognise(&self, version: Version, present: &mut [Present<'_>]) {
        self.relate(version, present).await;
        use ledger::FileState::{
            Broken, Current, Damaged, Diverged, Malformed, New, NotSqlite, Older, Other, Resized, Unfounded,
            Written,
        };
        if !version.is_ltx() || self.if_behind == IfBehind::Ignore {
            return;
        }
        for Present { db, freshness, file } in present {
            let Ok(Freshness::Behind { local, replica }) = freshness else { continue };
            match file {
                // Then these tell already that it is older, or damaged.
                Ok(Older(_) | Other { .. } | NotSqlite | Malformed { .. }) | Err(_) => continue,
                Ok(
                    Broken(_)
                    | Current
                    | Damaged { .. }
                    | New
                    | Diverged { .. }
                    | Resized { .. }
                    | Unfounded
                    | Written { .. },
                ) => {}
            }
            let path = db.path.display();
            match self.is_what_its_backup_has(db, version).await {
                Ok(false) => {}
                Ok(true) => {
                    tracing::warn!(
                        "{path}: litestream's own files beside it are older than its backup ({local}, {replica}), and the database is not: they are put aside"
                    );
                    let why = "litestream's own files beside it were older than its backup".to_owned();
                    (*freshness, *file) = (Ok(Freshness::Current), Ok(Diverged { why, since: None }));
                }
                Err(why) => tracing::warn!("{path}: cannot be compared with its backup: {why}"),
            }
        }
    }

    /// Which of those that have nothing of Litestream's beside them are what their backups have, as after a restore by hand.
    async fn relate(&self, version: Version, present: &mut [Present<'_>]) {
        for Present { db, freshness, file } in present {
            let Ok(Freshness::Unrelated { replica }) = freshness else { continue };
            // All others tell already what it is.
            if !matches!(file, Ok(ledger::FileState::New)) {
                *freshness = Ok(Freshness::Current);
                continue;
            }
            let path = db.path.display();
            let size = permit::theirs(|| Ok(db.path.symlink_metadata()?.len())).unwrap_or(u64::MAX);
            if self.if_unrelated == IfBehind::Refuse && size <= self.compare_limit {
                match self.equals_its_backup(db, version).await {
                    Ok(false) => {}
                    Ok(true) => {
                        tracing::info!(
                            "{path} has nothing of litestream's beside it, and is what {} has ({replica}): going on from it",
                            db.replica
                        );
                        *freshness = Ok(Freshness::Current);
                    }
                    Err(why) => tracing::warn!("{path}: cannot be compared with its backup: {why}"),
                }
            }
        }
    }

    async fn is_what_its_backup_has(&self, db: &Database, version: Version) -> Result<bool, String> {
        let is_same = self.equals_its_backup(db, version).await?;
        if is_same {
            super::ledger::reset(&self.runner, db).await?;
        }
        Ok(is_same)
    }

    async fn equals_its_backup(&self, db: &Database, version: Version) -> Result<bool, String> {
        let restorer = Restorer {
            runner: self.runner.clone(),
            version,
            allowed: false,
            config: self.config.clone(),
            timeout: self.limit,
            parallel: 1,
            chosen: Rc::default(),
            elsewhere: Rc::default(),
            apart: Rc::default(),
            trials: Trials::default(),
            manner: Rc::default(),
        };
        let look = async |restored| super::ledger::is_restored(&self.runner, db, restored).await;
        restorer.beside(db, look).await.map_err(|error| error.to_string())?
    }

    /// What each file is by Litestream's own files beside it.
    async fn inspect(&self, present: &[Database]) -> Vec<Result<ledger::FileState, String>> {
        use ledger::FileState::{Diverged, Written};
        let ask = |db: Database, runner: Runner| {
            let owing = self.owing.clone();
            async move {
                let (freshness, is_owed) = super::ledger::inspect(&runner, &db).await?;
                // Nothing that is not copied can have been uploaded.
                if is_owed || matches!(freshness, Diverged { .. } | Written { .. }) {
                    owing.borrow_mut().insert(db.path.clone());
                }
                Ok(freshness)
            }
        };
        self.of_each(present, ask).await
    }

    fn settle_all(
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
            let behind = match freshness {
                Ok(Freshness::Current | Freshness::Empty) => false,
                Ok(Freshness::Behind { local, replica }) => {
                    let behind = format!("({local}) is older than its backup on {} ({replica})", db.replica);
                    self.settle_behind(db, &behind)?
                }
                Ok(Freshness::Unrelated { replica }) => self.settle_unrelated(db, &replica)?,
                // With a newest file that is broken, the launch puts them all aside.
                Ok(Freshness::Apart { .. })
                    if matches!(file, Ok(ledger::FileState::NotSqlite | ledger::FileState::Broken(_))) =>
                {
                    false
                }
                Ok(Freshness::Apart { replica, first }) => {
                    if !self.settle_apart(db, &replica, first)? {
                        prepared.inspected.push(db.path.clone());
                        continue;
                    }
                    true
                }
                Ok(Freshness::Cut { first, replica }) => {
                    let is_refused = matches!(file, Ok(ledger::FileState::NotSqlite))
                        || matches!(file, Ok(ledger::FileState::Malformed { .. }))
                            && is_empty
                            && self.if_behind != IfBehind::Ignore;
                    if !is_refused {
                        begin_anew(db, first, replica.as_ref())?;
                        prepared.inspected.push(db.path.clone());
                        continue;
                    }
                    false
                }
                Err(error) if self.gate == Gate::None => {
                    tracing::warn!("{error}: starting all the same, as --gate none says");
                    false
                }
                Err(error) => return Err(failure(&error)),
            };
            if behind || (version.is_ltx() && self.settle_file(db, file, is_empty, &mut prepared)?) {
                prepared.missing.push(db.clone());
            }
        }
        for db in &prepared.missing {
            // It is put into quarantine, for its backup.
            self.owing.borrow_mut().remove(&db.path);
        }
        let missing: HashSet<&PathBuf> = prepared.missing.iter().map(|db| &db.path).collect();
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
        Ok(prepared)
    }

    /// Whether the database is to be restored, because another file stands in its place.
    fn settle_file(
        &self,
        db: &Database,
        file: Result<ledger::FileState, String>,
        is_replica_empty: bool,
        prepared: &mut Prepared,
    ) -> Result<bool, Failure> {
        use ledger::FileState::{
            Broken, Current, Damaged, Diverged, Malformed, New, NotSqlite, Older, Other, Resized, Unfounded,
            Written,
        };
        let path = db.path.display();
        let why = match file {
            Ok(New | Current) => None,
            Ok(Unfounded) => Some(super::ledger::UNFOUNDED.to_owned()),
            // The launch sees to it.
            Ok(Broken(_)) => return Ok(false),
            Ok(NotSqlite) => {
                let message = format!("{path}: it is no SQLite database");
                return Err(Failure::new(ExitCode::CONFIG, message)
                    .hint("correct the path; Litestream cannot replicate a database that is encrypted"));
            }
            Ok(Diverged { why, since }) => Some(super::ledger::diverged(&why, since)),
            Ok(Written { pages, txid }) => {
                tracing::warn!(
                    "{path}: somebody wrote to it while litekeeper did not run ({pages} pages): going on from what is there now; what was left before is txid {txid:016x} of the backup"
                );
                Some("it was written to while litekeeper did not run".to_owned())
            }
            Ok(Damaged { pages, txid }) => {
                tracing::warn!(
                    "{path}: {pages} of its pages are not as they were left, although nobody wrote to it: the disk may have damaged it, and its backup is as it was: going on from what is there now; what was left is txid {txid:016x} of the backup"
                );
                Some("its pages have changed although nobody wrote to it".to_owned())
            }
            Ok(Malformed { why }) => {
                // It would take the place of a backup that is whole.
                let damage = || super::ledger::damage(db, &why);
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
                    return Ok(true);
                }
                Some(format!("{why}; going on from it, as --if-behind ignore says"))
            }
            Ok(Older(pages)) => {
                let behind = format!(
                    "is an older copy of the database that was left ({pages} of its pages are as they once were): it is older than its backup on {}",
                    db.replica
                );
                if self.settle_behind(db, &behind)? {
                    return Ok(true);
                }
                Some("it is an older copy".to_owned())
            }
            Ok(Other { why }) => {
                let behind = format!("is not the file that was left: {why}");
                if self.settle_behind(db, &behind)? {
                    return Ok(true);
                }
                Some("it is another file".to_owned())
            }
            Ok(Resized { was, now, other }) => {
                if let Some(why) = other {
                    let refusal = || super::ledger::resized_other(db, was, now, &why);
                    if self.settle(db, &format!("{path}: {why}"), refusal, || Ok(()))? {
                        return Ok(true);
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
                None
            }
            Err(error) if self.gate == Gate::None => {
                tracing::warn!("{path}: {error}: starting all the same, as --gate none says");
                None
            }
            Err(error) => {
                let message = format!("{path}: cannot be compared with what litestream has copied: {error}");
                let hint = if is_full(&error) {
                    "free some space: nothing is lost, and nothing is to be moved away for it".to_owned()
                } else {
                    let meta = db.meta.display();
                    format!(
                        "see to {meta}, or move it away: litestream then makes a new copy of the whole database"
                    )
                };
                return Err(Failure::new(ExitCode::UNAVAILABLE, message).hint(hint));
            }
        };
        prepared.whole.extend(why.map(|why| (db.path.clone(), why)));
        prepared.inspected.push(db.path.clone());
        Ok(false)
    }

    async fn version(&self) -> Result<Version, Failure> {
        let output = self.runner.version().await.map_err(|error| self.unusable(&error))?;
        let allowed = self.allowed_version.as_deref();
        let Some(Judged { version, other, is_bad }) = judge(&output.stdout, self.required_version, allowed)
        else {
            let (message, hint) = output.no_version(self.runner.binary());
            return Err(Failure::new(ExitCode::CONFIG, message).hint(hint));
        };
        if let Some(required) = other {
            let binary = self.runner.binary().display();
            let message = format!("{binary} is litestream {version}, but it must be {required}");
            return Err(Failure::new(ExitCode::CONFIG, message).hint(format!(
                "`litekeeper install --version {required}` gets that one and says where it is, \
                 which LITESTREAM_BINARY_PATH may name"
            )));
        }
        if is_bad {
            let message = format!("litestream {version} is known to stop replicating without a word");
            return Err(Failure::new(ExitCode::CONFIG, message).hint(format!(
                "`litekeeper install` gets a good one; `--allow-litestream {version}` runs this one all the same"
            )));
        }
        Ok(version)
    }

    fn unusable(&self, error: &Error) -> Failure {
        match error {
            Error::Start { .. } | Error::Timeout(_) => Failure::new(
                ExitCode::CONFIG,
                format!("`{} version`: {error}", self.runner.binary().display()),
            )
            .hint("`litekeeper install` gets a litestream that runs here"),
            Error::Aborted => Failure::new(ExitCode::UNAVAILABLE, "interrupted"),
        }
    }

    async fn freshness_of(
        &self,
        present: &[Database],
        version: Version,
    ) -> Vec<Result<Freshness, backup::Error>> {
        let ask = |db: Database, runner: Runner| {
            let (config, limit) = (self.config.clone(), self.limit);
            async move { backup::freshness(&runner, version, &config, &db, limit).await }
        };
        self.of_each(present, ask).await
    }

    /// Asks about each, so many at a time; the answers in the same order.
    async fn of_each<T: 'static, F: Future<Output = T> + 'static>(
        &self,
        dbs: &[Database],
        ask: impl Fn(Database, Runner) -> F,
    ) -> Vec<T> {
        let places = Rc::new(Semaphore::new(self.parallel.max(1)));
        let mut asking = JoinSet::new();
        for (place, db) in dbs.iter().enumerate() {
            let (asked, places) = (ask(db.clone(), self.runner.clone()), places.clone());
            asking.spawn_local(async move {
                let _place = places.acquire().await;
                (place, asked.await)
            });
        }
        let mut answers = Vec::new();
        while let Some(answer) = asking.join_next().await {
            answers.extend(answer);
        }
        answers.sort_by_key(|(place, _)| *place);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// Whether the database is to be restored: what `--if-behind` says of a file that is not what its backup was made of.
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

    /// As [`Preparation::settle`], of a file that is older.
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

    /// Whether the database is to be restored: nothing beside it says that it is what the backup was made of, and it is not the same.
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

    /// As [`Preparation::settle`], of a backup that was not made of the database, as far as anybody knows.
    fn settle_apart(&self, db: &Database, replica: &Position, first: Option<u64>) -> Result<bool, Failure> {
        let (path, place) = (db.path.display(), &db.replica);
        let apart = match first {
            None => format!(
                "{path}: {place} ends at {replica}, and that transaction is another one than this database's: {}",
                backup::NOT_ITS_OWN
            ),
            Some(first) => format!(
                "{path}: {place} ends at {replica}, and litestream's local files begin at txid {first}: nobody knows whether \
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

/// Litestream's own files beside a database, written by a newer one than this: it would fail at them for ever, and one
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
            "{path}: {place} ends at {replica}, and litestream's local files begin at txid {first}: what is in between \
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
         at txid {first} only: beginning with a fresh copy; {kept}"
    );
    Ok(())
}

/// Whether these are the words for a file system, or a quota, without room: the system's, or SQLite's.
fn is_full(error: &str) -> bool {
    let says = |number: Errno| error.contains(&std::io::Error::from(number).to_string());
    says(Errno::ENOSPC) || says(Errno::EDQUOT) || error.contains("database or disk is full")
}

fn zip<'a>(
    present: &'a [Database],
    fresh: Vec<Result<Freshness, backup::Error>>,
    files: Vec<Result<ledger::FileState, String>>,
) -> Vec<Present<'a>> {
    let both = fresh.into_iter().zip(files);
    present.iter().zip(both).map(|(db, (freshness, file))| Present { db, freshness, file }).collect()
}

/// A backup's error, as the program's end.
pub(super) fn failure(error: &backup::Error) -> Failure {
    Failure::new(error.exit(), error.to_string()).hinted(error.hint())
}

/// Several, as one end: the first one's code, everybody's words and hints.
pub(super) fn failures(errors: &[backup::Error]) -> Failure {
    let Some(first) = errors.first() else {
        return Failure::new(ExitCode::UNAVAILABLE, "a restore failed and left no reason");
    };
    Failure::all(first.exit(), &errors.iter().map(failure).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_by_whoever_says_it() {
        for error in [Errno::ENOSPC, Errno::EDQUOT] {
            let error = std::io::Error::from(error);
            assert!(is_full(&std::io::Error::new(error.kind(), format!("/x: {error}")).to_string()));
        }
        assert!(is_full("database or disk is full"));
        assert!(!is_full("/x: Permission denied (os error 13)"));
    }
}
