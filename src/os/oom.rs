//! Whether the kernel has killed something of this container for want of memory (`cgroups(7)`).

use std::path::{Path, PathBuf};

use super::open;

/// What follows the name of a SIGKILL that came of that.
pub const NO_MEMORY: &str = ", since the kernel had no memory left for this container";

/// The count at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Count(Option<u64>);

impl Count {
    /// Now.
    pub fn now() -> Self {
        Self(kills())
    }

    /// What a SIGKILL since then that nobody here has sent may come from: [`NO_MEMORY`], or nothing that is known.
    pub fn why_killed(self) -> &'static str {
        if kills() > self.0 { NO_MEMORY } else { "" }
    }
}

/// How often that has happened in the memory cgroup of this process, with what runs in it; `None` where nobody counts.
fn kills() -> Option<u64> {
    let own = open::kernel_text("/proc/self/cgroup").ok()?;
    let counts = open::kernel_text(file(&own)?).ok()?;
    counts.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// The file that counts: of version 1 where memory is there, else of version 2.
fn file(own: &str) -> Option<PathBuf> {
    let path_in = |root: &str, path: &str, file: &str| {
        // In a container's own view its cgroup is the root.
        [path, ""].map(|path| Path::new(root).join(path.trim_start_matches('/')).join(file))
    };
    let of_line = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        match controllers {
            "" => Some(path_in("/sys/fs/cgroup", path, "memory.events")),
            names if names.split(',').any(|name| name == "memory") => {
                Some(path_in("/sys/fs/cgroup/memory", path, "memory.oom_control"))
            }
            _ => None,
        }
    };
    own.lines().filter_map(of_line).flatten().find(|file| file.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_memory_has_no_count() {
        assert_eq!(file("3:cpuset:/\n1:name=systemd:/x\n"), None);
        assert_eq!(file("nonsense\n\n0::"), file("0::/"));
    }
}
