//! The lock of a database: never two keepers on one.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::runtime_folder::RuntimeFolder;
use super::setup::OnLock;
use crate::core::{Db, ExitCode};
use crate::error::Failure;
use crate::holder::{self, Holder, OTHER_NAME, OWN_NAME, PLACE, lock_path, replica_lock_path};
use crate::litestream::database::{Database, in_the_way, unfit};
use crate::litestream::folder as databases;
use crate::litestream::glob;
use crate::litestream::others::Others;
use crate::os::access::{self, Access};
use crate::os::guarded;
use crate::os::here::{self, Here};
use crate::os::lock::{Lock, Refused};
use crate::os::mount;
use crate::os::permit::{self, Folder};
use crate::os::user::Identity;
use crate::remote::Place;

/// How often a lock is tried whose keeper is dead while its app is being stopped.
const RETRY: Duration = Duration::from_millis(50);

/// What the lock of a folder is called, as if it were one of its databases.
const FOLDER: &str = "databases";

/// What the name of the keeper follows in the text of a lock, by which it has the places of its databases.
const LEASE: &str = "lease ";

/// The keeper that had a lock before this one, by the name in its lease: it is dead, or has let the database go. One of another machine, or of the
/// same one before it was booted, may be alive: its volume can have been copied.
pub(super) fn predecessor(lock: &Lock) -> Option<String> {
    let field = |name: &str| lock.before().lines().find_map(|line| line.strip_prefix(name));
    let is_here = field("numbers ").is_some_and(|numbers| Here::now().is_same_boot(numbers))
        && lock.before().ends_with(&file_of(lock));
    field(LEASE).filter(|name| is_here && !name.is_empty()).map(str::to_owned)
}

/// Which file a lock is, as the last line of its text: a copy of it says nothing of who had the first one.
fn file_of(lock: &Lock) -> String {
    let (device, inode) = lock.identity().unwrap_or_default();
    format!("file {device}:{inode}\n")
}

/// Takes the lock of each database, for this process and what inherits it; its text tells where the
/// control sockets of Litestream and of this keeper are.
///
/// A lock whose keeper is dead is held by its Litestream and shim, which are stopping the app:
/// they get `patience`. For one that lives `on_lock` says it. `interrupted` ends the waiting.
///
/// # Errors
/// Another keeper lives, or the lock cannot be made.
pub(super) async fn lock_all(
    dbs: &[Database],
    socket: &Path,
    keeper: &Path,
    source: Source,
    (patience, on_lock): (Duration, OnLock),
    interrupted: impl Fn() -> Option<ExitCode>,
) -> Result<Vec<Lock>, Failure> {
    let text = text(socket, keeper);
    let began = Instant::now();
    let mut locks = Vec::new();
    for db in dbs {
        refuse_unfit(db)?;
        if let Some(folder) = db.path.parent() {
            make_folder(folder, source)?;
        }
        let mut told = false;
        loop {
            match acquire(db, &text) {
                Ok(lock) => {
                    locks.push(lock);
                    break;
                }
                Err(Refused::Held(holder)) => {
                    let holder = Holder::of(db, &holder);
                    let limit = match on_lock {
                        _ if holder.is_ending() => Some(patience),
                        // It would wait for itself.
                        _ if holder.by_own_name => Some(Duration::ZERO),
                        OnLock::Fail => Some(Duration::ZERO),
                        OnLock::Wait(limit) => limit,
                    };
                    // On a busy machine the time may be over before it was said whom it is waited for.
                    if limit.is_some_and(|limit| limit.is_zero() || told && began.elapsed() >= limit) {
                        return Err(match source {
                            Source::Operator => refusal_to_wait(&holder, db, on_lock),
                            // Nobody waits for what a source names.
                            Source::User => holder.refusal(db),
                        });
                    }
                    if let Some(code) = interrupted() {
                        return Err(Failure::new(code, "interrupted"));
                    }
                    if !std::mem::replace(&mut told, true) {
                        holder.say_waiting(db);
                    }
                    tokio::time::sleep(RETRY).await;
                }
                Err(Refused::Io(error)) => return Err(not_made(db, &error)),
            }
        }
    }
    Ok(locks)
}

/// Takes the lock of one database that is there, without waiting for it.
///
/// # Errors
/// As for [`lock_all`].
pub(super) fn lock_now(db: &Database, folder: &RuntimeFolder) -> Result<Lock, Failure> {
    refuse_unfit(db)?;
    match acquire(db, &text(&folder.socket(), &folder.keeper_socket())) {
        Ok(lock) => Ok(lock),
        Err(Refused::Held(holder)) => Err(Holder::of(db, &holder).refusal(db)),
        Err(Refused::Io(error)) => Err(not_made(db, &error)),
    }
}

/// Locks a database by its name alone.
fn acquire_file(db: &Database, text: &str) -> Result<Lock, Refused> {
    let mut lock = Lock::acquire(&lock_path(db), text)?;
    // Without it the next keeper waits as for any other machine.
    let _ = lock.add(&file_of(&lock));
    Ok(lock)
}

/// Locks a folder of databases, by a file in it; `None` where that cannot be done, or another keeper has other databases there.
pub(super) fn lock_folder(path: &Path, folder: &RuntimeFolder) -> Option<Lock> {
    let db = Database::at(path.join(FOLDER));
    acquire_file(&db, &text(&folder.socket(), &folder.keeper_socket())).ok()
}

/// Locks a place in a bucket that several databases of this machine have in common, by a file beside the folder of this run.
///
/// # Errors
/// Another keeper has it, or that cannot be done.
pub(super) fn lock_place(place: &Place, folder: &RuntimeFolder) -> Result<Lock, Refused> {
    let mut hasher = DefaultHasher::new();
    format!("{place:?}").hash(&mut hasher);
    let name = format!("place-{:016x}", hasher.finish());
    let mut lock = folder.lock_beside(&name, &text(&folder.socket(), &folder.keeper_socket()))?;
    // As in `acquire_file`.
    let _ = lock.add(&file_of(&lock));
    Ok(lock)
}

/// Locks a database by its name, and the file itself by whatever name it has.
fn acquire(db: &Database, text: &str) -> Result<Lock, Refused> {
    let mut lock = acquire_file(db, text)?;
    match lock.guard(&db.path) {
        Ok(()) => {}
        Err(Refused::Held(_)) => {
            let own = guarded::other_name(&db.path);
            let own = own.map(|own| format!("{OWN_NAME}database {}\n", own.display()));
            return Err(Refused::Held(own.unwrap_or_else(|| OTHER_NAME.to_owned())));
        }
        Err(refused @ Refused::Io(_)) => return Err(refused),
    }
    lock.hold(replica_lock(db, text)?);
    Ok(lock)
}

/// Locks the folder that a database is replicated to, so that no keeper of another database writes there. Where that
/// cannot be done, Litestream has more to say about it; and nothing of ours waits for a server that may not answer.
fn replica_lock(db: &Database, text: &str) -> Result<Option<Lock>, Refused> {
    let Some(path) = replica_lock_path(db) else { return Ok(None) };
    let folder = path.parent().unwrap_or(&path);
    let made = permit::theirs(|| {
        std::fs::create_dir_all(folder)?;
        Ok(!mount::is_remote(folder))
    });
    if !made.unwrap_or(false) {
        return Ok(None);
    }
    match Lock::acquire(&path, &format!("{text}database {}\n", db.path.display())) {
        Ok(lock) => Ok(Some(lock)),
        // A database of this keeper that is just being let go.
        Err(Refused::Held(text)) if Holder::parse(&text).is_this_process() => Ok(None),
        Err(Refused::Held(text)) => Err(Refused::Held(format!("{PLACE}{text}"))),
        // Something stands there that is no lock of ours: whoever put it there would let a second keeper in.
        Err(Refused::Io(error)) if permit::theirs(|| path.symlink_metadata()).is_ok() => {
            Err(Refused::Io(std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))))
        }
        Err(Refused::Io(_)) => Ok(None),
    }
}

/// Resolves the links in the path of a database's folder. Neither the file nor the folder has to exist.
pub(super) fn resolved(path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => permit::real(folder).join(name),
        _ => path.to_owned(),
    }
}

/// Looks for a Litestream on one of these that no keeper runs. Those of a keeper before this one have ended, or
/// their lock would be held.
pub(super) fn other_litestream<'a>(
    others: &Others,
    dbs: impl IntoIterator<Item = (Db, &'a Database)>,
) -> Option<(Db, Failure)> {
    if others.is_empty() {
        return None;
    }
    dbs.into_iter().find_map(|(db, database)| {
        let other = others.on(&database.path, &database.meta)?;
        let (path, pid, program) = (database.path.display(), other.pid, &other.program);
        let message = format!("{path}: another litestream replicates this database (pid {pid}, `{program}`)");
        let failure = Failure::new(ExitCode::LOCKED, message);
        let hint = "litekeeper runs litestream itself: take the other out of the app's command or script, or stop its service";
        Some((db, failure.hint(hint)))
    })
}

/// The state of a lock that this keeper holds.
pub(super) enum LockState {
    /// It is held as before.
    Held,
    /// It was removed from outside; this one is new.
    Renewed(Lock),
    /// Another keeper runs on the database.
    Lost(Failure),
    /// Something that cannot be locked was put in its place.
    Barred(std::io::Error),
    /// What stands there is the file of another database of this keeper, by its path.
    Ours(PathBuf),
}

/// Checks whether a database's lock still keeps others away, and renews it where it was removed.
pub(super) fn check(db: &Database, lock: &mut Lock, folder: &RuntimeFolder) -> LockState {
    let mut ours = None;
    if matches!(lock.guard(&db.path), Err(Refused::Held(_))) {
        ours = guarded::other_name(&db.path);
        if ours.is_none() {
            return LockState::Lost(Holder::parse(OTHER_NAME).refusal(db));
        }
    }
    if let Err(Refused::Held(holder)) = lock.keep() {
        return LockState::Lost(Holder::of(db, &holder).refusal(db));
    }
    // Only where one is taken: this is done once a second, for each database.
    let text = || text(&folder.socket(), &folder.keeper_socket());
    if lock.other().is_some_and(|other| !other.is_in_place() || other.keep().is_err()) {
        match replica_lock(db, &text()) {
            Ok(other) => lock.hold(other),
            Err(Refused::Held(holder)) => return LockState::Lost(Holder::of(db, &holder).refusal(db)),
            Err(Refused::Io(error)) => return LockState::Barred(error),
        }
    }
    if lock.is_in_place() {
        return ours.map_or(LockState::Held, LockState::Ours);
    }
    match acquire_file(db, &text()) {
        Ok(renewed) => LockState::Renewed(lock.replaced_by(renewed)),
        Err(Refused::Held(holder)) => {
            let holder = Holder::of(db, &holder);
            // Its folder took another's place: whose it is will be let go, or was replaced.
            if holder.is_this_process() {
                return LockState::Ours(ours.unwrap_or_else(|| lock_path(db)));
            }
            LockState::Lost(holder.refusal(db))
        }
        Err(Refused::Io(error)) => LockState::Barred(error),
    }
}

/// Returns what a keeper leaves in each lock.
pub fn text(socket: &Path, keeper: &Path) -> String {
    format!(
        "{}socket {}\nkeeper {}\n{LEASE}{}\n",
        holder::beginning(),
        socket.display(),
        keeper.display(),
        here::own_name().unwrap_or_default()
    )
}

/// Refuses what cannot be a database, before anything that is named after it fails.
fn refuse_unfit(db: &Database) -> Result<(), Failure> {
    if let Some((message, hint)) = in_the_way(&db.path, &db.meta) {
        return Err(Failure::new(ExitCode::CONFIG, message).hint(hint));
    }
    let Some(why) = unfit(&db.path) else { return Ok(()) };
    Err(Failure::new(ExitCode::CONFIG, format!("{}: {why}", db.path.display()))
        .hint("correct the database's path"))
}

fn not_made(db: &Database, error: &std::io::Error) -> Failure {
    if let Some(path) =
        replica_lock_path(db).filter(|path| error.to_string().starts_with(&*path.to_string_lossy()))
    {
        let folder = path.parent().unwrap_or(&path).display();
        return Failure::new(
            ExitCode::CONFIG,
            format!("{}: the lock of its replica cannot be made: {error}", db.path.display()),
        )
        .hint(format!("remove it, if no keeper replicates to {folder}"));
    }
    let message = format!("{}: the lock cannot be made: {error}", lock_path(db).display());
    let is_full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    let folder = db.path.parent().filter(|_| is_denied(error));
    let remedy = || {
        let folder = folder?;
        permit::theirs(|| Ok(access::remedy(folder, Access::Write, permit::owner()))).ok()
    };
    Failure::new(ExitCode::CONFIG, message).hint(if is_full {
        "free some space there: SQLite and litestream need it too".to_owned()
    } else {
        let remedy = remedy().map_or_else(String::new, |remedy| format!("; {remedy}"));
        format!("the database's folder must be writable: SQLite keeps its WAL there too{remedy}")
    })
}

/// Who says that there is such a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Whoever starts the keeper, by the configuration.
    Operator,
    /// A program that runs as the app's user, or what lies in its folders.
    User,
}

/// Makes the folders that Litestream watches, where there are none: on a fresh disk it would not start without.
///
/// # Errors
/// One cannot be made.
pub(super) fn make_watched(folders: &[databases::Folder]) -> Result<(), Failure> {
    // A pattern in a folder's place is a mistake that `check` names, and no name for a folder.
    let is_pattern = |folder: &databases::Folder| folder.dir.to_str().is_some_and(glob::is_pattern);
    folders
        .iter()
        .filter(|folder| folder.watch && !is_pattern(folder))
        .try_for_each(|folder| make_folder(&folder.dir, Source::Operator))
}

/// Makes a folder of databases, where there is none, with the rights of the databases' owner. What only root can
/// make it makes for the configuration's databases alone, where nobody else decides what is there; so it gives
/// away a folder of its own that is empty, as a fresh volume is.
fn make_folder(folder: &Path, source: Source) -> Result<(), Failure> {
    let made = permit::theirs(|| std::fs::create_dir_all(folder));
    let (made, owner) = match (made, permit::owner()) {
        (Err(error), Some(owner)) if source == Source::Operator && is_denied(&error) => {
            (make_for(folder, owner), Some(owner))
        }
        (made, owner) => (made, owner),
    };
    let made = made.and_then(|()| match owner.filter(|_| source == Source::Operator) {
        Some(owner) => give_if_empty(folder, owner),
        None => Ok(()),
    });
    let may_write = || Ok(Folder::open(folder)?.is_writable());
    if made.is_ok() && owner.is_some() && !permit::theirs(may_write).unwrap_or(false) {
        let user = permit::owner().map_or(0, |user| user.uid);
        let message = format!("{}: user {user} cannot write to the folder of databases", folder.display());
        let remedy = permit::theirs(|| Ok(access::remedy(folder, Access::Write, permit::owner())));
        let remedy = remedy.unwrap_or_else(|_| "give it to that user".to_owned());
        return Err(Failure::new(ExitCode::CONFIG, message)
            .hint(format!("SQLite and litestream keep files beside the database: {remedy}")));
    }
    made.map_err(|error| {
        let message = format!("{}: the folder of databases cannot be made: {error}", folder.display());
        Failure::new(ExitCode::CONFIG, message).hint("make it, or correct the database's path")
    })
}

fn is_denied(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::PermissionDenied
}

/// Makes a folder of another user's as root. Those on the way stay root's.
fn make_for(path: &Path, owner: &Identity) -> std::io::Result<()> {
    let there = path.ancestors().find(|folder| folder.symlink_metadata().is_ok()).unwrap_or(path);
    let mut folder = Folder::open_trusted(there)?;
    for name in path.strip_prefix(there).unwrap_or(Path::new("")) {
        folder = folder.make_below(name, 0o755)?;
    }
    if path == there { Ok(()) } else { folder.give_to(owner) }
}

/// Gives a folder of root's own in which there is nothing yet to whom it is meant for.
fn give_if_empty(path: &Path, owner: &Identity) -> std::io::Result<()> {
    // What somebody else has a say in is not root's to give away.
    let Ok(folder) = Folder::open_trusted(path) else { return Ok(()) };
    if folder.is_fresh() {
        folder.give_to(owner)?;
        tracing::info!("{}: it is empty, and now belongs to user {}", path.display(), owner.uid);
    }
    Ok(())
}

/// Makes the failure for a command that could have waited for its end.
fn refusal_to_wait(holder: &Holder, db: &Database, on_lock: OnLock) -> Failure {
    let failure = holder.refusal(db);
    // One place for two databases does not get free by an end.
    if holder.of_place && holder.database.as_ref().is_some_and(|other| *other != db.path) {
        return failure;
    }
    failure.hint(match on_lock {
        OnLock::Fail => {
            "stop it first: two would overwrite each other's backup; where deployments overlap, `--on-lock wait` \
             (LITEKEEPER_ON_LOCK) has this one wait until that has ended"
        }
        OnLock::Wait(_) => {
            "stop it first: two would overwrite each other's backup; `--on-lock wait` waits without an end"
        }
    })
}
