//! Folders that nobody else can look into.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use super::user::Identity;

/// Makes a folder of mode 0700, or takes one that is private to this user already.
///
/// # Errors
/// `AlreadyExists` when what stands there is somebody else's or open to others, else what the
/// operating system says.
pub fn private(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(path)?;
            let own = found.is_dir() && found.uid() == nix::unistd::Uid::effective().as_raw();
            if own && found.permissions().mode() & 0o022 == 0 { Ok(()) } else { Err(error) }
        }
        other => other,
    }
}

/// Gives a file or folder to a user.
///
/// # Errors
/// What the operating system says.
pub fn give_to(path: &Path, user: &Identity) -> io::Result<()> {
    std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid))
}

/// Makes the folder that private ones are made in: private itself, or open for looking only when
/// another user has to get through it.
///
/// # Errors
/// As [`private`].
pub fn shared(path: &Path, passable: bool) -> io::Result<()> {
    private(path)?;
    if passable {
        fs::set_permissions(path, fs::Permissions::from_mode(0o711))?;
    }
    Ok(())
}
