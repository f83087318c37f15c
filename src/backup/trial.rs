//! Whether a replica can be written: a database of one row is replicated by Litestream itself, to a folder of its own below the
//! replica's place, where no listing of the real backup looks. `check --online` does so, and a start without a database, which has
//! nothing that could be confirmed.
//!
//! A start leaves nothing in a folder and on S3, where our own client tries it, and on WebDAV, where it removes that folder. Of
//! others no command of Litestream removes anything, so each start writes the same two files: transaction 1 is Litestream's
//! already when it first asks the replica, and is not sent where it lies; the snapshot is written over, or found (SFTP).

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::again;
use super::error::Error;
use crate::litestream::argv;
use crate::litestream::command::{self, Runner};
use crate::litestream::database::{self, Database};
use crate::litestream::version::Version;
use crate::os::dir;
use crate::os::permit::{self, Folder};
use crate::os::user;
use crate::remote::Webdav;
use crate::replica::helper;

/// The folder that each start writes to.
const BELOW: &str = ".litekeeper-check-start";
/// What Litestream says last of a file on SFTP, once it is all there under another name: the server puts none over one that is
/// there (`Rename` of its sftp package).
const IN_THE_WAY: &str = "cannot rename temporary ltx file";
/// The most time for what is done on this machine alone.
const HERE: Duration = Duration::from_secs(20);

/// The least time to remove what was written.
const LEAST: Duration = Duration::from_secs(2);

/// A place below that of a database. No `Debug`: it may hold secrets.
pub struct Place {
    /// A configuration by which Litestream writes there.
    pub config: String,
    /// The variables that it refers to.
    pub env: Vec<(String, String)>,
    /// It, for people.
    pub shown: String,
    /// It for a client of our own that can remove it, if it is on WebDAV.
    pub webdav: Option<Webdav>,
}

/// Tells of a database, another one that is written in its place, and a folder below that, what Litestream is told.
type Find = dyn Fn(&Database, &Path, &str) -> Option<Place>;

/// How to try replicas that our own client does not speak to. Nothing is made for it before one is tried.
#[derive(Clone, Default)]
pub struct Trials(Option<(PathBuf, Rc<Find>)>);

impl Trials {
    /// With a folder for what is needed meanwhile.
    pub fn new(within: PathBuf, find: impl Fn(&Database, &Path, &str) -> Option<Place> + 'static) -> Self {
        Self(Some((within, Rc::new(find))))
    }

    /// Writes at a database's place. Who does not answer is asked again within the limit, as by a restore. A Litestream that
    /// cannot write once, and a place without folders, prove nothing.
    ///
    /// # Errors
    /// Nothing can be written.
    pub async fn prove_written(
        &self,
        runner: &Runner,
        version: Version,
        db: &Database,
        limit: Duration,
    ) -> Result<(), Error> {
        let until = Instant::now() + limit;
        if db.replica_folder.is_some() || db.place.is_some() {
            let write = async |_| helper::write(runner, db, limit).await;
            match crate::replica::again::ask_ourselves(db, limit, write).await {
                Err(reason) if helper::is_blind(&reason) => {}
                written => return written.map_err(|reason| Error::refused(db, reason)),
            }
        }
        let Some((within, find)) = self.0.as_ref().filter(|_| version.confirms()) else { return Ok(()) };
        // Litestream reads some paths as others.
        let fits = database::misread(within, || false).is_none();
        let sample = Sample::make(fits.then_some(within)).map_err(Error::io(within))?;
        let Some(place) = find(db, &sample.database(), BELOW) else { return Ok(()) };
        sample.fill(runner, BELOW).await.map_err(|reason| Error::refused(db, reason))?;
        sample.begin(runner).await.map_err(|reason| Error::refused(db, reason))?;
        let refused = match sample.send(runner, db, &place, until).await {
            Ok(()) => {
                if let Some(Err(reason)) = remove(runner, &place, until).await {
                    let (path, shown) = (db.path.display(), &place.shown);
                    tracing::warn!(
                        "{path}: what was written to try its replica cannot be removed from {shown}: {reason}"
                    );
                }
                return Ok(());
            }
            Err(Error::Refused { reason, .. })
                if reason.contains(IN_THE_WAY) && sample.lies(runner, db, &place, until).await =>
            {
                return Ok(());
            }
            // Who may add and not write over is refused where a trial was before, and nowhere else.
            Err(refused @ Error::Refused { .. }) => refused,
            // What came before it took of that time.
            Err(Error::Timeout { db, replica, cause, .. }) => {
                return Err(Error::Timeout { db, replica, after: limit, cause });
            }
            Err(error) => return Err(error),
        };
        // Folders that were made before the refusal.
        if matches!(remove(runner, &place, until).await, Some(Ok(()))) {
            return Err(refused);
        }
        let Some(place) = find(db, &sample.database(), &sample.name()) else { return Err(refused) };
        let sent = sample.send(runner, db, &place, until).await;
        let is_removed = matches!(remove(runner, &place, until).await, Some(Ok(())));
        sent.map_err(|_| refused)?;
        if !is_removed {
            let (path, shown) = (db.path.display(), &place.shown);
            tracing::warn!(
                "{path}: what was written to try its replica stays at {shown}: a few hundred bytes"
            );
        }
        Ok(())
    }
}

/// Removes what was written, where our own client can.
async fn remove(runner: &Runner, place: &Place, until: Instant) -> Option<Result<(), String>> {
    let left = until.saturating_duration_since(Instant::now()).max(LEAST);
    Some(helper::remove_folder(runner, place.webdav.as_ref()?, left).await)
}

/// What is written: a folder of this machine, and in it a database, which goes with this.
pub struct Sample {
    folder: Option<TempDir>,
    path: PathBuf,
    /// Held as long as the folder is used.
    _claim: File,
}

impl Sample {
    /// Makes the folder, in another one or where such are made, by whoever works in it.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(within: Option<&Path>) -> io::Result<Self> {
        let prefix = helper::TRIAL.trim_start_matches('.');
        let name = dir::temporary(prefix);
        let own = user::own_number();
        let users = [own, permit::owner().map_or(own, |user| user.uid)];
        let (folder, claim) = permit::theirs(|| {
            let folder = match within {
                Some(within) => name.tempdir_in(within)?,
                None => {
                    dir::sweep(&std::env::temp_dir(), prefix, &users);
                    name.tempdir()?
                }
            };
            let claim = dir::claim(folder.path())?;
            Ok((folder, claim))
        })?;
        let path = folder.path().to_owned();
        Ok(Self { folder: Some(folder), path, _claim: claim })
    }

    /// A name that is used nowhere else: that of the folder.
    pub fn name(&self) -> String {
        format!(".{}", self.path.file_name().unwrap_or_default().to_string_lossy())
    }

    /// Where something of this name is in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the database is.
    pub fn database(&self) -> PathBuf {
        self.path("check.db")
    }

    /// Makes the database, with this in its row.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub async fn fill(&self, runner: &Runner, row: &str) -> Result<(), String> {
        helper::sample(runner, &self.database(), row, HERE).await
    }

    /// Has Litestream begin with it here, so that it has a first transaction whatever the replica has.
    async fn begin(&self, runner: &Runner) -> Result<(), String> {
        let begun =
            runner.ask_offline(&argv::replicate_to(&self.database(), &self.path("begun")), HERE).await;
        self.ended(begun)
    }

    /// Has Litestream write it to a place, within what is left of the time.
    async fn send(&self, runner: &Runner, db: &Database, place: &Place, until: Instant) -> Result<(), Error> {
        let refused = |reason| Error::refused(db, reason);
        let left = until.saturating_duration_since(Instant::now());
        let (runner, config) =
            self.configure(runner, "start.yml", &place.config, &place.env).map_err(refused)?;
        let said = again::ask(&runner, db, &argv::snapshot_once(&config), left).await?;
        self.ended(Ok(said)).map_err(refused)
    }

    /// Whether an earlier one lies at a place.
    async fn lies(&self, runner: &Runner, db: &Database, place: &Place, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        let Ok((runner, config)) = self.configure(runner, "lies.yml", &place.config, &place.env) else {
            return false;
        };
        let listed = again::ask(&runner, db, &argv::files(&config, &self.database(), false), left).await;
        listed.is_ok_and(|listed| listed.answer().is_ok_and(|listed| listed.contains(&argv::txid_text(1))))
    }

    /// Why Litestream has not done what it was told, in its words.
    ///
    /// # Errors
    /// That.
    pub fn ended(&self, said: Result<command::Output, command::Error>) -> Result<(), String> {
        match said {
            Ok(output) if output.is_success() => Ok(()),
            Ok(output) => Err(self.words(&output.reason())),
            Err(
                error @ (command::Error::Start { .. } | command::Error::Aborted | command::Error::Timeout(_)),
            ) => Err(error.to_string()),
        }
    }

    /// A reason without this database, which is nobody's concern; some clients write several lines.
    fn words(&self, reason: &str) -> String {
        let path = self.database();
        let own = ["sync replica for", "snapshot"].map(|what| format!("{what} {}: ", path.display()));
        let reason = own.iter().fold(reason.to_owned(), |reason, own| reason.replace(own, ""));
        reason.lines().map(str::trim).collect::<Vec<_>>().join(" ")
    }

    /// Writes a configuration for Litestream, and what runs it.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub fn configure(
        &self,
        runner: &Runner,
        name: &str,
        text: &str,
        env: &[(String, String)],
    ) -> Result<(Runner, PathBuf), String> {
        let path = self.path(name);
        let written = permit::theirs(|| {
            let folder = Folder::open(&self.path)?;
            // A start may write it twice.
            let _ = folder.remove(name.as_ref());
            folder.make_file(name.as_ref())?.write_all(text.as_bytes())
        });
        written.map_err(|error| format!("{}: {error}", path.display()))?;
        // With what Litestream is to find in its environment, as `run` gives it.
        let env = runner.env.iter().chain(env).cloned().collect();
        Ok((Runner { env: Rc::new(env), ..runner.clone() }, path))
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.take() {
            let _ = permit::theirs(|| folder.close());
        }
    }
}
