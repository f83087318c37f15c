//! What a configuration is read against.

use std::path::Path;

/// The environment.
pub(in crate::config) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What a configuration is read against.
#[derive(Clone, Copy)]
pub struct LoadOptions<'a> {
    /// Leave `$VAR` and `${VAR}` in the text alone.
    pub no_expand_env: bool,
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The working directory that relative paths are below.
    pub cwd: &'a Path,
    /// The home that `~` means. Litestream asks the user database for it and not `$HOME`.
    pub home: Option<&'a Path>,
    /// What `$PID` becomes.
    pub pid: u32,
}
