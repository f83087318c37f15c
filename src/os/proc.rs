//! What `/proc` says of a process (`proc_pid_stat(5)`, `proc_pid_io(5)`).

use std::fs;

/// The parent of a process, or `None` when it is gone.
pub fn parent(pid: i32) -> Option<i32> {
    // The command's name may hold spaces and brackets: the fields start after the last one.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Whether a process lives: a zombie does not.
pub fn is_alive(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rsplit_once(')').and_then(|(_, fields)| fields.split_ascii_whitespace().next());
    !matches!(state, Some("Z" | "X") | None)
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
    let text = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some(Io { read: field("rchar:")?, written: field("wchar:")? })
}
