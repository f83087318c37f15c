//! Users by name or number, and becoming one.

use std::ffi::{CString, OsString};
use std::io;

use nix::unistd::{Gid, Group, Uid, User};

use super::open;

/// The user that Litestream and the app run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User number.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
    /// All of its groups, the first of them its own. A number that no user has is in no other.
    groups: Vec<Gid>,
    /// Its name, or its number where the user database has no entry.
    name: String,
    /// Its home folder, or `/` without an entry.
    home: std::path::PathBuf,
}

impl Identity {
    /// Finds `USER[:GROUP]`, each a name or a number.
    ///
    /// # Errors
    /// A fragment that names what was not found.
    pub fn find(text: &str) -> Result<Self, String> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let number = user.parse::<u32>().ok();
        let known = match number {
            Some(uid) => User::from_uid(Uid::from_raw(uid)),
            None => User::from_name(user),
        }
        .map_err(|error| format!("user `{user}`: {}", io::Error::from(error)))?;
        let uid = match (&known, number) {
            (Some(known), _) => known.uid.as_raw(),
            (None, Some(uid)) => uid,
            (None, None) => return Err(format!("there is no user `{user}`")),
        };
        let gid = match group {
            Some(group) => group_number(group)?,
            None => known.as_ref().map(|known| known.gid.as_raw()).ok_or_else(|| {
                format!("user {uid} is not in the user database, so its group must be given: `{uid}:GROUP`")
            })?,
        };
        // Looked up now: between a fork and an exec nothing may be read or allocated.
        let name = known.as_ref().and_then(|known| CString::new(known.name.as_bytes()).ok());
        let own = Gid::from_raw(gid);
        let groups = match name {
            Some(name) => nix::unistd::getgrouplist(&name, own)
                .map_err(|error| format!("the groups of user `{user}`: {}", io::Error::from(error)))?,
            None => vec![own],
        };
        let (name, home) = match known {
            Some(known) => (known.name, known.dir),
            None => (uid.to_string(), "/".into()),
        };
        Ok(Self { uid, gid, groups, name, home })
    }

    /// The variables that say who a process runs as: what root had in them is not for that user, who may not even
    /// enter root's home (`environ(7)`).
    pub fn variables(&self) -> [(&'static str, OsString); 3] {
        let name = || OsString::from(&self.name);
        [("HOME", self.home.clone().into()), ("USER", name()), ("LOGNAME", name())]
    }

    /// Whether this process is that user already.
    pub fn is_current(&self) -> bool {
        Uid::effective().as_raw() == self.uid && Gid::effective().as_raw() == self.gid
    }

    /// The numbers of the user's groups, the first of them its own.
    pub fn groups(&self) -> Vec<u32> {
        self.groups.iter().map(|group| group.as_raw()).collect()
    }

    /// Becomes the user for good, supplementary groups included. System calls and nothing else: it runs between a
    /// fork and an exec.
    ///
    /// # Errors
    /// `EPERM` unless this process is root.
    pub fn become_it(&self) -> nix::Result<()> {
        nix::unistd::setgroups(&self.groups)?;
        nix::unistd::setgid(Gid::from_raw(self.gid))?;
        nix::unistd::setuid(Uid::from_raw(self.uid))
    }
}

/// The number of the user that this process runs as.
pub fn own_number() -> u32 {
    Uid::effective().as_raw()
}

/// Who owns what stands at a path, and not what a link there leads to.
pub fn owner(path: &std::path::Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    path.symlink_metadata().ok().map(|found| found.uid())
}

/// That user's home folder, as the user database has it.
pub fn home() -> Option<std::path::PathBuf> {
    User::from_uid(Uid::effective()).ok().flatten().map(|user| user.dir)
}

/// Hides the memory and the environment of this process, where it is root, from all who are not
/// (`PR_SET_DUMPABLE` in `prctl(2)`). Of another user's process the kernel would give its own `/proc/self` to root.
pub fn hide_from_others() {
    if is_root() {
        // What cannot be hidden stays as it was.
        let _ = nix::sys::prctl::set_dumpable(false);
    }
}

/// Whether that is root.
pub fn is_root() -> bool {
    Uid::effective().is_root()
}

fn group_number(text: &str) -> Result<u32, String> {
    if let Ok(gid) = text.parse() {
        return Ok(gid);
    }
    match Group::from_name(text) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(format!("there is no group `{text}`")),
        Err(error) => Err(format!("group `{text}`: {}", io::Error::from(error))),
    }
}

/// Whether this number stands for all users that a container knows nothing of (`user_namespaces(7)`): its host's, whose
/// root can do everything anyway.
pub(super) fn is_unknown(uid: u32) -> bool {
    let read = |path| open::kernel_text(path).unwrap_or_default();
    let knows_all = read("/proc/self/uid_map").split_ascii_whitespace().eq(["0", "0", "4294967295"]);
    !knows_all && read("/proc/sys/kernel/overflowuid").trim().parse() == Ok(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_an_entry_has_variables_as_well() {
        let of = |text: &str| Identity::find(text).unwrap().variables().map(|(_, value)| value);
        assert_eq!(of("root"), ["/root", "root", "root"]);
        assert_eq!(of("4242:4343"), ["/", "4242", "4242"]);
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        let root = Identity::find("root").unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(Identity::find("0").unwrap(), root);
        let odd = Identity::find("4242:4343").unwrap();
        assert_eq!((odd.uid, odd.gid), (4242, 4343));
        assert!(Identity::find("4242").unwrap_err().contains("GROUP"));
        assert!(Identity::find("no-such-user").unwrap_err().contains("no-such-user"));
        assert!(Identity::find("root:no-such-group").unwrap_err().contains("no-such-group"));
    }
}
