//! What a program does with the file system, as `strace(1)` saw it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What goes in front of a program, so that all calls of it and its children that name a path, and all that
/// change who they are, are in `file` by its end.
pub fn wrapper(file: &Path) -> Vec<String> {
    let calls = "trace=%file,bind,connect,setuid,setresuid,setreuid,setfsuid,clone,clone3,fork,vfork";
    // The tracer is not the parent: the program has the number that the test knows.
    ["strace", "-D", "-f", "-s", "4096", "-e", "signal=none", "-e", calls, "-o"]
        .map(str::to_owned)
        .into_iter()
        .chain([file.display().to_string()])
        .collect()
}

/// Whether there is an strace that may trace.
pub fn is_there() -> bool {
    Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success())
}

/// The calls that a program made as root which name something by a path that begins like one of these, and not
/// from a descriptor of the folder that it is in. What only tells what is there counts if `looks` says so.
pub fn by_path(file: &Path, beginnings: &[String], looks: bool) -> Vec<String> {
    let text = fs::read_to_string(file).expect("strace wrote it");
    let below: Vec<String> = beginnings.iter().map(|beginning| format!("\"{beginning}")).collect();
    let mut unfinished: BTreeMap<&str, String> = BTreeMap::new();
    let (mut others, mut acting) = (Vec::new(), Vec::new());
    let mut parents: BTreeMap<String, String> = BTreeMap::new();
    let mut candidates = Vec::new();
    for line in text.lines() {
        let Some((pid, call)) = line.split_once(char::is_whitespace) else { continue };
        let call = call.trim_start();
        let call = if let Some(begun) = call.strip_suffix(" <unfinished ...>") {
            unfinished.insert(pid, begun.to_owned());
            continue;
        } else if let Some(rest) = call.strip_prefix("<... ") {
            let rest = rest.split_once(" resumed>").map_or("", |(_, rest)| rest);
            unfinished.remove(pid).unwrap_or_default() + rest
        } else {
            call.to_owned()
        };
        let number =
            |name: &str| call.strip_prefix(name)?.split([',', ')']).next()?.trim().parse::<i64>().ok();
        if let Some(uid) = number("setfsuid(") {
            match uid {
                0 => acting.retain(|other| *other != pid),
                // Asks only.
                -1 => {}
                _ => acting.push(pid),
            }
        }
        let becomes = ["setuid(", "setresuid(", "setreuid("].iter().find_map(|name| number(name));
        if becomes.is_some_and(|uid| uid > 0) {
            others.push(pid);
        }
        if ["clone(", "clone3(", "fork(", "vfork("].iter().any(|name| call.starts_with(name))
            && let Some((_, child)) = call.rsplit_once(" = ")
        {
            parents.insert(child.to_owned(), pid.to_owned());
        }
        // What a link below /proc says is no path that is gone.
        let named = match call.strip_prefix("readlink(\"/proc/") {
            Some(link) => link.split('"').next().unwrap_or_default(),
            None => &call,
        };
        let names = below.iter().any(|folder| named.contains(folder.as_str()));
        // An exec's words are no paths that it opens; the program itself is.
        let is_words =
            call.starts_with("execve(\"/") && !below.iter().any(|folder| call[7..].starts_with(folder));
        let only_looks = [
            "stat",
            "statx",
            "lstat",
            "newfstatat",
            "statfs",
            "readlink",
            "readlinkat",
            "access",
            "faccessat",
        ]
        .iter()
        .any(|name| call.strip_prefix(name).is_some_and(|rest| rest.starts_with(['(', '2'])));
        if names && !is_words && (looks || !only_looks) && !others.contains(&pid) && !acting.contains(&pid) {
            candidates.push((pid, call));
        }
    }
    // A thread is who its process is; the keeper itself stays root.
    let is_other = |pid: &str| {
        let mut next = Some(pid);
        std::iter::from_fn(|| {
            let pid = next?;
            next = parents.get(pid).map(String::as_str);
            Some(pid)
        })
        .any(|pid| others.contains(&pid))
    };
    let found = candidates.into_iter().filter(|(pid, _)| !is_other(pid));
    let found = found.map(|(pid, call)| format!("{pid} {call}")).collect();
    assert!(text.contains("execve(") && text.contains("exited with"), "strace saw nothing:\n{text}");
    found
}
