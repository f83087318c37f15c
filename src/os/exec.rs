//! Becoming another program.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::ptr;

use nix::errno::Errno;
use nix::libc;

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

/// A command with all that `execve(2)` needs, made before a fork: becoming it allocates nothing.
pub struct Image {
    /// Where the program may be, in order.
    paths: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    /// A further variable: its name, `=`, and room for a number.
    own_number: Option<Vec<u8>>,
    /// Room for the pointers to all that.
    argv_at: Vec<*const libc::c_char>,
    env_at: Vec<*const libc::c_char>,
}

/// Room for the digits of a process number and the zero behind them.
const NUMBER: usize = 21;

impl Image {
    /// The program is looked for in the *command's* `PATH`, as a shell would: `EACCES` counts only when
    /// no later folder has it, and text without a `#!` line is given to `sh` (`execvp(3)`), but no program of
    /// another machine, of which a shell would say that it has a syntax error.
    ///
    /// `own_number_in` names a variable that gets the number of the process that becomes it.
    ///
    /// # Errors
    /// `EINVAL` when something of it holds a zero byte.
    pub fn new(command: &Command, own_number_in: Option<&OsStr>) -> io::Result<Self> {
        let text = |bytes: &OsStr| CString::new(bytes.as_bytes()).map_err(|_| Errno::EINVAL);
        let program = command.argv.first().map(OsString::as_os_str).unwrap_or_default();
        let paths =
            candidates(program, &command.env).iter().map(|path| text(path)).collect::<Result<_, _>>()?;
        let argv: Vec<_> = command.argv.iter().map(|arg| text(arg)).collect::<Result<_, _>>()?;
        let env: Vec<_> =
            command.env.iter().map(|(key, value)| variable(key, value)).collect::<Result<_, _>>()?;
        let own_number = own_number_in.map(|name| {
            let mut text = [name.as_bytes(), b"="].concat();
            text.resize(text.len() + NUMBER, 0);
            text
        });
        let (argv_at, env_at) = (Vec::with_capacity(argv.len() + 3), Vec::with_capacity(env.len() + 2));
        Ok(Self { paths, argv, env, own_number, argv_at, env_at })
    }

    /// Replaces this process; returns only with the reason why not. System calls and nothing else: it runs
    /// between a fork and an exec.
    pub fn become_it(&mut self) -> Errno {
        self.env_at.clear();
        self.env_at.extend(self.env.iter().map(|text| text.as_ptr()));
        if let Some(text) = &mut self.own_number {
            write_number(text, std::process::id());
            self.env_at.push(text.as_ptr().cast());
        }
        self.env_at.push(ptr::null());
        let mut denied = false;
        for path in &self.paths {
            self.argv_at.clear();
            self.argv_at.extend(self.argv.iter().map(|text| text.as_ptr()));
            self.argv_at.push(ptr::null());
            match execve(path, &self.argv_at, &self.env_at) {
                Errno::ENOENT | Errno::ENOTDIR => {}
                Errno::EACCES => denied = true,
                Errno::ENOEXEC if super::program_file::is_for_a_shell(path) => {
                    self.argv_at.clear();
                    self.argv_at.extend([c"sh".as_ptr(), path.as_ptr()]);
                    self.argv_at.extend(self.argv.iter().skip(1).map(|text| text.as_ptr()));
                    self.argv_at.push(ptr::null());
                    return execve(c"/bin/sh", &self.argv_at, &self.env_at);
                }
                error => return error,
            }
        }
        if denied { Errno::EACCES } else { Errno::ENOENT }
    }
}

fn execve(path: &CStr, argv: &[*const libc::c_char], env: &[*const libc::c_char]) -> Errno {
    // SAFETY: both lists end with a null pointer, and what they point to are strings of the `Image` that the caller
    // borrows, or constants. It returns only when it failed (execve(2)).
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    Errno::last()
}

/// Writes the digits over the room at the end of a text, and a zero behind them.
fn write_number(text: &mut [u8], number: u32) {
    let mut at = text.len() - NUMBER;
    let mut power = 1;
    while number / power >= 10 {
        power *= 10;
    }
    while power > 0 {
        text[at] = b'0' + (number / power % 10) as u8;
        at += 1;
        power /= 10;
    }
    text[at] = 0;
}

/// Replaces this process; returns only with the reason why not.
pub fn execute(command: &Command) -> io::Error {
    match Image::new(command, None) {
        Ok(mut image) => image.become_it().into(),
        Err(error) => error,
    }
}

fn variable(key: &OsStr, value: &OsStr) -> Result<CString, Errno> {
    CString::new([key.as_bytes(), b"=", value.as_bytes()].concat()).map_err(|_| Errno::EINVAL)
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

    #[test]
    fn a_number_is_written_into_its_room() {
        for number in [1, 9, 10, 4242, u32::MAX] {
            let mut text = [b"PID=".as_slice(), &[b'x'; NUMBER]].concat();
            write_number(&mut text, number);
            let written = CStr::from_bytes_until_nul(&text).unwrap();
            assert_eq!(written.to_str().unwrap(), format!("PID={number}"));
        }
    }
}
