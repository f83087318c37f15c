//! Each replica asked, written and read, by Litestream itself and without harm to what is there.
//!
//! What is written is a database of one row, to a folder of its own below the replica's place, where no
//! listing of the real backup looks. A folder of this machine, one on S3, Google's or Azure's storage and one on WebDAV are removed again. No command of
//! Litestream removes anything, so of other kinds the few hundred bytes that stay are named, and the command that removes them.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::rules::{
    DATABASE_BEHIND, DISK_SPACE, LEFT_BEHIND, NO_BACKUP, NO_BEGINNING, NOT_WRITTEN, OTHER_BACKUP,
    REPLICA_LIST, REPLICA_READ, REPLICA_WRITE,
};
use crate::backup::trial::Sample;
use crate::backup::{self, Freshness};
use crate::config::lint::{Lint, Rule};
use crate::config::{self, Config, Database, Kind, Owner, Replica, Series};
use crate::litestream::argv;
use crate::litestream::command::{NO_ANSWER, Runner};
use crate::litestream::database;
use crate::litestream::position::{self, Plan};
use crate::litestream::replica_error::ReplicaError;
use crate::litestream::version::Version;
use crate::os::mount;
use crate::os::permit;
use crate::remote::{Place, Webdav};
use crate::replica::{helper, mark, reach};

/// How many replicas are tried side by side.
const PARALLEL: usize = 8;

/// What is needed to ask.
pub struct Online {
    /// Litestream.
    pub runner: Runner,
    /// Its version.
    pub version: Version,
    /// The most time for each of the three questions.
    pub limit: Duration,
}

/// Tries every replica of the configuration.
///
/// # Errors
/// There is no private folder for the database that is written.
pub async fn try_replicas(online: Online, config: &Config) -> io::Result<Vec<Lint>> {
    let (online, config) = (Rc::new(online), Rc::new(config.clone()));
    let turns = Rc::new(Semaphore::new(PARALLEL));
    let mut tasks = JoinSet::new();
    for (place, (owner, number, replica)) in all(&config).into_iter().enumerate() {
        let probe = WriteProbe::prepare(&online, &config, owner, number, replica)?;
        let turns = turns.clone();
        tasks.spawn_local(async move {
            let _turn = turns.acquire().await;
            (place, probe.run().await)
        });
    }
    let mut found = Vec::new();
    while let Some(lints) = tasks.join_next().await {
        found.extend(lints.ok());
    }
    found.sort_by_key(|(place, _)| *place);
    Ok(found.into_iter().flat_map(|(_, lints)| lints).collect())
}

/// Every replica with its place in the configuration.
fn all(config: &Config) -> Vec<(Owner, usize, Replica)> {
    let of = |owner, replicas: &[Replica]| -> Vec<_> {
        replicas.iter().cloned().enumerate().map(move |(number, replica)| (owner, number, replica)).collect()
    };
    let databases = config
        .databases()
        .iter()
        .enumerate()
        .flat_map(|(n, database)| of(Owner::Database(n), &database.replicas));
    let directories = config
        .directories()
        .iter()
        .enumerate()
        .flat_map(|(n, folder)| of(Owner::Directory(n), &folder.replicas));
    databases.chain(directories).collect()
}

/// A probe that writes to one replica, from a folder of its own on this machine.
struct WriteProbe {
    online: Rc<Online>,
    config: Rc<Config>,
    owner: Owner,
    number: usize,
    replica: Replica,
    sample: Sample,
}

/// Why a question has no good answer, in Litestream's words.
type Reason = String;

impl WriteProbe {
    fn prepare(
        online: &Rc<Online>,
        config: &Rc<Config>,
        owner: Owner,
        number: usize,
        replica: Replica,
    ) -> io::Result<Self> {
        let sample = Sample::make(None)?;
        Ok(Self { online: online.clone(), config: config.clone(), owner, number, replica, sample })
    }

    async fn run(self) -> Vec<Lint> {
        let mut found = Vec::new();
        if let Owner::Database(number) = self.owner
            && let Some(database) = self.config.databases().get(number)
        {
            match self.list(database).await {
                Ok(lint) => found.extend(lint),
                Err(reason) => {
                    let reason = self.explained(reason).await;
                    return vec![self.failure(REPLICA_LIST, "be listed", &reason)];
                }
            }
        }
        found.extend(self.write_and_read().await);
        found
    }

    /// With what a connection to the server says, where there was no answer.
    async fn explained(&self, reason: Reason) -> Reason {
        let place = self.place(None).filter(|_| reason.starts_with(NO_ANSWER));
        let Some(place) = place else { return reason };
        let cause = helper::reach(&self.online.runner, &place).await;
        reach::told(&reason, cause.as_deref())
    }

    /// Asks what the replica holds, and compares.
    async fn list(&self, database: &Database) -> Result<Option<Lint>, Reason> {
        let Some((runner, config)) = self.configure("list.yml", &database.path, None)? else {
            return Ok(None);
        };
        let version = self.online.version;
        let args = argv::listing(version, &config, &database.path);
        let output = runner.ask(&args, self.online.limit).await.map_err(|error| error.to_string())?;
        let listing = match output.answer() {
            Ok(listing) => Some(listing.to_owned()),
            Err(reason) if reason.contains(backup::NO_BACKUP) => None,
            Err(reason) => return Err(reason),
        };
        let replicated = listing.as_deref().and_then(|listing| position::replicated(version, listing));
        let path = database.path.display();
        let known = self.known(database);
        if let Some(mark) = mark::of_another(&runner, &known, self.online.limit).await {
            let place = &self.replica.display;
            let message =
                format!("`{path}`: its replica {place} belongs to another database: {}", mark.owner());
            return Ok(Some(self.lint(OTHER_BACKUP, message).hint("name a place of this database's own")));
        }
        let Some(replicated) = replicated else {
            return self.nothing_there(database, &runner, &config, &known).await.map(Some);
        };
        if let Ok(Some(lint)) = permit::theirs(|| Ok(self.room(database, listing.as_deref()))) {
            return Ok(Some(lint));
        }
        let local = position::local(version, &database.meta_path)
            .filter(|_| permit::theirs(|| database.path.symlink_metadata()).is_ok());
        let Some(local) = local else { return Ok(None) };
        let place = &self.replica.display;
        if local.is_behind(&replicated) {
            let message =
                format!("`{path}` is older than its backup: it is at {local}, {place} at {replicated}");
            return Ok(Some(self.lint(DATABASE_BEHIND, message).hint(
                "`litekeeper run --if-behind restore` keeps the old file aside and restores the backup",
            )));
        }
        let (there, limit) = (Some(replicated.clone()), self.online.limit);
        let freshness = backup::against(&runner, version, &config, &known, there, limit).await;
        Ok(matches!(freshness, Freshness::Apart { first: None, .. }).then(|| {
            let message = format!(
                "{place} ends at {replicated}, and that transaction is another one than that of `{path}`: {}",
                backup::NOT_ITS_OWN
            );
            self.lint(OTHER_BACKUP, message).hint("name this database's own place, or an empty one")
        }))
    }

    /// What is found where the replica holds nothing that a restore could begin with.
    async fn nothing_there(
        &self,
        database: &Database,
        runner: &Runner,
        config: &Path,
        known: &database::Database,
    ) -> Result<Lint, Reason> {
        let (version, limit) = (self.online.version, self.online.limit);
        let (path, place) = (database.path.display(), &self.replica.display);
        let left = backup::remains::of(runner, version, config, &database.path, limit).await;
        if let Some(left) = left.map_err(|error| error.to_string())? {
            let (min, max) = (argv::txid_text(left.min), argv::txid_text(left.max));
            let message = format!(
                "{place} holds txid {min} to {max} of `{path}`, and nothing that a restore could begin with"
            );
            let hint = "bring back what was removed there, or name another place";
            return Ok(self.lint(NO_BEGINNING, message).hint(hint));
        }
        backup::empty::prove(runner, version, known, limit).await.map_err(|error| error.to_string())?;
        let message = format!("{place} holds no backup of `{path}`");
        let hint = "the first start makes it; if there should be one, the place is wrong";
        Ok(self.lint(NO_BACKUP, message).hint(hint))
    }

    /// The database as those know it who compare it with its backup.
    fn known(&self, database: &Database) -> database::Database {
        let is_folder = self.replica.kind == Kind::File;
        database::Database {
            path: database.path.clone(),
            meta: database.meta_path.clone(),
            replica: self.replica.display.clone(),
            replica_folder: is_folder.then(|| PathBuf::from(&self.replica.display)),
            place: self.place(None),
            is_on_several: false,
        }
    }

    /// What our own client is told of the replica, or of what is below it; none where it does not get there.
    fn place(&self, below: Option<&str>) -> Option<Place> {
        let alone = config::probe(&self.config, self.owner, self.number, &self.sample.database(), below)?;
        config::place_of_probe(&alone, &self.replica.kind).ok().flatten()
    }

    /// A missing database is restored, which takes at least as much as its files on the replica.
    fn room(&self, database: &Database, listing: Option<&str>) -> Option<Lint> {
        let needed = Plan::parse(listing?)?.size();
        let free = mount::space(&database.path)?.free;
        if database.path.exists() || free >= needed {
            return None;
        }
        let path = database.path.display();
        let message =
            format!("`{path}` will be restored from {needed} bytes, but only {free} are free there");
        Some(self.lint(DISK_SPACE, message).hint("free some space, or put the database elsewhere"))
    }

    async fn write_and_read(&self) -> Vec<Lint> {
        if !self.online.version.confirms() {
            let message = format!(
                "{} was listed only: litestream {} cannot write once",
                self.replica.display, self.online.version
            );
            return vec![
                self.lint(NOT_WRITTEN, message).hint("use 0.5.12 or later: `litekeeper install` gets it"),
            ];
        }
        if self.replica.kind == Kind::Nats {
            let message = format!("{} was listed only: a NATS bucket has no folders", self.replica.display);
            return vec![self.lint(NOT_WRITTEN, message)];
        }
        let below = self.sample.name();
        let place = self.location(&below);
        let written = self.write(&below).await;
        let read = if written.is_ok() { self.read(&below).await } else { Ok(()) };
        let left = match (&written, place) {
            (Ok(()), ProbeLocation::There(place)) => {
                let removed = helper::remove(&self.online.runner, &place, self.online.limit).await;
                removed.err().map(|_| self.replica.below(&below))
            }
            (Ok(()), ProbeLocation::Webdav(webdav)) => {
                let removed = helper::remove_folder(&self.online.runner, &webdav, self.online.limit).await;
                removed.err().map(|_| self.replica.below(&below))
            }
            (Err(_), ProbeLocation::There(_) | ProbeLocation::Webdav(_)) => None,
            (_, ProbeLocation::Elsewhere) => Some(self.replica.below(&below)),
            (_, ProbeLocation::Folder { below, was_there }) => {
                permit::theirs(|| Ok(clean_up(&below, &was_there)))
                    .unwrap_or_else(|error| Some(error.to_string()))
            }
        };
        match (written, read) {
            (Err(reason), _) => {
                vec![self.failure(REPLICA_WRITE, "be written", &self.explained(reason).await)]
            }
            (Ok(()), Err(reason)) => vec![self.failure(REPLICA_READ, "be read", &reason)],
            (Ok(()), Ok(())) => left
                .map(|place| {
                    let message = format!("what was written to try it is left at {place}");
                    let hint = format!("a few hundred bytes that nothing looks at: {}", self.removal(&place));
                    self.lint(LEFT_BEHIND, message).hint(hint)
                })
                .into_iter()
                .collect(),
        }
    }

    /// Puts a database of one row on the replica.
    async fn write(&self, below: &str) -> Result<(), Reason> {
        self.sample.fill(&self.online.runner, below).await?;
        let path = self.sample.database();
        let Some((runner, config)) = self.configure("write.yml", &path, Some(below))? else { return Ok(()) };
        self.ask(&runner, argv::replicate_once(&config)).await
    }

    /// Gets it back.
    async fn read(&self, below: &str) -> Result<(), Reason> {
        let (path, out) = (self.sample.database(), self.sample.path("read.db"));
        let Some((runner, config)) = self.configure("read.yml", &path, Some(below))? else { return Ok(()) };
        self.ask(&runner, argv::restore(&config, &out, &path)).await?;
        if permit::theirs(|| out.symlink_metadata()).is_err() {
            return Err("nothing of what was written just now is there".to_owned());
        }
        let row = permit::theirs(|| {
            let database = Connection::open(&out).map_err(io::Error::other)?;
            let row = database.query_row("SELECT x FROM litekeeper_check", [], |row| row.get::<_, String>(0));
            row.map_err(io::Error::other)
        });
        match row {
            Ok(row) if row == below => Ok(()),
            Ok(_) => Err("it is something else than what was written just now".to_owned()),
            Err(error) => Err(format!("what was written just now came back damaged: {error}")),
        }
    }

    async fn ask(&self, runner: &Runner, args: Vec<OsString>) -> Result<(), Reason> {
        self.sample.ended(runner.ask(&args, self.online.limit).await)
    }

    /// Writes Litestream's configuration for one question, in which this replica is alone.
    fn configure(
        &self,
        name: &str,
        database: &Path,
        below: Option<&str>,
    ) -> Result<Option<(Runner, PathBuf)>, Reason> {
        let Some(config) = config::probe(&self.config, self.owner, self.number, database, below) else {
            return Ok(None);
        };
        let generated = config.generate_once(Series::of(self.online.version.is_ltx()));
        self.sample.configure(&self.online.runner, name, &generated.text, &generated.env).map(Some)
    }

    /// Returns where it is, before anything is there.
    fn location(&self, below: &str) -> ProbeLocation {
        match self.replica.kind {
            Kind::File => {
                let folder = Path::new(&self.replica.display);
                let nearest = permit::theirs(|| Ok(mount::nearest(folder))).ok().flatten();
                let was_there = nearest.unwrap_or_else(|| "/".into());
                ProbeLocation::Folder { below: folder.join(below), was_there }
            }
            Kind::S3 | Kind::Gcs | Kind::Abs => {
                self.place(Some(below)).map_or(ProbeLocation::Elsewhere, ProbeLocation::There)
            }
            Kind::Webdav => {
                let alone = config::probe(
                    &self.config,
                    self.owner,
                    self.number,
                    &self.sample.database(),
                    Some(below),
                );
                let found = alone.and_then(|alone| config::webdav_of_probe(&alone));
                found.map_or(ProbeLocation::Elsewhere, ProbeLocation::Webdav)
            }
            Kind::Oss | Kind::Sftp | Kind::Nats | Kind::Other(_) => ProbeLocation::Elsewhere,
        }
    }

    /// Says how to remove what is left at a place.
    fn removal(&self, place: &str) -> String {
        let inside = place.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        let (host, path) = inside.unwrap_or_default();
        match self.replica.kind {
            Kind::Gcs => format!("`gcloud storage rm -r {place}` removes them"),
            Kind::Abs => {
                format!("`az storage blob delete-batch --source {host} --pattern '{path}/*'` removes them")
            }
            Kind::Oss => format!("`ossutil rm -r {place}` removes them"),
            Kind::Sftp if self.replica.location.starts_with("sftp::") => {
                format!("remove the folder /{path} on {host}")
            }
            Kind::Sftp => format!("remove the folder {path} in the user's home on {host}"),
            Kind::File | Kind::S3 | Kind::Webdav | Kind::Nats | Kind::Other(_) => "delete them".to_owned(),
        }
    }

    fn failure(&self, rule: &'static Rule, what: &str, reason: &str) -> Lint {
        // Some clients write several lines.
        let reason = &reason.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        let message = format!("{} cannot {what}: {reason}", self.replica.display);
        let kind = ReplicaError::of_asked(reason);
        self.lint(rule, message).hint(kind.asked_of(self.replica.kind == Kind::S3).hint())
    }

    fn lint(&self, rule: &'static Rule, message: String) -> Lint {
        Lint::new(rule, self.config.origin(), message).at(self.replica.line, 0)
    }
}

/// Where a probe was written.
enum ProbeLocation {
    /// A folder of this machine, and the first of its parents that was there before.
    Folder { below: PathBuf, was_there: PathBuf },
    /// A folder in a bucket.
    There(Place),
    /// A folder on WebDAV.
    Webdav(Webdav),
    /// Anything else.
    Elsewhere,
}

/// Removes what was made, and returns what is left if that is not possible.
fn clean_up(below: &Path, was_there: &Path) -> Option<String> {
    if let Err(error) = fs::remove_dir_all(below)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Some(format!("{} ({error})", below.display()));
    }
    // Folders that Litestream made on the way; one that is not empty stays.
    for folder in below.ancestors().skip(1) {
        let is_old = fs::canonicalize(folder).is_ok_and(|folder| was_there.starts_with(folder));
        if is_old || fs::remove_dir(folder).is_err() {
            break;
        }
    }
    None
}
