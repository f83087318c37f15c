//! Before anything runs: which Litestream this is, which databases are missing, and how those that
//! are there stand to their backups.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub(super) use super::settle::{Owing, Prepared, failure, failures};
use super::settle::{Present, Rules};
use super::setup::{IfBehind, Looked};
use crate::backup::trial::Trials;
use crate::backup::{self, Freshness, Lineages, Restorer};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::ledger;
use crate::litestream::command::{Error, Runner};
use crate::litestream::database::{Database, names, of_names};
use crate::litestream::position::Position;
use crate::litestream::version::{EXPECTED, Judged, Version, judge};
use crate::os::permit;

/// What is looked at.
pub(super) struct Preparation {
    pub(super) runner: Runner,
    pub(super) config: PathBuf,
    pub(super) dbs: Rc<Vec<Database>>,
    pub(super) allowed_version: Option<String>,
    pub(super) required_version: Option<Version>,
    pub(super) compare_limit: u64,
    pub(super) limit: Duration,
    pub(super) parallel: usize,
    /// See [`super::Setup`].
    pub(super) check: Rc<dyn Fn(bool) -> Result<(), Failure>>,
    /// What is made of what is found.
    pub(super) rules: Rules,
}

/// Tells of files with other names: of the first, and how many more there are.
fn tell_of_names(present: &[Database]) {
    let mut found = present.iter().filter_map(|db| Some((&db.path, names(&db.path)?)));
    let Some((path, count)) = found.next() else { return };
    let (message, hint) = of_names(path, count);
    let more = match found.count() {
        0 => String::new(),
        more => format!("; the same of {more} more"),
    };
    tracing::warn!("{}: {message}: {hint}{more}", path.display());
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
        tell_of_names(&present);
        // It is told before Litestream is asked more with it. Most are of the series that is expected, and right.
        let mut known = None;
        if (self.rules.faults)(Looked::Written(EXPECTED.is_ltx())).is_err() {
            let version = self.version().await?;
            (self.rules.faults)(Looked::Written(version.is_ltx()))?;
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

    /// Settles what is known of all, and writes down whose their places are.
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
        let prepared = self.rules.settle_all(version, dbs, present)?;
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
        (self.rules.faults)(Looked::Named(db))?;
        let db = std::slice::from_ref(db);
        let present = if db[0].exists() { db } else { &[] };
        tell_of_names(present);
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
        if !version.is_ltx() || self.rules.if_behind == IfBehind::Ignore {
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
            if self.rules.if_unrelated == IfBehind::Refuse && size <= self.compare_limit {
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
            let owing = self.rules.owing.clone();
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
}

fn zip<'a>(
    present: &'a [Database],
    fresh: Vec<Result<Freshness, backup::Error>>,
    files: Vec<Result<ledger::FileState, String>>,
) -> Vec<Present<'a>> {
    let both = fresh.into_iter().zip(files);
    present.iter().zip(both).map(|(db, (freshness, file))| Present { db, freshness, file }).collect()
}
