//! Replicas that an older litestream.yml names, so that a backup goes on where it is.

use serde_yaml::Value as Yaml;

use super::find::Found;
use super::place;
use super::plan::Setting;
use super::project::Project;
use crate::secrets::is_secret_name;

/// Keys of 0.3 that 0.5 does not have at a replica; `age` it refuses.
const OLD: [&str; 5] =
    ["retention", "retention-check-interval", "snapshot-interval", "validation-interval", "age"];

/// Gives the databases the replicas that the first of these files has for them.
pub(super) fn carry_over(project: &Project<'_>, files: &[&str], found: &mut Found) {
    let Some((file, text)) = project.first_text(files).filter(|_| project.keep_replicas) else { return };
    let shown = project.in_tree(&file);
    let Some(yaml) = project.yaml(&file, &with_variables(&text)) else { return };
    let mut taken = 0;
    for entry in yaml.get("dbs").and_then(Yaml::as_sequence).into_iter().flatten() {
        let Some(path) = entry.get("path").and_then(Yaml::as_str) else { continue };
        let path = project.relative(&place::clean(path));
        let replicas = entry.get("replicas").and_then(Yaml::as_sequence);
        let replica = entry.get("replica").or_else(|| replicas?.first());
        // The image's own path ends with the project's.
        let same = |own: &str| own == path || (path.starts_with('/') && path.ends_with(&format!("/{own}")));
        let Some(database) = found.databases.iter_mut().find(|database| same(&database.path)) else {
            project.note(format!(
                "{shown} has {}, which is not among the databases that were found",
                place::shown(&path)
            ));
            continue;
        };
        if replicas.is_some_and(|replicas| replicas.len() > 1) {
            project.note(format!(
                "{shown} has several replicas for {}: the first was taken, Litestream 0.5 knows only one",
                database.alias
            ));
        }
        others(project, &shown, entry, &["path", "replica", "replicas"]);
        if let Some(settings) = replica.and_then(Yaml::as_mapping) {
            let pairs =
                settings.iter().filter_map(|(key, value)| Some((key.as_str()?.to_owned(), setting(value))));
            database.replica = Some(replica_of(project, &shown, pairs));
            // Somebody chose it, whatever it is.
            database.left_out = None;
            taken += 1;
        }
    }
    others(project, &shown, &yaml, &["dbs", "litekeeper"]);
    if taken > 0 {
        project.note(format!("the replicas are those of {shown}, so that their backups go on"));
    }
}

/// Says what else a mapping has.
fn others(project: &Project<'_>, shown: &str, mapping: &Yaml, known: &[&str]) {
    let keys = mapping.as_mapping().into_iter().flat_map(serde_yaml::Mapping::keys).filter_map(Yaml::as_str);
    let others: Vec<&str> = keys.filter(|key| !known.contains(key)).collect();
    if !others.is_empty() {
        project.note(format!("{shown} also has {}: write that into the file by hand", others.join(", ")));
    }
}

fn setting(value: &Yaml) -> Option<Setting> {
    match value {
        Yaml::String(text) => Some(Setting::Text(text.clone())),
        Yaml::Number(number) => Some(Setting::Plain(number.to_string())),
        Yaml::Bool(flag) => Some(Setting::Plain(flag.to_string())),
        Yaml::Null | Yaml::Sequence(_) | Yaml::Mapping(_) | Yaml::Tagged(_) => None,
    }
}

/// A replica by its settings: Litestream's spelling, no old keys, no empty ones, and no secret in plain text.
pub(super) fn replica_of(
    project: &Project<'_>,
    source: &str,
    settings: impl IntoIterator<Item = (String, Option<Setting>)>,
) -> Vec<(String, Setting)> {
    let mut replica = Vec::new();
    for (key, value) in settings {
        let key = key.replace('_', "-");
        match value {
            _ if !place::is_name(&key.replace('-', "_")) => {
                project.note(format!("{source}: a setting was left out, its name is none of Litestream's"));
            }
            _ if OLD.contains(&key.as_str()) => {
                project.note(format!(
                    "{source}: {key} was left out, Litestream 0.5 has it elsewhere or no more"
                ));
            }
            None => project.note(format!("{source}: {key} was left out, its value cannot be read here")),
            Some(Setting::Text(text)) if text.is_empty() => {}
            Some(Setting::Text(text)) if is_secret_name(&key) && place::variables(&text).next().is_none() => {
                let name = format!("LITESTREAM_{}", key.replace('-', "_").to_uppercase());
                project.note(format!(
                    "{source}: the value of {key} was not copied, put it into the variable {name}"
                ));
                replica.push((key, Setting::Text(place::variable(&name))));
            }
            Some(value) => replica.push((key, value)),
        }
    }
    replica
}

/// `$NAME` and `${NAME}` as Litestream reads them, kept as variables.
pub(super) fn with_variables(text: &str) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, behind) = match after.strip_prefix('{').and_then(|after| after.split_once('}')) {
            Some(braced) => braced,
            None => after.split_at(after.find(|c| !is_part(c)).unwrap_or(after.len())),
        };
        if place::is_name(name) {
            filled.push_str(&place::variable(name));
            rest = behind;
        } else {
            filled.push('$');
            rest = after;
        }
    }
    filled.push_str(rest);
    filled
}
