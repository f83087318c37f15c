//! What a lost database left behind, put where nobody takes it for the new one's.

use std::io;
use std::path::{Path, PathBuf};

use crate::litestream::database::{Database, with_suffix};
use crate::os::place::{self, Folder};

/// Moves away the sidecars and Litestream's metadata folder of a database that is not there: SQLite
/// would replay a stale `-wal` into the restored file. Nothing is deleted; the new names are returned.
pub(super) fn move_remains(db: &Database) -> io::Result<Vec<PathBuf>> {
    move_all(db.sidecars().into_iter().chain([db.meta.clone()]))
}

/// Moves away the database itself as well.
pub(super) fn move_whole(db: &Database) -> io::Result<Vec<PathBuf>> {
    let mut moved = move_all([db.path.clone()].into_iter())?;
    moved.extend(move_remains(db)?);
    Ok(moved)
}

/// Moves away Litestream's metadata folder alone.
pub(super) fn move_metadata(db: &Database) -> io::Result<Vec<PathBuf>> {
    move_all([db.meta.clone()].into_iter())
}

fn move_all(paths: impl Iterator<Item = PathBuf>) -> io::Result<Vec<PathBuf>> {
    let suffix = format!(".{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ"));
    let mut moved = Vec::new();
    for path in paths {
        let aside = with_suffix(&path, &suffix);
        let rename = || {
            let (folder, name) = Folder::of(&path)?;
            folder.rename(name, aside.file_name().unwrap_or_default())
        };
        match place::theirs(rename) {
            Ok(()) => moved.push(aside),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(moved)
}

/// Removes what a restore that did not end left of its output.
pub(super) fn remove_partial(output: &Path) {
    let remove = || {
        let (folder, name) = Folder::of(output)?;
        for found in folder.names()? {
            if found.as_encoded_bytes().starts_with(name.as_encoded_bytes()) {
                folder.remove(&found)?;
            }
        }
        Ok(())
    };
    // What cannot be removed is found, and named, by the restore that follows.
    let _ = place::theirs(remove);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn remains_are_kept_under_another_name_and_partial_output_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        let db = Database {
            meta: dir.path().join(".app.db-litestream"),
            replica: String::new(),
            replica_folder: None,
            s3: None,
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
