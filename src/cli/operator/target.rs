//! Where a restored database is to be, and what stands there.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use super::asked;
use super::candidate::{Candidate, is_same};
use super::opened::Opened;
use crate::backup;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::holder::{self, Users};
use crate::inventory;
use crate::litestream::database::{Database, in_the_way, unfit, with_suffix};
use crate::litestream::folder::Folder;
use crate::os::lock::{Lock, Refused};
use crate::os::permit;
use crate::os::way::{self, Hand, Trusted};

/// Where they are to be.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// Where they were.
    Own,
    /// The only one in this file.
    File(PathBuf),
    /// All in this folder.
    Folder(PathBuf),
}

impl Place {
    /// The target of each.
    pub(super) fn targets(&self, chosen: &[Candidate]) -> Vec<Database> {
        let base = common(chosen);
        let of = |one: &Candidate| match self {
            Self::Own => one.db.clone(),
            Self::File(path) => backup::target(path.clone(), &one.db),
            // Names alone could be twice there.
            Self::Folder(folder) => {
                let below = one.db.path.strip_prefix(&base).unwrap_or(&one.db.path);
                backup::target(folder.join(below), &one.db)
            }
        };
        chosen.iter().map(of).collect()
    }
}

/// The deepest folder that all of them are in.
fn common(chosen: &[Candidate]) -> PathBuf {
    let mut folders = chosen.iter().filter_map(|one| one.db.path.parent());
    let Some(first) = folders.next() else { return PathBuf::new() };
    let shared = |one: &Path, other: &Path| -> PathBuf {
        one.components()
            .zip(other.components())
            .take_while(|(one, other)| one == other)
            .map(|(one, _)| one)
            .collect()
    };
    folders.fold(first.to_owned(), |base, folder| shared(&base, folder))
}

/// What is wanted where something stands already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Over {
    /// Leave it as it is.
    pub(super) if_missing: bool,
    /// Put it aside.
    pub(super) force: bool,
}

/// What is to be done there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// Nothing is in the way.
    Nothing,
    /// It is left as it is.
    Stays,
    /// It is put aside.
    Moves,
}

/// Looks at the place of one.
///
/// # Errors
/// Something is in the way, or somebody has it open.
pub(super) fn look(target: &Database, over: Over, users: &Users) -> Result<Stands, Failure> {
    let path = &target.path;
    if let Some((message, hint)) = in_the_way(path, &target.meta) {
        return Err(Failure::new(ExitCode::CONFIG, message).hint(hint));
    }
    if let Some(why) = unfit(path) {
        return Err(
            Failure::new(ExitCode::CONFIG, format!("{}: {why}", path.display())).hint("name another file")
        );
    }
    refuse_led(path)?;
    refuse_dangling(path)?;
    if target.exists() && over.if_missing {
        return Ok(Stands::Stays);
    }
    if let Some((holder, _)) = holder::now(target)? {
        return Err(holder.refusal(target).hint("stop it first, or restore beside it with `-o FILE`"));
    }
    if let Some(user) = users.of(path) {
        return Err(user.refusal(
            path,
            "stop it first: SQLite would go on in the old file; or restore beside it with `-o FILE`",
        ));
    }
    match target.exists() {
        false => Ok(Stands::Nothing),
        true if over.force => Ok(Stands::Moves),
        true => Err(Failure::new(ExitCode::UNAVAILABLE, format!("{} is there already", path.display())).hint(
            "`--force` puts it aside, `-o FILE` or `--to-dir FOLDER` restores beside it, `--if-missing` leaves it",
        )),
    }
}

/// Refuses a link that leads to nothing: what it is to lead to may be on a volume that is not mounted, and a file in its place would be on another
/// disk than the database was.
fn refuse_dangling(path: &Path) -> Result<(), Failure> {
    let is_there = || permit::theirs(|| path.metadata()).is_ok();
    let Ok(leads_to) = permit::theirs(|| path.read_link()) else { return Ok(()) };
    if is_there() {
        return Ok(());
    }
    let message = format!("{}: it is a link to {}, which is not there", path.display(), leads_to.display());
    Err(Failure::new(ExitCode::CONFIG, message)
        .hint("mount or make what it leads to, or name that file itself; or remove the link"))
}

/// Refuses a place in what Litestream has beside a database, or in a replica, where only Litestream writes, and what SQLite and a keeper have
/// beside a database.
///
/// # Errors
/// It is one.
pub(super) fn refuse_inside(opened: &Opened, file: &Path) -> Result<(), Failure> {
    refuse_up_from_nowhere(file)?;
    let real = permit::real(file);
    let holds = |folder: &PathBuf| real.starts_with(permit::real(folder));
    for db in inventory::databases(&opened.said.configured) {
        let what = if holds(&db.meta) {
            "litestream has its own files there"
        } else if db.replica_folder.as_ref().is_some_and(holds) {
            "that is in a replica"
        } else if has_beside(&db, file) {
            "that belongs to a database of this configuration"
        } else {
            continue;
        };
        return Err(Failure::new(ExitCode::USAGE, format!("{}: {what}", file.display()))
            .hint("name a place that is nobody's"));
    }
    Ok(())
}

/// Refuses a way up from a folder that is not there: where that leads depends on what is made there meanwhile.
fn refuse_up_from_nowhere(file: &Path) -> Result<(), Failure> {
    let ups = file.ancestors().filter(|path| path.components().next_back() == Some(Component::ParentDir));
    let is_nowhere = |path: &&Path| permit::theirs(|| path.canonicalize()).is_err();
    let Some(way) = ups.filter_map(Path::parent).find(is_nowhere) else { return Ok(()) };
    let message = format!("{}: it leads up from {}, which is not there", file.display(), way.display());
    Err(Failure::new(ExitCode::USAGE, message).hint("name it without `..`"))
}

/// Whether a file is what SQLite or a keeper have beside a database.
fn has_beside(db: &Database, file: &Path) -> bool {
    let suffixes = ["-wal", "-shm", "-journal"].map(|suffix| with_suffix(&db.path, suffix));
    suffixes.iter().chain([&holder::lock_path(db)]).any(|known| is_same(known, file))
}

/// Whether a database of the configuration is there, or would be.
pub(super) fn is_live(opened: &Opened, file: &Path) -> bool {
    let config = &opened.said.configured;
    let real = permit::real(file);
    let holds = |folder: &Folder| {
        real.strip_prefix(permit::real(&folder.dir)).is_ok_and(|below| folder.matches(below))
    };
    config.databases().iter().any(|one| is_same(&one.path, file))
        || inventory::folders(config).iter().any(holds)
}

/// Refuses the same, the configuration, and the databases themselves, for a file that is written over.
///
/// # Errors
/// It is one of them.
pub(super) fn refuse_ours(opened: &Opened, file: &Path) -> Result<(), Failure> {
    refuse_inside(opened, file)?;
    let config = &opened.said.configured;
    let what = if config.origin().file().is_some_and(|path| is_same(&opened.said.cwd.join(path), file)) {
        "that is the configuration"
    } else if is_live(opened, file) {
        "that is a database of this configuration"
    } else {
        return Ok(());
    };
    Err(Failure::new(ExitCode::USAGE, format!("{}: {what}", file.display())).hint("name another file"))
}

/// Refuses to have root write where somebody else decides what stands at a path: Litestream, which goes by paths, would write to
/// whatever he links there.
///
/// # Errors
/// Who does.
pub(super) fn refuse_led(path: &Path) -> Result<(), Failure> {
    let trusted = Trusted { files_of_others: true, ..Trusted::default() };
    let folder = path.parent().unwrap_or(path);
    // In such a folder, as /tmp is one, the kernel follows nobody else's links (`protected_symlinks` in proc_sys_fs(5)).
    let is_sticky =
        || folder.metadata().is_ok_and(|found| found.uid() == 0 && found.mode() & nix::libc::S_ISVTX != 0);
    let hand = || match way::leads_root(path, trusted) {
        Some(Hand::Others) if is_sticky() => way::leads_root(folder, trusted),
        hand => hand,
    };
    match permit::owner().is_none().then(hand).flatten() {
        None => Ok(()),
        Some(hand) => Err(Failure::new(
            ExitCode::CONFIG,
            format!("{}: {hand} decides what stands there, and root would write to it", path.display()),
        )
        .hint("run this as that user, or name him (LITEKEEPER_USER), or restore to a folder that only root may write to")),
    }
}

/// Takes the lock of what is restored, so that no keeper starts meanwhile where it was, and no other restore writes to the same names.
///
/// # Errors
/// Somebody has it, or it cannot be made.
pub(super) fn lock(target: &Database) -> Result<Lock, Failure> {
    let folder = target.path.parent().unwrap_or(Path::new("/"));
    let made = permit::theirs(|| std::fs::create_dir_all(folder)).map_err(Refused::Io);
    let taken = made.and_then(|()| {
        let mut lock = Lock::acquire(&holder::lock_path(target), &holder::of_restore())?;
        lock.guard(&target.path)?;
        Ok(lock)
    });
    match taken {
        Ok(lock) => Ok(lock),
        Err(Refused::Held(text)) => Err(holder::Holder::of(target, &text)
            .refusal(target)
            .hint("stop it first, or restore to another name with `-o FILE`")),
        Err(Refused::Io(error)) => {
            let message =
                format!("{}: the lock cannot be made: {error}", holder::lock_path(target).display());
            Err(Failure::new(ExitCode::UNAVAILABLE, message)
                .hint("the database's folder must be writable: `-o FILE` restores to another one"))
        }
    }
}

/// Lets go of it. Beside the databases it is nobody's afterwards, unless a keeper had left something in it.
pub(super) fn unlock(place: &Place, lock: Lock) {
    match place {
        Place::File(_) | Place::Folder(_) if lock.before().is_empty() => lock.remove(),
        Place::Own | Place::File(_) | Place::Folder(_) => lock.put_back(),
    }
}

/// Asks on a terminal whether what stands there may be put aside; without one nobody is asked.
///
/// # Errors
/// It may not.
pub(super) fn confirm(moves: &[&Database]) -> Result<(), Failure> {
    let Some(first) = moves.first().filter(|_| asked::is_possible()) else { return Ok(()) };
    let what = match moves.len() {
        1 => format!("{} is there", first.path.display()),
        count => format!("{} and {} more are there", first.path.display(), count - 1),
    };
    asked::yes(&format!("{what}: put aside, and the backup restored in its place? [y/N]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(path: &str) -> Candidate {
        Candidate {
            db: Database::at(path.into()),
            aliases: Vec::new(),
            replicas: Vec::new(),
            entry: None,
            is_told: false,
        }
    }

    #[test]
    fn a_folder_has_each_under_a_name_of_its_own() {
        let targets = |paths: &[&str]| {
            let chosen: Vec<_> = paths.iter().map(|path| candidate(path)).collect();
            let place = Place::Folder("/to".into());
            place.targets(&chosen).into_iter().map(|target| target.path).collect::<Vec<_>>()
        };
        assert_eq!(targets(&["/srv/a/app.db"]), [Path::new("/to/app.db")]);
        assert_eq!(targets(&["/srv/a/x.db", "/srv/a/y.db"]), [Path::new("/to/x.db"), Path::new("/to/y.db")]);
        let twins = targets(&["/srv/a/app.db", "/srv/b/app.db", "/srv/c.db"]);
        assert_eq!(twins, ["/to/a/app.db", "/to/b/app.db", "/to/c.db"].map(Path::new));
        assert_eq!(targets(&["/a/x.db", "/b/x.db"]), [Path::new("/to/a/x.db"), Path::new("/to/b/x.db")]);
    }
}
