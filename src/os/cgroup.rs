//! How much memory this process's cgroup may use, and does (`cgroups(7)`).

use std::path::{Path, PathBuf};

use super::open;

const ROOT: &str = "/sys/fs/cgroup";

/// What a cgroup may use, and does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// So many bytes are used, without the files in the cache that the kernel drops at once: as Docker and Kubernetes count.
    pub used: u64,
    /// So many may be.
    pub limit: u64,
}

/// The least that this process's cgroup, or one that it is in, allows; none where nobody limits it.
pub fn memory() -> Option<Memory> {
    let read = |file: &Path| open::kernel_text(file).ok();
    memory_below(&read(Path::new("/proc/self/cgroup"))?, Path::new(ROOT), read)
}

fn memory_below(own: &str, root: &Path, read: impl Fn(&Path) -> Option<String>) -> Option<Memory> {
    let found = own.lines().flat_map(|line| levels(line, root)).filter_map(|(folder, files)| {
        let number = |file: &str| read(&folder.join(file))?.trim().parse::<u64>().ok();
        // Version 1 writes the greatest number there is where there is no limit, version 2 a word.
        let limit = number(files.limit).filter(|bytes| *bytes < 1 << 50)?;
        let cached = read(&folder.join("memory.stat"));
        let cached = cached.as_deref().and_then(|text| {
            text.lines().find_map(|line| line.strip_prefix(files.cached)?.trim().parse::<u64>().ok())
        });
        let used = number(files.used)?.saturating_sub(cached.unwrap_or(0));
        Some(Memory { used, limit })
    });
    found.min_by_key(|memory| memory.limit)
}

/// The files of a version, and the field of `memory.stat` that counts what the kernel drops at once.
#[derive(Clone, Copy)]
struct Files {
    limit: &'static str,
    used: &'static str,
    cached: &'static str,
}

const VERSION_1: Files =
    Files { limit: "memory.limit_in_bytes", used: "memory.usage_in_bytes", cached: "total_inactive_file " };
const VERSION_2: Files = Files { limit: "memory.max", used: "memory.current", cached: "inactive_file " };

/// The folder that a line of `/proc/PID/cgroup` names, and all above it that can be seen.
fn levels(line: &str, root: &Path) -> Vec<(PathBuf, Files)> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { return Vec::new() };
    let (root, files) = match controllers {
        "" => (root.to_owned(), VERSION_2),
        names if names.split(',').any(|name| name == "memory") => (root.join("memory"), VERSION_1),
        _ => return Vec::new(),
    };
    let own = root.join(path.trim_start_matches('/'));
    // In a container's own view its cgroup is the root, and what is outside of it has no name, or one with `..` in it.
    let is_outside = path.split('/').any(|part| part == "..") || !own.is_dir();
    let own = if is_outside { root.clone() } else { own };
    let up = own.ancestors().take_while(|folder| folder.starts_with(&root));
    up.map(|folder| (folder.to_owned(), files)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found where these files are.
    fn found(own: &str, files: &[(&str, &str)]) -> Option<(u64, u64)> {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let file = root.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let read = |file: &Path| std::fs::read_to_string(file).ok();
        memory_below(own, root.path(), read).map(|memory| (memory.used, memory.limit))
    }

    #[test]
    fn the_smallest_limit_on_the_way_up_counts_with_its_own_use() {
        let files = [
            ("a/b/memory.max", "max\n"),
            ("a/b/memory.current", "1\n"),
            ("a/memory.max", "1000\n"),
            ("a/memory.current", "700\n"),
            ("a/memory.stat", "anon 5\ninactive_file 100\nactive_file 7\n"),
            ("memory.max", "2000\n"),
            ("memory.current", "1500\n"),
        ];
        assert_eq!(found("0::/a/b\n", &files), Some((600, 1000)));
        assert_eq!(found("0::/\n", &files), Some((1500, 2000)));
        for outside in ["0::/docker/x\n", "0::/../a\n"] {
            assert_eq!(found(outside, &files), Some((1500, 2000)), "a container sees its own as the root");
        }
        assert_eq!(found("0::/a/b\n", &files[..2]), None);
    }

    #[test]
    fn version_1_is_read_as_well() {
        let none = "9223372036854771712\n";
        let files = [
            ("memory/a/memory.limit_in_bytes", "4096\n"),
            ("memory/a/memory.usage_in_bytes", "2048\n"),
            ("memory/a/memory.stat", "inactive_file 1\ntotal_inactive_file 48\n"),
            ("memory/memory.limit_in_bytes", none),
            ("memory/memory.usage_in_bytes", "1\n"),
        ];
        assert_eq!(found("9:name=systemd:/a\n4:cpu,memory:/a\n0::/\n", &files), Some((2000, 4096)));
        assert_eq!(found("4:memory:/\n", &files), None);
        assert_eq!(found("nonsense\n\n4:memory\n3:cpu:/a\n", &files), None);
    }
}
