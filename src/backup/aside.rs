//! What a lost database left behind, put where nobody takes it for the new one's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::litestream::database::{Database, with_suffix};

/// Moves away the sidecars and Litestream's metadata folder of a database that is not there: SQLite
/// would replay a stale `-wal` into the restored file. Nothing is deleted; the new names are returned.
pub(super) fn move_remains(db: &Database) -> io::Result<Vec<PathBuf>> {
    let remains = db.sidecars().into_iter().chain([db.meta.clone()]);
    move_all(remains.filter(|path| path.symlink_metadata().is_ok()))
}

/// Moves away the database itself as well.
pub(super) fn move_whole(db: &Database) -> io::Result<Vec<PathBuf>> {
    let mut moved = move_all([db.path.clone()].into_iter())?;
    moved.extend(move_remains(db)?);
    Ok(moved)
}

fn move_all(paths: impl Iterator<Item = PathBuf>) -> io::Result<Vec<PathBuf>> {
    let suffix = format!(".{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ"));
    paths
        .map(|path| {
            let aside = with_suffix(&path, &suffix);
            fs::rename(&path, &aside)?;
            Ok(aside)
        })
        .collect()
}

/// Removes what a restore that did not end left of its output.
pub(super) fn remove_partial(output: &Path) {
    let (Some(folder), Some(name)) = (output.parent(), output.file_name()) else { return };
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let found = entry.file_name();
        if found.as_encoded_bytes().starts_with(name.as_encoded_bytes()) {
            // What cannot be removed is found, and named, by the restore that follows.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remains_are_kept_under_another_name_and_partial_output_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        let db = Database {
            meta: dir.path().join(".app.db-litestream"),
            replica: String::new(),
            replica_folder: None,
            path: path.clone(),
        };
        fs::write(dir.path().join("app.db-wal"), "stale").unwrap();
        fs::create_dir(&db.meta).unwrap();
        let moved = move_remains(&db).unwrap();
        assert_eq!(moved.len(), 2);
        assert_eq!(fs::read_to_string(&moved[0]).unwrap(), "stale");
        assert!(!dir.path().join("app.db-wal").exists() && !db.meta.exists());

        let output = db.hidden("-litekeeper-restore");
        for suffix in ["", ".tmp", ".tmp-wal"] {
            fs::write(with_suffix(&output, suffix), "half").unwrap();
        }
        remove_partial(&output);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "only what was moved aside is left");
    }
}
