//! The private folder of one run: the generated configuration and Litestream's control socket.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::control_socket;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::os::dir;
use crate::os::lock::Lock;
use crate::os::user::Identity;

/// `sun_path` holds 108 bytes, one of which ends it (`unix(7)`).
pub(super) const LONGEST_SOCKET: usize = 107;
const LOCK: &str = "lock";
const KEEPER_SOCKET: &str = "keeper.sock";
const SOCKET: &str = "litestream.sock";

/// A folder of mode 0700 that goes with the value.
pub struct RuntimeFolder {
    path: PathBuf,
    lock: Lock,
    user: Option<Identity>,
    socket: PathBuf,
}

impl RuntimeFolder {
    /// Makes the folder of this run in the first of `roots` that lets us, and removes what runs
    /// that were killed left there.
    ///
    /// # Errors
    /// None of them lets us.
    pub fn make(roots: &[PathBuf], user: Option<&Identity>) -> Result<Self, Failure> {
        let mut reasons = Vec::new();
        for root in roots {
            match Self::make_in(root, user) {
                Ok(folder) => return Ok(folder),
                Err(error) => reasons.push(format!("{}: {error}", root.display())),
            }
        }
        let message = format!("no place for the runtime folder: {}", reasons.join("; "));
        Err(Failure::new(ExitCode::CONFIG, message)
            .hint("set LITEKEEPER_RUNTIME_DIR to a short path that this user may write to"))
    }

    fn make_in(root: &Path, user: Option<&Identity>) -> io::Result<Self> {
        dir::shared(root, user.is_some())?;
        // One run at a time: between the making of a folder and its lock it looks like a stale one.
        let turn = File::open(root)?;
        turn.lock()?;
        remove_stale(root);
        let path = root.join(format!("run-{}", std::process::id()));
        if path.join(SOCKET).as_os_str().as_bytes().len() > LONGEST_SOCKET {
            return Err(io::Error::other("too long for a unix socket"));
        }
        if path.exists() {
            // A run of the same number, in a container that was started again: nobody locks it.
            fs::remove_dir_all(&path)?;
        }
        dir::private(&path)?;
        let lock = match Lock::acquire(&path.join(LOCK), "") {
            Ok(lock) => lock,
            Err(refused) => return Err(io::Error::other(format!("{refused:?}"))),
        };
        // So that a later run can see that this one is gone.
        lock.file().set_permissions(Permissions::from_mode(0o600))?;
        if let Some(user) = user {
            dir::give_to(&path, user)?;
        }
        let socket = path.join(SOCKET);
        Ok(Self { path, lock, user: user.cloned(), socket })
    }

    /// The same folder, but with the control socket where the user wants it.
    ///
    /// # Errors
    /// No socket can be made there.
    pub fn with_socket(mut self, socket: Option<PathBuf>) -> Result<Self, Failure> {
        let Some(socket) = socket else { return Ok(self) };
        control_socket::check_place(&socket)?;
        self.socket = socket;
        Ok(self)
    }

    /// Where Litestream's control socket is.
    pub fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    /// Where Litestream's configuration is.
    pub fn config(&self) -> PathBuf {
        self.path.join("litestream.yml")
    }

    /// Where this keeper's own control socket is.
    pub fn keeper_socket(&self) -> PathBuf {
        self.path.join(KEEPER_SOCKET)
    }

    /// Where the configuration of the databases is that are named just now.
    pub fn named_config(&self) -> PathBuf {
        self.path.join("named.yml")
    }

    /// Held by every process of the run.
    pub(super) fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Writes Litestream's configuration, which nobody else can read at any time.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write_config(&self, text: &str) -> io::Result<()> {
        self.write(&self.config(), text)
    }

    /// The same for [`RuntimeFolder::named_config`].
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn write_named_config(&self, text: &str) -> io::Result<()> {
        self.write(&self.named_config(), text)
    }

    /// Puts a file in place in one step: somebody may be reading the old one.
    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let new = path.with_extension("new");
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
        // The umask can only have taken something away.
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        if let Some(user) = &self.user {
            dir::give_to(&new, user)?;
        }
        fs::rename(&new, path)
    }

    /// Gives something in it to the user that may look into it.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        match &self.user {
            Some(user) => dir::give_to(path, user),
            None => Ok(()),
        }
    }
}

impl Drop for RuntimeFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The control sockets of all keepers that run below these folders.
pub fn keeper_sockets(roots: &[PathBuf]) -> Vec<PathBuf> {
    let runs = roots.iter().filter_map(|root| fs::read_dir(root).ok()).flatten().flatten();
    let paths = runs.map(|entry| entry.path());
    let runs = |path: &PathBuf| File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_err());
    paths.filter(runs).map(|path| path.join(KEEPER_SOCKET)).collect()
}

/// A run's lock is held by its keeper, its Litestream and its shim: when nobody holds it, all are gone.
fn remove_stale(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_run = entry.file_name().to_str().is_some_and(|name| name.starts_with("run-"));
        if is_run && File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_private_and_goes_and_takes_stale_ones_with_it() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().to_owned();
        let stale = root.join("run-1");
        fs::create_dir(&stale).unwrap();
        fs::write(stale.join(LOCK), "").unwrap();
        let folder = RuntimeFolder::make(std::slice::from_ref(&root), None).unwrap();
        assert!(!stale.exists());
        folder.write_config("secret").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.config()), 0o600);
        assert_eq!(mode(folder.config().parent().unwrap()), 0o700);
        drop(folder);
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_just_being_made_is_not_taken_for_a_stale_one() {
        let root = tempfile::tempdir().unwrap();
        let made = root.path().join("run-1");
        let turn = File::open(root.path()).unwrap();
        turn.lock().unwrap();
        fs::create_dir(&made).unwrap();
        let lock = File::create(made.join(LOCK)).unwrap();
        std::thread::scope(|scope| {
            let roots = [root.path().to_owned()];
            let other = scope.spawn(move || RuntimeFolder::make(&roots, None).map(drop));
            while !other.is_finished() && !is_waited_for(root.path()) {
                std::thread::yield_now();
            }
            assert!(made.exists());
            lock.lock().unwrap();
            drop(turn);
            other.join().unwrap().unwrap();
        });
        assert!(made.exists());
    }

    /// Whether somebody waits for the lock of a file (`/proc/locks` in proc(5): `->` in the second column).
    fn is_waited_for(path: &Path) -> bool {
        let inode = format!(":{} ", std::os::unix::fs::MetadataExt::ino(&path.metadata().unwrap()));
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|line| line.contains("->") && line.contains(&inode))
    }

    #[test]
    fn a_path_that_no_socket_fits_in_is_refused_with_a_hint() {
        let root = tempfile::tempdir().unwrap();
        let long = root.path().join("x".repeat(100));
        let failure = RuntimeFolder::make(&[long], None).map(drop).unwrap_err();
        assert!(failure.message.contains("too long"), "{failure}");
        assert!(failure.hint.unwrap().contains("LITEKEEPER_RUNTIME_DIR"));
    }
}
