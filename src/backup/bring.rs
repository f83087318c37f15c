//! Restoring for whoever asks for it by hand: to any file, at any point, over what is there if that is wanted.
//!
//! Nothing is written to the replica, and nothing that was here is removed: what stands in the way is put aside once the backup
//! is there and looked at.

use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use indicatif::MultiProgress;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::again;
use super::error::Error;
use super::freshness::NO_BACKUP;
use super::quarantine::{self, Partial, Remains};
use super::remains;
use super::restore::{begin, kept};
use super::restorer::{Outcome, Restorer};
use super::small;
use super::whole::Whole;
use crate::litestream::argv;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::litestream::position::Plan;
use crate::os::permit::{self, Folder};
use crate::os::screen;

/// One restore that is asked for.
#[derive(Clone, Debug)]
pub struct Errand {
    /// The database whose backup it is.
    pub db: Database,
    /// Where it is to be, with the files that belong to that place.
    pub target: Database,
    /// What stands there is put aside.
    pub replaces: bool,
}

/// One that has begun.
struct Begun {
    /// What is asked for.
    errand: Errand,
    /// The file beside the target that it is restored to.
    output: Partial,
    /// What stood in the target's place then.
    before: Option<(u64, u64)>,
}

impl Begun {
    fn new(errand: Errand) -> Result<Self, Error> {
        let (output, before) = begin(&errand.target)?;
        Ok(Self { errand, output, before })
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// The size of the file in bytes.
    pub size: u64,
    /// The last transaction that is in it, where that is known.
    pub txid: Option<u64>,
    /// What SQLite says of what is in it, although it is whole.
    pub said: Option<String>,
}

/// An errand that has ended.
pub struct Done {
    /// Its place among those that were asked for.
    pub place: usize,
    /// How long it took.
    pub took: Duration,
    /// What came of it; nothing where there is no backup.
    pub result: Result<Option<Brought>, Error>,
}

impl Restorer {
    /// Does all of them, side by side; one that fails stops no other. `done` hears of each.
    pub async fn bring_all(&self, errands: &[Errand], mut done: impl FnMut(Done)) {
        let turns = Rc::new(Semaphore::new(self.parallel.max(1)));
        let bars = screen::bars();
        if let [one] = errands {
            // Nobody waits for the start of one process, and Litestream's own way is the better known one.
            let began = Instant::now();
            let result = self.bring_one(one, bars.as_ref()).await;
            return done(Done { place: 0, took: began.elapsed(), result });
        }
        let mut running = JoinSet::new();
        let numbered: Vec<(usize, Errand)> = errands.iter().cloned().enumerate().collect();
        for some in numbered.chunks(small::share(errands.len(), self.parallel)) {
            let (restorer, some, turns, bars) = (self.clone(), some.to_vec(), turns.clone(), bars.clone());
            running.spawn_local(async move { restorer.bring_some(some, &turns, bars.as_ref()).await });
        }
        while let Some(ended) = running.join_next().await {
            ended.into_iter().flatten().for_each(&mut done);
        }
    }

    /// Does some of them: what our own reader can at once, and then what is left of each.
    async fn bring_some(
        &self,
        errands: Vec<(usize, Errand)>,
        turns: &Rc<Semaphore>,
        bars: Option<&MultiProgress>,
    ) -> Vec<Done> {
        // The semaphore is never closed.
        let turn = turns.acquire().await;
        let (mut begun, mut ended) = (Vec::new(), Vec::new());
        for (place, errand) in errands {
            match Begun::new(errand) {
                Ok(one) => begun.push((place, one)),
                Err(error) => ended.push(Done { place, took: Duration::ZERO, result: Err(error) }),
            }
        }
        let wanted: Vec<_> =
            begun.iter().map(|(_, one): &(_, Begun)| (&one.errand.db, one.output.0.as_path())).collect();
        let read = self.read_small(&wanted).await;
        drop(turn);
        let mut running = JoinSet::new();
        for ((place, one), read) in begun.into_iter().zip(read) {
            let (restorer, turns, bars) = (self.only(&one.errand.db), turns.clone(), bars.cloned());
            running.spawn_local(async move {
                let _turn = turns.acquire().await;
                let began = Instant::now();
                let (read, took) = read.unzip();
                let result = restorer.bring(one, read, bars.as_ref()).await;
                Done { place, took: took.unwrap_or_default() + began.elapsed(), result }
            });
        }
        while let Some(one) = running.join_next().await {
            ended.extend(one);
        }
        ended
    }

    /// Does one of them, whose progress is shown among these; nothing comes of it where there is no backup.
    ///
    /// # Errors
    /// It cannot be restored, or is not proven to be none.
    pub async fn bring_one(
        &self,
        errand: &Errand,
        bars: Option<&MultiProgress>,
    ) -> Result<Option<Brought>, Error> {
        self.only(&errand.db).bring(Begun::new(errand.clone())?, None, bars).await
    }

    /// Goes on with one that has begun, and may have been `read` already.
    async fn bring(
        &self,
        begun: Begun,
        read: Option<Whole>,
        bars: Option<&MultiProgress>,
    ) -> Result<Option<Brought>, Error> {
        let Begun { errand: Errand { db, target, replaces }, output, before } = &begun;
        let (output, before) = (output.0.as_path(), *before);
        let Whole { txid, said } = match read {
            Some(whole) => whole,
            None => self.fetch_whole(db, output, bars).await?,
        };
        if permit::theirs(|| output.symlink_metadata()).is_err() {
            return self.prove_nothing(db).await.map(|()| None);
        }
        if let (Some(wanted), Some(found)) = (self.chosen.of(&db.path), txid)
            && wanted != found
        {
            return Err(Error::OtherTxid { db: db.path.clone(), wanted, found });
        }
        if *replaces {
            inherit(target, output);
        } else if db.path != target.path && db.exists() {
            // Whoever may not read the database may not read a copy of it.
            inherit(db, output);
        }
        // What is asked for by hand is not cleaned up after by anybody else: all of it stays.
        let put_aside = match replaces {
            true => quarantine::put_database_aside(target),
            false if target.exists() => return Err(Error::Appeared { db: target.path.clone() }),
            false => Remains::of(target).put_aside(),
        };
        let moved = put_aside.map_err(Error::io(&target.path))?;
        if let Some(text) = kept(&moved) {
            tracing::info!("{text}");
        }
        let before = if *replaces { None } else { before };
        match self.put_in_place(target, output, before).await? {
            Outcome::Restored { size } => {
                Ok(Some(Brought { size, txid: txid.or(self.chosen.of(&db.path)), said }))
            }
            Outcome::NoBackup => Ok(None),
        }
    }

    /// What a restore would fetch (Litestream 0.5.12 and later tell); nothing where there is no backup.
    ///
    /// # Errors
    /// The replica did not answer, or does not hold what was asked for.
    pub async fn plan(&self, db: &Database) -> Result<Option<Plan>, Error> {
        let restorer = self.only(db);
        restorer.refuse_newer_format(db).await?;
        let txid = restorer.chosen.of(&db.path);
        let point: Vec<_> = match txid {
            Some(txid) => vec!["-txid".into(), argv::txid_text(txid).into()],
            None => restorer.manner.point.clone(),
        };
        let args = argv::plan(&restorer.config, &db.path, &point);
        match listed(&restorer.runner, db, &args, restorer.timeout).await {
            Ok(plan) => match Plan::parse(&plan) {
                Some(plan) => Ok(Some(plan)),
                None => Err(Error::refused(db, "litestream printed no plan of the restore".to_owned())),
            },
            Err(Error::Refused { reason, .. }) if reason.contains(NO_BACKUP) => match txid {
                Some(txid) => Err(restorer.no_such(db, txid).await),
                None => restorer.prove_nothing(db).await.map(|()| None),
            },
            Err(error) => Err(error),
        }
    }

    /// Refuses a place that holds something all the same, or is not proven to be empty.
    pub(super) async fn prove_nothing(&self, db: &Database) -> Result<(), Error> {
        self.refuse_other_format(db)?;
        self.refuse_to_believe(db)?;
        if !self.manner.point.is_empty() && self.holds_backup(db).await? {
            let (path, replica) = (db.path.clone(), db.replica.clone());
            let begins = self.begins(db).await;
            return Err(Error::NothingThen { db: path, replica, begins });
        }
        remains::refuse(&self.runner, self.version, &self.config, db, self.timeout).await
    }

    /// When the oldest file of a backup was made, in Litestream's words.
    async fn begins(&self, db: &Database) -> Option<String> {
        let listing = if self.version.is_ltx() {
            remains::list(&self.runner, &self.config, &db.path, self.timeout).await.ok()?.stdout
        } else {
            let args = argv::list("snapshots", &self.config, &db.path, &[]);
            listed(&self.runner, db, &args, self.timeout).await.ok()?
        };
        let times = listing.lines().skip(1).filter_map(|line| line.split_ascii_whitespace().last());
        times.min().map(str::to_owned)
    }
}

/// Gives what was restored the rights of what it takes the place of: root would else lock the app out.
fn inherit(target: &Database, output: &Path) {
    let inherit = || {
        let (folder, name) = Folder::of(&target.path)?;
        let old = folder.open_file(name, false)?.metadata()?;
        let (folder, name) = Folder::of(output)?;
        let new = folder.open_file(name, true)?;
        let found = new.metadata()?;
        if (found.uid(), found.gid()) != (old.uid(), old.gid()) {
            fchown(&new, Some(old.uid()), Some(old.gid()))?;
        }
        new.set_permissions(old.permissions())
    };
    if let Err(error) = permit::theirs(inherit) {
        let path = target.path.display();
        tracing::warn!(
            "{path}: what was restored does not have the owner and rights of the file before: {error}"
        );
    }
}

/// Asks Litestream for a listing about one database, as often as it takes within the limit.
///
/// # Errors
/// It gave none, in its words.
pub async fn listed(
    runner: &Runner,
    db: &Database,
    args: &[std::ffi::OsString],
    limit: Duration,
) -> Result<String, Error> {
    let output = again::ask(runner, db, args, limit).await?;
    output.answer().map(str::to_owned).map_err(|reason| Error::refused(db, reason))
}

/// Lists all files of a backup of LTX files: `level min_txid max_txid size created`, without the level by Litestreams that know
/// none here.
///
/// # Errors
/// As [`listed`].
pub async fn files(runner: &Runner, config: &Path, db: &Database, limit: Duration) -> Result<String, Error> {
    match listed(runner, db, &argv::files(config, &db.path, true), limit).await {
        Err(Error::Refused { reason, .. }) if reason.contains("flag provided but not defined") => {
            listed(runner, db, &argv::files(config, &db.path, false), limit).await
        }
        listed => listed,
    }
}

/// Where a database that is restored elsewhere would have its own files.
pub fn target(path: PathBuf, of: &Database) -> Database {
    Database { replica: of.replica.clone(), ..Database::at(path) }
}
