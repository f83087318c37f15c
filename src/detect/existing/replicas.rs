//! The replicas of a configuration that the project has, so that a backup goes on where it is.

use serde_yaml::Value as Yaml;

use super::file::{File, databases, in_folder, of_others, words};
use crate::detect::database::Replica;
use crate::detect::found::Found;
use crate::detect::project::Project;
use crate::detect::{Setting, path};
use crate::secrets::is_secret_name;

/// Keys of 0.3 that 0.5 does not have at a replica; `age` it refuses.
const OLD: [&str; 5] =
    ["retention", "retention-check-interval", "snapshot-interval", "validation-interval", "age"];

/// Gives the databases the replicas that the first of these files has for them, in the project or above it.
pub(in crate::detect) fn carry_over(project: &Project<'_>, files: &[&str], found: &mut Found) {
    let Some(file) = File::nearest(project, files).filter(|_| project.keeps_replicas()) else { return };
    let Some(yaml) = file.yaml(project) else { return };
    let shown = project.in_tree(&file.name);
    let mut is_taken = false;
    for entry in databases(&yaml) {
        is_taken |= carry_one(project, &file, entry, found);
    }
    if !is_taken && !file.up.is_empty() {
        let paths: Vec<String> = databases(&yaml).filter_map(path_of).map(str::to_owned).collect();
        if !paths.is_empty() {
            project.note(of_others(&file.name, &paths));
        }
        return;
    }
    others(project, &shown, &yaml, &["dbs", "litekeeper", "exec"]);
    if let Some(exec) = yaml.get("exec") {
        carry_command(project, &shown, exec, found);
    }
    if is_taken {
        project.note(format!("the replicas are those of {shown}, so that their backups go on"));
        neighbours(project, &shown, found);
    }
}

fn path_of(entry: &Yaml) -> Option<&str> {
    entry.get("path").and_then(Yaml::as_str)
}

/// Gives the database of one entry its replica; tells whether it got one.
fn carry_one(project: &Project<'_>, file: &File, entry: &Yaml, found: &mut Found) -> bool {
    let Some(path) = path_of(entry) else { return false };
    let shown = project.in_tree(&file.name);
    let path = in_folder(project, &file.up, path);
    let replicas = entry.get("replicas").and_then(Yaml::as_sequence);
    let replica = entry.get("replica").or_else(|| replicas?.first());
    // The image's own path ends with the project's.
    let same = |own: &str| own == path || (path.starts_with('/') && path.ends_with(&format!("/{own}")));
    let Some(database) = found.databases.iter_mut().find(|database| same(&database.path)) else {
        // A file above the project has databases of others.
        if file.up.is_empty() {
            let path = path::shown(&path);
            project.note(format!("{shown} has {path}, which is not among the databases that were found"));
        }
        return false;
    };
    if replicas.is_some_and(|replicas| replicas.len() > 1) {
        several(project, &shown, &database.alias);
    }
    others(project, &shown, entry, &["path", "replica", "replicas"]);
    let Some(settings) = replica.and_then(Yaml::as_mapping) else { return false };
    let pairs =
        settings.iter().filter_map(|(key, value)| Some((key.as_str()?.to_owned(), Setting::of_yaml(value))));
    let mut settings = replica_of(project, &shown, pairs);
    rebase(project, &file.up, &mut settings);
    database.replica = Some(settings);
    // The project's own configuration has it, whatever its name is like.
    database.left_out = None;
    true
}

/// Notes that of several replicas one is taken.
pub(in crate::detect) fn several(project: &Project<'_>, source: &str, alias: &str) {
    project.note(format!(
        "{source} has several replicas for {alias}: the first was taken, Litestream 0.5 knows only one"
    ));
}

fn carry_command(project: &Project<'_>, shown: &str, exec: &Yaml, found: &mut Found) {
    match words(Some(exec)).filter(|words| !words.iter().any(|word| path::has_variable(word))) {
        Some(words) => {
            found.command = words;
            found.has_own_command = true;
            project.note(format!("the command is `exec` of {shown}"));
        }
        None => project.note(format!(
            "`exec` of {shown} needs a shell: write it into litekeeper.app.command, as in [sh, -c, '…']"
        )),
    }
}

/// Rewrites a relative folder of backups for the project's folder.
fn rebase(project: &Project<'_>, up: &str, settings: &mut [(String, Setting)]) {
    let is_folder = !settings
        .iter()
        .any(|(key, value)| key == "url" || (key == "type" && *value != Setting::Text("file".to_owned())));
    for (key, value) in settings.iter_mut().filter(|_| is_folder && !up.is_empty()) {
        if let (true, Setting::Text(path)) = (key == "path", value) {
            let whole = in_folder(project, up, path);
            *path =
                if path::is_outside(&whole) || whole.starts_with('~') { whole } else { format!("./{whole}") };
        }
    }
}

/// Gives the databases that the file lacks a replica beside the others: the same bucket and keys, a path of its own.
fn neighbours(project: &Project<'_>, shown: &str, found: &mut Found) {
    let Some(like) = found.databases.iter().find_map(|database| database.replica.clone()) else { return };
    let mut taken: Vec<String> =
        found.databases.iter().filter_map(|one| Some(place_of(one.replica.as_ref()?))).collect();
    for database in found.databases.iter_mut().filter(|database| database.replica.is_none()) {
        let name = database.called();
        let Some(mut replica) = beside(&like, &name) else { continue };
        if taken.contains(&place_of(&replica)) {
            match beside(&like, &format!("{}-{name}", database.alias)) {
                Some(other) => replica = other,
                None => continue,
            }
        }
        taken.push(place_of(&replica));
        if database.is_replicated() {
            project.note(format!("{shown} lacks {}: it goes beside the others", database.alias));
        }
        database.replica = Some(replica);
    }
}

fn place_of(replica: &Replica) -> String {
    let text = |name: &str| replica.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let parts = ["url", "path"].into_iter().filter_map(text);
    parts.map(Setting::into_written).collect()
}

/// Makes the same replica at another path beside it.
fn beside(like: &[(String, Setting)], name: &str) -> Option<Replica> {
    let sibling = |path: &str| match path.trim_end_matches('/').rsplit_once('/') {
        Some((before, _)) => format!("{before}/{name}"),
        // A variable is a path of its own, and a path below it would lie inside of that replica.
        None if path.is_empty() || !path::has_variable(path) => name.to_owned(),
        None => format!("{path}-{name}"),
    };
    let mut replica: Replica =
        like.iter().filter(|(key, _)| !matches!(key.as_str(), "name" | "path" | "url")).cloned().collect();
    let text = |name: &str| like.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    match (text("url"), text("path")) {
        (Some(Setting::Text(url)), _) => {
            let (base, query) =
                url.split_once('?').map_or((url.as_str(), None), |(base, query)| (base, Some(query)));
            let (scheme, rest) = base.split_once("://")?;
            if scheme == "nats" {
                return None;
            }
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            let url = format!("{scheme}://{host}/{}{query}", sibling(path).trim_start_matches('/'));
            replica.push(("url".to_owned(), Setting::Text(url)));
        }
        (None, Some(Setting::Text(path))) => replica.push(("path".to_owned(), Setting::Text(sibling(path)))),
        (None, None) => replica.push(("path".to_owned(), Setting::Text(name.to_owned()))),
        (Some(Setting::Plain(_)), _) | (None, Some(Setting::Plain(_))) => return None,
    }
    Some(replica)
}

/// Notes the other keys of a mapping.
fn others(project: &Project<'_>, shown: &str, mapping: &Yaml, known: &[&str]) {
    let keys = mapping.as_mapping().into_iter().flat_map(serde_yaml::Mapping::keys).filter_map(Yaml::as_str);
    let others: Vec<&str> = keys.filter(|key| !known.contains(key)).collect();
    if !others.is_empty() {
        project.note(format!("{shown} also has {}: write that into the file by hand", others.join(", ")));
    }
}

/// Makes a replica of its settings: in Litestream's spelling, without old keys, empty ones and secrets in plain text.
pub(in crate::detect) fn replica_of(
    project: &Project<'_>,
    source: &str,
    settings: impl IntoIterator<Item = (String, Option<Setting>)>,
) -> Replica {
    let mut replica = Vec::new();
    for (key, value) in settings {
        let key = key.replace('_', "-");
        match value {
            _ if !path::is_name(&key.replace('-', "_")) => {
                project.note(format!("{source}: a setting was left out, its name is none of Litestream's"));
            }
            _ if OLD.contains(&key.as_str()) => {
                project.note(format!(
                    "{source}: {key} was left out, Litestream 0.5 has it elsewhere or no more"
                ));
            }
            None => project.note(format!("{source}: {key} was left out, its value cannot be read here")),
            Some(Setting::Text(text)) if text.is_empty() => {}
            Some(Setting::Text(text)) if is_secret_name(&key) && !path::has_variable(&text) => {
                let name = format!("LITESTREAM_{}", key.replace('-', "_").to_uppercase());
                project.note(format!(
                    "{source}: the value of {key} was not copied, put it into the variable {name}"
                ));
                replica.push((key, Setting::Text(path::variable(&name))));
            }
            Some(value) => replica.push((key, value)),
        }
    }
    replica
}
