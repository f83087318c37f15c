//! Finding the extension.

use std::path::{Path, PathBuf};

use crate::litestream::install;
use crate::os::way::{self, Hand, Trusted};

/// Names its file.
pub const VARIABLE: &str = "LITEKEEPER_VFS_LIBRARY";

/// Why there is none to load.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// What names it names no file.
    #[error("{by}: `{}` is no file", path.display())]
    NoFile {
        /// The variable or the option.
        by: String,
        /// What it names.
        path: PathBuf,
    },
    /// It is not there.
    #[error("litestream's extension of SQLite (VFS) was not found")]
    NotFound,
    /// It was found and not named, and another user decides what stands there.
    #[error("litestream's extension was found at `{}`, not named, and {hand} can put there what root would load", path.display())]
    OfAnother {
        /// Where.
        path: PathBuf,
        /// Who.
        hand: Hand,
    },
}

impl Error {
    /// Returns the next step.
    pub fn hint(&self) -> String {
        match self {
            Self::NoFile { .. } => "correct it, or leave it out to use the one that is installed".to_owned(),
            Self::NotFound => format!(
                "`litekeeper install --vfs` gets it; or name its file with --vfs-library or {VARIABLE}"
            ),
            Self::OfAnother { path, .. } => format!(
                "if it is meant, name it: --vfs-library {}; else `litekeeper install --vfs --dir DIR` gets one into a folder of root's",
                path.display()
            ),
        }
    }
}

/// Finds it: where `named` says (by whom, and the file), else in the folder that Litestream is installed to. Root loads none that
/// another user could replace, but for the one that it is loaded as, unless the file itself is named.
///
/// # Errors
/// There is none, or not one to be loaded.
pub fn find(
    named: Option<(String, PathBuf)>,
    cwd: &Path,
    installed: Option<PathBuf>,
    runs_as: Option<u32>,
) -> Result<PathBuf, Error> {
    if let Some((by, path)) = named {
        let path = cwd.join(path);
        return if path.is_file() { Ok(path) } else { Err(Error::NoFile { by, path }) };
    }
    let path = installed.map(|folder| folder.join(install::LIBRARY)).filter(|path| path.is_file());
    let path = path.ok_or(Error::NotFound)?;
    let trusted = Trusted { user: runs_as, ..Trusted::default() };
    match way::leads_root(&path, trusted) {
        Some(hand) => Err(Error::OfAnother { path, hand }),
        None => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_names_a_file_means_that_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("own.so");
        let find = |name: &str| {
            let named = (!name.is_empty()).then(|| ("--vfs-library".to_owned(), PathBuf::from(name)));
            super::find(named, folder.path(), Some(folder.path().to_owned()), None)
        };
        assert_eq!(find(""), Err(Error::NotFound));
        assert!(matches!(find("own.so"), Err(Error::NoFile { .. })));
        std::fs::write(&file, "").expect("ours");
        assert_eq!(find("own.so"), Ok(file.clone()));
        assert_eq!(find(""), Err(Error::NotFound), "another name");
        assert_eq!(super::find(None, folder.path(), None, None), Err(Error::NotFound));
    }
}
