//! Which backups there are below a place, whose databases may be missing here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::helper::TRIAL;
use crate::litestream::ltx;
use crate::os::permit;

/// A backup, by the path of its database below the folder of databases.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Found {
    /// That path.
    pub below: PathBuf,
    /// Its newest transaction; none where only a backup of 0.3 is, which counts otherwise.
    pub newest: Option<u64>,
}

/// The backups below a folder: each is a folder with `ltx` in it, or `generations` of 0.3.
///
/// # Errors
/// What the operating system says; a folder that is not there has none.
pub fn in_folder(base: &Path) -> io::Result<Vec<Found>> {
    permit::theirs(|| look(base))
}

fn look(base: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        let entries = match fs::read_dir(base.join(&below)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        let mut formats = (false, false);
        for entry in entries {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                continue;
            }
            match entry.file_name().to_str() {
                Some("ltx") => formats.0 = true,
                Some("generations") => formats.1 = true,
                Some(name) if name.starts_with(TRIAL) => {}
                Some(_) | None => folders.push(below.join(entry.file_name())),
            }
        }
        let newest = if formats.0 { newest(&base.join(&below).join("ltx"))? } else { None };
        if newest.is_some() || formats.1 {
            found.push(Found { below, newest });
        }
    }
    found.sort_unstable_by(|one, other| one.below.cmp(&other.below));
    Ok(found)
}

/// Whether it is what was written to a replica on trial, and nobody's backup.
pub fn is_trial(below: &Path) -> bool {
    below.iter().any(|part| part.to_str().is_some_and(|part| part.starts_with(TRIAL)))
}

/// The newest transaction of all levels.
fn newest(ltx: &Path) -> io::Result<Option<u64>> {
    let mut newest = None;
    for level in fs::read_dir(ltx)? {
        for file in fs::read_dir(level?.path()).into_iter().flatten() {
            newest = newest.max(file?.file_name().to_str().and_then(max_txid));
        }
    }
    Ok(newest)
}

/// `0000000000000001-000000000000000a.ltx` (`ltx.FormatFilename`).
pub fn max_txid(name: &str) -> Option<u64> {
    ltx::span(name).map(|span| *span.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_are_found_at_any_depth_and_in_both_formats() {
        let root = tempfile::tempdir().unwrap();
        assert!(in_folder(&root.path().join("nowhere")).unwrap().is_empty());
        for file in [
            "a.db/ltx/0/0000000000000001-0000000000000001.ltx",
            "a.db/ltx/1/0000000000000002-000000000000000b.ltx",
            "a.db/ltx/0/x.tmp",
            "x/b.db/ltx/9/0000000000000001-0000000000000003.ltx",
            "old.db/generations/0123456789abcdef/snapshots/00000000.snapshot.lz4",
            "other/file",
            "a.db/.litekeeper-check-start/ltx/0/0000000000000001-0000000000000001.ltx",
        ] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::create_dir_all(root.path().join("empty.db/ltx/0")).unwrap();
        assert!(is_trial(Path::new("a/.litekeeper-check-start")) && !is_trial(Path::new("a/.litekeeper")));
        let found = |below: &str, newest| Found { below: below.into(), newest };
        assert_eq!(
            in_folder(root.path()).unwrap(),
            [found("a.db", Some(11)), found("old.db", None), found("x/b.db", Some(3))]
        );
    }
}
