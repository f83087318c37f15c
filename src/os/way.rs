//! Who decides what stands under a path.
//!
//! Whoever owns a folder on the way there, or may write to one, can put something else in the place of what is below it, and
//! whoever owns a link or a file decides what it says. What nobody has named is believed, or run, only if none of them is
//! anybody but root and this process's own user.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::stat::FileStat;
use nix::unistd::{Uid, User};

use super::walk::Walk;
use super::{open, user};

/// Somebody who decides what stands under a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// The user who owns it, or something on the way.
    User(u32),
    /// Whoever may write to it, or to a folder on the way.
    Others,
}

impl fmt::Display for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "user {uid}"),
            Self::Others => f.write_str("whoever may write there"),
        }
    }
}

/// Whose word counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trusted {
    /// The user that what is found is run as, besides root and this process's own.
    pub user: Option<u32>,
    /// A folder on the way may belong to anybody, if nobody else may write to it: what the file says is its owner's alone.
    pub folders_of_others: bool,
    /// An ordinary file may belong to anybody, and be anybody's to write to: it holds what he put there himself.
    pub files_of_others: bool,
}

/// Somebody else who decides what stands at a path, wherever on the way, links and all; where nothing stands yet, what
/// will.
pub fn other_hand(path: &Path, trusted: Trusted) -> Option<Hand> {
    let path = std::path::absolute(path).ok()?;
    let mut walk = Walk::to(&path).ok()?;
    loop {
        let step = walk.step().ok().flatten()?;
        let hand = trusted.of_folder(&step.folder).or_else(|| {
            let Some(found) = step.found else { return is_open(&step.folder).then_some(Hand::Others) };
            trusted.of_found(&step.folder, &found)
        });
        if hand.is_some() || step.found.is_none() {
            return hand;
        }
    }
}

/// The same, as far as it matters: to root, who would read, run or write what he put there.
pub fn leads_root(path: &Path, trusted: Trusted) -> Option<Hand> {
    if Uid::effective().is_root() { other_hand(path, trusted) } else { None }
}

/// Somebody else than root and this process's user who decides what an open file says, or, where `alone` it is what is
/// trusted, whether it is this one.
pub fn other_hand_of(file: &Metadata, alone: bool) -> Option<Hand> {
    let is_shared = alone && file.nlink() > 1;
    match Trusted::default().knows(file.uid()) {
        false => Some(Hand::User(file.uid())),
        true => (is_shared || is_writable(file.mode(), file.gid())).then_some(Hand::Others),
    }
}

impl Trusted {
    fn knows(self, uid: u32) -> bool {
        let own = Uid::effective();
        uid == 0 || uid == own.as_raw() || self.user == Some(uid) || !own.is_root() && user::is_unknown(uid)
    }

    fn of_folder(self, folder: &FileStat) -> Option<Hand> {
        let is_sticky = folder.st_mode & nix::libc::S_ISVTX != 0;
        match () {
            () if !self.folders_of_others && !self.knows(folder.st_uid) => Some(Hand::User(folder.st_uid)),
            () if is_open(folder) && !is_sticky => Some(Hand::Others),
            () => None,
        }
    }

    fn of_found(self, folder: &FileStat, found: &FileStat) -> Option<Hand> {
        let kind = found.st_mode & nix::libc::S_IFMT;
        let is_folder = kind == nix::libc::S_IFDIR;
        if self.files_of_others && kind == nix::libc::S_IFREG {
            return None;
        }
        let is_file = kind == nix::libc::S_IFREG || kind == nix::libc::S_IFIFO;
        match () {
            () if !(self.knows(found.st_uid) || self.folders_of_others && is_folder) => {
                Some(Hand::User(found.st_uid))
            }
            // The sticky bit keeps what is there to its owner; but whoever came first, or has made a second name for a file
            // of root's, has put it there.
            () if is_open(folder) && !is_folder => Some(Hand::Others),
            () if is_file && is_writable(found.st_mode, found.st_gid) => Some(Hand::Others),
            () => None,
        }
    }
}

fn is_open(folder: &FileStat) -> bool {
    is_writable(folder.st_mode, folder.st_gid)
}

fn is_writable(mode: u32, gid: u32) -> bool {
    mode & 0o002 != 0 || mode & 0o020 != 0 && has_others(gid)
}

/// Whether anybody but root and this process's user is in a group: what `umask 002` leaves is as a rule of the user's own,
/// and `/usr/local` of a group that nobody is in. What the system's own files do not list may have anybody in it.
fn has_others(gid: u32) -> bool {
    const MOST: usize = 1 << 20;
    let own = Uid::effective();
    if gid == 0 {
        return false;
    }
    let read = |path: &str| {
        open::whole(Path::new(path), MOST).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).ok()
    };
    let (Some(groups), Some(users)) = (read("/etc/group"), read("/etc/passwd")) else {
        return gid != own.as_raw();
    };
    let name = User::from_uid(own).ok().flatten().map(|user| user.name);
    let is_other = |member: &str| !matches!(member, "" | "root") && Some(member) != name.as_deref();
    let fields = |line: &str| -> Vec<String> { line.split(':').map(ToOwned::to_owned).collect() };
    let has_number = |fields: &[String], at: usize, wanted: u32| {
        fields.get(at).and_then(|text| text.parse().ok()) == Some(wanted)
    };
    let mut found = groups.lines().map(fields).filter(|fields| has_number(fields, 2, gid)).peekable();
    if found.peek().is_none() {
        return gid != own.as_raw();
    }
    let has_members = found.any(|fields| {
        fields.get(3).is_some_and(|members| members.split(',').any(|member| is_other(member.trim())))
    });
    let is_primary = |fields: Vec<String>| {
        has_number(&fields, 3, gid) && !has_number(&fields, 2, 0) && !has_number(&fields, 2, own.as_raw())
    };
    has_members || users.lines().map(fields).any(is_primary)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn hand(path: &Path) -> Option<Hand> {
        other_hand(path, Trusted::default())
    }

    #[test]
    fn who_may_write_on_the_way_decides() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        let file = folder.join("file");
        fs::create_dir(&folder).unwrap();
        fs::write(&file, "").unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        set(&folder, 0o755);
        set(&file, 0o644);
        assert_eq!(hand(&file), None);
        assert_eq!(hand(&folder.join("none")), None);
        set(&file, 0o646);
        assert_eq!(hand(&file), Some(Hand::Others));
        set(&file, 0o644);
        for mode in [0o757, 0o1757] {
            set(&folder, mode);
            assert_eq!(hand(&file), Some(Hand::Others), "{mode:o}");
            assert_eq!(hand(&folder.join("none")), Some(Hand::Others), "{mode:o}");
        }
        let link = dir.path().join("link");
        symlink("folder/file", &link).unwrap();
        assert_eq!(hand(&link), Some(Hand::Others));
        set(&folder, 0o755);
        assert_eq!(hand(&link), None);
    }

    #[test]
    fn who_owns_what_is_on_the_way_decides() {
        if !Uid::effective().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        let (file, link) = (folder.join("file"), dir.path().join("link"));
        fs::create_dir(&folder).unwrap();
        fs::write(&file, "").unwrap();
        symlink(&file, &link).unwrap();
        chown(&file, Some(61817), Some(61817)).unwrap();
        for path in [&file, &link] {
            assert_eq!(hand(path), Some(Hand::User(61817)));
            assert_eq!(other_hand(path, Trusted { user: Some(61817), ..Trusted::default() }), None);
            assert!(other_hand(path, Trusted { folders_of_others: true, ..Trusted::default() }).is_some());
        }
        chown(&file, Some(0), Some(61817)).unwrap();
        assert_eq!(hand(&link), None);
        fs::set_permissions(&file, Permissions::from_mode(0o664)).unwrap();
        assert_eq!(hand(&link), Some(Hand::Others));
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        chown(&folder, Some(61817), Some(61817)).unwrap();
        assert_eq!(hand(&link), Some(Hand::User(61817)));
        assert_eq!(other_hand(&link, Trusted { folders_of_others: true, ..Trusted::default() }), None);
        std::os::unix::fs::lchown(&link, Some(61817), None).unwrap();
        assert!(other_hand(&link, Trusted { folders_of_others: true, ..Trusted::default() }).is_some());
    }
}
