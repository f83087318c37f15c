//! Finding Litestream.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::core::ExitCode;
use crate::os::way::{self, Hand, Trusted};

/// Names the binary itself.
pub const BINARY_PATH: &str = "LITESTREAM_BINARY_PATH";
/// Names the folder that it is in.
pub const INSTALL_DIR: &str = "LITESTREAM_INSTALL_DIR";

/// Why there is no binary to run.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// What names it names something that cannot be executed.
    #[error("{by}: `{}` is not an executable file", path.display())]
    NotExecutable {
        /// The variable, the option, or the place in the configuration.
        by: String,
        /// What it names.
        path: PathBuf,
    },
    /// It is nowhere.
    #[error(
        "litestream was not found: neither {BINARY_PATH} nor {INSTALL_DIR} is set, and it is not in PATH"
    )]
    NotFound,
    /// It was found and not named, and another user decides what stands there.
    #[error("litestream was found at `{}`, not named, and {hand} can put there what root would run", path.display())]
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
            Self::NotExecutable { .. } => "correct it, or leave it out to use the one in PATH".to_owned(),
            Self::NotFound => "`litekeeper install` gets it".to_owned(),
            Self::OfAnother { path, .. } => format!(
                "if it is meant, name it: --litestream-binary {0} or {BINARY_PATH}={0}; else `litekeeper install --dir DIR` \
                 gets one into a folder of root's",
                path.display()
            ),
        }
    }

    /// Returns the exit code.
    pub fn exit(&self) -> ExitCode {
        match self {
            Self::NotExecutable { .. } | Self::NotFound | Self::OfAnother { .. } => ExitCode::CONFIG,
        }
    }
}

/// Where the binary is said to be by something else than the two variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// By what outweighs the variables: who says so, and the file.
    pub first: Option<(String, PathBuf)>,
    /// By what the variables outweigh.
    pub last: Option<(String, PathBuf)>,
    /// The configuration that says so was found and not named.
    pub is_last_found: bool,
}

impl Named {
    /// Returns who names the binary, and the file; none if it is to be looked for.
    pub fn winner(self, variable: &dyn Fn(&str) -> Option<OsString>) -> Option<(String, PathBuf)> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let file = || set(BINARY_PATH).map(|path| (BINARY_PATH.to_owned(), path));
        let folder = || set(INSTALL_DIR).map(|dir| (INSTALL_DIR.to_owned(), dir.join("litestream")));
        self.first.or_else(file).or_else(folder).or(self.last)
    }
}

/// Finds the binary: as it is named, with the two variables in between, then [in `PATH`](in_path), then the
/// copy that `litekeeper install` made. Root runs none that another user could replace, but for the one that it is run as,
/// unless the file itself is named.
///
/// # Errors
/// Whatever names it counts: what it names must be there.
pub fn find(
    named: Named,
    variable: &dyn Fn(&str) -> Option<OsString>,
    cwd: &Path,
    installed: Option<PathBuf>,
    runs_as: Option<u32>,
) -> Result<PathBuf, Error> {
    let (is_first, is_last_found) = (named.first.is_some(), named.is_last_found);
    let winner = named.winner(variable);
    let is_named = match &winner {
        Some((by, _)) => is_first || by == BINARY_PATH || by != INSTALL_DIR && !is_last_found,
        None => false,
    };
    let path = match winner {
        Some((by, path)) => {
            let path = cwd.join(path);
            which::which_in(&path, None::<OsString>, cwd).map_err(|_| Error::NotExecutable { by, path })?
        }
        None => in_path(variable).or(installed).ok_or(Error::NotFound)?,
    };
    let trusted = Trusted { user: runs_as, ..Trusted::default() };
    match way::leads_root(&path, trusted).filter(|_| !is_named) {
        Some(hand) => Err(Error::OfAnother { path, hand }),
        None => Ok(path),
    }
}

/// Returns the one in `PATH`, of which only whole paths count: an empty or relative entry is wherever this was called.
pub fn in_path(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = variable("PATH")?;
    let whole = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    which::which_in("litestream", Some(std::env::join_paths(whole).ok()?), "/").ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn folder_with_binary(mode: u32) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("litestream");
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        dir
    }

    fn find_with(vars: &[(&str, &Path)], installed: Option<PathBuf>) -> Result<PathBuf, Error> {
        let variable = |name: &str| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_os_str().to_owned())
        };
        find(Named::default(), &variable, Path::new("/"), installed, None)
    }

    #[test]
    fn the_file_outweighs_the_folder_the_folder_path_and_path_the_installed_copy() {
        let (a, b, c) = (folder_with_binary(0o755), folder_with_binary(0o755), folder_with_binary(0o755));
        let binary = |dir: &tempfile::TempDir| dir.path().join("litestream");
        let file = binary(&a);
        let vars = [(BINARY_PATH, file.as_path()), (INSTALL_DIR, b.path()), ("PATH", c.path())];
        let installed = Some(PathBuf::from("/installed"));
        assert_eq!(find_with(&vars, installed.clone()), Ok(binary(&a)));
        assert_eq!(find_with(&vars[1..], installed.clone()), Ok(binary(&b)));
        assert_eq!(find_with(&vars[2..], installed.clone()), Ok(binary(&c)));
        assert_eq!(find_with(&[], installed.clone()), Ok(PathBuf::from("/installed")));
        assert_eq!(find_with(&[], None), Err(Error::NotFound));
    }

    #[test]
    fn an_option_outweighs_the_variables_and_they_the_configuration() {
        let (a, b, c) = (folder_with_binary(0o755), folder_with_binary(0o755), folder_with_binary(0o755));
        let binary = |dir: &tempfile::TempDir| dir.path().join("litestream");
        let named = |dir: &tempfile::TempDir| Some((String::new(), binary(dir)));
        let set = |name: &str| (name == INSTALL_DIR).then(|| b.path().as_os_str().to_owned());
        let found = |first, last, variable: &dyn Fn(&str) -> Option<OsString>| {
            find(Named { first, last, is_last_found: false }, variable, Path::new("/"), None, None)
        };
        assert_eq!(found(named(&a), named(&c), &set), Ok(binary(&a)));
        assert_eq!(found(None, named(&c), &set), Ok(binary(&b)));
        assert_eq!(found(None, named(&c), &|_| None), Ok(binary(&c)));
    }

    #[test]
    fn where_this_was_called_is_no_part_of_path() {
        let dir = folder_with_binary(0o755);
        let relative = pathdiff(&std::env::current_dir().unwrap(), dir.path());
        assert!(relative.join("litestream").exists());
        for path in ["".into(), ":".into(), relative.clone().into_os_string()] {
            let variable = |name: &str| (name == "PATH").then(|| path.clone());
            assert_eq!(in_path(&variable), None, "{path:?}");
        }
        let both = std::env::join_paths([relative.as_path(), dir.path()]).unwrap();
        let variable = |name: &str| (name == "PATH").then(|| both.clone());
        assert_eq!(in_path(&variable), Some(dir.path().join("litestream")));
    }

    /// `to` as it is written in `from`.
    fn pathdiff(from: &Path, to: &Path) -> PathBuf {
        from.components().skip(1).map(|_| "..").collect::<PathBuf>().join(to.strip_prefix("/").unwrap())
    }

    #[test]
    fn a_variable_that_names_nothing_executable_is_an_error() {
        let dir = folder_with_binary(0o644);
        let error = find_with(&[(INSTALL_DIR, dir.path())], None).unwrap_err();
        assert!(error.to_string().contains(INSTALL_DIR), "{error}");
    }
}
