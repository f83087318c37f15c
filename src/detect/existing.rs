//! Replicas that an older litestream.yml names, so that a backup goes on where it is.

use serde_yaml::Value as Yaml;

use super::command;
use super::find::Found;
use super::place;
use super::plan::{Database, Framework, Setting};
use super::project::Project;
use crate::secrets::is_secret_name;

/// Keys of 0.3 that 0.5 does not have at a replica; `age` it refuses.
const OLD: [&str; 5] =
    ["retention", "retention-check-interval", "snapshot-interval", "validation-interval", "age"];

/// Where a configuration is looked for, in each folder.
pub const FILES: [&str; 3] = ["litestream.yml", "config/litestream.yml", "etc/litestream.yml"];

/// The configuration that is there, as a plan: what starts the app is all that it lacks.
pub(super) fn read(project: &Project<'_>) -> Option<Found> {
    let (file, text, folder) = nearest(project, &FILES)?;
    let yaml = project.yaml(&file, &with_variables(&text))?;
    let mut found = Found::new(Framework::Existing, file);
    for entry in yaml.get("dbs").and_then(Yaml::as_sequence).into_iter().flatten() {
        let text = |key: &str| entry.get(key).and_then(Yaml::as_str);
        let path = match (text("path"), text("dir")) {
            (Some(path), _) => path.to_owned(),
            (None, Some(dir)) => format!("{}/{}", dir.trim_end_matches('/'), text("pattern").unwrap_or("*")),
            (None, None) => continue,
        };
        let path = path.trim_start_matches("sqlite3://").trim_start_matches("sqlite://");
        found.said.push(path.to_owned());
        let mut database = Database::new(place::stem(path), in_folder(project, &folder, path));
        let replica = entry.get("replica").or_else(|| entry.get("replicas")?.get(0));
        if let Some(settings) = replica.and_then(Yaml::as_mapping) {
            let pairs =
                settings.iter().filter_map(|(key, value)| Some((key.as_str()?.to_owned(), setting(value)?)));
            database.replica = Some(pairs.collect());
        } else if replica.is_some() {
            database.replica = Some(Vec::new());
        }
        found.databases.push(database);
    }
    if let Some(key) = yaml.get("access-key-id").and_then(setting) {
        // What stands at the top counts for each that says nothing else.
        for replica in found.databases.iter_mut().filter_map(|database| database.replica.as_mut()) {
            if !replica.iter().any(|(name, _)| name == "access-key-id") {
                replica.push(("access-key-id".to_owned(), key.clone()));
            }
        }
    }
    variables(&yaml, false, &mut found.uses);
    let own = yaml.get("litekeeper").and_then(|own| own.get("app")).and_then(|app| app.get("command"));
    found.has_own_command = own.is_some() || yaml.get("exec").is_some();
    found.command = command_of(own.or_else(|| yaml.get("exec")))
        .unwrap_or_else(|| if found.has_own_command { Vec::new() } else { command::plain(project) });
    Some(found)
}

/// Whether a configuration above the project has what was found in the project: its paths are relative to its own folder,
/// or to the one that it is used in.
pub(super) fn covers(project: &Project<'_>, above: &Found, found: &Found) -> bool {
    let folder = vec![".."; above.source.matches("../").count()].join("/");
    let paths: Vec<String> = above
        .said
        .iter()
        .map(|path| filled(project, path))
        .flat_map(|path| [in_folder(project, &folder, &path), in_folder(project, "", &path)])
        .collect();
    let mut replicated = found.databases.iter().filter(|database| database.left_out.is_none());
    replicated.all(|database| {
        let own = filled(project, &database.path);
        paths.iter().any(|path| names(path, &own))
    })
}

/// A path with the values of its variables, as far as they are set here.
fn filled(project: &Project<'_>, path: &str) -> String {
    let piece = |piece: Result<&str, &str>| match piece {
        Ok(literal) => literal.to_owned(),
        Err(name) => project.said(name).map_or_else(|| place::variable(name), |(value, _)| value),
    };
    place::pieces(path).into_iter().map(piece).collect()
}

/// Whether a configuration's path, in which a `*` is any name, is this database. What begins with a variable that nobody
/// has set here may be any folder.
fn names(path: &str, own: &str) -> bool {
    let ends = match place::pieces(path).as_slice() {
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

/// Whether a name is what a pattern with `*` says: its parts, one behind the other.
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

/// What there is to say of a configuration above that is about something else.
pub(super) fn of_others(file: &str, paths: &[String]) -> String {
    const MOST: usize = 3;
    let mut shown: Vec<String> = paths.iter().take(MOST).map(|path| place::shown(path)).collect();
    let more = paths.len().saturating_sub(MOST);
    shown.extend((more > 0).then(|| format!("{more} more")));
    format!("{file} is for other databases ({}), and was not used", shown.join(", "))
}

/// The variables of a configuration: `${NAME}` anywhere, and `{env: NAME}` without a default. `is_env`: these are the app's
/// variables by their names, one of which may be called `env`.
fn variables(yaml: &Yaml, is_env: bool, found: &mut Vec<String>) {
    let mut take = |text: &str| {
        for name in place::variables(text) {
            if !found.iter().any(|known| known == name) {
                found.push(name.to_owned());
            }
        }
    };
    match yaml {
        Yaml::String(text) => take(text),
        Yaml::Sequence(items) => items.iter().for_each(|item| variables(item, false, found)),
        Yaml::Mapping(entries) => {
            let named = entries.get("env").and_then(Yaml::as_str).filter(|name| place::is_name(name));
            if let Some(name) = named.filter(|_| !is_env && entries.get("default").is_none()) {
                take(&place::variable(name));
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

/// The words of a command, in either form.
fn command_of(value: Option<&Yaml>) -> Option<Vec<String>> {
    match value? {
        Yaml::String(line) if !line.contains(['&', ';', '|', '<', '>', '`', '(']) => shlex::split(line),
        Yaml::Sequence(words) => words.iter().map(|word| word.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
    .filter(|words| !words.is_empty())
}

/// The first of these files in the nearest folder that has one: its name, its text and how to get to the folder.
fn nearest(project: &Project<'_>, files: &[&str]) -> Option<(String, String, String)> {
    project.upwards().into_iter().find_map(|folder| {
        let names: Vec<String> =
            files.iter().map(|file| place::join(&folder_or_own(&folder), file)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (file, text) = project.first_text(&names)?;
        Some((file, text, folder))
    })
}

fn folder_or_own(folder: &str) -> String {
    if folder.is_empty() { ".".to_owned() } else { folder.to_owned() }
}

/// A path of a configuration in that folder, as the tree has it.
fn in_folder(project: &Project<'_>, folder: &str, path: &str) -> String {
    let begins_with_variable = place::pieces(path).first().is_some_and(Result::is_err);
    if begins_with_variable || path.starts_with('~') {
        return path.to_owned();
    }
    project.relative(&place::join(&folder_or_own(folder), path))
}

/// Gives the databases the replicas that the first of these files has for them, in the project or above it.
pub(super) fn carry_over(project: &Project<'_>, files: &[&str], found: &mut Found) {
    let Some((file, text, folder)) = nearest(project, files).filter(|_| project.keep_replicas) else {
        return;
    };
    let shown = project.in_tree(&file);
    let Some(yaml) = project.yaml(&file, &with_variables(&text)) else { return };
    let mut taken = 0;
    let mut said = Vec::new();
    for entry in yaml.get("dbs").and_then(Yaml::as_sequence).into_iter().flatten() {
        let Some(path) = entry.get("path").and_then(Yaml::as_str) else { continue };
        said.push(path.to_owned());
        let path = in_folder(project, &folder, path);
        let replicas = entry.get("replicas").and_then(Yaml::as_sequence);
        let replica = entry.get("replica").or_else(|| replicas?.first());
        // The image's own path ends with the project's.
        let same = |own: &str| own == path || (path.starts_with('/') && path.ends_with(&format!("/{own}")));
        let Some(database) = found.databases.iter_mut().find(|database| same(&database.path)) else {
            // Above the project there are others.
            if folder.is_empty() {
                project.note(format!(
                    "{shown} has {}, which is not among the databases that were found",
                    place::shown(&path)
                ));
            }
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
            let mut settings = replica_of(project, &shown, pairs);
            rebase(project, &folder, &mut settings);
            database.replica = Some(settings);
            // Somebody chose it, whatever it is.
            database.left_out = None;
            taken += 1;
        }
    }
    if taken == 0 && !folder.is_empty() {
        if !said.is_empty() {
            project.note(of_others(&file, &said));
        }
        return;
    }
    others(project, &shown, &yaml, &["dbs", "litekeeper", "exec"]);
    if let Some(exec) = yaml.get("exec") {
        match command_of(Some(exec))
            .filter(|words| words.iter().all(|w| place::variables(w).next().is_none()))
        {
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
    if taken > 0 {
        project.note(format!("the replicas are those of {shown}, so that their backups go on"));
        neighbours(project, &shown, found);
    }
}

/// A folder of backups that is relative to the file is so to another folder now.
fn rebase(project: &Project<'_>, folder: &str, settings: &mut [(String, Setting)]) {
    let is_folder = !settings
        .iter()
        .any(|(key, value)| key == "url" || (key == "type" && *value != Setting::Text("file".to_owned())));
    for (key, value) in settings.iter_mut().filter(|_| is_folder && !folder.is_empty()) {
        if let (true, Setting::Text(path)) = (key == "path", value) {
            let whole = in_folder(project, folder, path);
            *path = if place::is_outside(&whole) || whole.starts_with('~') {
                whole
            } else {
                format!("./{whole}")
            };
        }
    }
}

/// A database that the file lacks goes where the others go: the same bucket with the same keys, a place of its own.
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
        if database.left_out.is_none() {
            project.note(format!("{shown} lacks {}: it goes beside the others", database.alias));
        }
        database.replica = Some(replica);
    }
}

fn place_of(replica: &[(String, Setting)]) -> String {
    let text = |name: &str| match replica.iter().find(|(key, _)| key == name) {
        Some((_, Setting::Text(text) | Setting::Plain(text))) => text.clone(),
        None => String::new(),
    };
    text("url") + &text("path")
}

/// The same replica at another place beside it.
fn beside(like: &[(String, Setting)], name: &str) -> Option<Vec<(String, Setting)>> {
    let sibling = |path: &str| match path.trim_end_matches('/').rsplit_once('/') {
        Some((before, _)) => format!("{before}/{name}"),
        // The name of a variable is a path of its own, and what is below it would be in that place.
        None if path.is_empty() || place::variables(path).next().is_none() => name.to_owned(),
        None => format!("{path}-{name}"),
    };
    let mut replica: Vec<(String, Setting)> =
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
        let named = |text: &'_ str| {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            text.find(|c| !is_part(c)).unwrap_or(text.len())
        };
        // Only as far as a name goes: a million of `${` would each look through all the rest for a brace.
        let braced = after.strip_prefix('{').and_then(|after| {
            let (name, behind) = after.split_at(named(after));
            Some((name, behind.strip_prefix('}')?))
        });
        let (name, behind) = braced.unwrap_or_else(|| after.split_at(named(after)));
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
