//! The file of a lock: whether it can be one, what its holder has left in it, and whether there is a holder.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::fd;
use super::permit::{self, Folder};

/// What each text in a lock begins with.
const BEGINNING: &[u8; 4] = b"pid ";

/// Who a lock may belong to: this user, the databases' own, or the folder's, who may do anything there anyway.
pub(super) fn check_owner(folder: &Folder, file: &File) -> io::Result<()> {
    let owner = file.metadata()?.uid();
    let own = nix::unistd::Uid::effective().as_raw();
    let theirs = permit::owner().map(|user| user.uid);
    if owner == own || Some(owner) == theirs || owner == folder.metadata()?.uid() {
        Ok(())
    } else {
        Err(io::Error::other(format!("it belongs to user {owner}")))
    }
}

/// Whether this can be a lock that this user made: any other file of its may have come under that name.
pub(super) fn is_lock(file: &File) -> bool {
    let is_empty = file.metadata().is_ok_and(|found| found.len() == 0);
    is_empty || fd::read_at(file, 0).is_ok_and(|bytes| bytes == Some(*BEGINNING))
}

/// What is in a lock file. Rubbish in it still means that it is held.
pub(super) fn read(file: &File) -> String {
    let mut bytes = Vec::new();
    let _ = file.take(4096).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What the holder of a lock has left in it; `None` where nobody holds it.
pub fn held_by(path: &Path) -> Option<String> {
    held(path).ok().flatten().map(|(text, _)| text)
}

/// The same with the file that it is in.
///
/// # Errors
/// This user may not look: somebody may hold it.
pub fn held(path: &Path) -> io::Result<Option<(String, std::fs::Metadata)>> {
    let open = || {
        let (folder, name) = Folder::of(path)?;
        folder.open_file(name, false)
    };
    let file = match open() {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
        // What is no file is no lock.
        Err(_) => return Ok(None),
    };
    // The kernel's list does not tell of those in another container.
    let found = file.metadata()?;
    let is_held = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    Ok(is_held.then(|| (read(&file), found)))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::os::lock::Lock;

    #[test]
    fn whether_one_is_held_that_may_not_be_read_is_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert!(held(&path).unwrap().is_none());
        let lock = Lock::acquire(&path, "pid 1").unwrap();
        assert!(held(&path).unwrap().is_some_and(|(text, _)| text == "pid 1"));
        for folder_mode in [0o755, 0o600] {
            std::fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
            std::fs::set_permissions(dir.path(), Permissions::from_mode(folder_mode)).unwrap();
            let path = path.clone();
            // Root may read anything, but for a thread that opens files as another user (`setfsuid(2)`).
            let seen = std::thread::spawn(move || {
                nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
                held(&path).map(|_| ()).map_err(|error| error.kind())
            });
            assert_eq!(seen.join().unwrap(), Err(io::ErrorKind::PermissionDenied));
        }
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
        drop(lock);
    }
}
