//! A Django project's own Python.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::cli::process::variable;
use crate::config;
use crate::detect::Question;
use crate::litestream::install::oneshot;
use crate::os::user::{self, Identity};
use crate::os::way::{self, Hand, Trusted};
use crate::os::{fd, permit, run_as};
use crate::secrets;

/// How long the settings may take to be imported.
const LIMIT: Duration = Duration::from_secs(20);

/// How much of a project is looked at before root runs its Python: one with its virtual environment has ten thousand files.
const MOST_ENTRIES: usize = 100_000;

/// Asks the project's Python: the active virtual environment's, the project's own, then the system's.
///
/// # Errors
/// Why none of them answered, or that `cancel` was set.
pub(super) fn ask(root: &Path, question: &Question, cancel: &AtomicBool) -> Result<String, String> {
    let folder = root.join(&question.folder);
    // What root runs is root's alone, down to the last module.
    if user::is_root() && permit::owner().is_none() {
        let mut left = MOST_ENTRIES;
        if let Some(why) = another_word(&folder, &mut left) {
            return Err(why);
        }
    }
    let held = permit::theirs(|| fd::open_folder(&folder)).map_err(|error| error.to_string())?;
    let mut reason = "there is no Python".to_owned();
    for python in interpreters(&folder, root) {
        let mut command = Command::new(&python);
        if let Some(why) = refused(&python) {
            reason = why;
            continue;
        }
        command.arg("-c").arg(Question::PROGRAM).current_dir(fd::path(&held));
        if let Some(owner) = permit::owner() {
            as_owner(&mut command, owner);
        }
        command.env("DJANGO_SETTINGS_MODULE", &question.settings).env("PYTHONDONTWRITEBYTECODE", "1");
        match oneshot::run(&mut command, &std::env::temp_dir(), cancel, Some(LIMIT)) {
            Ok(done) if done.status.success() => return Ok(done.stdout),
            Ok(done) => reason = last_line(&done.stderr),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            // One that its owner may not run is none of his.
            Err(error)
                if error.kind() == std::io::ErrorKind::PermissionDenied && permit::owner().is_some() => {}
            Err(error) => return Err(format!("{}: {error}", Path::new(&python).display())),
        }
    }
    Err(reason)
}

/// A project of another user is asked as that user, who gets no secret of root's to see.
fn as_owner(command: &mut Command, owner: &Identity) {
    for (name, value) in std::env::vars_os() {
        let text = value.to_str().unwrap_or_default();
        let is_secret = name.to_str().is_none_or(secrets::is_secret_name);
        if is_secret || config::secrets_of_url(text).next().is_some() {
            command.env_remove(name);
        }
    }
    command.envs(owner.variables());
    run_as::run_as(command, owner);
}

/// Why root does not run an interpreter that lies in a project or an environment of his own.
fn refused(python: &OsStr) -> Option<String> {
    let path = Path::new(python);
    if !user::is_root() || permit::owner().is_some() || !path.is_absolute() {
        return None;
    }
    let hand = way::other_hand(path, Trusted::default())?;
    Some(format!("{}: {hand} decides what root would run there", path.display()))
}

/// Finds what Python may import from a folder and another user than root can have put there.
fn another_word(folder: &Path, left: &mut usize) -> Option<String> {
    let of = |hand: Hand, path: &Path| {
        Some(format!("{}: {hand} decides what root would run there", path.display()))
    };
    if let Some(hand) = way::other_hand(&folder.join("..."), Trusted::default()) {
        return of(hand, folder);
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Some(fewer) = left.checked_sub(1) else {
            return Some("it is too large to see whose all of it is".to_owned());
        };
        *left = fewer;
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().ok()?;
        let is_passed_over = [".git", "node_modules"].iter().any(|passed| name == *passed);
        if kind.is_dir() && !is_passed_over {
            if let Some(why) = another_word(&path, left) {
                return Some(why);
            }
        } else if !kind.is_dir()
            && let Some(hand) = way::other_hand(&path, Trusted::default())
        {
            return of(hand, &path);
        }
    }
    None
}

fn interpreters(folder: &Path, root: &Path) -> Vec<OsString> {
    let active = variable("VIRTUAL_ENV").map(PathBuf::from);
    let own =
        [folder, root].into_iter().flat_map(|place| [".venv", "venv", "env"].map(|name| place.join(name)));
    let mut found: Vec<OsString> = Vec::new();
    for environment in active.into_iter().chain(own) {
        let python = environment.join("bin/python").into_os_string();
        if Path::new(&python).exists() && !found.contains(&python) {
            found.push(python);
        }
    }
    found.extend(["python3", "python"].map(OsString::from));
    found
}

/// Where Python puts the reason.
fn last_line(text: &str) -> String {
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}
