//! Files in folders that another user can write to, and the permission to work there: that user's, not root's.
//!
//! Whoever can write to a folder decides what stands under each name in it, at any moment: a link to a file
//! of somebody else, a pipe that nobody writes to, another name of a file. So nothing is done there by a path
//! alone, with rights that this user does not have: [`theirs`] acts with the user's rights, [`Folder`] holds on
//! to the folder itself, and what is opened in it is looked at before it is used.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, openat, readlinkat, renameat, renameat2};
use nix::sys::stat::{FileStat, Mode, fstatat, mkdirat};
use nix::unistd::{
    AccessFlags, Gid, Uid, UnlinkatFlags, faccessat, fchownat, getgroups, setfsgid, setfsuid, setgroups,
    unlinkat,
};

use super::capability::Suspended;
use super::user::Identity;
use super::way::{self, Trusted};
use super::{open, remove};

/// Whose the databases are, where that is somebody else than this process, and that user's groups: asking
/// for them may take a network.
static OWNER: OnceLock<Option<(Identity, Vec<Gid>)>> = OnceLock::new();

thread_local! {
    /// This thread is being taken for another user.
    static ACTING: Cell<bool> = const { Cell::new(false) };
}

/// What the name of each keeper's lock ends with.
pub const LOCK: &str = "-litekeeper.lock";

/// The name of the lock in a folder that a database is replicated to.
pub const REPLICA_LOCK: &str = ".litekeeper.lock";

/// Links that a path may lead through, as for the kernel (`path_resolution(7)`).
const MOST_LINKS: u32 = 40;

/// Says once whose the databases are, if not this process's own user's.
pub fn belong_to(user: Option<&Identity>) {
    let other = user.filter(|user| !user.is_current());
    OWNER.get_or_init(|| {
        other.map(|user| (user.clone(), user.groups().into_iter().map(Gid::from_raw).collect()))
    });
}

/// As [`belong_to`] for whoever owns a file, if this process is root: what that file says is that user's word.
pub fn belong_to_owner(found: &Metadata) {
    if Uid::effective().is_root()
        && let Ok(user) = Identity::find(&format!("{}:{}", found.uid(), found.gid()))
    {
        belong_to(Some(&user));
    }
}

/// As [`belong_to`] for whoever owns a project that root looks at, with his own group where he has one: what is in it is his
/// word, and what lies beside it may be a link of his.
///
/// # Errors
/// Somebody besides him and root decides what is in it.
pub fn belong_to_project(folder: &Path) -> Result<(), way::Hand> {
    if !Uid::effective().is_root() {
        return Ok(());
    }
    let Ok(found) = folder.metadata() else { return Ok(()) };
    let (uid, gid) = (found.uid(), found.gid());
    let trusted = Trusted { user: Some(uid), ..Trusted::default() };
    if let Some(hand) = way::other_hand(&folder.join("..."), trusted) {
        return Err(hand);
    }
    if uid != 0 {
        let group = if gid == 0 { uid } else { gid };
        let user = Identity::find(&uid.to_string()).or_else(|_| Identity::find(&format!("{uid}:{group}")));
        belong_to(Some(&user.map_err(|_| way::Hand::User(uid))?));
    }
    Ok(())
}

/// Who that is.
pub fn owner() -> Option<&'static Identity> {
    OWNER.get()?.as_ref().map(|(user, _)| user)
}

/// Whether this thread is being taken for another user.
pub(super) fn is_acting() -> bool {
    ACTING.get()
}

/// Does something with the files of whoever the databases belong to ([`belong_to`]), with the rights of
/// that user.
///
/// # Errors
/// What `work` says, or that this process may not act as that user.
pub fn theirs<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    match OWNER.get() {
        Some(Some((user, groups))) if !ACTING.get() => {
            let _acting = Acting::begin(user, groups)?;
            work()
        }
        Some(_) | None => work(),
    }
}

/// Where a folder is, through whatever links it is named by. What is not there of it is below the last that is.
pub fn real(folder: &Path) -> PathBuf {
    let mut missing = Vec::new();
    let mut there = folder;
    loop {
        if let Ok(real) = theirs(|| there.canonicalize()) {
            return missing.iter().rev().fold(real, |path, name| path.join(name));
        }
        let (Some(above), Some(name)) = (there.parent(), there.file_name()) else { return folder.to_owned() };
        missing.push(name);
        there = above;
    }
}

/// As [`theirs`], for each step of something that takes time.
///
/// # Errors
/// As [`theirs`].
pub async fn theirs_all_along<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    Theirs(Box::pin(work)).await
}

struct Theirs<F>(Pin<Box<F>>);

impl<T, F: Future<Output = io::Result<T>>> Future for Theirs<F> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match theirs(|| Ok(self.0.as_mut().poll(context))) {
            Ok(polled) => polled,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

/// As long as it lives, the kernel takes this thread for another user where files are concerned, and for
/// nothing else (`setfsuid(2)`): that user cannot signal it.
struct Acting {
    groups: Vec<Gid>,
    gid: Gid,
    capabilities: Option<Suspended>,
}

impl Acting {
    fn begin(user: &Identity, groups: &[Gid]) -> io::Result<Self> {
        let own = getgroups()?;
        setgroups(groups)?;
        // Before the kernel takes some away itself.
        let capabilities = Some(Suspended::file_rights());
        let acting = Self { groups: own, gid: setfsgid(Gid::from_raw(user.gid)), capabilities };
        setfsuid(Uid::from_raw(user.uid));
        // Neither call tells whether it did anything; one with what is no user's number changes nothing.
        let (uid, gid) = (setfsuid(Uid::from_raw(u32::MAX)), setfsgid(Gid::from_raw(u32::MAX)));
        if (uid.as_raw(), gid.as_raw()) != (user.uid, user.gid) {
            return Err(io::Error::other(format!("this process may not act as user {}", user.uid)));
        }
        ACTING.set(true);
        Ok(acting)
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        ACTING.set(false);
        setfsuid(Uid::effective());
        setfsgid(self.gid);
        self.capabilities = None;
        // Whoever could give them up can take them back: a failure leaves this process with fewer rights.
        let _ = setgroups(&self.groups);
    }
}

/// A folder itself, whatever becomes of its path.
#[derive(Debug)]
pub struct Folder(OwnedFd);

impl Folder {
    /// The folder at a path, by the rights that this thread has.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::open_at(AT_FDCWD, path, OFlag::empty())
    }

    /// The folder that a file is in, and the file's name there.
    ///
    /// # Errors
    /// What the operating system says, or that the path has no name at its end.
    pub fn of(path: &Path) -> io::Result<(Self, &OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        Ok((Self::open(folder.unwrap_or(Path::new(".")))?, name))
    }

    /// The folder at a path of which no other user decides any part: all on the way belongs to this user, and
    /// nobody else can put anything there.
    ///
    /// # Errors
    /// What the operating system says, or that somebody else has a say.
    pub fn open_trusted(path: &Path) -> io::Result<Self> {
        if !path.is_absolute() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut folder = Self::open(Path::new("/"))?;
        let mut left: Vec<OsString> = parts(path);
        let mut links = 0;
        while let Some(name) = left.pop() {
            let found = folder.trusted(&name)?;
            if found.st_mode & nix::libc::S_IFMT != nix::libc::S_IFLNK {
                folder = folder.below(&name)?;
                continue;
            }
            let link = readlinkat(&folder.0, name.as_os_str())?;
            links += 1;
            if links > MOST_LINKS {
                return Err(nix::errno::Errno::ELOOP.into());
            }
            let link = PathBuf::from(link);
            if link.is_absolute() {
                folder = Self::open(Path::new("/"))?;
            }
            left.extend(parts(&link));
        }
        Ok(folder)
    }

    /// What stands under a name that no other user can have put there.
    fn trusted(&self, name: &OsStr) -> io::Result<FileStat> {
        let own = Uid::effective().as_raw();
        let folder = fstatat(&self.0, "", AtFlags::AT_EMPTY_PATH)?;
        let found = fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let is_closed = folder.st_mode & 0o022 == 0;
        let is_sticky = folder.st_mode & nix::libc::S_ISVTX != 0;
        if folder.st_uid == own && (is_closed || is_sticky) && found.st_uid == own {
            Ok(found)
        } else {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "another user decides what is there"))
        }
    }

    /// Whether it is the one of this process's descriptors.
    fn is_own_descriptors(&self) -> bool {
        let identity = |folder: &Self| folder.metadata().ok().map(|found| (found.dev(), found.ino()));
        let own = Self::open(Path::new("/proc/self/fd")).ok();
        own.is_some_and(|own| identity(&own).is_some() && identity(&own) == identity(self))
    }

    fn open_at(at: impl AsFd, path: &Path, flags: OFlag) -> io::Result<Self> {
        let flags = flags | OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self(open::resolved(at.as_fd(), path, flags, open::Links::of_thread())?))
    }

    /// A folder in it, and no link to one.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn below(&self, name: &OsStr) -> io::Result<Self> {
        Self::open_at(&self.0, Path::new(name), OFlag::O_NOFOLLOW)
    }

    /// Makes a folder in it, for its owner alone, and opens that.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn make_below(&self, name: &OsStr, mode: u32) -> io::Result<Self> {
        mkdirat(&self.0, name, Mode::from_bits_truncate(mode))?;
        self.below(name)
    }

    /// Opens an ordinary file in it, which has no other name if it is to be written to.
    ///
    /// # Errors
    /// What the operating system says, or that it is something else.
    pub fn open_file(&self, name: &OsStr, write: bool) -> io::Result<File> {
        single(self.open_with(name, access(write))?, write)
    }

    /// As [`Folder::open_file`], and makes the file, closed to others, where there is none.
    ///
    /// # Errors
    /// As [`Folder::open_file`].
    pub fn open_or_make_file(&self, name: &OsStr) -> io::Result<File> {
        single(self.open_with(name, OFlag::O_RDWR | OFlag::O_CREAT)?, true)
    }

    /// Makes an ordinary file in it, closed to others, where nothing stands yet.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn make_file(&self, name: &OsStr) -> io::Result<File> {
        self.open_with(name, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL)
    }

    fn open_with(&self, name: &OsStr, flags: OFlag) -> io::Result<File> {
        open::at(&self.0, Path::new(name), flags | OFlag::O_NOFOLLOW)
    }

    /// The device and inode of what stands under a name, which may be a link.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn identity(&self, name: &OsStr) -> io::Result<(u64, u64)> {
        let found = fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        Ok((found.st_dev, found.st_ino))
    }

    /// Whether anything stands under a name.
    pub fn has(&self, name: &OsStr) -> bool {
        self.identity(name).is_ok()
    }

    /// Gives something in it another name there, in one step.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.0, from, &self.0, to)?)
    }

    /// As [`Folder::rename`], to a name that nothing has.
    ///
    /// # Errors
    /// `AlreadyExists`, or what else the operating system says.
    pub fn rename_to_free(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        match renameat2(&self.0, from, &self.0, to, RenameFlags::RENAME_NOREPLACE) {
            // A file system that cannot look in the same step (renameat2(2)).
            Err(Errno::EINVAL | Errno::ENOSYS) if self.has(to) => Err(Errno::EEXIST.into()),
            Err(Errno::EINVAL | Errno::ENOSYS) => self.rename(from, to),
            renamed => Ok(renamed?),
        }
    }

    /// Moves something in it to another folder, under the same name, in one step.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn give_away(&self, name: &OsStr, to: &Self) -> io::Result<()> {
        Ok(renameat(&self.0, name, &to.0, name)?)
    }

    /// Children come to it by its [`Folder::path`] as well.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn inherit(&self) -> io::Result<()> {
        super::fd::inherit(self.0.as_raw_fd())
    }

    /// Removes a file in it, or a link.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// Removes a folder in it, see [`remove::tree`].
    ///
    /// # Errors
    /// As there.
    pub fn remove_tree(&self, name: &OsStr, last: &OsStr, until: Instant) -> io::Result<()> {
        remove::tree(&self.0, name, last, until)
    }

    /// The names of all that is in it.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let entries = std::fs::read_dir(self.path())?;
        Ok(entries.flatten().map(|entry| entry.file_name()).collect())
    }

    /// Has all that was done in it on the disk.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn sync(&self) -> io::Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        File::from(openat(&self.0, ".", flags, Mode::empty())?).sync_all()
    }

    /// What it is.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn metadata(&self) -> io::Result<Metadata> {
        // A copy of the descriptor is enough for fstat(2), whatever it was opened for.
        File::from(self.0.try_clone()?).metadata()
    }

    /// Whether root made it and nothing is in it yet, but for what each new ext4 has, and the lock of a keeper.
    pub fn is_fresh(&self) -> bool {
        let counts = |name: &OsString| name != "lost+found" && !name.as_bytes().ends_with(LOCK.as_bytes());
        let is_roots = self.metadata().is_ok_and(|found| found.uid() == 0);
        is_roots && self.names().is_ok_and(|names| !names.iter().any(counts))
    }

    /// Whether this thread may make files in it.
    pub fn is_writable(&self) -> bool {
        let wanted = AccessFlags::W_OK | AccessFlags::X_OK;
        faccessat(&self.0, ".", wanted, AtFlags::AT_EACCESS).is_ok()
    }

    /// Gives it to a user.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn give_to(&self, user: &Identity) -> io::Result<()> {
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
        Ok(fchownat(&self.0, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH)?)
    }

    /// The path by which this process, and a child that inherits it, comes to it.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

/// A way to a path, one name after the other, each with the folder that it stands in: links are read and not followed.
pub(super) struct Walk {
    folder: Folder,
    left: Vec<OsString>,
    links: u32,
    /// It has led through a link that leads where no path says ([`open::Links::Plain`]).
    pub(super) magic: bool,
}

/// The number of the top of each `/proc`.
const PROC_ROOT: u64 = 1;

/// A name on the way.
pub(super) struct Step {
    /// The folder that it stands in.
    pub(super) folder: FileStat,
    /// What stands under it, if anything does.
    pub(super) found: Option<FileStat>,
}

impl Walk {
    /// To a path that begins with the root.
    pub(super) fn to(path: &Path) -> io::Result<Self> {
        Ok(Self { folder: Folder::open(Path::new("/"))?, left: parts(path), links: 0, magic: false })
    }

    /// Whether links in this folder are the kernel's, and lead to a process's files themselves (`proc(5)`): those below
    /// the folder of a process.
    fn is_magic(&self) -> bool {
        let is_proc = nix::sys::statfs::fstatfs(&self.folder.0)
            .is_ok_and(|found| found.filesystem_type() == nix::sys::statfs::PROC_SUPER_MAGIC);
        is_proc
            && fstatat(&self.folder.0, "", AtFlags::AT_EMPTY_PATH)
                .is_ok_and(|found| found.st_ino != PROC_ROOT)
    }

    /// The next name; none behind the last.
    pub(super) fn step(&mut self) -> io::Result<Option<Step>> {
        let Some(name) = self.left.pop() else { return Ok(None) };
        let folder = fstatat(&self.folder.0, "", AtFlags::AT_EMPTY_PATH)?;
        let found = match fstatat(&self.folder.0, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            Err(nix::errno::Errno::ENOENT) => return Ok(Some(Step { folder, found: None })),
            Err(error) => return Err(error.into()),
        };
        if is_kind(&found, nix::libc::S_IFLNK) {
            if self.is_magic() {
                self.magic = true;
                // What this process was given is what somebody has opened who could.
                if self.folder.is_own_descriptors() {
                    self.left.clear();
                    return Ok(Some(Step { folder, found: Some(found) }));
                }
            }
            self.links += 1;
            if self.links > MOST_LINKS {
                return Err(nix::errno::Errno::ELOOP.into());
            }
            let link = PathBuf::from(readlinkat(&self.folder.0, name.as_os_str())?);
            if link.is_absolute() {
                self.folder = Folder::open(Path::new("/"))?;
            }
            self.left.extend(parts(&link));
        } else if !self.left.is_empty() {
            self.folder = self.folder.below(&name)?;
        }
        Ok(Some(Step { folder, found: Some(found) }))
    }
}

fn is_kind(found: &FileStat, kind: nix::libc::mode_t) -> bool {
    found.st_mode & nix::libc::S_IFMT == kind
}

/// Files that were read by a path of which another user decides a part: with which number, and the file itself.
static READ: Mutex<Vec<(PathBuf, u64, u64)>> = Mutex::new(Vec::new());

/// Remembers that root has read the file at a path, before it is known whether the app will run as another user
/// ([`refuse_what_they_cannot_read`]).
pub fn was_read(path: &Path, file: &Metadata) {
    if is_led(path) {
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        read.push((path.to_owned(), file.dev(), file.ino()));
    }
}

/// Which links root follows on the way to what it reads for the app.
pub(super) fn links(path: &Path) -> open::Links {
    if is_led(path) { open::Links::Plain } else { open::Links::of_thread() }
}

/// Whether somebody else decides which file root finds under a path.
pub fn is_led(path: &Path) -> bool {
    let trusted = Trusted { files_of_others: true, ..Trusted::default() };
    way::leads_root(path, trusted).is_some()
}

/// The first file that root has read ([`was_read`]) and a user could not have: who decides what stands under its name could
/// have put a link to any file of root's there.
///
/// # Errors
/// Its path.
pub fn refuse_what_they_cannot_read(user: &Identity) -> Result<(), PathBuf> {
    let read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let groups: Vec<Gid> = user.groups().into_iter().map(Gid::from_raw).collect();
    let theirs = |path: &Path| -> io::Result<Metadata> {
        let _acting = Acting::begin(user, &groups)?;
        open::file(path)?.metadata()
    };
    let is_same = |path: &Path, device, inode| {
        theirs(path).is_ok_and(|found| (found.dev(), found.ino()) == (device, inode))
    };
    match read.iter().find(|(path, device, inode)| !is_same(path, *device, *inode)) {
        Some((path, ..)) => Err(path.clone()),
        None => Ok(()),
    }
}

/// The names of a path, the last first.
fn parts(path: &Path) -> Vec<OsString> {
    let name = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from_vec(b"..".to_vec())),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(name).collect()
}

fn access(write: bool) -> OFlag {
    if write { OFlag::O_RDWR } else { OFlag::O_RDONLY }
}

/// A file that, if it is to be written to, goes by no other name: who has made a second name for somebody else's file need
/// not be able to write to it.
fn single(file: File, write: bool) -> io::Result<File> {
    // One without a name was deleted meanwhile.
    if write && file.metadata()?.nlink() > 1 {
        return Err(io::Error::other("it is another name of a file that has others"));
    }
    Ok(file)
}
