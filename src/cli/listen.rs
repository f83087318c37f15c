//! Sockets that a service manager passes (`sd_listen_fds(3)`).

use std::os::fd::OwnedFd;

use super::mounted::text_variable;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::os::fd;
use crate::shim::{LISTEN_FDS, LISTEN_PID};

/// The most sockets that a service manager passes.
const MOST_SOCKETS: u16 = 1024;

/// What `LISTEN_FDS` of `sd_listen_fds(3)` counts, if it is meant for this process.
pub(super) fn listen_fds() -> Result<Vec<OwnedFd>, Failure> {
    let for_us = text_variable(LISTEN_PID).and_then(|pid| pid.parse().ok()) == Some(std::process::id());
    let Some(said) = text_variable(LISTEN_FDS).filter(|_| for_us) else { return Ok(Vec::new()) };
    let wrong = |what: String| {
        Failure::new(ExitCode::CONFIG, format!("{LISTEN_FDS} is `{said}`, but {what}")).hint(format!(
            "whoever sets {LISTEN_PID} and {LISTEN_FDS} passes that many sockets, from descriptor 3 on"
        ))
    };
    let count = said.parse().ok().filter(|count| *count <= MOST_SOCKETS);
    let count = count.ok_or_else(|| wrong(format!("must be a whole number between 0 and {MOST_SOCKETS}")))?;
    fd::listen_fds(count).map_err(|missing| wrong(format!("descriptor {missing} was not passed")))
}
