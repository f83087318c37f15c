//! Finding Litestream.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::core::ExitCode;

/// Names the binary itself.
pub const BINARY_PATH: &str = "LITESTREAM_BINARY_PATH";
/// Names the folder that it is in.
pub const INSTALL_DIR: &str = "LITESTREAM_INSTALL_DIR";

/// Why there is no binary to run.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The variable names something that cannot be executed.
    #[error("{variable}: `{}` is not an executable file", path.display())]
    NotExecutable {
        /// The variable.
        variable: &'static str,
        /// What it names.
        path: PathBuf,
    },
    /// It is nowhere.
    #[error(
        "litestream was not found: neither {BINARY_PATH} nor {INSTALL_DIR} is set, and it is not in PATH"
    )]
    NotFound,
}

impl Error {
    /// The next step.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotExecutable { .. } => "correct the variable, or unset it to use the one in PATH",
            Self::NotFound => "`litekeeper install` gets it",
        }
    }

    /// The exit code.
    pub fn exit(&self) -> ExitCode {
        match self {
            Self::NotExecutable { .. } | Self::NotFound => ExitCode::CONFIG,
        }
    }
}

/// Finds the binary: the two variables, then `PATH`, then the copy that `litekeeper install` made.
///
/// # Errors
/// A variable that is set counts: what it names must be there.
pub fn find(
    variable: &dyn Fn(&str) -> Option<OsString>,
    cwd: &Path,
    installed: Option<PathBuf>,
) -> Result<PathBuf, Error> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(|value| cwd.join(value));
    let named = |name: &'static str, path: PathBuf| match which::which_in(&path, None::<OsString>, cwd) {
        Ok(path) => Ok(path),
        Err(_) => Err(Error::NotExecutable { variable: name, path }),
    };
    if let Some(path) = set(BINARY_PATH) {
        return named(BINARY_PATH, path);
    }
    if let Some(dir) = set(INSTALL_DIR) {
        return named(INSTALL_DIR, dir.join("litestream"));
    }
    which::which_in("litestream", variable("PATH"), cwd).ok().or(installed).ok_or(Error::NotFound)
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
        find(&variable, Path::new("/"), installed)
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
    fn a_variable_that_names_nothing_executable_is_an_error() {
        let dir = folder_with_binary(0o644);
        let error = find_with(&[(INSTALL_DIR, dir.path())], None).unwrap_err();
        assert!(error.to_string().contains(INSTALL_DIR), "{error}");
    }
}
