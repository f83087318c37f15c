//! Never two keepers on one database.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::runtime_folder::RuntimeFolder;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::litestream::database::{Database, unfit};
use crate::os::lock::{Lock, Refused};
use crate::os::proc;
use crate::os::user::Identity;

/// How often a lock is tried whose keeper is dead while its app is being stopped.
const RETRY: Duration = Duration::from_millis(50);

/// Where a database's lock is.
pub fn lock_path(db: &Database) -> PathBuf {
    db.hidden("-litekeeper.lock")
}

/// The control socket of the keeper that runs on a database; `None` when none does.
pub fn keeper_socket(db: &Database) -> Option<PathBuf> {
    let path = lock_path(db);
    let lock = std::fs::File::open(&path).ok()?;
    if lock.try_lock().is_ok() {
        return None;
    }
    let text = std::fs::read_to_string(&path).ok()?;
    text.lines().find_map(|line| line.strip_prefix("keeper ")).map(PathBuf::from)
}

/// Takes the lock of each database, for this process and what inherits it; its text tells where the
/// control sockets of Litestream and of this keeper are.
///
/// A lock whose keeper is dead is held by its Litestream and shim, which are stopping the app:
/// they get `patience`. `interrupted` ends the waiting.
///
/// # Errors
/// Another keeper lives, or the lock cannot be made.
pub(super) async fn lock_all(
    dbs: &[Database],
    socket: &Path,
    keeper: &Path,
    user: Option<&Identity>,
    patience: Duration,
    interrupted: impl Fn() -> Option<ExitCode>,
) -> Result<Vec<Lock>, Failure> {
    let text = text(socket, keeper);
    let deadline = Instant::now() + patience;
    let mut locks = Vec::new();
    for db in dbs {
        refuse_unfit(db)?;
        make_folder(db, user)?;
        let mut told = false;
        loop {
            match Lock::acquire(&lock_path(db), &text) {
                Ok(lock) => {
                    locks.push(lock);
                    break;
                }
                Err(Refused::Held(holder)) => {
                    let holder = Holder::parse(&holder);
                    if !holder.is_ending() || Instant::now() >= deadline {
                        return Err(holder.refusal(db));
                    }
                    if let Some(code) = interrupted() {
                        return Err(Failure::new(code, "interrupted"));
                    }
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(
                            "{}: the keeper before this one (pid {}) is dead and its app is being stopped: waiting",
                            db.path.display(),
                            holder.pid.unwrap_or(0)
                        );
                    }
                    tokio::time::sleep(RETRY).await;
                }
                Err(Refused::Io(error)) => return Err(not_made(db, &error)),
            }
        }
    }
    Ok(locks)
}

/// Takes the lock of one database that is there, or does not.
///
/// # Errors
/// As for [`lock_all`].
pub(super) fn lock_now(db: &Database, folder: &RuntimeFolder) -> Result<Lock, Failure> {
    refuse_unfit(db)?;
    match Lock::acquire(&lock_path(db), &text(&folder.socket(), &folder.keeper_socket())) {
        Ok(lock) => Ok(lock),
        Err(Refused::Held(holder)) => Err(Holder::parse(&holder).refusal(db)),
        Err(Refused::Io(error)) => Err(not_made(db, &error)),
    }
}

fn text(socket: &Path, keeper: &Path) -> String {
    format!(
        "pid {}\nstarted {}\nsocket {}\nkeeper {}\n",
        std::process::id(),
        jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        socket.display(),
        keeper.display()
    )
}

/// One clear word before anything that is named after the database fails.
fn refuse_unfit(db: &Database) -> Result<(), Failure> {
    let Some(why) = unfit(&db.path) else { return Ok(()) };
    Err(Failure::new(ExitCode::CONFIG, format!("{}: {why}", db.path.display()))
        .hint("correct the database's path"))
}

fn not_made(db: &Database, error: &std::io::Error) -> Failure {
    let message = format!("{}: the lock cannot be made: {error}", lock_path(db).display());
    Failure::new(ExitCode::CONFIG, message)
        .hint("the database's folder must be writable: SQLite keeps its WAL there too")
}

fn make_folder(db: &Database, user: Option<&Identity>) -> Result<(), Failure> {
    let Some(folder) = db.path.parent().filter(|folder| !folder.exists()) else { return Ok(()) };
    let made = std::fs::create_dir_all(folder).and_then(|()| match user {
        Some(user) => crate::os::dir::give_to(folder, user),
        None => Ok(()),
    });
    made.map_err(|error| {
        Failure::new(
            ExitCode::CONFIG,
            format!("{}: the database's folder cannot be made: {error}", folder.display()),
        )
        .hint("make it, or correct the database's path")
    })
}

/// Who holds a lock, by what it left in the file.
struct Holder {
    pid: Option<i32>,
    started: Option<String>,
}

impl Holder {
    fn parse(text: &str) -> Self {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        Self {
            pid: field("pid ").and_then(|pid| pid.parse().ok()),
            started: field("started ").map(str::to_owned),
        }
    }

    /// The keeper is dead, so what holds the lock is on its way out. (In another container's process
    /// numbers this may be wrong; then the waiting ends with the same refusal.)
    fn is_ending(&self) -> bool {
        self.pid.is_some_and(|pid| !proc::is_alive(pid))
    }

    fn refusal(&self, db: &Database) -> Failure {
        let who = match (self.pid, &self.started) {
            (Some(pid), Some(started)) => format!("pid {pid}, started {started}"),
            (Some(pid), None) => format!("pid {pid}"),
            (None, _) => "which left no name".to_owned(),
        };
        Failure::new(
            ExitCode::LOCKED,
            format!("{}: another keeper runs on this database ({who})", db.path.display()),
        )
        .hint("stop it first: two would overwrite each other's backup")
    }
}
