//! Variables that no shell has read, before anything is made of them.

use super::process::variable;
use crate::config;
use crate::env_vars;
use crate::error::Failure;
use crate::inventory;

/// Those that name a path or a URL.
const PATHS: [&str; 11] = [
    "LITEKEEPER_CONFIG",
    "LITESTREAM_CONFIG",
    "LITEKEEPER_DB",
    "LITEKEEPER_REPLICA",
    "LITEKEEPER_CWD",
    "LITEKEEPER_ENV_FILE",
    "LITEKEEPER_RESTORE_FROM",
    "LITEKEEPER_RUNTIME_DIR",
    "LITESTREAM_BINARY_PATH",
    "LITESTREAM_INSTALL_DIR",
    "LITESTREAM_SOCKET_PATH",
];

/// Read only where no configuration says it, and judged there.
const ELSEWHERE: [&str; 7] = [
    "DATABASE_URL",
    "LITESTREAM_REPLICA_URL",
    "LITESTREAM_REPLICA_BUCKET",
    "LITESTREAM_REPLICA_PATH",
    "LITESTREAM_REPLICA_REGION",
    "LITESTREAM_REPLICA_ENDPOINT",
    "VIRTUAL_ENV",
];

/// What is wrong with the variables that are read whatever the configuration says, and with the names of files that hold
/// the value of another one.
///
/// # Errors
/// Each that is in quotes, or has in its path what a shell would have expanded.
pub(super) fn look() -> Result<(), config::Error> {
    let env = |name: &str| variable(name)?.into_string().ok();
    let files: Vec<String> = env_vars::all().map(|(name, _)| format!("{name}_FILE")).collect();
    let read = [env_vars::OPTIONS, env_vars::LITESTREAM, env_vars::OTHERS].into_iter().flatten();
    let read = read
        .filter(|variable| !env_vars::is_unread(variable))
        .map(|(name, _)| *name)
        .filter(|name| !ELSEWHERE.contains(name) && !is_words(name));
    let own = read.map(|name| (name, PATHS.contains(&name)));
    config::refuse_unread(own.chain(files.iter().map(|name| (name.as_str(), true))), &env)
}

/// A command may be one word in quotes, which are taken away where it is split.
fn is_words(name: &str) -> bool {
    let is_one = |value: &str| !value.contains(char::is_whitespace);
    name == "LITEKEEPER_BEFORE" && variable(name).is_some_and(|value| value.to_str().is_none_or(is_one))
}

/// As [`look`], for what ends at it.
///
/// # Errors
/// The same.
pub(super) fn refuse() -> Result<(), Failure> {
    look().map_err(|error| inventory::failure(&error))
}

/// The same of what `init` takes a database and its replica from.
///
/// # Errors
/// The same.
pub(super) fn refuse_for_init() -> Result<(), Failure> {
    let env = |name: &str| variable(name)?.into_string().ok();
    // Not that of Python's environment.
    let names = ELSEWHERE.iter().filter(|name| **name != "VIRTUAL_ENV").map(|name| (*name, true));
    config::refuse_unread(names, &env).map_err(|error| inventory::failure(&error))
}
