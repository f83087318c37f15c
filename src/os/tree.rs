//! The processes that descend from one, found through `/proc`.

use std::fs;

use super::{open, signal};

/// Every living descendant of a process, children before grandchildren.
///
/// Sessions and process groups do not matter: a child stays a child whatever it calls itself, and
/// a subreaper inherits its orphans (`PR_SET_CHILD_SUBREAPER` in `prctl(2)`).
pub fn descendants(root: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let mut next = children(root);
    while !next.is_empty() {
        let deeper: Vec<i32> = next.iter().flat_map(|pid| children(*pid)).collect();
        found.append(&mut next);
        next = deeper;
    }
    found
}

/// The living children of a process.
pub fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut found = Vec::new();
    for thread in threads.flatten() {
        // proc(5): the kernel can be built without this file.
        match open::kernel_text(thread.path().join("children")) {
            Ok(text) => found.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok())),
            Err(_) if thread.path().exists() => return scan(pid),
            Err(_) => {}
        }
    }
    found
}

/// The same from every process's own word about its parent: slow, and always there.
fn scan(parent: i32) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| super::proc::parent(*pid) == Some(parent)).collect()
}

/// Signals everything that descends from a process.
pub fn signal_descendants(root: i32, number: i32) {
    for pid in descendants(root) {
        signal::send(pid, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_found_either_way() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let (own, pid) = (std::process::id() as i32, child.id() as i32);
        assert!(children(own).contains(&pid));
        assert!(scan(own).contains(&pid));
        assert!(descendants(own).contains(&pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!children(own).contains(&pid));
    }
}
