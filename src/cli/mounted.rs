//! Variables that are mounted instead of set: `NAME_FILE` names a file with the value of a secret NAME, as the images of
//! Docker take them, and the files of `--env-file` have several.
//!
//! Whoever looks NAME up gets that value, and so does Litestream, in its environment: it stands in no file, and the app does
//! not get it by `NAME_FILE`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::process;
use crate::config::{self, KEY_VARIABLES};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::secrets;

/// Where a backup is; some of it may be secret, and all of it is deployed together.
const PLACES: &[&str] = &[
    "LITEKEEPER_REPLICA",
    "LITESTREAM_REPLICA_BUCKET",
    "LITESTREAM_REPLICA_PATH",
    "LITESTREAM_REPLICA_REGION",
    "LITESTREAM_REPLICA_ENDPOINT",
];

#[derive(Default)]
struct Mounted {
    /// What the files of variables say.
    files: BTreeMap<String, String>,
    /// What was looked up, and what was found here.
    seen: BTreeMap<String, Option<String>>,
    /// Files that are named and cannot be read.
    wrong: Vec<String>,
}

static MOUNTED: Mutex<Mounted> =
    Mutex::new(Mounted { files: BTreeMap::new(), seen: BTreeMap::new(), wrong: Vec::new() });

fn mounted() -> MutexGuard<'static, Mounted> {
    MOUNTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on these are variables as well, where they are not set.
pub(super) fn add(files: impl IntoIterator<Item = (String, String)>) {
    let mut mounted = mounted();
    mounted.seen.clear();
    for (name, value) in files {
        mounted.files.insert(name, value);
    }
}

/// The value of a variable that is not set itself.
pub(super) fn variable(name: &str) -> Option<String> {
    let mut mounted = mounted();
    if let Some(seen) = mounted.seen.get(name) {
        return seen.clone();
    }
    let value = match file_of(name).map(|path| (config::read_file(&path), path)) {
        Some((Ok(value), _)) => Some(value),
        Some((Err(reason), path)) => {
            mounted.wrong.push(format!("{name}_FILE names {path}, which {reason}"));
            None
        }
        None => mounted.files.get(name).filter(|value| !value.is_empty()).cloned(),
    };
    mounted.seen.insert(name.to_owned(), value.clone());
    value
}

/// The value of a variable, set or mounted, if it is a text.
pub(super) fn text_variable(name: &str) -> Option<String> {
    process::variable(name).and_then(|value| value.into_string().ok()).or_else(|| variable(name))
}

/// Says whether a variable was looked up, and a file had its value.
pub(super) fn is_used(name: &str) -> bool {
    mounted().seen.get(name).is_some_and(Option::is_some)
}

/// Of a secret only: other variables end in `_FILE` as well, and mean something else (`LITESTREAM_CONFIG_FILE`).
fn file_of(name: &str) -> Option<String> {
    process::variable(&format!("{name}_FILE")).filter(|_| may_be_in_file(name))?.into_string().ok()
}

/// Whether the file that `NAME_FILE` names is read for a variable.
pub(super) fn may_be_in_file(name: &str) -> bool {
    let is_known = KEY_VARIABLES.iter().any(|(known, _)| *known == name) || PLACES.contains(&name);
    is_known || secrets::is_secret_name(name) || name.ends_with("_URL")
}

/// What Litestream needs of it in its environment.
pub(super) fn for_litestream() -> Vec<(String, String)> {
    for (name, _) in KEY_VARIABLES {
        if process::variable(name).is_none() {
            variable(name);
        }
    }
    let seen = mounted().seen.clone();
    seen.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// # Errors
/// Each file that is named by a variable and cannot be read.
pub(super) fn check() -> Result<(), Failure> {
    for_litestream();
    let wrong = mounted().wrong.clone();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::lines(ExitCode::CONFIG, wrong).hint("mount the secret there, or take the variable out"))
}
