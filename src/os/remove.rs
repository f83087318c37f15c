//! Removing a folder with all that is its own.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::open;

/// No run makes folders in folders; what others make in it can be as deep as they like.
const DEEPEST: usize = 32;

/// Removes the folder `name` with all below it. It follows no link and crosses into nothing that is mounted there, which is
/// left with the folders above it: what is mounted in a folder may be of anybody's (a bind mount has its device's number,
/// so only the kernel tells, `openat2(2)`).
///
/// What is called `last` in it goes last, and stays where something else does: by it the folder is found again.
///
/// # Errors
/// The first thing that cannot be removed; all else is. `TimedOut` for what is left after `until`.
pub fn tree(folder: impl AsFd, name: &OsStr, last: &OsStr, until: Instant) -> io::Result<()> {
    below(folder.as_fd(), name, Some(last), DEEPEST, until)
}

fn below(
    folder: BorrowedFd<'_>,
    name: &OsStr,
    last: Option<&OsStr>,
    depth: usize,
    until: Instant,
) -> io::Result<()> {
    if Instant::now() >= until {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let opened = match open::mounted_nowhere(folder, name) {
        Ok(opened) => opened,
        // No folder: a file of any kind, or a link.
        Err(Errno::ENOTDIR | Errno::ELOOP) => {
            return Ok(unlinkat(folder, name, UnlinkatFlags::NoRemoveDir)?);
        }
        Err(error) => return Err(error.into()),
    };
    let Some(depth) = depth.checked_sub(1) else { return Err(Errno::ELOOP.into()) };
    let entries = std::fs::read_dir(format!("/proc/self/fd/{}", opened.as_raw_fd()))?;
    let (mut result, mut at_last) = (Ok(()), None);
    for entry in entries.flatten() {
        let name = entry.file_name();
        if Some(name.as_os_str()) == last {
            at_last = Some(name);
            continue;
        }
        match below(opened.as_fd(), &name, None, depth, until) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
            removed => result = result.and(removed),
        }
    }
    result?;
    at_last.iter().try_for_each(|name| below(opened.as_fd(), name, None, depth, until))?;
    Ok(unlinkat(folder, name, UnlinkatFlags::RemoveDir)?)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;

    #[test]
    fn all_goes_and_what_is_linked_to_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("run/a/b")).expect("ours");
        fs::create_dir(at("kept")).expect("ours");
        for file in ["run/f", "run/a/b/f", "kept/f"] {
            fs::write(at(file), "").expect("ours");
        }
        symlink(at("kept"), at("run/a/link")).expect("ours");
        symlink(at("nowhere"), at("run/dangling")).expect("ours");
        nix::unistd::mkfifo(&at("run/pipe"), nix::sys::stat::Mode::S_IRWXU).expect("ours");
        let folder = File::open(dir.path()).expect("ours");
        let remove =
            || tree(&folder, OsStr::new("run"), OsStr::new("f"), Instant::now() + Duration::from_secs(60));
        remove().expect("it is ours");
        assert!(!at("run").exists() && at("kept/f").exists());
        assert!(remove().is_err());
        symlink("kept", at("run")).expect("ours");
        remove().expect("a link");
        assert!(at("kept/f").exists());
    }

    #[test]
    fn what_takes_too_long_is_left_with_what_it_is_found_by() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: String| dir.path().join("run").join(name);
        fs::create_dir(dir.path().join("run")).expect("ours");
        for name in (0..20_000).map(|number| number.to_string()).chain(["lock".to_owned()]) {
            fs::write(at(name), "").expect("ours");
        }
        let folder = File::open(dir.path()).expect("ours");
        let remove = |time| tree(&folder, OsStr::new("run"), OsStr::new("lock"), Instant::now() + time);
        let error = remove(Duration::from_millis(1)).expect_err("nobody is that fast");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(at("lock".to_owned()).exists());
        remove(Duration::from_secs(60)).expect("there is time");
        assert!(!dir.path().join("run").exists());
    }
}
