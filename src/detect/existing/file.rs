//! A configuration of Litestream's, in the project or above it.

use serde_yaml::Value as Yaml;

use crate::detect::path;
use crate::detect::project::Project;

/// Where a configuration is looked for, in each folder.
pub const FILES: [&str; 3] = ["litestream.yml", "config/litestream.yml", "etc/litestream.yml"];

/// The nearest configuration.
pub(super) struct File {
    /// Its path from the project.
    pub name: String,
    /// The way up to the folder that it was found from, such as `../..`; empty for the project's own.
    pub up: String,
    text: String,
}

impl File {
    /// Finds the first of these files in the nearest folder that has one.
    pub fn nearest(project: &Project<'_>, files: &[&str]) -> Option<Self> {
        project.upwards().into_iter().find_map(|up| {
            let names: Vec<String> = files.iter().map(|file| path::join(or_here(&up), file)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let (name, text) = project.first_text(&names)?;
            Some(Self { name, up, text })
        })
    }

    /// Reads it, with its variables marked.
    pub fn yaml(&self, project: &Project<'_>) -> Option<Yaml> {
        project.yaml(&self.name, &path::with_variables(&self.text))
    }
}

fn or_here(up: &str) -> &str {
    if up.is_empty() { "." } else { up }
}

/// Lists the entries of `dbs`.
pub(super) fn databases(yaml: &Yaml) -> impl Iterator<Item = &Yaml> {
    yaml.get("dbs").and_then(Yaml::as_sequence).into_iter().flatten()
}

/// Writes a path of a configuration in the folder `up` as the tree has it.
pub(super) fn in_folder(project: &Project<'_>, up: &str, path: &str) -> String {
    if path::begins_with_variable(path) || path.starts_with('~') {
        return path.to_owned();
    }
    project.relative(&path::join(or_here(up), path))
}

/// Splits a command, in either form; a line that only a shell can read has no words.
pub(super) fn words(value: Option<&Yaml>) -> Option<Vec<String>> {
    match value? {
        Yaml::String(line) if !line.contains(['&', ';', '|', '<', '>', '`', '(']) => shlex::split(line),
        Yaml::Sequence(words) => words.iter().map(|word| word.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
    .filter(|words| !words.is_empty())
}

/// Notes that a configuration above the project is for other databases.
pub(in crate::detect) fn of_others(file: &str, paths: &[String]) -> String {
    const MOST: usize = 3;
    let mut shown: Vec<String> = paths.iter().take(MOST).map(|path| path::shown(path)).collect();
    let more = paths.len().saturating_sub(MOST);
    shown.extend((more > 0).then(|| format!("{more} more")));
    format!("{file} is for other databases ({}), and was not used", shown.join(", "))
}
