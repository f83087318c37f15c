//! Starting a child of this process that somebody else reaps ([`super::reap`]).

use std::ffi::OsString;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use super::user::Identity;
use super::{fd, limit, signal};

/// How a child is started.
#[derive(Default)]
pub struct Spawn<'a> {
    /// It leads a process group of its own, so that a terminal's Ctrl-C does not reach it.
    pub own_group: bool,
    /// It dies with this process (`PR_SET_PDEATHSIG`): for what has nothing to save.
    pub dies_with_parent: bool,
    /// Descriptors that it gets under their own numbers.
    pub inherit: Vec<RawFd>,
    /// Who it runs as.
    pub user: Option<&'a Identity>,
    /// Variables that it does not get.
    pub without_env: &'a [&'a str],
    /// Variables that it gets beside this process's own, or instead.
    pub with_env: &'a [(&'a str, &'a str)],
    /// The whole environment that it gets instead of this process's own.
    pub only_env: Option<&'a [(OsString, OsString)]>,
    /// Where it starts, if not where this process is.
    pub cwd: Option<&'a Path>,
}

/// A child that runs, and the ends of its pipes.
pub struct Spawned {
    /// Its number, until it is reaped.
    pub pid: i32,
    /// What it writes to its standard output.
    pub stdout: OwnedFd,
    /// What it writes to its standard error.
    pub stderr: OwnedFd,
}

impl Spawn<'_> {
    /// Starts a program with `/dev/null` as its input and a pipe for each output, which it can go on
    /// writing to when this process is dead.
    ///
    /// Call this from the process's first thread: `PR_SET_PDEATHSIG` belongs to the thread that
    /// forked (`prctl(2)`).
    ///
    /// # Errors
    /// What the operating system says.
    pub fn start(&self, program: &Path, args: &[OsString]) -> io::Result<Spawned> {
        let (stdout, its_stdout) = fd::unbreakable_pipe()?;
        let (stderr, its_stderr) = fd::unbreakable_pipe()?;
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(its_stdout).stderr(its_stderr);
        if let Some(env) = self.only_env {
            command.env_clear().envs(env.iter().map(|(name, value)| (name, value)));
        }
        if let Some(cwd) = self.cwd {
            command.current_dir(cwd);
        }
        for name in self.without_env {
            command.env_remove(name);
        }
        command.envs(self.with_env.iter().copied());
        let (own_group, dies) = (self.own_group, self.dies_with_parent);
        let (inherit, user) = (self.inherit.clone(), self.user.cloned());
        let parent = nix::unistd::getpid();
        let prepare = move || {
            if own_group {
                nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0))?;
            }
            if let Some(user) = &user {
                user.become_it()?;
            }
            if dies {
                nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
                if nix::unistd::getppid() != parent {
                    return Err(io::Error::from_raw_os_error(nix::libc::ESRCH));
                }
            }
            for number in &inherit {
                fd::inherit(*number)?;
            }
            limit::restore_open_files();
            signal::reset_for_exec(signal::Numbers::default());
            Ok(())
        };
        // SAFETY: this process has one thread, so nothing can hold a lock at the fork; what runs
        // between fork and exec is system calls on values made before.
        unsafe { command.pre_exec(prepare) };
        let child = command.spawn()?;
        Ok(Spawned { pid: child.id() as i32, stdout, stderr })
    }
}

/// Makes this process inherit the orphans among its descendants (`PR_SET_CHILD_SUBREAPER` in
/// `prctl(2)`), as PID 1 does by nature.
///
/// # Errors
/// What the operating system says.
pub fn adopt_orphans() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}
