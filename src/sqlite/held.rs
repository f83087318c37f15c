//! The command `__held`: which SQLite files the processes below one have open.
//!
//! By a process of its own: what an app has open may lie on a file system that does not answer, and is opened with
//! the rights of the app's user.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::database_header::MAGIC;
use crate::os::{open, proc, tree};

/// Prints the files, a NUL behind each: `__held PID`; the exit code is for the process.
pub fn main(pid: Option<&str>) -> u8 {
    use std::io::Write as _;

    let Some(pid) = pid.and_then(|pid| pid.parse().ok()) else { return 64 };
    let found: BTreeSet<PathBuf> = tree::descendants(pid).into_iter().flat_map(open_by).collect();
    let bytes: Vec<u8> =
        found.iter().flat_map(|path| [path.as_os_str().as_bytes(), b"\0"].concat()).collect();
    u8::from(std::io::stdout().write_all(&bytes).is_err())
}

/// Reads what the command printed.
pub fn parse(printed: &str) -> Vec<PathBuf> {
    printed.split_terminator('\0').map(PathBuf::from).collect()
}

/// The SQLite files that one process has open, under the names that they were opened by.
fn open_by(pid: i32) -> Vec<PathBuf> {
    // A file that is gone is under another name.
    proc::open_files(pid)
        .into_iter()
        .map(|file| file.path)
        .filter(|path| path.is_absolute() && is_database(path))
        .collect()
}

fn is_database(path: &Path) -> bool {
    open::beginning(path, MAGIC.len()).is_ok_and(|start| start == MAGIC)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_databases_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let (database, text) = (dir.path().join("app.db"), dir.path().join("notes"));
        fs::write(&database, [&MAGIC[..], &[0; 84]].concat()).unwrap();
        fs::write(&text, "SQLite format 3, they say").unwrap();
        let open = [&database, &text].map(|path| fs::File::open(path).unwrap());
        let (database, own) = (database.canonicalize().unwrap(), std::process::id().cast_signed());
        assert!(open_by(own).contains(&database));
        assert!(!open_by(own).contains(&text.canonicalize().unwrap()));
        drop(open);
        assert!(!open_by(own).contains(&database));
        assert_eq!(parse("/a b\0/c\0"), [PathBuf::from("/a b"), PathBuf::from("/c")]);
        assert!(parse("").is_empty());
    }
}
