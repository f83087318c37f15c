//! Why a program could not be started. The kernel has one number for it, which may be about the program, about what
//! the program's first line names, or about what it was built for (`execve(2)`): the files tell which.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::libc;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, faccessat};

use super::exec::{self, Command};
use super::permit;
use super::program_file::{Head, Kind, interpreter, is_text, kind};

/// What kept a program from being started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unstarted {
    /// The program: its whole path, where there is such a file, else as it was called.
    pub program: PathBuf,
    /// There is such a file, or it did not come to looking for one.
    pub found: bool,
    /// What is wrong, with the kernel's own words.
    pub why: String,
}

impl fmt::Display for Unstarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.program.display(), self.why)
    }
}

/// Finds out why a command could not be executed in a folder, or in this process's own, where the kernel said `error`.
///
/// Whoever the databases belong to decides what lies there, so it is looked at with that user's rights.
pub fn explain(command: &Command, cwd: Option<&Path>, error: &io::Error) -> Unstarted {
    let own = || std::env::current_dir().unwrap_or_else(|_| ".".into());
    let cwd = cwd.map_or_else(own, Path::to_owned);
    permit::theirs(|| Ok(look(command, &cwd, error))).unwrap_or_else(|denied| {
        let program = command.argv.first().cloned().unwrap_or_default().into();
        Unstarted { program, found: true, why: format!("{error} ({denied})") }
    })
}

/// What is certain to keep a command from being started in a folder, or in this process's own, as far as the files tell
/// before it is tried; `None` where only trying tells.
pub fn beforehand(command: &Command, cwd: Option<&Path>) -> Option<Unstarted> {
    let cwd = cwd.map_or_else(|| std::env::current_dir().ok(), |cwd| Some(cwd.to_owned()))?;
    permit::theirs(|| Ok(foresee(command, &cwd))).ok().flatten()
}

fn foresee(command: &Command, cwd: &Path) -> Option<Unstarted> {
    let word = command.argv.first().map(OsString::as_os_str).unwrap_or_default();
    let mut errno = libc::ENOENT;
    for path in exec::candidates(word, &command.env).iter().map(|path| whole(cwd, path)) {
        let found = match fs::metadata(&path) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => continue,
            // Who may not look there knows nothing.
            Err(_) => return None,
            Ok(found) => found,
        };
        let may = faccessat(AT_FDCWD, &path, AccessFlags::X_OK, AtFlags::AT_EACCESS);
        if !found.is_file() || may == Err(Errno::EACCES) {
            errno = libc::EACCES;
        } else if not_for_this_machine(&path).is_some() || lacks(&path).is_none() {
            // What the kernel says of a program for another machine only the kernel knows.
            return None;
        } else {
            // The search ends with it, or goes on in vain: that is as the program's own is that it names.
            errno = libc::ENOENT;
            break;
        }
    }
    Some(look(command, cwd, &io::Error::from_raw_os_error(errno)))
}

fn look(command: &Command, cwd: &Path, error: &io::Error) -> Unstarted {
    let word = command.argv.first().map(OsString::as_os_str).unwrap_or_default();
    let by_path = word.as_bytes().contains(&b'/');
    if !fs::metadata(cwd).is_ok_and(|found| found.is_dir()) && (!by_path || Path::new(word).is_relative()) {
        return Unstarted {
            program: word.into(),
            found: true,
            why: format!("its folder {}: {error}", cwd.display()),
        };
    }
    let there = |path: &PathBuf| fs::symlink_metadata(path).is_ok();
    let file = |path: &PathBuf| fs::metadata(path).is_ok_and(|found| found.is_file());
    let candidates = exec::candidates(word, &command.env);
    let mut all: Vec<PathBuf> = candidates.iter().map(|path| whole(cwd, path)).filter(there).collect();
    let best = all.iter().position(file).unwrap_or(0);
    if !all.is_empty() {
        let program = all.swap_remove(best);
        let why = match what_is_wrong(&program, error) {
            Some(what) => format!("{what}: {error}"),
            None => error.to_string(),
        };
        return Unstarted { program, found: true, why };
    }
    let path = command.env.iter().find(|(name, _)| name == "PATH");
    let why = match (error.raw_os_error(), path) {
        (Some(libc::ENOENT), _) if word.is_empty() => "an empty word is no command".to_owned(),
        (Some(libc::ENOENT), _) if is_a_line(command) => format!(
            "this is one word, and no program is called so: leave out the quotes around it, or write `sh -c` in \
             front of it: {error}"
        ),
        (Some(libc::ENOENT), Some((_, path))) if !by_path => {
            format!("in no folder of PATH ({}): {error}", path.display())
        }
        (Some(libc::ENOENT), None) if !by_path => format!("there is no PATH: {error}"),
        (Some(libc::EACCES), Some((_, path))) if !by_path => {
            format!("in no folder of PATH ({}) that this user may search: {error}", path.display())
        }
        (_, _) => error.to_string(),
    };
    // What cannot be looked for may be there.
    let found = !matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR));
    Unstarted { program: if by_path { whole(cwd, word) } else { word.into() }, found, why }
}

/// A path from the root on, as people write it: without the `./` of a command.
fn whole(cwd: &Path, path: &OsStr) -> PathBuf {
    cwd.join(path).components().collect()
}

/// A whole line in one word, as the quotes of a shell or of a list in JSON make it.
fn is_a_line(command: &Command) -> bool {
    matches!(command.argv.as_slice(), [word] if word.as_bytes().trim_ascii().contains(&b' '))
}

/// The same as an error whose words do not repeat the program, which was called by its path.
pub fn error(program: &Path, error: io::Error) -> io::Error {
    if error.raw_os_error().is_none() {
        return error;
    }
    let command = Command { argv: vec![program.into()], env: Vec::new() };
    io::Error::new(error.kind(), explain(&command, Some(Path::new("/")), &error).why)
}

/// What the file itself says about it; `None` where it says nothing.
fn what_is_wrong(program: &Path, error: &io::Error) -> Option<String> {
    let found = match fs::metadata(program) {
        Ok(found) => found,
        Err(_) => {
            let to = fs::read_link(program).ok()?;
            return Some(format!("a link to {}, which is not there", to.display()));
        }
    };
    match error.raw_os_error()? {
        libc::EACCES => denied(program, &found),
        libc::ENOENT | libc::ENOTDIR => lacks(program),
        libc::ENOEXEC => foreign(program, &found),
        libc::E2BIG => {
            Some("its arguments and its environment are more than the kernel passes on".to_owned())
        }
        libc::EAGAIN => Some("this user has as many processes as it may have (`ulimit -u`)".to_owned()),
        libc::ETXTBSY => Some("somebody has it open for writing".to_owned()),
        _ => None,
    }
}

fn denied(program: &Path, found: &Metadata) -> Option<String> {
    let kind = found.file_type();
    if kind.is_dir() {
        return Some("a folder, and no program".to_owned());
    }
    if !kind.is_file() {
        let what = if kind.is_socket() {
            "socket"
        } else if kind.is_fifo() {
            "pipe"
        } else {
            "device"
        };
        return Some(format!("a {what}, and no program"));
    }
    if found.mode() & 0o111 == 0 {
        return Some(format!(
            "no executable file (mode {:04o}; `chmod +x` makes it one)",
            found.mode() & 0o7777
        ));
    }
    if is_noexec(program) {
        return Some("on a file system that is mounted with `noexec`".to_owned());
    }
    let head = Head::of(program)?;
    let interpreter = Path::new(interpreter(&head.bytes)?);
    let shown = interpreter.display();
    match fs::metadata(interpreter) {
        Ok(found) if found.is_dir() => Some(format!("its interpreter {shown} is a folder")),
        Ok(found) if found.mode() & 0o111 == 0 => {
            Some(format!("its interpreter {shown} is no executable file"))
        }
        Ok(_) if is_noexec(interpreter) => {
            Some(format!("its interpreter {shown} is on a file system that is mounted with `noexec`"))
        }
        Ok(_) | Err(_) => None,
    }
}

fn is_noexec(path: &Path) -> bool {
    statvfs(path).is_ok_and(|found| found.flags().contains(FsFlags::ST_NOEXEC))
}

/// The file is there, so it is what it names that is not.
fn lacks(program: &Path) -> Option<String> {
    let head = Head::of(program)?;
    if let Some(interpreter) = interpreter(&head.bytes) {
        let plain = OsStr::from_bytes(interpreter.as_bytes().trim_ascii_end()).display();
        return is_missing(interpreter).then(|| {
            if interpreter.as_bytes().ends_with(b"\r") {
                format!(
                    "its first line ends with a carriage return, as Windows ends lines, so its interpreter is \
                     `{plain}\\r`, which is not there (`sed -i 's/\\r$//'` mends the file)"
                )
            } else {
                format!("its interpreter {plain} is not there")
            }
        });
    }
    match head.loader() {
        Some(loader) => is_missing(&loader).then(|| {
            let shown = loader.display();
            format!("its loader {shown} is not there: it was built for another C library (glibc, musl)")
        }),
        None if is_text(&head.bytes) => is_missing("/bin/sh".as_ref())
            .then(|| "a script without a `#!` line, and there is no /bin/sh".to_owned()),
        None => None,
    }
}

fn is_missing(path: &OsStr) -> bool {
    fs::metadata(path).is_err()
}

fn foreign(program: &Path, found: &Metadata) -> Option<String> {
    if found.len() == 0 {
        return Some("an empty file".to_owned());
    }
    let head = Head::of(program)?;
    Some(match interpreter(&head.bytes) {
        Some(interpreter) => {
            let kind = Head::of(Path::new(interpreter)).map(|head| built_for(&head));
            let kind = kind.unwrap_or_else(|| "no program".to_owned());
            format!("its interpreter {} is {kind}", interpreter.display())
        }
        None => built_for(&head),
    })
}

fn built_for(head: &Head) -> String {
    let own = std::env::consts::ARCH;
    match (kind(&head.bytes), head.machine()) {
        (Kind::Elf, Some(machine)) if machine != own => {
            format!("built for {machine}, and this machine is {own}")
        }
        (Kind::Elf, Some(_)) => "a program that this kernel cannot load, or only a part of one".to_owned(),
        (Kind::Elf, None) => format!("built for another machine than this one ({own})"),
        (Kind::MacOs, _) => "a program for macOS".to_owned(),
        (Kind::Windows, _) => "a program for Windows".to_owned(),
        (Kind::Archive, _) => "an archive, and no program".to_owned(),
        (Kind::Other, _) => "neither a program nor a script".to_owned(),
    }
}

/// What a program was built for, if not for this machine: a shell may have been given it all the same.
pub fn not_for_this_machine(program: &Path) -> Option<String> {
    let head = permit::theirs(|| Ok(Head::of(program))).ok()??;
    let is_own = head.machine() == Some(std::env::consts::ARCH);
    match kind(&head.bytes) {
        Kind::Elf if is_own => None,
        Kind::Elf | Kind::MacOs | Kind::Windows | Kind::Archive => Some(built_for(&head)),
        Kind::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(program: &str, path: Option<&Path>) -> Command {
        let env = path.map(|path| ("PATH".into(), path.into())).into_iter().collect();
        Command { argv: vec![program.into()], env }
    }

    fn told(name: &str, bytes: &[u8], errno: i32) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = io::Error::from_raw_os_error(errno);
        let told = explain(&command(name, Some(folder.path())), Some(Path::new("/")), &error);
        assert!(told.found);
        assert_eq!(told.program, path);
        assert!(told.why.ends_with(&error.to_string()), "{told}");
        told.why
    }

    fn elf(machine: u8, loader: Option<&str>) -> Vec<u8> {
        let mut bytes = vec![0; 120];
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        bytes[18] = machine;
        (bytes[32], bytes[54], bytes[56]) = (64, 56, 1);
        if let Some(loader) = loader {
            (bytes[64], bytes[72], bytes[96]) = (3, 120, loader.len() as u8 + 1);
            bytes.extend(loader.bytes());
            bytes.push(0);
        }
        bytes
    }

    #[test]
    fn what_a_file_names_and_is_not_there_is_named() {
        assert!(
            told("a", b"#!/no/such/sh -e\n", libc::ENOENT)
                .contains("its interpreter /no/such/sh is not there")
        );
        let text = told("a", b"#!/bin/sh\r\necho\r\n", libc::ENOENT);
        assert!(text.contains("carriage return") && text.contains("`/bin/sh\\r`"), "{text}");
        let text = told("a", &elf(62, Some("/lib/ld-musl-x86_64.so.1")), libc::ENOENT);
        assert!(text.contains("its loader /lib/ld-musl-x86_64.so.1 is not there"), "{text}");
    }

    #[test]
    fn what_a_file_was_built_for_is_named() {
        let other = if cfg!(target_arch = "x86_64") { (183, "aarch64") } else { (62, "x86_64") };
        let text = told("a", &elf(other.0, None), libc::ENOEXEC);
        assert!(text.contains(&format!("built for {}, and this machine is", other.1)), "{text}");
        assert!(told("a", &[0xcf, 0xfa, 0xed, 0xfe, 7], libc::ENOEXEC).contains("macOS"));
        assert!(told("a", b"MZ\x90\0", libc::ENOEXEC).contains("Windows"));
        assert!(
            told("a", b"#!/etc/passwd\n", libc::ENOEXEC).contains("its interpreter /etc/passwd is neither")
        );
        assert!(told("a", b"", libc::ENOEXEC).contains("an empty file"));
    }

    #[test]
    fn what_may_not_be_executed_is_told_from_what_cannot() {
        assert!(told("a", b"#!/bin/sh\n", libc::EACCES).contains("no executable file (mode 0"));
        let error = io::Error::from_raw_os_error(libc::EACCES);
        assert!(
            explain(&command("/etc", None), Some(Path::new("/")), &error)
                .why
                .starts_with("a folder, and no program")
        );
        // Of a folder that is closed nobody knows what is in it.
        let told = explain(&command("no-such", Some(Path::new("/x:/y"))), Some(Path::new("/")), &error);
        assert!(told.found && told.why.starts_with("in no folder of PATH (/x:/y) that this user"), "{told}");
        let late = io::Error::new(io::ErrorKind::TimedOut, "late");
        let told = explain(&command("./etc", None), Some(Path::new("/")), &late);
        assert_eq!(told.to_string(), "/etc: late");
        let error = io::Error::from_raw_os_error(libc::ENOENT);
        let told = explain(&command("no-such", Some(Path::new("/x:/y"))), Some(Path::new("/")), &error);
        assert!(!told.found);
        assert_eq!(told.to_string(), format!("no-such: in no folder of PATH (/x:/y): {error}"));
        let told = explain(&command("bin/no-such", None), Some(Path::new("/etc")), &error);
        assert_eq!(told.to_string(), format!("/etc/bin/no-such: {error}"));
        let told = explain(&command("no-such", None), Some(Path::new("/no/such")), &error);
        assert!(told.found && told.why.starts_with("its folder /no/such"), "{told}");
    }

    #[test]
    fn a_header_that_lies_is_only_not_understood() {
        let mut bytes = elf(62, Some("/x"));
        for at in 0..bytes.len() {
            let was = std::mem::replace(&mut bytes[at], 0xff);
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("a"), &bytes).unwrap();
            for errno in [libc::ENOENT, libc::ENOEXEC] {
                let error = io::Error::from_raw_os_error(errno);
                assert!(explain(&command("./a", None), Some(folder.path()), &error).found);
            }
            bytes[at] = was;
        }
    }
}
