//! Becoming another program.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;

/// A command as the app gets it: any bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
}

impl Command {
    /// A command from the bytes that travelled.
    pub fn from_bytes(argv: Vec<Vec<u8>>, env: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        let text = OsString::from_vec;
        Self {
            argv: argv.into_iter().map(text).collect(),
            env: env.into_iter().map(|(key, value)| (text(key), text(value))).collect(),
        }
    }
}

/// Replaces this process; returns only with the reason why not.
///
/// The program is looked for in the *command's* `PATH`, as a shell would: `EACCES` counts only when
/// no later folder has it, and text without a `#!` line is given to `sh` (`execvp(3)`), but no program of
/// another machine, of which a shell would say that it has a syntax error.
pub fn execute(command: &Command) -> io::Error {
    let Some(program) = command.argv.first() else { return Errno::ENOENT.into() };
    let argv: Result<Vec<CString>, _> = command.argv.iter().map(|arg| CString::new(arg.as_bytes())).collect();
    let env: Result<Vec<CString>, _> = command.env.iter().map(|(key, value)| variable(key, value)).collect();
    let (Ok(argv), Ok(env)) = (argv, env) else { return Errno::EINVAL.into() };
    let mut denied = false;
    for candidate in candidates(program, &command.env) {
        let Ok(path) = CString::new(candidate.as_bytes()) else { return Errno::EINVAL.into() };
        match nix::unistd::execve(&path, &argv, &env) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(Errno::EACCES) => denied = true,
            Err(Errno::ENOEXEC) if super::unstarted::is_for_a_shell(&path) => {
                return as_script(path, &argv, &env).into();
            }
            Err(error) => return error.into(),
        }
    }
    if denied { Errno::EACCES.into() } else { Errno::ENOENT.into() }
}

fn as_script(path: CString, argv: &[CString], env: &[CString]) -> Errno {
    let mut with_shell = vec![c"sh".to_owned(), path];
    with_shell.extend(argv.iter().skip(1).cloned());
    match nix::unistd::execve(c"/bin/sh", &with_shell, env) {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

fn variable(key: &OsStr, value: &OsStr) -> Result<CString, std::ffi::NulError> {
    let mut text = key.as_bytes().to_vec();
    text.push(b'=');
    text.extend_from_slice(value.as_bytes());
    CString::new(text)
}

/// Where a program is looked for, in this order.
pub(super) fn candidates(program: &OsStr, env: &[(OsString, OsString)]) -> Vec<OsString> {
    if program.is_empty() {
        return Vec::new();
    }
    if program.as_bytes().contains(&b'/') {
        return vec![program.to_owned()];
    }
    let path = env.iter().find(|(key, _)| key == "PATH").map(|(_, value)| value.as_os_str());
    // confstr(3): what the C library takes when there is no PATH.
    let path = path.unwrap_or(OsStr::new("/bin:/usr/bin"));
    std::env::split_paths(path)
        .map(|dir| {
            let dir = if dir.as_os_str().is_empty() { ".".into() } else { dir };
            OsString::from_vec(dir.join(program).into_os_string().into_vec())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(program: &str) -> Option<i32> {
        let command =
            Command { argv: vec![program.into()], env: vec![("PATH".into(), "/nonexistent:/etc".into())] };
        execute(&command).raw_os_error()
    }

    #[test]
    fn what_is_not_there_and_what_cannot_be_executed_are_told_apart() {
        assert_eq!(error_of("litekeeper-no-such-program"), Some(nix::libc::ENOENT));
        assert_eq!(error_of(""), Some(nix::libc::ENOENT));
        assert_eq!(error_of("/etc/passwd"), Some(nix::libc::EACCES));
        assert_eq!(error_of("passwd"), Some(nix::libc::EACCES), "found in PATH, but not executable");
        assert_eq!(error_of("/etc"), Some(nix::libc::EACCES));
    }
}
