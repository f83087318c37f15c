//! The mark of a history: which database a place belongs to. It lies at the place, and in Litestream's folder beside the database.
//!
//! Where a client of our own gets: to all other kinds of places nobody can write but Litestream.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::again;
use super::helper::{self, Put};
use crate::core::lineage::Id;
use crate::foreign::piece;
use crate::litestream::command::Runner;
use crate::litestream::database::{Database, MARK};
use crate::os::here::Here;
use crate::os::permit::{self, Folder};
use crate::os::{here, open};

/// Nobody writes a longer one, in bytes.
pub const LONGEST: usize = 1 << 16;

/// A mark, as it is written down. A reader of a later version finds what it knows, and leaves the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The history's id.
    #[serde(with = "as_text")]
    pub id: Id,
    /// When the history began to be replicated, by that machine's clock.
    pub made: String,
    /// On which machine or container.
    pub host: String,
    /// Of which file there.
    pub database: String,
    /// By which Litekeeper.
    pub version: String,
}

mod as_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::core::lineage::Id;

    pub fn serialize<S: Serializer>(id: &Id, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(id)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Id, D::Error> {
        let text = String::deserialize(from)?;
        Id::parse(&text).ok_or_else(|| D::Error::custom("no id of 32 hexadecimal digits"))
    }
}

impl Mark {
    /// One of a history that begins now.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn begin(db: &Database) -> io::Result<Self> {
        Ok(Self {
            id: Id(here::random()?),
            made: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            host: Here::now().host,
            database: db.path.display().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// Whose it is, for people.
    pub fn owner(&self) -> String {
        format!("{} of {}, since {}", piece(&self.database), piece(&self.host), piece(&self.made))
    }

    fn text(&self) -> io::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    fn read(text: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(text).map_err(|error| format!("{MARK} there cannot be read: {error}"))
    }

    /// The one beside a database; none where there is none, or nothing that is one.
    pub fn beside(db: &Database) -> Option<Self> {
        let read = permit::theirs(|| open::whole(&db.meta.join(MARK), LONGEST));
        Self::read(&read.ok()?).ok()
    }

    /// Writes it beside a database that is there: the folder of one that is missing would be taken for what one left that is gone.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn put_beside(&self, db: &Database) -> io::Result<()> {
        if !db.exists() {
            return Ok(());
        }
        let like = db.path.parent().unwrap_or(Path::new("/"));
        permit::theirs(|| write(&made(&db.meta, like)?, &self.text()?, Over::Yes))
    }

    /// Writes it to a database's place, unless there is one, or `over` that.
    ///
    /// # Errors
    /// It cannot be written, or read again; or another one was there first.
    pub async fn put_there(
        &self,
        runner: &Runner,
        db: &Database,
        over: Over,
        limit: Duration,
    ) -> Result<(), NotPut> {
        let text = self.text().map_err(|error| NotPut::Failed(error.to_string()))?;
        let there = if let Some(folder) = &db.replica_folder {
            let is_empty = || Ok(folder.join(MARK).symlink_metadata()?.len() == 0);
            let over = if permit::theirs(is_empty).unwrap_or(false) { Over::Yes } else { over };
            let like = db.path.parent().unwrap_or(Path::new("/"));
            let put = permit::theirs(|| write(&made(folder, like)?, &text, over));
            put.map_err(|error| {
                NotPut::Failed(format!("{} cannot be written: {error}", folder.join(MARK).display()))
            })?;
            in_folder(folder)
        } else if let Some(place) = &db.place {
            let put = Put { text, over: over == Over::Yes };
            let put = async |left: Duration| helper::mark(runner, place, &put, left.max(LEAST)).await;
            Marked::of(again::ask_ourselves(db, limit, put).await.map_err(NotPut::Failed)?)
        } else {
            Marked::Unseen
        };
        match there {
            Marked::By(mark) if mark.id != self.id => Err(NotPut::Taken(mark)),
            Marked::By(_) | Marked::Unseen => Ok(()),
            Marked::Nobody => Err(NotPut::Failed("what was written there is not there".to_owned())),
            Marked::Unread(reason) => Err(NotPut::Failed(reason)),
        }
    }
}

/// Why a mark is not where it was to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotPut {
    /// This one was there first.
    Taken(Mark),
    /// It cannot be written, in the system's or the server's words.
    Failed(String),
}

/// Whether what is there already is written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It is.
    Yes,
    /// It stays.
    No,
}

/// In less no process has an answer.
const LEAST: Duration = Duration::from_secs(1);
/// How long a mark, or those of all places together, may take to be read, and one to be written.
pub const LIMIT: Duration = Duration::from_secs(5);

/// Says that nobody knows whose a place is: that is no reason to replicate nothing there.
pub fn say_unmarked(db: &Database, reason: &str) {
    tracing::warn!(
        "{}: replica {}: whose place it is cannot be read or written down there: {reason}",
        db.path.display(),
        db.replica
    );
}

/// What is known of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marked {
    /// Nobody but Litestream can look there.
    Unseen,
    /// What is there cannot be read, for this reason.
    Unread(String),
    /// There is no mark.
    Nobody,
    /// This one.
    By(Mark),
}

impl Marked {
    /// Reads what lies there, if anything does.
    pub fn of(text: Option<impl AsRef<[u8]>>) -> Self {
        // A machine that lost its power may have left a name and nothing in it.
        let text = text.filter(|text| !text.as_ref().is_empty());
        match text.map(|text| Mark::read(text.as_ref())) {
            None => Self::Nobody,
            Some(Ok(mark)) => Self::By(mark),
            Some(Err(reason)) => Self::Unread(reason),
        }
    }

    /// The mark, if it is another one than the database has beside it.
    pub fn of_another(self, db: &Database) -> Option<Mark> {
        match (self, Mark::beside(db)) {
            (Self::By(mark), Some(own)) if mark.id != own.id => Some(mark),
            (Self::By(_) | Self::Unseen | Self::Unread(_) | Self::Nobody, _) => None,
        }
    }
}

/// Reads the mark of a database's place.
pub async fn at(runner: &Runner, db: &Database, limit: Duration) -> Marked {
    all(runner, std::slice::from_ref(db), limit).await.pop().unwrap_or(Marked::Unseen)
}

/// Reads the marks of many places, in their order: by one process, as far as they are on servers.
pub async fn all(runner: &Runner, dbs: &[Database], limit: Duration) -> Vec<Marked> {
    let away: Vec<_> =
        dbs.iter().filter(|db| db.replica_folder.is_none()).filter_map(|db| db.place.as_ref()).collect();
    let read = if away.is_empty() { Ok(Vec::new()) } else { helper::marks(runner, &away, limit).await };
    let mut read = match read {
        Ok(read) => read.into_iter(),
        Err(reason) => vec![Err(reason); away.len()].into_iter(),
    };
    let each = dbs.iter().map(|db| match (&db.replica_folder, &db.place) {
        (Some(folder), _) => in_folder(folder),
        (None, Some(_)) => match read.next() {
            Some(Ok(text)) => Marked::of(text),
            Some(Err(reason)) if helper::is_blind(&reason) => Marked::Unseen,
            Some(Err(reason)) => Marked::Unread(reason),
            None => Marked::Unread("no answer".to_owned()),
        },
        (None, None) => Marked::Unseen,
    });
    each.collect()
}

/// Writes the marks of their places beside databases that were made since those were marked.
pub async fn settle(runner: &Runner, dbs: &[Database]) {
    let unmarked: Vec<Database> =
        dbs.iter().filter(|db| db.exists() && Mark::beside(db).is_none()).cloned().collect();
    if unmarked.is_empty() {
        return;
    }
    for (db, marked) in unmarked.iter().zip(all(runner, &unmarked, LIMIT).await) {
        if let Marked::By(mark) = marked
            && let Err(error) = mark.put_beside(db)
        {
            // The next start does.
            tracing::debug!("{}: {error}", db.meta.display());
        }
    }
}

/// Whose the place of a database is, where that is another one's.
pub async fn of_another(runner: &Runner, db: &Database, limit: Duration) -> Option<Mark> {
    // Without an id of its own there is nothing to compare with.
    Mark::beside(db)?;
    at(runner, db, limit).await.of_another(db)
}

/// Reads the mark of a place that is a folder.
pub fn in_folder(folder: &Path) -> Marked {
    match permit::theirs(|| open::whole(&folder.join(MARK), LONGEST)) {
        Ok(text) => Marked::of(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Marked::Nobody,
        Err(error) => Marked::Unread(format!("{}: {error}", folder.join(MARK).display())),
    }
}

/// A folder, which is made with all above it that is not there: with the rights and the owner of that of the database, as Litestream does
/// (`MkdirAll` in its internal.go).
fn made(folder: &Path, like: &Path) -> io::Result<Folder> {
    let missing: Vec<&Path> =
        folder.ancestors().take_while(|path| path.symlink_metadata().is_err()).collect();
    if !missing.is_empty() {
        let like = like.metadata()?;
        for folder in missing.into_iter().rev() {
            match fs::create_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            fs::set_permissions(folder, fs::Permissions::from_mode(like.mode() & 0o7777))?;
            // Only root may, and only for root it matters.
            let _ = chown(folder, Some(like.uid()), Some(like.gid()));
        }
    }
    Folder::open(folder)
}

/// Puts the mark into a folder in one step.
fn write(folder: &Folder, text: &str, over: Over) -> io::Result<()> {
    let new = format!("{MARK}.{}", std::process::id());
    let new = std::ffi::OsStr::new(&new);
    // One of this number may have been killed before it was done.
    let _ = folder.remove(new);
    let put = || {
        let mut file = folder.make_file(new)?;
        file.write_all(text.as_bytes())?;
        // Whoever may look into the folder may see whose it is.
        file.set_permissions(fs::Permissions::from_mode(folder.metadata()?.mode() & 0o644))?;
        file.sync_all()?;
        match over {
            Over::Yes => folder.rename(new, MARK.as_ref()),
            Over::No => folder.rename_to_free(new, MARK.as_ref()),
        }
    };
    let done = put();
    if done.is_err() {
        let _ = folder.remove(new);
    }
    match done {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(id: u128) -> Mark {
        let db = Database::at("/srv/app.db".into());
        Mark { id: Id(id), ..Mark::begin(&db).unwrap() }
    }

    #[test]
    fn a_mark_is_read_as_it_is_written_and_what_a_later_version_adds_is_no_hindrance() {
        let mark = mark(7);
        let text = mark.text().unwrap();
        assert_eq!(Mark::read(text.as_bytes()), Ok(mark.clone()));
        let more = text.replacen('{', "{\"lease\": {\"ttl\": 60},", 1);
        assert_eq!(Mark::read(more.as_bytes()), Ok(mark));
        for text in ["", "{}", "null", &text.replace("0007", "7")] {
            assert!(Mark::read(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_folder_keeps_the_first_mark_until_somebody_writes_over_it() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("a/b");
        assert_eq!(in_folder(&place), Marked::Nobody);
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let folder = made(&place, root.path()).unwrap();
        assert_eq!(place.metadata().unwrap().mode() & 0o7777, 0o750);
        for (id, over, left) in [(1, Over::No, 1), (2, Over::No, 1), (3, Over::Yes, 3)] {
            write(&folder, &mark(id).text().unwrap(), over).unwrap();
            assert!(matches!(in_folder(&place), Marked::By(mark) if mark.id == Id(left)), "{id}");
        }
        assert_eq!(fs::read_dir(&place).unwrap().count(), 1, "nothing else is left");
        assert_eq!(place.join(MARK).metadata().unwrap().mode() & 0o777, 0o640);
        fs::write(place.join(MARK), "").unwrap();
        assert_eq!(in_folder(&place), Marked::Nobody);
        fs::write(place.join(MARK), "rubbish").unwrap();
        assert!(matches!(in_folder(&place), Marked::Unread(_)));
    }

    #[test]
    fn beside_a_database_it_lies_in_litestreams_folder() {
        let root = tempfile::tempdir().unwrap();
        let db = Database::at(root.path().join("app.db"));
        mark(1).put_beside(&db).unwrap();
        assert!(!db.meta.exists(), "it is of nothing");
        fs::write(&db.path, "x").unwrap();
        mark(1).put_beside(&db).unwrap();
        mark(2).put_beside(&db).unwrap();
        assert_eq!(Mark::beside(&db).map(|mark| mark.id), Some(Id(2)));
    }
}
