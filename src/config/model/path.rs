//! Paths as Litestream reads them: `~`, `sqlite://`, and the rest against the working directory.

use std::path::{Component, Path, PathBuf};

use crate::config::error::Problem;
use crate::os::permit;

/// What relative paths and `~` are relative to.
#[derive(Clone, Copy)]
pub(in crate::config) struct Base<'a> {
    pub cwd: &'a Path,
    pub home: Option<&'a Path>,
}

impl Base<'_> {
    /// Returns the absolute path that Litestream makes of the value of `key` (its `expand`).
    ///
    /// Only a lone `~` and `~/` are the home; `~user` is a file name. `..` goes by the text alone.
    pub fn absolute(&self, key: &'static str, text: &str) -> Result<PathBuf, Problem> {
        let text = strip_sqlite(text);
        let Some(below) = text.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'))
        else {
            return cleaned(key, text, &self.cwd.join(text));
        };
        let home = self.home.ok_or(Problem::NoHome { key })?;
        cleaned(key, text, &home.join(below.trim_start_matches('/')))
    }
}

/// Takes `sqlite://` or `sqlite3://` off.
pub(in crate::config) fn strip_sqlite(text: &str) -> &str {
    text.strip_prefix("sqlite3://").or_else(|| text.strip_prefix("sqlite://")).unwrap_or(text)
}

/// Does what Go's `filepath.Clean` does for an absolute path: no `.`, no `..`, no doubled or final slashes; where that is the
/// same file to the system, which follows a link before it goes up.
fn cleaned(key: &'static str, text: &str, path: &Path) -> Result<PathBuf, Problem> {
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if leads_elsewhere(&cleaned) {
                    let link = cleaned.display().to_string();
                    return Err(Problem::UpFromLink { key, path: text.to_owned(), link });
                }
                cleaned.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => cleaned.push(part),
        }
    }
    Ok(cleaned)
}

/// Says whether a folder is a link to one that is in another folder. What is not there leads nowhere yet.
fn leads_elsewhere(folder: &Path) -> bool {
    let above = folder.parent().unwrap_or(Path::new("/"));
    let is_other = permit::theirs(|| {
        Ok(folder.symlink_metadata()?.is_symlink()
            && folder.canonicalize()?.parent() != Some(&above.canonicalize()?))
    });
    is_other.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_absolute_as_litestream_does() {
        let base = Base { cwd: Path::new("/srv/app"), home: Some(Path::new("/home/me")) };
        for (text, path) in [
            ("db.sqlite", "/srv/app/db.sqlite"),
            ("./a/../b//c/", "/srv/app/b/c"),
            ("/a/../../b", "/b"),
            ("~", "/home/me"),
            ("~/x", "/home/me/x"),
            ("~other/x", "/srv/app/~other/x"),
            ("sqlite:///a/b", "/a/b"),
            ("sqlite3://a/b", "/srv/app/a/b"),
            ("sqlite://~/b", "/home/me/b"),
            ("sqlite:x", "/srv/app/sqlite:x"),
        ] {
            assert_eq!(base.absolute("path", text), Ok(PathBuf::from(path)), "{text}");
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("real/deep")).unwrap();
        std::os::unix::fs::symlink("real/deep", folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("real", folder.path().join("twin")).unwrap();
        let base = Base { cwd: folder.path(), home: None };
        assert_eq!(base.absolute("path", "real/deep/../a.db"), Ok(folder.path().join("real/a.db")));
        assert_eq!(base.absolute("path", "link/a.db"), Ok(folder.path().join("link/a.db")));
        assert_eq!(base.absolute("path", "twin/../a.db"), Ok(folder.path().join("a.db")));
        for text in ["link/../a.db", "link/./../a.db", "real/../link/../../a.db"] {
            let found = base.absolute("path", text);
            assert!(matches!(found, Err(Problem::UpFromLink { key: "path", .. })), "{text}: {found:?}");
        }
        let homeless = Base { home: None, ..base };
        assert_eq!(homeless.absolute("path", "~/x"), Err(Problem::NoHome { key: "path" }));
    }
}
