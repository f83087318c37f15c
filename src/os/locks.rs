//! The locks of files that somebody holds, by the kernel's list (`proc_locks(5)`).
//!
//! Trying to take one would tell as well, but whoever wants to take it in that moment would find it taken. What is
//! locked in another container is not in the list, nor what only heirs of its taker hold.

use std::collections::HashSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::open;

/// How often the list is read at most, where it never is the same twice.
const READINGS: u8 = 5;

/// One of them: `1: FLOCK  ADVISORY  WRITE 123 fe:00:456 0 EOF`.
struct Listed {
    is_flock: bool,
    pid: i32,
    /// Device and inode.
    file: (u64, u64),
}

impl Listed {
    /// The kernel gives its list a page at a time and counts lines: one that ends meanwhile has the next page begin a
    /// line later, and what stood there is in neither. What two readings agree on has no such gap.
    fn all() -> Vec<Self> {
        let read = || open::kernel_text("/proc/locks").unwrap_or_default();
        let mut text = read();
        for _ in 0..READINGS {
            let next = read();
            if next == text {
                break;
            }
            text.push_str(&next);
        }
        text.lines().filter_map(Self::read).collect()
    }

    /// A process that waits for one has `->` in the second field, and none of the others in its place.
    fn read(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, kind, _, _, pid, file, ..] = fields[..] else { return None };
        let mut parts = file.split(':');
        let mut number = |radix| u64::from_str_radix(parts.next()?, radix).ok();
        let (major, minor, inode) = (number(16)?, number(16)?, number(10)?);
        let device = nix::sys::stat::makedev(major, minor);
        Some(Self { is_flock: kind == "FLOCK", pid: pid.parse().ok()?, file: (device, inode) })
    }
}

fn id(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

/// The files that are locked as a whole (`flock(2)`).
pub struct Held(HashSet<(u64, u64)>);

impl Held {
    /// Those that are held just now.
    pub fn now() -> Self {
        Self(Listed::all().into_iter().filter(|lock| lock.is_flock).map(|lock| lock.file).collect())
    }

    /// Whether somebody holds the lock of this file.
    pub fn contains(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok_and(|found| self.0.contains(&id(&found)))
    }
}

/// Each process that has locked anything of a file, and that file, by device and inode.
pub fn all() -> impl Iterator<Item = (i32, (u64, u64))> {
    Listed::all().into_iter().map(|lock| (lock.pid, lock.file))
}

/// The files of which a process has locked anything, each by device and inode: anybody may see it.
pub fn of(pid: i32) -> impl Iterator<Item = (u64, u64)> {
    Listed::all().into_iter().filter(move |lock| lock.pid == pid).map(|lock| lock.file)
}

/// Which process has locked this file as a whole; `None` where the list does not tell.
pub fn taker(found: &Metadata) -> Option<i32> {
    let mut locks = Listed::all().into_iter().filter(|lock| lock.is_flock && lock.pid > 0);
    locks.find(|lock| lock.file == id(found)).map(|lock| lock.pid)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_this_process_holds_is_listed_as_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let file = File::create(&path).unwrap();
        let found = file.metadata().unwrap();
        let own = std::process::id() as i32;
        assert!(!Held::now().contains(&path) && taker(&found).is_none());
        file.lock().unwrap();
        assert!(Held::now().contains(&path) && taker(&found) == Some(own));
        assert!(of(own).any(|file| file == id(&found)));
        drop(file);
        assert!(!Held::now().contains(&path) && !Held::now().contains(dir.path()));
    }

    #[test]
    fn a_lock_is_listed_however_many_others_come_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let others: Vec<_> =
            (0..200).map(|n| File::create(dir.path().join(n.to_string())).unwrap()).collect();
        let file = File::create(&path).unwrap();
        file.lock().unwrap();
        let over = std::sync::atomic::AtomicBool::new(false);
        let missed = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    others.iter().for_each(|other| other.lock().unwrap());
                    others.iter().for_each(|other| other.unlock().unwrap());
                }
            });
            let missed = (0..300).filter(|_| !Held::now().contains(&path)).count();
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            missed
        });
        assert_eq!(missed, 0);
    }

    #[test]
    fn a_line_that_is_none_is_passed_over() {
        assert!(Listed::read("1: -> FLOCK  ADVISORY  WRITE 123 fe:00:456 0 EOF").is_none());
        assert!(
            Listed::read("").is_none() && Listed::read("1: FLOCK ADVISORY WRITE 123 fe:00 0 EOF").is_none()
        );
        let lock = Listed::read("2: POSIX  ADVISORY  READ  77 00:1c:9 1073741826 1073742335").unwrap();
        assert!(!lock.is_flock && lock.pid == 77 && lock.file == (nix::sys::stat::makedev(0, 0x1c), 9));
    }
}
