//! A Litestream that is not the keeper's on the same database: an entrypoint script, a service manager, another
//! container that shares its processes. Two of them take each other's files away, and neither's backup is whole.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::os::locks;
use crate::os::permit;
use crate::os::proc;

use super::database::with_suffix;

/// One that is not this keeper's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its process.
    pub pid: i32,
    /// What it was started with, as far as it says where it came from: no secrets are in these.
    pub program: String,
}

/// The Litestreams that replicate anything here and are not children of this process.
#[derive(Debug, Default)]
pub struct Others {
    found: Vec<Candidate>,
}

#[derive(Debug)]
struct Candidate {
    other: Other,
    /// The files that it has open or locked, by device and inode.
    open: HashSet<(u64, u64)>,
    /// The same by their paths.
    paths: Vec<PathBuf>,
}

impl Others {
    /// Returns those that run just now. Where the process of another user shows no files, its locks tell.
    pub fn now() -> Self {
        let own = std::process::id().cast_signed();
        let mut found = Vec::new();
        for pid in proc::all() {
            let Some(words) = proc::words(pid).filter(|words| replicates(words)) else { continue };
            // Whatever this keeper runs for itself; the app's processes are below its shim.
            if pid == own || is_run_by(own, pid) || !proc::is_alive(pid) {
                continue;
            }
            let (open, paths) = files_of(pid);
            let program = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
            found.push(Candidate { other: Other { pid, program }, open, paths });
        }
        Self { found }
    }

    /// Says whether there is none at all, as nearly always.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns one that has this database, or its metadata folder, open.
    pub fn on(&self, path: &Path, meta: &Path) -> Option<&Other> {
        if self.is_empty() {
            return None;
        }
        let files = [path.to_owned(), with_suffix(path, "-wal"), with_suffix(path, "-shm")];
        let files: Vec<(u64, u64)> = files
            .iter()
            .filter_map(|path| permit::theirs(|| Ok(proc::identity(path))).ok().flatten())
            .collect();
        let meta = permit::theirs(|| meta.canonicalize()).unwrap_or_else(|_| meta.to_owned());
        let has = |candidate: &&Candidate| {
            files.iter().any(|file| candidate.has(*file))
                || candidate.paths.iter().any(|open| open.starts_with(&meta))
        };
        self.found.iter().find(has).map(|candidate| &candidate.other)
    }
}

/// Says whether this keeper runs it for itself, by a script as well: between the keeper and the app's processes there
/// is the shim.
fn is_run_by(own: i32, pid: i32) -> bool {
    let is_shim =
        |pid: &i32| proc::words(*pid).is_some_and(|words| words.iter().any(|word| word == "__shim"));
    let above = std::iter::successors(proc::parent(pid), |pid| proc::parent(*pid).filter(|above| *above > 0));
    above.take_while(|pid| !is_shim(pid)).take(64).any(|pid| pid == own)
}

impl Candidate {
    /// Says whether it has a file open that was looked at after it: what it had before may be deleted by now, and a new file
    /// gets the number of such a one (`inode(7)`).
    fn has(&self, file: (u64, u64)) -> bool {
        self.open.contains(&file) && files_of(self.other.pid).0.contains(&file)
    }
}

/// Returns the files that a process has open or locked, by device and inode, and the paths of those that are open.
fn files_of(pid: i32) -> (HashSet<(u64, u64)>, Vec<PathBuf>) {
    let files = proc::open_files(pid);
    let open = files.iter().map(|file| file.id).chain(locks::of(pid)).collect();
    (open, files.into_iter().map(|file| file.path).collect())
}

/// Says whether these words are `litestream replicate`, by whatever path and name: a script's own name stands in front
/// where it is run by one.
pub fn replicates(words: &[std::ffi::OsString]) -> bool {
    let name = |word: &std::ffi::OsString| {
        Path::new(word).file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"litestream"))
    };
    let Some(place) = words.iter().take(3).position(|word| word == "replicate") else { return false };
    // As the first argument nobody else has it; behind an interpreter or a loader it counts with the name.
    place == 1 || words[..place].iter().any(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_a_file_that_was_closed_meanwhile_is_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let file = std::fs::File::create(&path).unwrap();
        let pid = std::process::id().cast_signed();
        let (open, paths) = files_of(pid);
        let other = Other { pid, program: "litestream".into() };
        let others = Others { found: vec![Candidate { other: other.clone(), open, paths }] };
        let meta = folder.path().join(".app.db-litestream");
        assert_eq!(others.on(&path, &meta), Some(&other));
        drop(file);
        assert_eq!(others.on(&path, &meta), None);
    }

    #[test]
    fn what_replicates_is_told_by_its_words() {
        let is = |words: &[&str]| replicates(&words.iter().map(Into::into).collect::<Vec<_>>());
        for words in [
            &["litestream", "replicate"][..],
            &["/opt/bin/litestream-0.5", "replicate", "-config", "x"],
            &["replicator", "replicate"],
            &["/lib/ld.so", "/bin/litestream", "replicate"],
        ] {
            assert!(is(words), "{words:?}");
        }
        for words in [
            &["litestream", "restore", "-o", "replicate"][..],
            &["litestream", "version"],
            &["sh", "-c", "litestream replicate"],
            &["grep", "-r", "replicate"],
            &["litestream"],
            &[],
        ] {
            assert!(!is(words), "{words:?}");
        }
    }
}
