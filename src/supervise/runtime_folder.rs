//! The private folder of one run: the generated configuration and Litestream's control socket.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::control_socket;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::os::lock::{self, Lock, Refused};
use crate::os::permit::{self, Folder};
use crate::os::user::Identity;
use crate::os::{dir, proc, socket};

const LOCK: &str = "lock";
const KEEPER_SOCKET: &str = "keeper.sock";
const CONFIG: &str = "litestream.yml";
const NAMED: &str = "named.yml";
const SOCKET: &str = "litestream.sock";
/// By what whoever looks for a keeper knows it that has no database of its own.
const SOURCE: &str = "source";
/// What stands before the path of its configuration there.
const CONFIGURATION: &str = "configuration ";
/// The same of its control socket.
const CONTROL: &str = "socket ";
/// No two paths are longer.
const LONGEST_SOURCE: u64 = 16 << 10;

/// How long other starts may take that make their folders in the same place: they need milliseconds.
const TURN: Duration = Duration::from_secs(5);
/// How long it may take to remove what was left: whoever wants this run to stop waits for that. The rest is for the next one.
const REMOVAL: Duration = Duration::from_millis(500);
/// How often to look whether they are done, in milliseconds.
const RETRY: u16 = 10;

/// A file that goes with the value.
pub(super) struct Written {
    path: PathBuf,
}

impl Written {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // What stays goes with the folder.
        let _ = permit::theirs(|| {
            let (folder, name) = Folder::of(&self.path)?;
            folder.remove(name)
        });
    }
}

/// A folder of mode 0700 that goes with the value.
pub struct RuntimeFolder {
    path: PathBuf,
    /// It is in there, under this name.
    root: Folder,
    name: OsString,
    folder: Folder,
    lock: Lock,
    socket: PathBuf,
    /// Made for this run alone, since nothing else could be used.
    only: Option<TempDir>,
}

impl RuntimeFolder {
    /// Makes the folder of this run in the first of `roots` that lets us, and removes what runs
    /// that were killed left there. If none does, and nobody has chosen the only one, in a new one.
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
        let reasons = reasons.join("; ");
        if roots.len() > 1 {
            let only = dir::temporary("litekeeper-").tempdir();
            let made = only.and_then(|only| Ok((Self::make_in(only.path(), user)?, only)));
            if let Ok((mut folder, only)) = made {
                tracing::warn!("{reasons}: the runtime folder is {} instead", folder.path.display());
                folder.only = Some(only);
                return Ok(folder);
            }
        }
        let message = format!("no place for the runtime folder: {reasons}");
        Err(Failure::new(ExitCode::CONFIG, message)
            .hint("set LITEKEEPER_RUNTIME_DIR to a short path that this user may write to"))
    }

    fn make_in(root: &Path, user: Option<&Identity>) -> io::Result<Self> {
        dir::shared(root, user.is_some())?;
        let (name, place) = (OsString::from(format!("run-{}", std::process::id())), root);
        if place.join(&name).join(SOCKET).as_os_str().as_bytes().len() > socket::LONGEST_PATH {
            return Err(io::Error::other("too long for a unix socket"));
        }
        let root = Folder::open(place)?;
        // What the path leads to now.
        dir::check_own(&root.metadata()?)?;
        // One run at a time: between the making of a folder and its lock it looks like a stale one.
        let turn = take_turn(&root)?;
        let made = make_run(&root, name, user);
        drop(turn);
        let (name, folder, lock) = made?;
        let path = place.join(&name);
        let socket = path.join(SOCKET);
        Ok(Self { path, root, name, folder, lock, socket, only: None })
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

    /// It.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where Litestream's configuration is.
    pub fn config(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// Where this keeper's own control socket is.
    pub fn keeper_socket(&self) -> PathBuf {
        self.path.join(KEEPER_SOCKET)
    }

    /// Where the configuration of the databases is that are named just now.
    pub fn named_config(&self) -> PathBuf {
        self.path.join(NAMED)
    }

    /// Writes a configuration for one more place of backups, and says where it is.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn write_elsewhere(&self, number: usize, text: &str) -> io::Result<PathBuf> {
        let name = format!("elsewhere-{number}.yml");
        self.write(&name, text)?;
        Ok(self.path.join(name))
    }

    /// Locks something for this run by a file beside its folder, which stays.
    ///
    /// # Errors
    /// Another run has it, or that cannot be done.
    pub(super) fn lock_beside(&self, name: &str, text: &str) -> Result<Lock, Refused> {
        Lock::acquire_own(&self.root, name, text)
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
        self.write(CONFIG, text)
    }

    /// The same for [`RuntimeFolder::named_config`].
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn write_named_config(&self, text: &str) -> io::Result<()> {
        self.write(NAMED, text)
    }

    /// Writes by what this run can be found: its configuration, where it has one, and the control socket.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn write_source(&self, configuration: Option<&Path>) -> io::Result<()> {
        let line = |name: &str, path: &Path| path.to_str().map(|path| format!("{name}{path}\n"));
        let named = configuration.and_then(|path| line(CONFIGURATION, path));
        let socket = line(CONTROL, &self.socket);
        self.write(SOURCE, &named.into_iter().chain(socket).collect::<String>())
    }

    /// Writes a configuration for one look at a database, which goes with what is returned.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn write_look(&self, number: u64, text: &str) -> io::Result<Written> {
        let name = format!("look-{number}.yml");
        self.write(&name, text)?;
        Ok(Written { path: self.path.join(name) })
    }

    /// Writes a configuration for the n-th restore, which goes with what is returned.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn write_apart(&self, what: &str, number: usize, text: &str) -> io::Result<Written> {
        let name = format!("{what}-{number}.yml");
        self.write(&name, text)?;
        Ok(Written { path: self.path.join(name) })
    }

    /// Puts a file in place in one step: somebody may be reading the old one. It is made with the rights of
    /// those who read it, who can put anything in its place.
    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let (name, new) = (OsStr::new(name), OsString::from(format!("{name}.new")));
        permit::theirs(|| {
            // One that was not finished.
            let _ = self.folder.remove(&new);
            let mut file = self.folder.make_file(&new)?;
            // The umask can only have taken something away.
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.write_all(text.as_bytes())?;
            self.folder.rename(&new, name)
        })
    }

    /// This keeper's own control socket, which is whoever's the databases are and closed to all others.
    pub(super) fn listen(&self) -> io::Result<UnixListener> {
        let socket = socket::stream()?;
        permit::theirs(|| {
            // Whoever the folder belongs to can have put something in its place.
            let _ = self.folder.remove(OsStr::new(KEEPER_SOCKET));
            socket::bind_private(&socket, &self.keeper_socket())
        })?;
        socket::listen(socket)
    }
}

impl Drop for RuntimeFolder {
    fn drop(&mut self) {
        let _ = self.root.remove_tree(&self.name, OsStr::new(LOCK), Instant::now() + REMOVAL);
        // Its removal is its own.
        drop(self.only.take());
    }
}

/// Makes a run's folder, by this name or one like it, and takes its lock.
fn make_run(
    root: &Folder,
    mut name: OsString,
    user: Option<&Identity>,
) -> io::Result<(OsString, Folder, Lock)> {
    if is_held(root, &name).unwrap_or(false) {
        // A process of the same number in another container, with which this folder is shared.
        name = free_name(root, &name);
    } else if root.has(&name) {
        // A run of the same number, in a container that was started again.
        let left = free_name(root, &name);
        root.rename(&name, &left)?;
        remove(root, &left, Instant::now() + REMOVAL);
    }
    remove_stale(root);
    let folder = root.make_below(&name, 0o700)?;
    // The umask can have taken something away.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700))?;
    let lock = Lock::acquire_own(&folder, LOCK, "").map_err(of_refused)?;
    if let Some(user) = user {
        folder.give_to(user)?;
    }
    Ok((name, folder, lock))
}

/// Whether the keeper of a run seems to live: an app can let the lock go that its shim has inherited.
fn is_alive(run: &OsStr) -> bool {
    let number = run.to_str().and_then(|run| run.strip_prefix("run-")?.parse::<i32>().ok());
    let Some(pid) = number.filter(|pid| *pid != std::process::id() as i32) else { return false };
    let words = proc::words(pid).unwrap_or_default();
    let program = words.first().map(Path::new).and_then(Path::file_name);
    program.is_some_and(|program| program.as_bytes().starts_with(b"litekeeper"))
}

/// Whether a run's lock is held, if it has one.
fn is_held(root: &Folder, name: &OsStr) -> io::Result<bool> {
    let lock = root.below(name)?.open_file(OsStr::new(LOCK), false)?;
    Ok(lock.try_lock().is_err())
}

/// A name of a run that nothing has.
fn free_name(root: &Folder, name: &OsStr) -> OsString {
    let numbered = |number: u64| {
        let mut numbered = name.to_owned();
        numbered.push(format!(".{number}"));
        numbered
    };
    // A folder has fewer entries than there are numbers.
    (1..).map(numbered).find(|name| !root.has(name)).unwrap_or_default()
}

fn of_refused(refused: Refused) -> io::Error {
    match refused {
        Refused::Held(_) => io::Error::other("somebody holds its lock"),
        Refused::Io(error) => error,
    }
}

/// The right to make and remove runs, until it is dropped.
struct Turn<'a> {
    _lock: Lock,
    root: &'a Folder,
}

fn take_turn(root: &Folder) -> io::Result<Turn<'_>> {
    let deadline = Instant::now() + TURN;
    loop {
        match Lock::acquire_own(root, LOCK, "") {
            Ok(lock) => return Ok(Turn { _lock: lock, root }),
            Err(Refused::Held(_)) if Instant::now() < deadline => {
                // Nothing comes to no descriptor: this waits.
                let _ = nix::poll::poll(&mut [], RETRY);
            }
            Err(Refused::Held(_)) => {
                let limit = TURN.as_secs();
                return Err(io::Error::other(format!("somebody has held its lock for {limit} s")));
            }
            Err(Refused::Io(error)) => return Err(error),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // While it is held: whoever waits for it sees that it is another one's by then.
        let _ = self.root.remove(OsStr::new(LOCK));
    }
}

/// The control sockets of all keepers that run below these folders.
pub fn keeper_sockets(roots: &[PathBuf]) -> Vec<PathBuf> {
    let runs = roots.iter().filter_map(|root| fs::read_dir(root).ok()).flatten().flatten();
    let paths = runs.map(|entry| entry.path());
    paths
        .filter(|path| lock::held_by(&path.join(LOCK)).is_some())
        .map(|path| path.join(KEEPER_SOCKET))
        .collect()
}

/// The one of these keepers that has this control socket, or else this configuration; none where several have.
pub fn keeper_of(
    sockets: &[PathBuf],
    configuration: Option<&Path>,
    socket: Option<&Path>,
) -> Option<PathBuf> {
    let sources: Vec<(&PathBuf, String)> =
        sockets.iter().filter_map(|keeper| Some((keeper, source(keeper)?))).collect();
    let only = |name: &str, wanted: Option<&Path>| {
        let wanted = format!("{name}{}", wanted?.to_str()?);
        let mut found = sources.iter().filter(|(_, source)| source.lines().any(|line| line == wanted));
        let (keeper, _) = found.next()?;
        found.next().is_none().then(|| (*keeper).clone())
    };
    only(CONTROL, socket).or_else(|| only(CONFIGURATION, configuration))
}

/// What a run says of itself. Whoever its databases belong to can write what he likes there, and is asked himself then; so no
/// link of his is followed.
fn source(keeper: &Path) -> Option<String> {
    let run = keeper.parent()?;
    let folder = Folder::open(run.parent()?).ok()?.below(run.file_name()?).ok()?;
    let mut text = String::new();
    let file = folder.open_file(OsStr::new(SOURCE), false).ok()?;
    file.take(LONGEST_SOURCE).read_to_string(&mut text).ok()?;
    Some(text)
}

/// A run's lock is held by its keeper, its Litestream and its shim: when nobody holds it, all are gone.
fn remove_stale(root: &Folder) {
    let until = Instant::now() + REMOVAL;
    for name in root.names().unwrap_or_default() {
        let is_run = name.to_str().is_some_and(|name| name.starts_with("run-"));
        if is_run && is_held(root, &name).is_ok_and(|is_held| !is_held) && !is_alive(&name) {
            remove(root, &name, until);
        }
    }
}

fn remove(root: &Folder, name: &OsStr, until: Instant) {
    if let Err(error) = root.remove_tree(name, OsStr::new(LOCK), until) {
        let path = root.path().join(name);
        tracing::debug!("{}: not all of it could be removed: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn the_folder_is_private_and_goes_and_takes_stale_ones_with_it() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().to_owned();
        let stale = root.join("run-1");
        fs::create_dir(&stale).unwrap();
        fs::write(stale.join(LOCK), "").unwrap();
        let same = root.join(format!("run-{}", std::process::id()));
        fs::create_dir_all(same.join("x")).unwrap();
        fs::write(same.join(LOCK), "").unwrap();
        let folder = RuntimeFolder::make(std::slice::from_ref(&root), None).unwrap();
        assert!(!stale.exists() && !same.join("x").exists());
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
        let folder = Folder::open(root.path()).unwrap();
        let turn = take_turn(&folder).unwrap();
        fs::create_dir(&made).unwrap();
        let lock = File::create(made.join(LOCK)).unwrap();
        std::thread::scope(|scope| {
            let roots = [root.path().to_owned()];
            let other = scope.spawn(move || RuntimeFolder::make(&roots, None).map(drop));
            // It tries again and again, each time for so short a while that it may not be seen.
            let seen_by = Instant::now() + TURN / 4;
            while !other.is_finished() && !has_opened(&root.path().join(LOCK)) && Instant::now() < seen_by {
                std::thread::yield_now();
            }
            assert!(!other.is_finished());
            assert!(made.exists());
            lock.lock().unwrap();
            drop(turn);
            other.join().unwrap().unwrap();
        });
        assert!(made.exists());
    }

    /// Whether this process has a file open more than once.
    fn has_opened(path: &Path) -> bool {
        let fds = fs::read_dir("/proc/self/fd").unwrap().flatten();
        fds.filter(|fd| fs::read_link(fd.path()).is_ok_and(|found| found == path)).count() > 1
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
