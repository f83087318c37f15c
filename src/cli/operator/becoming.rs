//! Litestream in the place of this process: its exit code, its signals and its terminal are its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::opened::Opened;
use crate::cli::alone::Alone;
use crate::cli::mounted;
use crate::cli::process::environment;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::litestream::command::KEEPERS_OWN;
use crate::os::fd;
use crate::os::user::Identity;

/// What it looks its configuration up by, unless it is told another one; a command about a URL takes none.
const CONFIG: &str = "LITESTREAM_CONFIG";

/// Becomes it, as the user that `run` would start it as. It reads its configuration from memory, so that nothing is left behind, and the
/// secrets that this refers to are in its environment alone. `words` are told where the configuration is.
///
/// # Errors
/// It cannot be started.
pub(super) fn become_litestream(
    opened: &Opened,
    binary: PathBuf,
    (config, secrets): (&str, Vec<(String, String)>),
    words: impl FnOnce(&Path) -> Vec<OsString>,
) -> Result<ExitCode, Failure> {
    let passed = fd::memory(config.as_bytes()).and_then(fd::pass_on).map_err(|error| {
        Failure::new(ExitCode::UNAVAILABLE, format!("no memory for litestream's configuration: {error}"))
            .hint("the limits of this shell are too low (`ulimit -a`)")
    })?;
    let config = PathBuf::from(format!("/proc/self/fd/{passed}"));
    let of_user = opened.user.as_ref().map(Identity::variables).into_iter().flatten();
    let of_user = of_user.map(|(name, value)| (OsString::from(name), value));
    let own = secrets.into_iter().chain(mounted::for_litestream());
    let own = own.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let mut env = environment();
    for (name, value) in of_user.chain(own).chain([(CONFIG.into(), config.clone().into())]) {
        env.retain(|(known, _)| *known != name);
        env.push((name, value));
    }
    env.retain(|(name, _)| KEEPERS_OWN.iter().all(|own| name != own));
    let argv = std::iter::once(binary.into_os_string()).chain(words(&config)).collect();
    Alone { argv, env, cwd: None, user: opened.user.clone() }.become_it()
}
