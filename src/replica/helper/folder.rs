//! Whether something can be written to a folder where a database is to be replicated from now on: tried before the place that
//! it has is given up.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use super::order::TRIAL;
use crate::litestream::ltx;
use crate::os::permit::Folder;

/// How often a folder is made anew that somebody takes away, as another trial does beside this one.
const TRIES: usize = 8;

/// Writes and removes something where Litestream puts the files of single transactions.
pub(super) fn try_to_write(replica: &Path) -> Result<(), String> {
    let folder = ltx::folder(replica);
    let mut written = write_in(&folder);
    for _ in 1..TRIES {
        match &written {
            Err(error) if error.kind() == io::ErrorKind::NotFound => written = write_in(&folder),
            Err(_) | Ok(()) => break,
        }
    }
    written.map_err(|error| format!("{} cannot be written: {error}", folder.display()))
}

fn write_in(folder: &Path) -> io::Result<()> {
    // What Litestream makes has the rights of the database's own folder, and these do not.
    let made: Vec<&Path> = folder.ancestors().take_while(|path| path.symlink_metadata().is_err()).collect();
    let write = || {
        fs::create_dir_all(folder)?;
        let (folder, name) =
            (Folder::open(folder)?, OsString::from(format!("{TRIAL}{}", std::process::id())));
        // One of this number may have been killed before it could.
        let _ = folder.remove(&name);
        let written = folder.make_file(&name)?.write_all(b"\n");
        folder.remove(&name)?;
        written
    };
    let written = write();
    for folder in made {
        if fs::remove_dir(folder).is_err() && folder.exists() {
            break;
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_leaves_no_trace() {
        let root = tempfile::tempdir().unwrap();
        let replica = root.path().join("a/b");
        try_to_write(&replica).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        fs::create_dir_all(ltx::folder(&replica)).unwrap();
        try_to_write(&replica).unwrap();
        assert_eq!(fs::read_dir(ltx::folder(&replica)).unwrap().count(), 0);
    }

    #[test]
    fn a_place_that_cannot_be_made_is_named() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        for folder in [root.path().join("file/a"), "/proc/nope/a".into()] {
            let refused = try_to_write(&folder).unwrap_err();
            assert!(refused.contains(&folder.display().to_string()), "{refused}");
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
