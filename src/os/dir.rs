//! Folders that nobody else can look into.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, umask};

use super::{open, user};

/// A folder that is younger may not be claimed yet.
const YOUNG: Duration = Duration::from_secs(60);

/// Begins the name of a folder that is made for a while where such are made, and that nobody else can look into. The default of the
/// library is what the umask leaves.
pub fn temporary(prefix: &str) -> tempfile::Builder<'_, 'static> {
    let mut name = tempfile::Builder::new();
    name.prefix(prefix).permissions(Permissions::from_mode(0o700));
    name
}

/// Says that a temporary folder is in use, for as long as the result lives: [`sweep`] takes away what nobody uses.
///
/// # Errors
/// It cannot be opened.
pub fn claim(folder: &Path) -> io::Result<File> {
    let folder = open_folder(folder)?;
    // In a file system without locks nothing is swept.
    let _ = folder.try_lock();
    Ok(folder)
}

fn open_folder(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY;
    File::options().read(true).custom_flags(flags.bits()).open(path)
}

/// Takes away the temporary folders of a kind that processes of these users left which were killed: nobody claims them, and they are not
/// being made just now.
pub fn sweep(within: &Path, prefix: &str, users: &[u32]) {
    let is_left = |path: &Path| {
        let found = fs::symlink_metadata(path)?;
        let is_old = found.modified()?.elapsed().is_ok_and(|age| age > YOUNG);
        let is_ours = found.is_dir() && users.contains(&found.uid());
        Ok::<_, io::Error>(is_old && is_ours && open_folder(path)?.try_lock().is_ok())
    };
    let Ok(entries) = fs::read_dir(within) else { return };
    for entry in
        entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()))
    {
        if is_left(&entry.path()).unwrap_or(false) {
            // What stays is a private folder of theirs, as before.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Has what this process and its children make from now on readable for this user alone, unless they say otherwise. It is the whole
/// process's: call this where there is one thread.
pub fn keep_to_ourselves() {
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
}

/// The rights that a new file has by default here. To know them changes them for a moment, for the whole process: call this where
/// there is one thread.
pub fn rights_of_a_new_file() -> Permissions {
    let mask = umask(Mode::empty());
    umask(mask);
    Permissions::from_mode(0o666 & !mask.bits())
}

/// Makes a folder of mode 0700 whatever the umask, or takes one that is private to this user already.
///
/// # Errors
/// `AlreadyExists` when what stands there is somebody else's, open to others or a link, else what the
/// operating system says.
pub fn private(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => set_mode(path, 0o700),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(path)?;
            match open::odd(found.file_type()).filter(|_| !found.is_dir()) {
                Some(kind) => Err(io::Error::new(error.kind(), format!("it is {kind}, not a folder"))),
                None => check_own(&found),
            }
        }
        Err(error) => Err(error),
    }
}

/// Whether a folder is this user's own, and nobody else may write to it.
///
/// # Errors
/// It is not.
pub fn check_own(found: &fs::Metadata) -> io::Result<()> {
    if is_own(found) && found.permissions().mode() & 0o022 == 0 { Ok(()) } else { Err(not_private()) }
}

fn is_own(found: &fs::Metadata) -> bool {
    found.is_dir() && found.uid() == nix::unistd::Uid::effective().as_raw()
}

fn not_private() -> io::Error {
    io::Error::new(
        io::ErrorKind::AlreadyExists,
        "it is no folder of this user's own that nobody else may write to",
    )
}

/// Sets the mode of a folder of ours, and of nothing that somebody has put in its place.
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    // The umask may have left no right to open it in another way (open(2), O_PATH).
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY;
    let folder = File::options().read(true).custom_flags(flags.bits()).open(path)?;
    if !is_own(&folder.metadata()?) {
        return Err(not_private());
    }
    let same = format!("/proc/self/fd/{}", folder.as_raw_fd());
    fs::set_permissions(same, fs::Permissions::from_mode(mode))
}

/// Whether nobody but root and this user can put something else in the place of what is below a folder, or of one
/// that leads to it.
///
/// # Errors
/// Somebody can, and in which folder; or it is not there.
fn check_way(folder: &Path) -> io::Result<()> {
    let folder = std::path::absolute(folder)?;
    // A link on the way leads elsewhere, and somebody may own where it stands.
    let real = fs::canonicalize(&folder)?;
    for place in folder.ancestors().chain(real.ancestors()) {
        if let Some(why) = others_decide(&fs::metadata(place)?) {
            let why = format!("{}: {why}: they decide what is below it", place.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
    }
    Ok(())
}

fn others_decide(found: &fs::Metadata) -> Option<String> {
    let (uid, gid, mode) = (found.uid(), found.gid(), found.permissions().mode());
    let own = nix::unistd::Uid::effective().as_raw();
    if uid != 0 && uid != own && !user::is_unknown(uid) {
        return Some(format!("it belongs to user {uid}"));
    }
    // In /tmp nobody removes what is another's.
    let is_sticky = mode & 0o1000 != 0;
    let is_own_group = gid == 0 || gid == nix::unistd::Gid::effective().as_raw();
    let is_open = mode & 0o002 != 0 || (mode & 0o020 != 0 && !is_own_group);
    (is_open && !is_sticky).then(|| "others may write to it".to_owned())
}

/// Makes the folder that private ones are made in: private itself, or open for looking only when
/// another user has to get through it.
///
/// # Errors
/// As [`private`].
pub fn shared(path: &Path, passable: bool) -> io::Result<()> {
    check_way(path.parent().unwrap_or(Path::new("/")))?;
    private(path)?;
    if passable {
        set_mode(path, 0o711)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_nobody_claims_any_more_is_swept() {
        let within = tempfile::tempdir().unwrap();
        let own = user::own_number();
        let made = |name: &str, age: Duration| {
            let path = within.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("secret"), "").unwrap();
            open_folder(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
            path
        };
        let (old, young) = (YOUNG * 2, Duration::ZERO);
        let left = made("kind-a", old);
        let stays = [made("kind-b", young), made("other-c", old), made("kind-d", old)];
        let link = within.path().join("kind-e");
        std::os::unix::fs::symlink(&stays[1], &link).unwrap();
        let claim = claim(&stays[2]).unwrap();
        sweep(within.path(), "kind-", &[own + 1]);
        assert!(left.exists(), "another user's");
        sweep(within.path(), "kind-", &[own]);
        assert!(!left.exists());
        assert!(stays.iter().all(|path| path.join("secret").exists()) && link.is_symlink());
        drop(claim);
        sweep(within.path(), "kind-", &[own]);
        assert!(!stays[2].exists() && stays[0].exists());
    }
}
