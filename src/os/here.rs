//! Where this process runs: a process number means something in one PID namespace only, until the next boot.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;

use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};

use rustix::rand::{GetRandomFlags, getrandom};

use super::open;

/// A PID namespace of a machine that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Here {
    /// The namespace (`pid_namespaces(7)`) by its inode, and the machine's boot by its number (`random(4)`).
    pub numbers: String,
    /// What the machine or container is called.
    pub host: String,
}

impl Here {
    /// That of this process; what `/proc` does not tell is empty.
    pub fn now() -> Self {
        let text = |path: &str| open::kernel_text(path).unwrap_or_default().trim().to_owned();
        let namespace = fs::metadata("/proc/self/ns/pid").map_or(0, |found| found.ino());
        let boot = text("/proc/sys/kernel/random/boot_id");
        Self { numbers: format!("{namespace}@{boot}"), host: text("/proc/sys/kernel/hostname") }
    }

    /// Whether these numbers are of the same boot of the same machine, in whatever namespace.
    pub fn is_same_boot(&self, numbers: &str) -> bool {
        let boot =
            |numbers: &str| Some(numbers.split_once('@')?.1.to_owned()).filter(|boot| !boot.is_empty());
        boot(&self.numbers).is_some_and(|own| boot(numbers) == Some(own))
    }
}

/// 128 bits that nobody else gets (`random(4)`).
///
/// # Errors
/// What the operating system says.
pub fn random() -> io::Result<u128> {
    let mut bytes = [0; 16];
    // So few come at once, or not at all (`getrandom(2)`).
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(u128::from_ne_bytes(bytes))
}

/// What this process is called among all that are and ever were, by its machine and number first; without random numbers it has no name.
pub fn own_name() -> Option<&'static str> {
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    let name = || {
        let (host, pid) = (Here::now().host, std::process::id());
        Some(format!("{host}:{pid}#{:032x}", random().ok()?))
    };
    NAME.get_or_init(name).as_deref()
}

/// The number of the machine's own PID namespace (`PROC_PID_INIT_INO` in Linux's `include/linux/proc_ns.h`).
const MACHINE: u64 = 0xEFFF_FFFC;

/// Whether this is what a container is there for: PID 1 of it, or the child of one that is (`docker run --init`, a shell), or of
/// one that has the machine's processes (`--pid host`); or is asked about it from outside (`docker exec`).
pub fn is_main_of_container() -> bool {
    let below_machine = fs::metadata("/proc/self/ns/pid").is_ok_and(|found| found.ino() == MACHINE);
    // Docker's and Podman's marks; a machine that was made of an image has them, too, but on a disk of its own.
    let marked = || {
        ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists())
            && statfs("/").is_ok_and(|found| found.filesystem_type() == OVERLAYFS_SUPER_MAGIC)
    };
    match (std::process::id(), std::os::unix::process::parent_id()) {
        (1, _) => true,
        (_, 0 | 1) => !below_machine || marked(),
        _ => below_machine && marked(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_the_same() {
        let here = Here::now();
        assert_eq!(here, Here::now());
        assert!(here.numbers.len() > 10 && !here.host.is_empty(), "{here:?}");
    }
}
