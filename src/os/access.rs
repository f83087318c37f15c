//! Who may read and write what, without trying it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, Gid, Uid};

use super::mount;
use super::user::Identity;

/// What somebody wants to do with a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read a file, or list a folder.
    Read,
    /// Write a file, or make and remove files in a folder.
    Write,
}

/// Whether this process, or another `user`, has this access to a path that is there.
///
/// For another user it is what owner, groups and mode say; access control lists are not looked at.
pub fn may(path: &Path, access: Access, user: Option<&Identity>) -> bool {
    let is_folder = path.is_dir();
    let Some(user) = user else {
        let mut flags = match access {
            Access::Read => AccessFlags::R_OK,
            Access::Write => AccessFlags::W_OK,
        };
        if is_folder {
            flags |= AccessFlags::X_OK;
        }
        return nix::unistd::faccessat(nix::fcntl::AT_FDCWD, path, flags, AtFlags::AT_EACCESS).is_ok();
    };
    if access == Access::Write && mount::space(path).is_some_and(|space| space.read_only) {
        return false;
    }
    let Ok(real) = fs::canonicalize(path) else { return false };
    let bits = match access {
        Access::Read => 0o4,
        Access::Write => 0o2,
    };
    allowed(&real, if is_folder { bits | ENTER } else { bits }, user)
        && real.ancestors().skip(1).all(|folder| allowed(folder, ENTER, user))
}

/// The bit of a folder's mode that lets somebody through to what is in it.
const ENTER: u32 = 0o1;

/// Whether the mode of a file or folder has these bits for a user.
fn allowed(path: &Path, bits: u32, user: &Identity) -> bool {
    let groups = user.groups();
    fs::metadata(path).is_ok_and(|found| {
        let shift = match () {
            () if found.uid() == user.uid => 6,
            () if groups.contains(&found.gid()) => 3,
            () => 0,
        };
        user.uid == 0 || (found.mode() >> shift) & bits == bits
    })
}

/// What lets somebody have this access who [`may`] not: whose a file or folder is, who runs, and the command.
pub fn remedy(path: &Path, access: Access, user: Option<&Identity>) -> String {
    let (uid, gid) = runs_as(user);
    let shown = path.display();
    let closed = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    let closed: Vec<&Path> = closed.filter(|folder| !may_enter(folder, user)).collect();
    // The first on the way is the one that stops.
    if let Some(folder) = closed.last() {
        let whose = whose(folder);
        return format!(
            "the folder `{}` above it {whose}, and {uid}:{gid} runs, who cannot enter it",
            folder.display()
        );
    }
    let (what, bits) = if path.is_dir() { ("the folder", "rwx") } else { ("the file", "rw") };
    let Ok(found) = fs::metadata(path) else { return format!("give {what} to that user") };
    let whose = whose(path);
    let wanted = match access {
        Access::Read => 0o400,
        Access::Write => 0o200,
    };
    if found.uid() != uid {
        let give = format!("{what} {whose}, and {uid}:{gid} runs: give {what} to that user");
        // Behind a link stands what nobody has looked at yet.
        let is_itself = fs::canonicalize(path).is_ok_and(|real| real == path);
        return if is_itself { format!("{give} (`chown {uid}:{gid} {shown}`)") } else { give };
    }
    if found.mode() & wanted != wanted || path.is_dir() && found.mode() & 0o100 == 0 {
        return format!("{what} {whose}, who runs: `chmod u+{bits} {shown}`");
    }
    format!(
        "{what} {whose}, who runs: something else than its mode forbids it, such as an attribute (`lsattr`) or SELinux"
    )
}

/// What lets somebody have a folder with all that is in it, if it is not theirs; none behind a link, where nobody has looked yet.
pub fn whole_remedy(folder: &Path, user: Option<&Identity>) -> Option<String> {
    let (uid, gid) = runs_as(user);
    let is_itself = fs::canonicalize(folder).is_ok_and(|real| real == folder);
    is_itself.then(|| {
        format!(
            "not all that is in it is that user's: give it to that user with all that is in it (`chown -R {uid}:{gid} {}`)",
            folder.display()
        )
    })
}

/// How a folder that is not there is made for somebody who cannot make it.
pub fn made_for(folder: &Path, user: Option<&Identity>) -> String {
    let (uid, gid) = runs_as(user);
    format!("make it for that user (`install -d -o {uid} -g {gid} {}`)", folder.display())
}

fn runs_as(user: Option<&Identity>) -> (u32, u32) {
    match user {
        Some(user) => (user.uid, user.gid),
        None => (Uid::effective().as_raw(), Gid::effective().as_raw()),
    }
}

/// `is root's (0:0, mode 0755)`.
fn whose(path: &Path) -> String {
    match fs::metadata(path) {
        Ok(found) => {
            let (uid, gid, mode) = (found.uid(), found.gid(), found.mode() & 0o7777);
            let who = if uid == 0 { "root's".to_owned() } else { format!("user {uid}'s") };
            format!("is {who} ({uid}:{gid}, mode {mode:04o})")
        }
        Err(error) => format!("tells nothing ({error})"),
    }
}

fn may_enter(folder: &Path, user: Option<&Identity>) -> bool {
    match user {
        Some(user) => allowed(folder, ENTER, user),
        None => {
            let flags = AccessFlags::X_OK;
            nix::unistd::faccessat(nix::fcntl::AT_FDCWD, folder, flags, AtFlags::AT_EACCESS).is_ok()
        }
    }
}

/// Whether everybody on this machine may read a file, by its mode.
pub fn is_world_readable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn owner_group_and_the_rest_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        let own = fs::metadata(&path).unwrap();
        let owner = Identity::find(&format!("{}:65533", own.uid())).unwrap();
        let group = Identity::find(&format!("4242:{}", own.gid())).unwrap();
        let other = Identity::find("4242:4242").unwrap();
        for (mode, user, read, write) in [
            (0o640, &group, true, false),
            (0o460, &group, true, true),
            (0o604, &other, true, false),
            (0o062, &other, false, true),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(may(&path, Access::Read, Some(user)), read, "{mode:o} {user:?}");
            assert_eq!(may(&path, Access::Write, Some(user)), write, "{mode:o} {user:?}");
            assert_eq!(is_world_readable(&path), mode & 4 != 0);
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(may(&path, Access::Write, Some(&owner)) && may(&path, Access::Write, None));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(!may(&path, Access::Read, Some(&other)), "the folder is closed");
        assert!(!may(&dir.path().join("nothing"), Access::Read, None));
    }

    #[test]
    fn what_helps_says_whose_it_is_and_who_runs() {
        let dir = tempfile::tempdir_in(fs::canonicalize(std::env::temp_dir()).unwrap()).unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let folder = dir.path().join("data");
        fs::create_dir(&folder).unwrap();
        set(dir.path(), 0o755);
        set(&folder, 0o755);
        let own = fs::metadata(&folder).unwrap();
        let (uid, gid, shown) = (own.uid(), own.gid(), folder.display());
        let whose = if uid == 0 { "root's".to_owned() } else { format!("user {uid}'s") };
        let other = Identity::find("4242:4343").unwrap();
        let owner = Identity::find(&format!("{uid}:{gid}")).unwrap();
        assert_eq!(
            remedy(&folder, Access::Write, Some(&other)),
            format!(
                "the folder is {whose} ({uid}:{gid}, mode 0755), and 4242:4343 runs: give the folder to that user (`chown \
                 4242:4343 {shown}`)"
            )
        );
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        assert!(!remedy(&link, Access::Write, Some(&other)).contains("chown"));
        set(&folder, 0o555);
        let said = remedy(&folder, Access::Write, Some(&owner));
        assert_eq!(
            said,
            format!("the folder is {whose} ({uid}:{gid}, mode 0555), who runs: `chmod u+rwx {shown}`")
        );
        set(dir.path(), 0o700);
        let said = remedy(&folder, Access::Write, Some(&other));
        assert!(said.contains(&format!("`{}` above it is", dir.path().display())), "{said}");
    }

    #[test]
    fn a_read_only_file_system_is_for_reading() {
        assert!(!may(
            Path::new("/proc/self/mountinfo"),
            Access::Write,
            Some(&Identity::find("4242:4242").unwrap())
        ));
    }
}
