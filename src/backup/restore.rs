//! Restoring databases that are missing.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use indicatif::MultiProgress;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::bars::bar;
use super::error::Error;
use super::lineage;
use super::quarantine::{self, Partial, Remains};
use super::remains;
use super::restorer::{Elsewhere, Outcome, REPORT, Restorer};
use super::search::{self};
use super::watched;
use super::whole::Whole;
use crate::litestream::argv;
use crate::litestream::command::{self, Runner};
use crate::litestream::database::{Database, with_suffix};
use crate::litestream::position::{self, Plan};
use crate::os::permit::{self, Folder};
use crate::os::screen;
use crate::replica::again::Patience;
use crate::replica::mark;

impl Restorer {
    /// Restores each of the databases, which are missing or have 0 bytes, side by side; the file
    /// appears whole or not at all. What fails does not keep the others from being restored.
    ///
    /// # Errors
    /// One for each database that could not be.
    pub async fn restore_all(&self, dbs: &[Database]) -> Result<(), Vec<Error>> {
        let places = Rc::new(Semaphore::new(self.parallel.max(1)));
        let bars = screen::bars();
        let mut running = JoinSet::new();
        for db in dbs {
            let (restorer, db, places, bars) = (self.only(db), db.clone(), places.clone(), bars.clone());
            running.spawn_local(async move {
                // The semaphore is never closed.
                let _place = places.acquire().await;
                restorer.restore(&db, bars.as_ref()).await
            });
        }
        let mut errors = Vec::new();
        while let Some(ended) = running.join_next().await {
            if let Ok(Err(error)) = ended {
                errors.push(error);
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// The same for one database, whose Litestream need not read about the others.
    pub(super) fn only(&self, db: &Database) -> Self {
        match self.apart.get(&db.path) {
            Some((config, env)) => Self {
                config: config.clone(),
                runner: Runner { env: env.clone(), ..self.runner.clone() },
                ..self.clone()
            },
            None => self.clone(),
        }
    }

    /// Restores one database in place of a missing one.
    async fn restore(&self, db: &Database, bars: Option<&MultiProgress>) -> Result<Outcome, Error> {
        // Who named it may take that back: then what was begun is removed.
        let (partial, before) = begin(db)?;
        let output = partial.0.as_path();
        let started = Instant::now();
        let fetched = self.fetch_whole(db, output, bars).await;
        let fetched = match fetched {
            // The chosen one may be that of the other place.
            Err(Error::NoSuchTxid { .. })
                if self.has_source(db) && matches!(self.holds_backup(db).await, Ok(false)) =>
            {
                Ok(Whole::default())
            }
            fetched => fetched,
        };
        let outcome = match fetched {
            Ok(_) => self.put_in_place(db, output, before).await,
            Err(error) => Err(error),
        };
        let (outcome, source) = match outcome {
            Ok(Outcome::NoBackup) => match self.probe_elsewhere(db, output, before, bars).await {
                Ok((outcome, source)) => (Ok(outcome), source),
                Err(error) => (Err(error), None),
            },
            outcome => (outcome, None),
        };
        let outcome = match outcome {
            // The app would begin, and none of it be on the replica.
            Ok(Outcome::NoBackup) => self.prove_written(db).await.map(|()| Outcome::NoBackup),
            outcome => outcome,
        };
        let outcome = match outcome {
            Ok(outcome) => self.mark(db, outcome).await.map(|()| outcome),
            Err(error) => Err(error),
        };
        quarantine::remove_partial(output);
        match &outcome {
            Ok(Outcome::Restored { size }) => {
                let (path, seconds) = (db.path.display(), started.elapsed().as_secs_f64());
                tracing::info!("restored {path}: {size} bytes in {seconds:.1} s");
                self.say_whence(db, source).await;
            }
            Ok(Outcome::NoBackup) => {
                tracing::info!("{} holds no backup of {}: starting without it", db.replica, db.path.display())
            }
            Err(_) => {}
        }
        outcome
    }

    /// Says where one came from that was restored, if from another place than its own, and what was left out.
    async fn say_whence(&self, db: &Database, source: Option<(Self, &Elsewhere)>) {
        let txid = self.chosen.of(&db.path);
        if let Some((there, place)) = source {
            let (path, from) = (db.path.display(), &place.db.replica);
            tracing::info!("{path} came from {from}, and goes on to {}", db.replica);
            if let Some(txid) = txid {
                there.say_what_is_left_out(&place.db, txid).await;
            }
        } else if let Some(txid) = txid {
            self.say_what_is_left_out(db, txid).await;
            self.begin_anew(db).await;
        }
    }

    /// Restores the newest of a backup to a file beside the database, which `look` is asked about, and removes it again.
    ///
    /// # Errors
    /// It cannot be restored.
    pub async fn beside<T>(&self, db: &Database, look: impl AsyncFnOnce(PathBuf) -> T) -> Result<T, Error> {
        let output = db.hidden("-litekeeper-restore");
        quarantine::remove_partial(&output);
        let looked = match self.fetch(db, &output, None, None, false).await {
            Ok(_) => Ok(look(output.clone()).await),
            Err(error) => Err(error),
        };
        quarantine::remove_partial(&output);
        looked
    }

    /// Has Litestream write `output`, or nothing when there is no backup; up to which transaction, where it says that. `is_told`: it is a restore, which is said once it has
    /// begun; what is only looked at is none.
    pub(super) async fn fetch(
        &self,
        db: &Database,
        output: &Path,
        txid: Option<u64>,
        bars: Option<&MultiProgress>,
        mut is_told: bool,
    ) -> Result<Option<u64>, Error> {
        let bar = match bars {
            Some(bars) => self.planned_size(db).await.map(|size| bars.add(bar(db, size))),
            None => None,
        };
        // Litestream writes here first (`Replica.Restore` in its replica.go), then renames.
        let partial = with_suffix(output, ".tmp");
        let (mut before, mut report_at) = (0, Instant::now() + REPORT);
        let (has_moved, any) = (Cell::new(false), Cell::new(false));
        let mut tell = || {
            if std::mem::take(&mut is_told) {
                tracing::info!("restoring {} from {}", db.path.display(), db.replica);
            }
        };
        let mut tick = |pid| {
            let written = permit::theirs(|| partial.symlink_metadata()).map_or(0, |found| found.len());
            if written > 0 {
                any.set(true);
                tell();
            }
            if let Some(bar) = &bar {
                bar.set_position(crate::os::proc::io(pid).map_or(0, |io| io.read));
            } else if Instant::now() >= report_at {
                report_at = Instant::now() + REPORT;
                report(db, written, written > before);
            }
            let moves = std::mem::replace(&mut before, written) < written;
            has_moved.set(has_moved.get() || moves);
            moves
        };
        let args = match txid {
            Some(txid) => argv::restore_txid(&self.config, output, &db.path, txid, &self.manner.options),
            None => {
                let options = [self.manner.options.as_slice(), &self.manner.point].concat();
                argv::restore_with(&self.config, output, &db.path, &options)
            }
        };
        let ran = self.run_patiently(db, &args, output, &mut tick, (&has_moved, &any)).await;
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        let ran = match ran? {
            Ok(ran) => ran,
            Err(error) => return Err(Error::of_command(db, error).explained(&self.runner, db).await),
        };
        if !ran.is_success() {
            return Err(Error::refused(db, ran.reason()));
        }
        if permit::theirs(|| output.symlink_metadata()).is_ok() {
            tell();
            self.refuse_gap(db, &ran).await?;
            self.refuse_misnamed(db, txid).await?;
        }
        Ok(position::restored(&ran.stdout))
    }

    /// Runs Litestream, and once more as long as the replica refuses in a way that may pass. `tick` sets whether the file has grown, and
    /// whether there is any of it.
    async fn run_patiently(
        &self,
        db: &Database,
        args: &[OsString],
        output: &Path,
        tick: &mut dyn FnMut(i32) -> bool,
        (has_moved, any): (&Cell<bool>, &Cell<bool>),
    ) -> Result<Result<command::Output, command::Error>, Error> {
        let (mut patience, mut refused) = (Patience::new(self.timeout), None);
        loop {
            let limit = if refused.is_some() { patience.left() } else { self.timeout };
            let ran = async {
                match db.replica_folder {
                    Some(_) => self.runner.run_offline(args, limit, &mut *tick).await,
                    None => self.runner.run(args, limit, &mut *tick).await,
                }
            };
            let ran = match watched::ask(&self.runner, db, any, ran).await {
                Ok(ran) => ran,
                Err(reason) => return Err(Error::refused(db, reason)),
            };
            let ran = match (ran, refused) {
                (Err(command::Error::Timeout(_)), Some(refused)) => return Ok(Ok(refused)),
                (ran, _) => ran,
            };
            if has_moved.take() {
                patience.renew();
            }
            match &ran {
                Ok(said) if !said.is_success() && patience.waits(db, &said.reason()).await => {
                    quarantine::remove_partial(output);
                    refused = Some(said.clone());
                }
                Ok(_) | Err(_) => return Ok(ran),
            }
        }
    }

    /// Who takes an older transaction gives up what came after it, and again at each restore.
    async fn say_what_is_left_out(&self, db: &Database, txid: u64) {
        let newest = self.files(db).await.ok().and_then(|files| search::candidates(files).first().copied());
        let left_out = match newest {
            Some(newest) if newest == txid => "the newest that there is".to_owned(),
            Some(newest) => format!("what came after it, up to {}, is left out", argv::txid_text(newest)),
            None => "what came after it is left out".to_owned(),
        };
        tracing::warn!(
            "{} is as it was at txid {}, as --restore-txid says: {left_out}. Take that setting away now: it counts \
             whenever the database is missing",
            db.path.display(),
            argv::txid_text(txid)
        );
    }

    async fn planned_size(&self, db: &Database) -> Option<u64> {
        if !self.version.plans() {
            return None;
        }
        let listing =
            self.runner.ask(&argv::listing(self.version, &self.config, &db.path), self.timeout).await.ok()?;
        Plan::parse(&listing.stdout).map(|plan| plan.size())
    }

    /// `before` is what stood in the place of the database when the restore began: an empty file, or nothing.
    pub(super) async fn put_in_place(
        &self,
        db: &Database,
        output: &Path,
        before: Option<(u64, u64)>,
    ) -> Result<Outcome, Error> {
        let restored = permit::theirs(|| Ok(output.symlink_metadata()?.len())).ok();
        if restored.is_none() {
            self.refuse_other_format(db)?;
            self.refuse_to_believe(db)?;
            remains::refuse(&self.runner, self.version, &self.config, db, self.timeout).await?;
        }
        let remains = Remains::of(db);
        // An app that runs already may not wait for its tenant: what it has made is not given up for anything.
        let is_there = db.exists() || identity(&db.path) != before;
        match restored {
            Some(_) if is_there => return Err(Error::Appeared { db: db.path.clone() }),
            None if is_there => return Ok(Outcome::NoBackup),
            Some(_) | None => {}
        }
        let moved = remains.quarantine().map_err(Error::io(&db.path))?;
        if let Some(text) = kept(&moved) {
            let text = format!("{text}, of a database {} that is gone", db.path.display());
            // With a backup in its place nobody misses it.
            if restored.is_some() { tracing::info!("{text}") } else { tracing::warn!("{text}") }
        }
        let Some(size) = restored else { return Ok(Outcome::NoBackup) };
        let put = || {
            let (folder, name) = Folder::of(output)?;
            folder.open_file(name, false)?.sync_all()?;
            let place = db.path.file_name().unwrap_or_default();
            // The kernel looks once more in the same moment; an empty file that was there before is given up.
            if before.is_some() { folder.rename(name, place) } else { folder.rename_to_free(name, place) }?;
            folder.sync()
        };
        match permit::theirs(put) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::Appeared { db: db.path.clone() });
            }
            put => put.map_err(Error::io(&db.path))?,
        }
        Ok(Outcome::Restored { size })
    }

    /// What is nothing yet cannot be confirmed, and so says nothing of whether its replica can be written.
    async fn prove_written(&self, db: &Database) -> Result<(), Error> {
        self.trials.prove_written(&self.runner, self.version, db, self.timeout).await
    }

    /// The place is this database's from now on.
    async fn mark(&self, db: &Database, outcome: Outcome) -> Result<(), Error> {
        // It was written to, or read, in this moment: who cannot do this either has a reason that will not pass.
        let limit = self.timeout.min(mark::LIMIT);
        match (lineage::take(&self.runner, db, outcome == Outcome::NoBackup, limit).await, outcome) {
            // Whoever was first restored the same.
            (Err(Error::Taken { .. }), Outcome::Restored { .. }) => Ok(()),
            (taken, _) => taken,
        }
    }

    /// 0.5.5 calls a replica of 0.3 "no backup", and 0.3 one of 0.5: the app would start empty.
    pub(super) fn refuse_other_format(&self, db: &Database) -> Result<(), Error> {
        let Some(folder) = &db.replica_folder else { return Ok(()) };
        let (other, held) = if self.version.is_ltx() { ("generations", "0.3") } else { ("ltx", "0.5") };
        if permit::theirs(|| fs::metadata(folder.join(other))).is_ok_and(|found| found.is_dir()) {
            let (db, replica) = (db.path.clone(), db.replica.clone());
            return Err(Error::OtherFormat { db, replica, held, running: self.version });
        }
        Ok(())
    }

    /// A folder can be trusted to be empty; what else may have refused, and the app would start empty.
    pub(super) fn refuse_to_believe(&self, db: &Database) -> Result<(), Error> {
        if self.allowed || self.version.admits_refusals() || db.replica_folder.is_some() {
            return Ok(());
        }
        Err(Error::NotBelieved { db: db.path.clone(), replica: db.replica.clone(), running: self.version })
    }
}

/// Begins a restore of what is missing there: returns the file beside it that is written first, and what stands in its place now.
///
/// # Errors
/// Its folder cannot be made.
pub(super) fn begin(target: &Database) -> Result<(Partial, Option<(u64, u64)>), Error> {
    let folder = target.path.parent().unwrap_or(Path::new("/"));
    permit::theirs(|| fs::create_dir_all(folder)).map_err(Error::io(folder))?;
    let output = target.hidden("-litekeeper-restore");
    quarantine::remove_partial(&output);
    Ok((Partial(output), identity(&target.path)))
}

/// Returns which file is at the path of a database: device and inode.
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    permit::theirs(|| {
        let (folder, name) = Folder::of(path)?;
        folder.identity(name)
    })
    .ok()
}

/// Puts a database that is older than its backup into quarantine, so that it counts as missing; says where it is.
///
/// # Errors
/// What the operating system says.
pub fn quarantine_database(db: &Database) -> Result<String, Error> {
    let moved = quarantine::database(db).map_err(Error::io(&db.path))?;
    Ok(kept(&moved).unwrap_or_else(|| "nothing was there".to_owned()))
}

/// Says what was put into quarantine under which names; `None` where nothing was there.
pub(super) fn kept(moved: &[quarantine::Quarantined]) -> Option<String> {
    let each = moved.iter().map(|one| format!("{} kept as {}", one.was.display(), one.kept.display()));
    let each: Vec<String> = each.collect();
    let removed: usize = moved.iter().map(|one| one.removed).sum();
    let older = if removed == 0 { "" } else { " (the newest three of each stay, older ones were removed)" };
    (!each.is_empty()).then(|| format!("{}{older}", each.join(", ")))
}

/// Puts Litestream's own files of a database into quarantine, so that it begins with a fresh copy.
///
/// # Errors
/// What the operating system says.
pub fn quarantine_metadata(db: &Database) -> Result<String, Error> {
    let moved = quarantine::metadata(db).map_err(Error::io(&db.meta))?;
    Ok(kept(&moved).unwrap_or_else(|| "nothing was there".to_owned()))
}

/// The same, and of what is in quarantine already all stays; nothing where there was nothing.
///
/// # Errors
/// What the operating system says.
pub fn put_metadata_aside(db: &Database) -> Result<Option<String>, Error> {
    let moved = quarantine::put_metadata_aside(db).map_err(Error::io(&db.meta))?;
    Ok(kept(&moved))
}

fn report(db: &Database, written: u64, moves: bool) {
    let (path, replica) = (db.path.display(), &db.replica);
    if moves {
        tracing::info!("restoring {path}: {} MiB so far", written >> 20);
    } else if written > 0 {
        tracing::warn!("restoring {path}: nothing more from {replica} for a while, litestream is retrying");
    } else if db.place.is_none() {
        // Of what our own client reaches it is said with the reason.
        tracing::warn!(
            "{path}: no answer from {replica} yet, whether it holds a backup: litestream is retrying"
        );
    }
}
