//! What this process was started with: its environment, and its folder.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::core::ExitCode;
use crate::error::Failure;

/// The whole environment, as it was at the start.
pub(super) fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

/// Looks a variable up; an empty one counts as unset.
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The current folder.
pub(super) fn current_dir() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| {
        Failure::new(ExitCode::USAGE, format!("the current folder cannot be entered: {error}"))
            .hint("start litekeeper in a folder that is there")
    })
}
