//! What `/proc` says of a process (`proc_pid_stat(5)`, `proc_pid_io(5)`, `proc_pid_fd(5)`).

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::open;

/// The parent of a process, or `None` when it is gone.
pub fn parent(pid: i32) -> Option<i32> {
    fields(pid)?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Whether a process lives: a zombie does not.
pub fn is_alive(pid: i32) -> bool {
    fields(pid).is_some_and(|fields| is_living(&fields))
}

/// Whether a process is stopped by a signal, and hears of no other but SIGCONT and SIGKILL.
pub fn is_stopped(pid: i32) -> bool {
    fields(pid).is_some_and(|fields| fields.starts_with('T'))
}

/// The living processes of a process group.
pub fn in_group(group: i32) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_member = |pid: &i32| {
        fields(*pid).is_some_and(|fields| {
            // The state, the parent, the group.
            is_living(&fields)
                && fields.split_ascii_whitespace().nth(2).and_then(|group| group.parse().ok()) == Some(group)
        })
    };
    pids.filter(is_member).collect()
}

fn is_living(fields: &str) -> bool {
    !matches!(fields.split_ascii_whitespace().next(), Some("Z" | "X") | None)
}

/// What `/proc/PID/stat` says from the state on. The command's name before it may hold spaces and brackets.
fn fields(pid: i32) -> Option<String> {
    let stat = open::kernel_text(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.trim_start().to_owned())
}

/// Whether a process has the file of this path open; `None` when that cannot be seen.
pub fn has_open(pid: i32, path: &Path) -> Option<bool> {
    match identity(path) {
        Some(wanted) => has_open_file(pid, wanted),
        None => Some(false),
    }
}

/// The same of the file with this device and inode, which may have been deleted.
pub fn has_open_file(pid: i32, wanted: (u64, u64)) -> Option<bool> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    Some(open.flatten().any(|fd| identity(&fd.path()) == Some(wanted)))
}

/// The numbers of all processes that can be seen.
pub fn all() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// What a process was started with; nothing of one that is gone, or the kernel's own.
pub fn words(pid: i32) -> Option<Vec<OsString>> {
    let bytes = open::kernel(format!("/proc/{pid}/cmdline")).ok()?;
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    let words = bytes.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
    Some(words.collect()).filter(|_| !bytes.is_empty())
}

/// The processes that run the program in this file (device and inode), or the script. What somebody else's process runs cannot be
/// seen: it is known by how it was called.
pub fn running(program: (u64, u64)) -> Vec<i32> {
    let is_it = |pid: &i32| {
        let is_called = |word: &OsString| {
            let path = Path::new(word);
            path.is_absolute() && identity(path) == Some(program)
        };
        identity(Path::new(&format!("/proc/{pid}/exe"))) == Some(program)
            || words(*pid).unwrap_or_default().iter().take(2).any(is_called)
    };
    all().into_iter().filter(is_it).collect()
}

/// A file that a process has open.
pub struct Open {
    /// Device and inode.
    pub id: (u64, u64),
    /// What it is called by now, with ` (deleted)` behind it where it was (`proc_pid_fd(5)`).
    pub path: PathBuf,
    /// When it was written to last, and how many bytes it has.
    pub written: (Option<SystemTime>, u64),
}

/// The files that a process has open; none of somebody else's process.
pub fn open_files(pid: i32) -> Vec<Open> {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let one = |fd: fs::DirEntry| {
        let (found, path) = (fs::metadata(fd.path()).ok()?, fs::read_link(fd.path()).ok()?);
        Some(Open { id: (found.dev(), found.ino()), path, written: (found.modified().ok(), found.len()) })
    };
    open.flatten().filter_map(one).collect()
}

/// Device and inode of what is at a path.
pub fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// The bytes that a process has read and written so far, sockets included: how anybody can tell
/// whether it moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Io {
    /// Bytes passed to `read(2)` and the like.
    pub read: u64,
    /// Bytes passed to `write(2)` and the like.
    pub written: u64,
}

/// See [`Io`]; `None` when the process is gone or somebody else's.
pub fn io(pid: i32) -> Option<Io> {
    let text = open::kernel_text(format!("/proc/{pid}/io")).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some(Io { read: field("rchar:")?, written: field("wchar:")? })
}

/// The time that a process has computed so far, in ticks of the clock: anybody may see it, unlike [`io`].
pub fn computed(pid: i32) -> Option<u64> {
    let fields = fields(pid)?;
    // utime and stime; the first one here is the state.
    let mut fields = fields.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// The bytes of a process that are in memory (`VmRSS` in `proc_pid_status(5)`).
pub fn resident(pid: i32) -> Option<u64> {
    let text = open::kernel_text(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_computes_is_seen() {
        let own = std::process::id().cast_signed();
        let before = computed(own).unwrap();
        while computed(own).unwrap() < before + 2 {
            std::hint::spin_loop();
        }
        assert_eq!(computed(i32::MAX), None);
        assert!(resident(own).unwrap() > 1 << 20);
        assert_eq!(resident(i32::MAX), None);
    }

    #[test]
    fn a_group_and_who_is_stopped_in_it_are_seen() {
        use std::os::unix::process::CommandExt;
        let mut child = std::process::Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let pid = child.id().cast_signed();
        assert_eq!(in_group(pid), [pid]);
        assert!(!is_stopped(pid));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGSTOP).unwrap();
        while !is_stopped(pid) {
            std::thread::yield_now();
        }
        assert_eq!(in_group(pid), [pid]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(in_group(pid), [0; 0]);
        assert!(!is_stopped(pid));
    }

    #[test]
    fn who_runs_a_program_is_seen() {
        let own = std::process::id().cast_signed();
        let program = identity(&std::env::current_exe().unwrap()).unwrap();
        assert!(running(program).contains(&own));
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("script");
        fs::write(&script, "read line\n").unwrap();
        assert_eq!(running(identity(&script).unwrap()), [0; 0]);
        let mut sh = std::process::Command::new("/bin/sh");
        let mut child = sh.arg(&script).stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert_eq!(running(identity(&script).unwrap()), [child.id().cast_signed()]);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn an_open_file_is_seen_under_any_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let own = std::process::id().cast_signed();
        assert_eq!(has_open(own, &path), Some(false), "there is none");
        let file = fs::File::create(&path).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(has_open(own, &link), Some(true));
        drop(file);
        assert_eq!(has_open(own, &path), Some(false));
        assert_eq!(has_open(i32::MAX, &path), None);
    }
}
