//! The permission to work in folders that another user can write to: that user's, not root's.
//!
//! Whoever can write to a folder decides what stands under each name in it, at any moment: a link to a file
//! of somebody else, a pipe that nobody writes to, another name of a file. So nothing is done there by a path
//! alone, with rights that this user does not have: [`theirs`] acts with the user's rights, [`Folder`] holds on
//! to the folder itself, and what is opened in it is looked at before it is used.

use std::cell::Cell;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use nix::unistd::{Gid, Uid, getgroups, setfsgid, setfsuid, setgroups};

use super::capability::Suspended;
use super::open;
use super::user::Identity;
use super::way::{self, Trusted};

// What is done with that permission is done in folders: whoever needs the one needs the other.
pub use super::folder::{Folder, LOCK, REPLICA_LOCK};

/// Whose the databases are, where that is somebody else than this process, and that user's groups: asking
/// for them may take a network.
static OWNER: OnceLock<Option<(Identity, Vec<Gid>)>> = OnceLock::new();

thread_local! {
    /// This thread is being taken for another user.
    static ACTING: Cell<bool> = const { Cell::new(false) };
}

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
            // What is made there is no link, so the way up from it leads back.
            return missing.iter().rev().fold(real, |path, part| match part {
                Component::ParentDir => path.parent().map_or_else(|| path.clone(), Path::to_owned),
                part => path.join(part),
            });
        }
        let (Some(above), Some(part)) = (there.parent(), there.components().next_back()) else {
            return folder.to_owned();
        };
        missing.push(part);
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
