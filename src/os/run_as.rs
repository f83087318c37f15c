//! A command of somebody else's, run as that user before a keeper begins.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::unistd::{Pid, getpgrp, setpgid, setsid};

use super::user::Identity;

/// Has a command run as a user, and in a session of its own: whoever has a terminal can type into it.
pub fn run_as(command: &mut Command, user: &Identity) {
    let user = user.clone();
    let group = getpgrp();
    let become_it = move || {
        // Who leads a group makes no session (setsid(2)).
        setpgid(Pid::from_raw(0), group)?;
        setsid()?;
        user.become_it()?;
        Ok(())
    };
    // SAFETY: it makes system calls and nothing else; its user's groups were looked up before.
    unsafe { command.pre_exec(become_it) };
}
