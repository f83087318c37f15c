//! A lock file that says who holds it (`flock(2)`).

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::{File, Permissions, TryLockError};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::byte_lock::{self, GUARD};
use super::guarded::Guarded;
use super::lock_file::{check_owner, is_lock, read};
use super::open;
use super::permit::{self, Folder};

pub use super::lock_file::{held, held_by};

/// A lock that lives as long as any process that it was given to ([`Lock::give`]), and else as long as this value: a child
/// that has not become its program yet still has a copy of every descriptor, and would hold it for longer.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    /// Others may have its descriptor, who are to hold it as well.
    given: Cell<bool>,
    /// The file that is locked itself, by whatever name.
    guarded: Option<Guarded>,
    /// What stood in the file when it was taken.
    before: String,
    /// Another one that is held as long as this one. Nobody inherits it.
    other: Option<Box<Passing>>,
}

/// A lock whose file goes with it.
#[derive(Debug)]
struct Passing {
    lock: Lock,
    stays: bool,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if !self.given.get() {
            self.unlock();
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        // While it is held: whoever waits for it sees that it is another one's by then.
        let _ = permit::theirs(|| {
            let (folder, name) = Folder::of(&self.lock.path)?;
            let own = self.lock.file.metadata()?;
            if folder.identity(name)? == (own.dev(), own.ino()) { folder.remove(name) } else { Ok(()) }
        });
    }
}

/// Why there is no lock.
#[derive(Debug)]
pub enum Refused {
    /// Somebody has it, and left this text in the file.
    Held(String),
    /// The file cannot be made or locked.
    Io(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// How often somebody may take the file away between its opening and its lock.
const TRIES: u32 = 100;

impl Lock {
    /// Takes the lock and leaves `text` in the file, which is whoever's the folder's files are
    /// ([`permit::belong_to`]) and closed to all others: who can open it can hold it.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn acquire(path: &Path, text: &str) -> Result<Self, Refused> {
        let (folder, name) = permit::theirs(|| Folder::of(path))?;
        let open = || match permit::theirs(|| folder.open_or_make_file(name)) {
            // One that this user made itself, before it gave its locks away.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                folder.open_file(name, true).ok().filter(is_lock).ok_or(error)
            }
            opened => opened,
        };
        Self::take(&folder, path, text, open)
    }

    /// As [`Lock::acquire`] in a folder of this user's own.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn acquire_own(folder: &Folder, name: &str, text: &str) -> Result<Self, Refused> {
        Self::take(folder, Path::new(name), text, || folder.open_or_make_file(OsStr::new(name)))
    }

    fn take(
        folder: &Folder,
        path: &Path,
        text: &str,
        open: impl Fn() -> io::Result<File>,
    ) -> Result<Self, Refused> {
        let name = path.file_name().unwrap_or_default();
        for _ in 0..TRIES {
            let mut file = open()?;
            check_owner(folder, &file)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(Refused::Held(read(&file))),
                Err(TryLockError::Error(error)) => return Err(Refused::Io(error)),
            }
            // Whoever removed or replaced it meanwhile can lock another one under the same name.
            let found = file.metadata()?;
            if folder.identity(name).ok() != Some((found.dev(), found.ino())) {
                continue;
            }
            if found.mode() & 0o7777 != 0o600 {
                file.set_permissions(Permissions::from_mode(0o600))?;
            }
            let before = read(&file);
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(text.as_bytes())?;
            let given = Cell::new(false);
            return Ok(Self { file, path: path.to_owned(), given, guarded: None, before, other: None });
        }
        Err(Refused::Io(io::Error::other("somebody takes it away again and again")))
    }

    /// Which file it is: device and inode.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        self.file.metadata().map(|found| (found.dev(), found.ino()))
    }

    /// Takes it again where it was let go: any process that inherited the descriptor can do that, and whoever runs as
    /// that one's user can take it from there (`flock(2)`, `pidfd_getfd(2)`).
    ///
    /// # Errors
    /// Somebody else has it by now, or the guarded file.
    pub fn keep(&self) -> Result<(), Refused> {
        if matches!(self.file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(Refused::Held(held_by(&self.path).unwrap_or_default()));
        }
        match &self.guarded {
            Some(guarded) if matches!(byte_lock::take(&guarded.file, GUARD), Ok(false)) => {
                Err(Refused::Held(String::new()))
            }
            _ => Ok(()),
        }
    }

    /// Adds to the text that it has.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn add(&mut self, line: &str) -> io::Result<()> {
        self.file.write_all(line.as_bytes())
    }

    /// Lets go of it with the text that was there before: by what a keeper leaves the next one knows what is still its own.
    pub fn put_back(mut self) {
        let put_back = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(self.before.as_bytes())
        };
        // Without it the next keeper waits as for any other machine.
        let _ = put_back(&mut self.file);
        self.unlock();
    }

    /// What the last one who had it left in the file, who has it no more.
    pub fn before(&self) -> &str {
        &self.before
    }

    /// The file that is locked itself: device and inode.
    pub fn guarded(&self) -> Option<(u64, u64)> {
        self.guarded.as_ref().map(|guarded| guarded.id)
    }

    /// Whether it still stands where another one would look for it.
    pub fn is_in_place(&self) -> bool {
        let stands = || {
            let (folder, name) = Folder::of(&self.path)?;
            let own = self.file.metadata()?;
            Ok(folder.identity(name)? == (own.dev(), own.ino()))
        };
        permit::theirs(stands).unwrap_or(false)
    }

    /// Locks a file itself, so that it is the same one by whatever name and mount: the one that stands at this
    /// path now, in place of the one that did before. A file that is not there yet is locked once it is, and
    /// one that cannot be written to, or locked, is not.
    ///
    /// # Errors
    /// Somebody else has locked it.
    pub fn guard(&mut self, path: &Path) -> Result<(), Refused> {
        let found = permit::theirs(|| path.metadata()).ok().filter(|found| found.is_file());
        let Some(now) = found.map(|found| (found.dev(), found.ino())) else { return Ok(()) };
        if self.guarded.as_ref().is_some_and(|guarded| guarded.id == now) {
            return Ok(());
        }
        let Ok(file) = permit::theirs(|| open::writable(path)) else { return Ok(()) };
        let opened = file.metadata()?;
        match byte_lock::take(&file, GUARD) {
            Ok(true) => {
                self.guarded = Some(Guarded::new(file, (opened.dev(), opened.ino()), path));
            }
            Ok(false) => return Err(Refused::Held(String::new())),
            // A file system without such locks; the other lock is there.
            Err(_) => {}
        }
        Ok(())
    }

    /// One that was taken in place of this one, whose own file is gone.
    pub fn replaced_by(&mut self, mut anew: Self) -> Self {
        // It may have been moved, and be another database's by now.
        self.unlock();
        (anew.guarded, anew.other) = (self.guarded.take(), self.other.take());
        anew
    }

    /// Holds another one as long as this one, whose file is removed in the end.
    pub fn hold(&mut self, other: Option<Self>) {
        self.other = other.map(|other| Box::new(Passing { lock: other, stays: false }));
    }

    /// What is held as long as this one.
    pub fn other(&self) -> Option<&Self> {
        self.other.as_ref().map(|other| &other.lock)
    }

    /// Lets go of it, and leaves the file of what is held as long as this one: its removal takes time.
    pub fn leave(mut self) {
        if let Some(other) = &mut self.other {
            other.stays = true;
        }
    }

    /// Lets go of it, and removes its file.
    pub fn remove(self) {
        drop(Passing { lock: self, stays: false });
    }

    /// Lets go of it, whoever it was given to (`flock(2)`: one operation unlocks them all).
    pub fn release(self) {
        self.unlock();
    }

    fn unlock(&self) {
        // Nothing else can be done about a lock that stays: it goes with its last holder.
        let _ = self.file.unlock();
    }

    /// The descriptor that holds it, for another process to hold it as well.
    pub fn give(&self) -> &File {
        self.given.set(true);
        &self.file
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_second_taker_learns_of_the_first_and_a_stale_file_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".app.db-litekeeper.lock");
        let lock = Lock::acquire(&path, "pid 1").unwrap();
        assert!(matches!(Lock::acquire(&path, "pid 2"), Err(Refused::Held(text)) if text == "pid 1"));
        drop(lock);
        assert!(Lock::acquire(&path, "pid 2").is_ok());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "pid 2");
    }

    #[test]
    fn what_stood_there_is_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::fs::write(&path, "pid 1\nlease x\n").unwrap();
        let lock = Lock::acquire(&path, "pid 2").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "pid 2");
        lock.put_back();
        let next = Lock::acquire(&path, "pid 3").unwrap();
        assert_eq!(next.before(), "pid 1\nlease x\n");
    }

    #[test]
    fn a_released_lock_is_free_although_its_descriptor_lives_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = Lock::acquire(&path, "").unwrap();
        let inherited = lock.give().try_clone().unwrap();
        lock.release();
        assert!(Lock::acquire(&path, "").is_ok());
        drop(inherited);
    }

    #[test]
    fn whoever_has_a_copy_of_a_descriptor_by_chance_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::fs::write(dir.path().join("db"), "").unwrap();
        let mut lock = Lock::acquire(&path, "").unwrap();
        lock.guard(&dir.path().join("db")).unwrap();
        lock.hold(Some(Lock::acquire(&dir.path().join("place"), "").unwrap()));
        // What a child has between its beginning and its program.
        let place = lock.other().unwrap().file.try_clone().unwrap();
        let copies = [lock.file.try_clone(), lock.guarded.as_ref().unwrap().file.try_clone()];
        drop(lock);
        let mut again = Lock::acquire(&path, "").unwrap();
        again.guard(&dir.path().join("db")).unwrap();
        assert!(!dir.path().join("place").exists());
        drop((copies, place));
    }

    #[test]
    fn a_lock_that_was_given_away_is_held_by_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = Lock::acquire(&path, "").unwrap();
        let heir = lock.give().try_clone().unwrap();
        drop(lock);
        assert!(matches!(Lock::acquire(&path, ""), Err(Refused::Held(_))));
        drop(heir);
        assert!(Lock::acquire(&path, "").is_ok());
    }

    #[test]
    fn a_lock_that_somebody_with_its_descriptor_let_go_is_kept_unless_another_one_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut lock = Lock::acquire(&path, "first").unwrap();
        std::fs::write(dir.path().join("db"), "").unwrap();
        lock.guard(&dir.path().join("db")).unwrap();
        let inherited = lock.give().try_clone().unwrap();
        inherited.unlock().unwrap();
        lock.keep().unwrap();
        assert!(matches!(Lock::acquire(&path, ""), Err(Refused::Held(_))));
        inherited.unlock().unwrap();
        let second = Lock::acquire(&path, "second").unwrap();
        assert!(matches!(lock.keep(), Err(Refused::Held(text)) if text == "second"));
        drop(second);
        lock.keep().unwrap();
    }

    /// What can stand in the place of a lock.
    #[derive(Clone, Debug)]
    enum Stands {
        Nothing,
        File(Vec<u8>, u32),
        LinkToVictim,
        LinkToNothing,
        LinkToItself,
        AnotherName,
        Pipe,
        Socket,
        Folder,
        Device,
    }

    fn stands() -> impl Strategy<Value = Stands> {
        prop_oneof![
            Just(Stands::Nothing),
            (prop::collection::vec(any::<u8>(), 0..64), 0o400u32..0o1000)
                .prop_map(|(bytes, mode)| Stands::File(bytes, mode | 0o600)),
            Just(Stands::LinkToVictim),
            Just(Stands::LinkToNothing),
            Just(Stands::LinkToItself),
            Just(Stands::AnotherName),
            Just(Stands::Pipe),
            Just(Stands::Socket),
            Just(Stands::Folder),
            Just(Stands::Device),
        ]
    }

    proptest! {
        #[test]
        fn whatever_stands_there_nothing_else_is_touched_and_nothing_is_waited_for(stands in stands()) {
            let dir = tempfile::tempdir().unwrap();
            let (path, victim) = (dir.path().join("lock"), dir.path().join("victim"));
            std::fs::write(&victim, "precious").unwrap();
            std::fs::set_permissions(&victim, Permissions::from_mode(0o640)).unwrap();
            let link = |to: &Path| std::os::unix::fs::symlink(to, &path).unwrap();
            let owner_only = nix::sys::stat::Mode::S_IRWXU;
            match &stands {
                Stands::Nothing => {}
                Stands::File(bytes, mode) => {
                    std::fs::write(&path, bytes).unwrap();
                    std::fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
                }
                Stands::LinkToVictim => link(&victim),
                Stands::LinkToNothing => link(&dir.path().join("nothing")),
                Stands::LinkToItself => link(&path),
                Stands::AnotherName => std::fs::hard_link(&victim, &path).unwrap(),
                Stands::Pipe => nix::unistd::mkfifo(&path, owner_only).unwrap(),
                Stands::Socket => drop(std::os::unix::net::UnixListener::bind(&path).unwrap()),
                Stands::Folder => std::fs::create_dir(&path).unwrap(),
                // Only root can make one; a pipe is as good for the rest.
                Stands::Device => nix::sys::stat::mknod(&path, nix::sys::stat::SFlag::S_IFCHR, owner_only,
                    nix::sys::stat::makedev(1, 3)).or_else(|_| nix::unistd::mkfifo(&path, owner_only)).unwrap(),
            }
            let is_free = matches!(stands, Stands::Nothing | Stands::File(..));
            let lock = Lock::acquire(&path, "pid 1");
            prop_assert_eq!(lock.is_ok(), is_free, "{:?}", lock);
            if let Ok(lock) = lock {
                let found = path.symlink_metadata().unwrap();
                prop_assert!(lock.is_in_place() && found.mode() & 0o7777 == 0o600);
                prop_assert_eq!(std::fs::read_to_string(&path).unwrap(), "pid 1");
                let second = Lock::acquire(&path, "pid 2");
                prop_assert!(matches!(second, Err(Refused::Held(text)) if text == "pid 1"));
                std::fs::remove_file(&path).unwrap();
                prop_assert!(!lock.is_in_place());
            }
            prop_assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
            prop_assert_eq!(victim.metadata().unwrap().mode() & 0o7777, 0o640);
            prop_assert!(!dir.path().join("nothing").exists());
        }
    }

    #[test]
    fn a_file_is_locked_by_whatever_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let mut one = Lock::acquire(&path("one.lock"), "").unwrap();
        one.guard(&path("one")).unwrap();
        std::fs::write(path("one"), "").unwrap();
        std::fs::hard_link(path("one"), path("other")).unwrap();
        one.guard(&path("one")).unwrap();
        let mut other = Lock::acquire(&path("other.lock"), "").unwrap();
        assert!(matches!(other.guard(&path("other")), Err(Refused::Held(_))));
        std::fs::rename(path("other"), path("third")).unwrap();
        std::fs::write(path("new"), "").unwrap();
        std::fs::rename(path("new"), path("one")).unwrap();
        one.guard(&path("one")).unwrap();
        other.guard(&path("third")).expect("the one that was replaced is free");
        drop(one);
        other.guard(&path("one")).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let missing = Path::new("/nonexistent/lock");
        assert!(matches!(Lock::acquire(missing, ""), Err(Refused::Io(_))));
    }
}
