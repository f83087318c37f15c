//! A Django project's own Python.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::cli::settings::variable;
use crate::detect::Question;
use crate::litestream::install::oneshot;

/// How long the settings may take to be imported.
const LIMIT: Duration = Duration::from_secs(20);

/// Asks the project's Python: the active virtual environment's, the project's own, then the system's.
///
/// # Errors
/// Why none of them answered, or that `cancel` was set.
pub(super) fn ask(root: &Path, question: &Question, cancel: &AtomicBool) -> Result<String, String> {
    let folder = root.join(&question.folder);
    let mut reason = "there is no Python".to_owned();
    for python in interpreters(&folder, root) {
        let mut command = Command::new(&python);
        command.arg("-c").arg(Question::PROGRAM).current_dir(&folder);
        command.env("DJANGO_SETTINGS_MODULE", &question.settings).env("PYTHONDONTWRITEBYTECODE", "1");
        match oneshot::run(&mut command, &std::env::temp_dir(), cancel, Some(LIMIT)) {
            Ok(done) if done.status.success() => return Ok(done.stdout),
            Ok(done) => reason = last_line(&done.stderr),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{}: {error}", Path::new(&python).display())),
        }
    }
    Err(reason)
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
