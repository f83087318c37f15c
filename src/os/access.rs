//! Who may read and write what, without trying it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::AtFlags;
use nix::unistd::AccessFlags;

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
    let groups = user.groups();
    let allowed = |path: &Path, bits: u32| {
        fs::metadata(path).is_ok_and(|found| {
            let shift = match () {
                () if found.uid() == user.uid => 6,
                () if groups.contains(&found.gid()) => 3,
                () => 0,
            };
            user.uid == 0 || (found.mode() >> shift) & bits == bits
        })
    };
    let bits = match access {
        Access::Read => 0o4,
        Access::Write => 0o2,
    };
    allowed(&real, if is_folder { bits | 0o1 } else { bits })
        && real.ancestors().skip(1).all(|folder| allowed(folder, 0o1))
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
    fn a_read_only_file_system_is_for_reading() {
        assert!(!may(
            Path::new("/proc/self/mountinfo"),
            Access::Write,
            Some(&Identity::find("4242:4242").unwrap())
        ));
    }
}
