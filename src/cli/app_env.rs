//! The environment of the app: the keeper's own, less what is hidden, plus what files and the
//! configuration add. Litestream gets none of it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::layers::Layers;
use super::process::variable;
use crate::config::{AppVariable, Config, KeeperSection, variable_of_alias, variable_of_database};
use crate::core::ExitCode;
use crate::dotenv::{self, MAX_BYTES};
use crate::error::Failure;
use crate::litestream::install;
use crate::os::open;
use crate::os::user::Identity;
use crate::vfs::library;

/// The URL of a replica that may be read, for the app; its alias is put behind it.
const REPLICA: &str = "LITEKEEPER_VFS";

/// Puts the app's environment together: `inherited`, less what `hide_env` names, then what the files
/// add to it (a later file over an earlier one), then where the `databases` are, then `app.env` over all.
///
/// # Errors
/// Every file that cannot be read, and every line of theirs that is wrong.
pub(super) fn environment(
    inherited: Vec<(OsString, OsString)>,
    layers: &Layers,
    variables: &[AppVariable],
    databases: &[(OsString, OsString)],
    cwd: &Path,
) -> Result<Vec<(OsString, OsString)>, Failure> {
    let hidden = &layers.args.hide_env;
    let is_hidden = |name: &OsStr| hidden.iter().any(|glob| matches(glob.as_bytes(), name.as_bytes()));
    let from_files = from_files(layers, cwd, &inherited)?;
    let mut env = inherited;
    let set: Vec<OsString> = env.iter().map(|(name, _)| name.clone()).collect();
    for (name, value) in from_files {
        if !set.iter().any(|known| *known == *name) {
            put(&mut env, name.into(), value.into());
        }
    }
    env.retain(|(name, _)| !is_hidden(name));
    for (name, path) in databases {
        put(&mut env, name.clone(), path.clone());
    }
    for variable in variables {
        put(&mut env, variable.name.clone().into(), variable.value.clone().into());
    }
    Ok(env)
}

/// The variables that tell the app where its databases are, so that one place names each path: the first one's,
/// and that of each alias.
pub(super) fn databases(config: &Config) -> Vec<(OsString, OsString)> {
    let mut found: Vec<(OsString, OsString)> = Vec::new();
    if let Some(first) = config.databases().first() {
        found.push((variable_of_database(None).into(), first.path.clone().into()));
    }
    for (alias, path) in config.aliases() {
        found.push((variable_of_database(Some(&alias)).into(), path.into()));
    }
    // A path that no variable can hold is refused elsewhere.
    found.retain(|(_, path)| !path.as_bytes().contains(&0));
    found
}

/// The variables that tell the app where replicas are that it may read, and with which extension of SQLite: a URL, which may
/// hold a password, is for the app alone.
pub(super) fn replicas(
    section: &KeeperSection,
    cwd: &Path,
    user: Option<&Identity>,
) -> Vec<(OsString, OsString)> {
    let urls = section.replicas().iter();
    let mut found: Vec<(OsString, OsString)> = urls
        .map(|one| (format!("{REPLICA}_{}", variable_of_alias(&one.alias)).into(), one.url.clone().into()))
        .collect();
    if found.is_empty() {
        return found;
    }
    match extension(None, cwd, user) {
        Ok(library) => found.push((library::VARIABLE.into(), library.into())),
        Err(error) => tracing::warn!("the app gets no {}: {error}; {}", library::VARIABLE, error.hint()),
    }
    found
}

/// Finds the extension for what runs as this user; `named` is the file that an option names.
///
/// # Errors
/// There is none, or not one to be loaded.
pub(super) fn extension(
    named: Option<&Path>,
    cwd: &Path,
    user: Option<&Identity>,
) -> Result<PathBuf, library::Error> {
    let option = named.map(|path| ("--vfs-library".to_owned(), path.to_owned()));
    let set = || Some((library::VARIABLE.to_owned(), variable(library::VARIABLE)?.into()));
    let folder = install::default_dir(variable).ok();
    library::find(option.or_else(set), cwd, folder, user.map(|user| user.uid))
}

fn put(env: &mut Vec<(OsString, OsString)>, name: OsString, value: OsString) {
    env.retain(|(known, _)| *known != name);
    env.push((name, value));
}

/// What the files of variables say, in their order.
///
/// # Errors
/// Every file that cannot be read, and every line of theirs that is wrong.
pub(super) fn from_files(
    layers: &Layers,
    cwd: &Path,
    inherited: &[(OsString, OsString)],
) -> Result<dotenv::Variables, Failure> {
    let env = |name: &str| {
        let (_, value) = inherited.iter().find(|(known, _)| known == name)?;
        value.to_str().map(str::to_owned)
    };
    let (mut found, mut wrong, mut total, mut is_unread) = (Vec::new(), Vec::new(), 0, false);
    for file in &layers.args.env_file {
        let name = file.display();
        match text(&cwd.join(file)) {
            Err(reason) => {
                is_unread = true;
                wrong.push(format!("{}: the file of variables `{name}` {reason}", layers.origin("env_file")))
            }
            Ok(text) => match dotenv::parse(&text, &env) {
                Ok(variables) => {
                    total += text.len() + variables.iter().map(|(_, value)| value.len()).sum::<usize>();
                    found.extend(variables);
                    // One file may be named ten thousand times.
                    if total > 2 * MAX_BYTES {
                        wrong.push(format!(
                            "{}: the files of variables come to more than {} bytes",
                            layers.origin("env_file"),
                            2 * MAX_BYTES
                        ));
                        break;
                    }
                }
                Err(lines) => {
                    wrong.extend(lines.iter().map(|(line, reason)| format!("{name}:{line}: {reason}")))
                }
            },
        }
    }
    if wrong.is_empty() {
        return Ok(found);
    }
    Err(Failure::lines(ExitCode::CONFIG, wrong).hint(if is_unread {
        "a file that is named has to be there, as text: correct its path, or leave it out"
    } else {
        "a line is NAME=value; quotes may hold several lines, and # begins a comment"
    }))
}

fn text(path: &Path) -> Result<String, String> {
    let bytes = open::value(path, MAX_BYTES).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() > MAX_BYTES {
        return Err(format!("is larger than {MAX_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

/// Whether a name is what `glob` says, whose `*` is any part of it.
fn matches(glob: &[u8], name: &[u8]) -> bool {
    let (mut at, mut place) = (0, 0);
    // The last star, and where what it stands for ends as far as is known. An earlier one never has to
    // be tried again.
    let mut star = None;
    while place < name.len() {
        match glob.get(at) {
            Some(b'*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(byte) if *byte == name[place] => (at, place) = (at + 1, place + 1),
            Some(_) | None => {
                let Some((last, end)) = star else { return false };
                star = Some((last, end + 1));
                (at, place) = (last + 1, end + 1);
            }
        }
    }
    glob[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_part_of_a_name() {
        for (glob, name, expected) in [
            ("A", "A", true),
            ("A", "AB", false),
            ("A*", "A", true),
            ("A*", "ABC", true),
            ("*_KEY", "AWS_KEY", true),
            ("*_KEY", "AWS_KEY_ID", false),
            ("L*_*_ID", "LITESTREAM_ACCESS_KEY_ID", true),
            ("*", "anything", true),
            ("", "A", false),
            ("**", "", true),
            ("A*B*", "AXBABC", true),
            ("A*B", "ABAB", true),
            ("A*B", "ABABC", false),
            // Each of these stars could stand for any part: 10^20 ways.
            ("*A*A*A*A*A*A*A*A*A*A*A*A*A*A*A*A*A*A*A*AX", &"A".repeat(200), false),
        ] {
            assert_eq!(matches(glob.as_bytes(), name.as_bytes()), expected, "{glob} {name}");
        }
    }
}
