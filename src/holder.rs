//! Who has a database: what a keeper leaves in its lock, and which processes have its files open.
//!
//! Architecture invariant: nothing here takes a lock.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign::piece;
use crate::litestream::database::{Database, with_suffix};
use crate::os::here::Here;
use crate::os::lock;
use crate::os::locks;
use crate::os::permit::{self, LOCK, REPLICA_LOCK};
use crate::os::proc;

/// The text of a lock that has none: that of the file itself.
pub(crate) const OTHER_NAME: &str = "name";

/// The text of a lock that has none because this keeper has the file under another name, before that name.
pub(crate) const OWN_NAME: &str = "own name\n";

/// Which file a lock is: device and inode.
pub type LockFile = (u64, u64);

/// What stands before the text of the lock of a place for backups.
pub(crate) const PLACE: &str = "place\n";

/// A line of the lock of a command that restores the database.
const RESTORE: &str = "restore";

/// Returns what everybody leaves in a lock.
pub fn beginning() -> String {
    let here = Here::now();
    format!(
        "pid {}\nstarted {}\nnumbers {}\nhost {}\n",
        std::process::id(),
        jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        here.numbers,
        here.host,
    )
}

/// Returns what a command that restores a database leaves in its lock.
pub fn of_restore() -> String {
    format!("{}{RESTORE}\n", beginning())
}

/// Returns where a database's lock is.
pub fn lock_path(db: &Database) -> PathBuf {
    db.hidden(LOCK)
}

/// Returns the control socket of the keeper that runs on a database, and which file its lock is; `None` when
/// none runs. In another container the same path may be another keeper's.
///
/// # Errors
/// As [`now`].
pub fn keeper_socket(db: &Database) -> Result<Option<(PathBuf, LockFile)>, Failure> {
    Ok(now(db)?.and_then(|(holder, file)| Some((holder.keeper?, file))))
}

/// Who holds the lock of a database, and which file that lock is; none where nobody does.
///
/// # Errors
/// This user may not look, so that nobody knows whether a keeper runs.
pub fn now(db: &Database) -> Result<Option<(Holder, LockFile)>, Failure> {
    let path = lock_path(db);
    let held = lock::held(&path).map_err(|error| {
        let (db, path) = (db.path.display(), path.display());
        let message = format!("{db}: whether a keeper runs cannot be known: {path}: {error}");
        Failure::new(ExitCode::UNAVAILABLE, message)
            .hint("run it as the user that the database belongs to, or as root")
    })?;
    Ok(held.map(|(text, found)| {
        permit::belong_to_owner(&found);
        (Holder::of(db, &text), (found.dev(), found.ino()))
    }))
}

/// A process that has a database open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub pid: i32,
    /// What it was started as: no secret is in the first word.
    pub program: String,
}

impl User {
    /// Makes the failure that tells of it, with this next step.
    pub fn refusal(&self, db: &Path, hint: &str) -> Failure {
        let message = format!("{}: pid {} (`{}`) has it open", db.display(), self.pid, piece(&self.program));
        Failure::new(ExitCode::LOCKED, message).hint(hint)
    }
}

/// The files that each process has open or locked just now, by device and inode. Where the process of another user shows no
/// files, its locks tell.
pub struct Users(Vec<(i32, Vec<(u64, u64)>)>);

impl Users {
    /// Looks at all but this process.
    pub fn now() -> Self {
        let own = std::process::id().cast_signed();
        let locked: Vec<(i32, (u64, u64))> = locks::all().collect();
        let of = |pid: i32| {
            let locked = locked.iter().filter(|(taker, _)| *taker == pid).map(|(_, file)| *file);
            (pid, proc::open_files(pid).into_iter().map(|file| file.id).chain(locked).collect())
        };
        Self(proc::all().into_iter().filter(|pid| *pid != own).map(of).collect())
    }

    /// One that has a database or what is beside it.
    pub fn of(&self, db: &Path) -> Option<User> {
        let files = ["", "-wal", "-shm", "-journal"].map(|tail| with_suffix(db, tail));
        let files: Vec<(u64, u64)> = files
            .iter()
            .filter_map(|path| permit::theirs(|| Ok(proc::identity(path))).ok().flatten())
            .collect();
        let has = |(_, open): &&(i32, Vec<(u64, u64)>)| files.iter().any(|file| open.contains(file));
        let (pid, _) = self.0.iter().find(has)?;
        let words = proc::words(*pid).unwrap_or_default();
        let program = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        Some(User { pid: *pid, program })
    }
}

/// Whether what a process says at a socket is to be believed: a keeper runs as root or as the caller; its socket may have
/// been given to the user that the app runs as.
pub fn is_believed(peer: u32, own: u32, owner: Option<u32>) -> bool {
    peer == 0 || peer == own || (own == 0 && owner == Some(peer))
}

/// Returns where the lock of the folder is that a database is replicated to.
pub fn replica_lock_path(db: &Database) -> Option<PathBuf> {
    Some(db.replica_folder.as_ref()?.join(REPLICA_LOCK))
}

/// Who holds a lock, by what it left in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process number.
    pub pid: Option<i32>,
    /// When it was started, in its words.
    pub started: Option<String>,
    /// Its own control socket.
    pub keeper: Option<PathBuf>,
    /// That of its Litestream.
    pub socket: Option<PathBuf>,
    /// Where its process number is one, if that is not here: the name of the machine or container.
    pub elsewhere: Option<String>,
    /// The database that it replicates to the place of which this is the lock.
    pub database: Option<PathBuf>,
    /// It is a command that restores the database, and no keeper.
    pub is_restore: bool,
    /// It has the same file under another name.
    pub by_other_name: bool,
    /// The same of this keeper itself.
    pub by_own_name: bool,
    /// It is the place for backups that it has.
    pub of_place: bool,
}

impl Holder {
    /// Tells who holds a database's lock: its process number is the kernel's word, where that has one, and the file's
    /// otherwise, which whoever the databases belong to can write.
    pub fn of(db: &Database, text: &str) -> Self {
        let said = Self::parse(text);
        let path = if said.of_place { replica_lock_path(db) } else { Some(lock_path(db)) };
        let found = path.and_then(|path| permit::theirs(|| path.symlink_metadata()).ok());
        match found.as_ref().and_then(locks::taker).filter(|_| !said.by_other_name && !said.by_own_name) {
            Some(taker) if said.pid != Some(taker) => {
                Self { pid: Some(taker), started: None, elsewhere: None, ..said }
            }
            _ => said,
        }
    }

    /// Reads the text of a lock; a field that is not in it is `None`.
    pub fn parse(text: &str) -> Self {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let is_here = field("numbers ").is_none_or(|numbers| numbers == Here::now().numbers);
        let host = || field("host ").map_or_else(|| "another host".to_owned(), |host| piece(host.trim()));
        Self {
            elsewhere: (!is_here).then(host),
            pid: field("pid ").and_then(|pid| pid.trim().parse().ok()).filter(|pid| *pid > 0),
            started: field("started ").map(|started| piece(started.trim())),
            keeper: field("keeper ").map(PathBuf::from).filter(|keeper| keeper.is_absolute()),
            socket: field("socket ").map(PathBuf::from).filter(|socket| socket.is_absolute()),
            database: field("database ").map(PathBuf::from).filter(|database| database.is_absolute()),
            is_restore: text.lines().any(|line| line == RESTORE),
            by_other_name: text == OTHER_NAME,
            by_own_name: text.starts_with(OWN_NAME),
            of_place: text.starts_with(PLACE),
        }
    }

    /// Tells whether it is this process.
    pub fn is_this_process(&self) -> bool {
        self.elsewhere.is_none() && self.pid == Some(std::process::id() as i32)
    }

    /// Tells whether the keeper is dead, so that what holds the lock is on its way out. Of another container's that is unknown.
    pub fn is_ending(&self) -> bool {
        self.elsewhere.is_none() && self.pid.is_some_and(|pid| !proc::is_alive(pid))
    }

    /// Says that it is waited for.
    pub fn say_waiting(&self, db: &Database) {
        if self.is_ending() {
            let (path, pid) = (db.path.display(), self.pid.unwrap_or(0));
            tracing::warn!(
                "{path}: the keeper before this one (pid {pid}) is dead and its app is being stopped: waiting"
            );
        } else {
            tracing::info!("{}: waiting for it to end (--on-lock)", self.refusal(db).message);
        }
    }

    /// Makes the failure that tells of it.
    pub fn refusal(&self, db: &Database) -> Failure {
        let place = self.elsewhere.as_ref().map_or_else(String::new, |host| format!(" on {host}"));
        let who = match (self.pid, &self.started) {
            (Some(pid), Some(started)) => format!("pid {pid}{place}, started {started}"),
            (Some(pid), None) => format!("pid {pid}{place}"),
            (None, _) if self.by_other_name => {
                "which has the same file under another name, or whose lock was removed".to_owned()
            }
            (None, _) => "which left no name".to_owned(),
        };
        let path = db.path.display();
        if self.by_own_name {
            let other = self.database.as_ref().map(|other| piece(&other.display().to_string()));
            let other = other.unwrap_or_default();
            let message =
                format!("{path}: it is the same file as {other}, which this keeper has under that name");
            return Failure::new(ExitCode::LOCKED, message)
                .hint("name each database by one path, and one that was renamed no more by its old one");
        }
        if self.is_this_process() && !self.of_place {
            let message = format!(
                "{path}: the lock beside it is one that this keeper has for another database, whose folder was renamed"
            );
            return Failure::new(ExitCode::LOCKED, message).hint(
                "it is tried again while it is there or named: name no more what is not there any more",
            );
        }
        if self.of_place {
            let other = self.database.as_ref().filter(|other| **other != db.path);
            let other =
                other.map_or_else(String::new, |other| format!(" {}", piece(&other.display().to_string())));
            let message =
                format!("{path}: another keeper ({who}) replicates a database{other} to {}", db.replica);
            return Failure::new(ExitCode::LOCKED, message).hint(
                "give each database a replica of its own: two in one place overwrite each other's backup",
            );
        }
        if self.is_restore {
            return Failure::new(ExitCode::LOCKED, format!("{path}: it is being restored ({who})"))
                .hint("wait for its end");
        }
        Failure::new(ExitCode::LOCKED, format!("{path}: another keeper runs on this database ({who})"))
            .hint("stop it first: two would overwrite each other's backup")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_believed() {
        assert!(is_believed(0, 1000, None) && is_believed(1000, 1000, None) && is_believed(7, 0, Some(7)));
        assert!(!is_believed(8, 1000, Some(8)) && !is_believed(8, 0, Some(7)) && !is_believed(8, 0, None));
    }

    #[test]
    fn who_restores_is_no_keeper() {
        let holder = Holder::parse(&of_restore());
        assert!(holder.is_restore && holder.keeper.is_none() && holder.is_this_process());
        assert!(!Holder::parse(&beginning()).is_restore);
    }
}
