//! Where this process runs: a process number means something in one PID namespace only, until the next boot.

use std::fs;
use std::os::unix::fs::MetadataExt;

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
