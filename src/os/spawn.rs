//! Starting a child of this process that somebody else reaps ([`super::reap`]).

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::exec::{Command, Image};
use super::fd;
use super::fork::{Birth, Born, Verdict};
use super::signal;
use super::user::Identity;

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

/// A child that is on its way, and the ends of its pipes.
pub struct Spawned {
    /// Its number, until it is reaped.
    pub pid: i32,
    /// What it writes to its standard output.
    pub stdout: OwnedFd,
    /// What it writes to its standard error.
    pub stderr: OwnedFd,
    /// Whether it becomes the program: [`super::event::became`] waits for that.
    pub verdict: Verdict,
}

impl Spawn<'_> {
    /// Starts a program with `/dev/null` as its input and a pipe for each output, which it can go on
    /// writing to when this process is dead; waits for nothing.
    ///
    /// Call this from the process's first thread: `PR_SET_PDEATHSIG` belongs to the thread that
    /// forked (`prctl(2)`).
    ///
    /// # Errors
    /// Why there is no child.
    pub fn start(&self, program: &Path, args: &[OsString]) -> io::Result<Spawned> {
        let stdin = File::open("/dev/null")?.into();
        let (stdout, its_stdout) = fd::unbreakable_pipe()?;
        let (stderr, its_stderr) = fd::unbreakable_pipe()?;
        let Born { pid, verdict } = self.start_with(program, args, vec![stdin, its_stdout, its_stderr])?;
        Ok(Spawned { pid, stdout, stderr, verdict })
    }

    /// As [`Spawn::start`], with this process's own input and outputs.
    ///
    /// # Errors
    /// Why there is no child.
    pub fn start_here(&self, program: &Path, args: &[OsString]) -> io::Result<Born> {
        self.start_with(program, args, vec![fd::copy(0)?, fd::copy(1)?, fd::copy(2)?])
    }

    fn start_with(&self, program: &Path, args: &[OsString], fds: Vec<OwnedFd>) -> io::Result<Born> {
        let argv = std::iter::once(program.as_os_str().to_owned()).chain(args.iter().cloned()).collect();
        let image = Image::new(&Command { argv, env: self.environment() }, None)?;
        let birth = Birth {
            image,
            fds,
            inherit: self.inherit.clone(),
            own_group: self.own_group,
            foreground: false,
            dies_with_parent: self.dies_with_parent,
            hears: false,
            ignored: signal::Numbers::default(),
            user: self.user.cloned(),
            cwd: self.cwd.map(|cwd| CString::new(cwd.as_os_str().as_bytes())).transpose()?,
            folder: None,
            goes_first: false,
            may_stay: false,
        };
        birth.start()
    }

    fn environment(&self) -> Vec<(OsString, OsString)> {
        let mut env: BTreeMap<OsString, OsString> = match self.only_env {
            Some(env) => env.iter().cloned().collect(),
            None => {
                let user = self.user.map(Identity::variables).into_iter().flatten();
                std::env::vars_os().chain(user.map(|(name, value)| (name.into(), value))).collect()
            }
        };
        for name in self.without_env {
            env.remove(OsStr::new(name));
        }
        env.extend(self.with_env.iter().map(|(name, value)| (name.into(), value.into())));
        env.into_iter().collect()
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
