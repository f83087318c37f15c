//! A configuration that works as it is.

use serde_yaml::Value as Yaml;

use super::file::{FILES, File, databases, in_folder, words};
use crate::detect::found::Found;
use crate::detect::project::Project;
use crate::detect::{Database, Framework, Setting, path, start};

/// Reads a configuration as what was found: all that it may lack is the app's command.
pub(in crate::detect) fn read(project: &Project<'_>) -> Option<Found> {
    let file = File::nearest(project, &FILES)?;
    let yaml = file.yaml(project)?;
    let mut found = Found::new(Framework::Existing, file.name);
    for entry in databases(&yaml) {
        let text = |key: &str| entry.get(key).and_then(Yaml::as_str);
        let path = match (text("path"), text("dir")) {
            (Some(path), _) => path.to_owned(),
            (None, Some(dir)) => format!("{}/{}", dir.trim_end_matches('/'), text("pattern").unwrap_or("*")),
            (None, None) => continue,
        };
        let path = path.trim_start_matches("sqlite3://").trim_start_matches("sqlite://");
        found.written_paths.push(path.to_owned());
        let mut database = Database::new(path::stem(path), in_folder(project, &file.up, path));
        let replica = entry.get("replica").or_else(|| entry.get("replicas")?.get(0));
        if let Some(settings) = replica.and_then(Yaml::as_mapping) {
            let pairs = settings
                .iter()
                .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), Setting::of_yaml(value)?)));
            database.replica = Some(pairs.collect());
        } else if replica.is_some() {
            database.replica = Some(Vec::new());
        }
        found.databases.push(database);
    }
    if let Some(key) = yaml.get("access-key-id").and_then(Setting::of_yaml) {
        // A key at the top counts for each replica without one of its own.
        for replica in found.databases.iter_mut().filter_map(|database| database.replica.as_mut()) {
            if !replica.iter().any(|(name, _)| name == "access-key-id") {
                replica.push(("access-key-id".to_owned(), key.clone()));
            }
        }
    }
    variables(&yaml, false, &mut found.uses);
    let own = yaml.get("litekeeper").and_then(|own| own.get("app")).and_then(|app| app.get("command"));
    found.has_own_command = own.is_some() || yaml.get("exec").is_some();
    found.command = words(own.or_else(|| yaml.get("exec")))
        .unwrap_or_else(|| if found.has_own_command { Vec::new() } else { start::plain(project) });
    Some(found)
}

/// Tells whether a configuration above the project has all databases that were found in the project: its paths are
/// relative to its own folder, or to the one that it is used in.
pub(in crate::detect) fn covers(project: &Project<'_>, above: &Found, found: &Found) -> bool {
    let up = vec![".."; above.source.matches("../").count()].join("/");
    let paths: Vec<String> = above
        .written_paths
        .iter()
        .map(|path| filled(project, path))
        .flat_map(|path| [in_folder(project, &up, &path), in_folder(project, "", &path)])
        .collect();
    let mut replicated = found.databases.iter().filter(|database| database.is_replicated());
    replicated.all(|database| {
        let own = filled(project, &database.path);
        paths.iter().any(|path| names(path, &own))
    })
}

/// Fills in the variables of a path that are set here.
fn filled(project: &Project<'_>, path: &str) -> String {
    let piece = |piece: Result<&str, &str>| match piece {
        Ok(literal) => literal.to_owned(),
        Err(name) => project.variable_and_file(name).map_or_else(|| path::variable(name), |(value, _)| value),
    };
    path::pieces(path).into_iter().map(piece).collect()
}

/// Tells whether a configuration's path, in which a `*` is any name, is this database. A path that begins with a variable
/// that is not set here may be in any folder.
fn names(path: &str, own: &str) -> bool {
    let ends = match path::pieces(path).as_slice() {
        [Err(_), Ok(rest)] => rest.strip_prefix('/'),
        _ => None,
    };
    if let Some(ends) = ends {
        return own == ends || own.ends_with(&format!("/{ends}"));
    }
    match path.rsplit_once('/') {
        Some((folder, pattern)) if pattern.contains('*') => {
            own.rsplit_once('/').is_some_and(|(own, name)| own == folder && is_like(pattern, name))
        }
        _ => own == path || (path.contains('*') && !own.contains('/') && is_like(path, own)),
    }
}

/// Tells whether a name matches a pattern with `*`: its parts, one behind the other.
fn is_like(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Lists the variables of a configuration: `${NAME}` anywhere, and `{env: NAME}` without a default. `is_env`: these are the
/// app's variables by their names, one of which may be called `env`.
fn variables(yaml: &Yaml, is_env: bool, found: &mut Vec<String>) {
    let mut take = |text: &str| {
        for name in path::variables(text) {
            if !found.iter().any(|known| known == name) {
                found.push(name.to_owned());
            }
        }
    };
    match yaml {
        Yaml::String(text) => take(text),
        Yaml::Sequence(items) => items.iter().for_each(|item| variables(item, false, found)),
        Yaml::Mapping(entries) => {
            let named = entries.get("env").and_then(Yaml::as_str).filter(|name| path::is_name(name));
            if let Some(name) = named.filter(|_| !is_env && entries.get("default").is_none()) {
                take(&path::variable(name));
            }
            for (key, value) in entries {
                variables(key, false, found);
                variables(value, key.as_str() == Some("env"), found);
            }
        }
        Yaml::Tagged(tagged) => variables(&tagged.value, is_env, found),
        Yaml::Null | Yaml::Bool(_) | Yaml::Number(_) => {}
    }
}
