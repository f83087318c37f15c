//! Children caught between their fork and their exec.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::procfs::{Process, alive};

/// How often a test may come too late.
const TRIES: u32 = 50;

/// Calls `attempt` until it has caught a child, which is a matter of luck.
#[track_caller]
pub fn until_caught<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    (0..TRIES).find_map(|_| attempt()).expect("one of so many children is caught before its exec")
}

/// Stops the first new child of a process that is still a copy of it; looks for one as long as `within`.
pub fn stop_any(parent: i32, within: Duration) -> Option<Process> {
    stop(parent, within, false)
}

/// As [`stop_any`], but no other than the very next.
pub fn stop_next(parent: i32, within: Duration) -> Option<Process> {
    stop(parent, within, true)
}

/// It looks without a pause: what it wants to see is over in a millisecond.
fn stop(parent: i32, within: Duration, only_next: bool) -> Option<Process> {
    let start = Instant::now();
    let mut known: BTreeSet<i32> = children(parent).into_iter().collect();
    let words = words(parent);
    while alive(parent) && start.elapsed() < within {
        let Some(new) = children(parent).into_iter().find(|child| known.insert(*child)) else { continue };
        let process = Process::of(new).filter(|process| self::words(process.pid) == words);
        let Some(process) = process else {
            // It had become its program already, or was adopted.
            if only_next {
                return None;
            }
            continue;
        };
        process.signal(Signal::SIGSTOP);
        while Process::of(process.pid).is_some_and(|process| !"TZX".contains(process.state)) {
            std::thread::yield_now();
        }
        match Process::of(process.pid) {
            Some(process) if process.state == 'T' && self::words(process.pid) == words => {
                return Some(process);
            }
            Some(process) => process.signal(Signal::SIGCONT),
            None => {}
        }
    }
    None
}

fn children(parent: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Its command line, and by that its program: until its exec a child has its parent's.
fn words(pid: i32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}
