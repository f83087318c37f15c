//! Laravel: `.env` and `config/database.php`.

use crate::detect::code::{Language, Scope, Source, Value};
use crate::detect::database::{Replica, foreign, text_of};
use crate::detect::found::Found;
use crate::detect::path::{self, Slashes};
use crate::detect::project::Project;
use crate::detect::{Framework, Setting, existing, start};

const FILE: &str = "config/database.php";
/// The configuration of laravel-litestream.
const PACKAGE: &str = "config/litestream.php";

pub(in crate::detect) fn is_here(project: &Project<'_>) -> bool {
    project.has("artisan")
}

pub(in crate::detect) fn read(project: &Project<'_>) -> Option<Found> {
    project.read_dotenvs(&[".env"]);
    let env = |name: &str| project.variable(name);
    let scope = Scope::new(FILE, &env);
    let config = project.text(FILE).map(|text| Source::new(&text, Language::Php));
    let first =
        |key: &str| config.as_ref().and_then(|source| scope.first(source, key)).unwrap_or(Value::Nothing);
    let default =
        first("default").text().or_else(|| env("DB_CONNECTION")).unwrap_or_else(|| "sqlite".to_owned());
    let source = if config.is_some() { FILE } else { ".env" };
    let mut found =
        Found::new(Framework::Laravel, format!("{}, connection {default}", project.in_tree(source)));
    let connections = match first("connections") {
        Value::Table(connections) => connections,
        // A slim application has Laravel's own defaults.
        _ => vec![("sqlite".to_owned(), defaults(&env))],
    };
    for (name, settings) in &connections {
        connection(project, name, settings, *name == default, &mut found);
    }
    if !connections.iter().any(|(name, _)| *name == default) {
        project.note(format!("the default connection {default} is not in {FILE}"));
    }
    commands(project, &mut found);
    found.workdir = Some("/var/www/html".to_owned());
    package(project, &mut found);
    existing::carry_over(project, &["litestream.yml"], &mut found);
    Some(found)
}

/// Reads one connection; those that are not replicated are noted where the app uses them.
fn connection(project: &Project<'_>, name: &str, settings: &Value, is_default: bool, found: &mut Found) {
    let text = |key: &str| settings.get(key).and_then(Value::text);
    let driver = text("driver").unwrap_or_default();
    if driver != "sqlite" {
        if is_default {
            project.note(format!(
                "the default connection {name} is {}, not SQLite, and Litestream replicates nothing else",
                foreign(&driver)
            ));
        }
        return;
    }
    // Every new application has a connection `sqlite`, whatever it uses.
    if name == "sqlite" && !is_default {
        return;
    }
    let is_set = |text: &String| !text.is_empty() && !path::has_variable(text);
    let Some(database) = text("url").filter(is_set).or_else(|| text("database")) else {
        return project.note(format!(
            "{name} was skipped: its path cannot be read without PHP; write it into the file by hand"
        ));
    };
    let alias = if is_default { "default" } else { name };
    if let Some(database) = project.database(alias, &database, ".", Slashes::Three) {
        found.add(project, database);
    }
}

fn commands(project: &Project<'_>, found: &mut Found) {
    let migrate: &[&[&str]] = &[&["php", "artisan", "migrate", "--force"]];
    let serve = |what: &'static str| ["php", "artisan", what, "--host=0.0.0.0", "--port=8000"];
    if project.mentions(&["composer.json"], "laravel/octane") {
        found.start(&serve("octane:start"), migrate);
    } else if project.deployment().image.is_fpm {
        found.start(&start::PHP_FPM, migrate);
    } else {
        found.start(&serve("serve"), migrate);
        found.is_guess = true;
        project.note(
            "the command is PHP's server for development: put the one that you deploy with in its place",
        );
    }
}

/// Finds the app's own name, unless it still has its generator's.
pub(in crate::detect) fn name(project: &Project<'_>) -> Option<String> {
    project.read_dotenv(".env");
    project.variable("APP_NAME").filter(|name| name != "Laravel")
}

/// Makes the connection of Laravel's own defaults.
fn defaults(env: &dyn Fn(&str) -> Option<String>) -> Value {
    let database = env("DB_DATABASE").unwrap_or_else(|| "database/database.sqlite".to_owned());
    let url = env("DB_URL").unwrap_or_default();
    let entries = [("driver", "sqlite".to_owned()), ("url", url), ("database", database)];
    Value::Table(entries.map(|(key, text)| (key.to_owned(), Value::Text(text))).into())
}

/// Takes laravel-litestream's connections, replicas and path modes.
fn package(project: &Project<'_>, found: &mut Found) {
    let Some(text) = project.text(PACKAGE) else { return };
    let source = Source::new(&text, Language::Php);
    let env = |name: &str| project.variable(name);
    // The file names secrets: its variables stay variables.
    let scope = Scope::new(PACKAGE, &env).keeping_variables();
    // The first `replicas` is a connection's list, the last one the definitions.
    let definitions = source.values_of("replicas").last().map_or(Value::Nothing, |expr| scope.value(expr));
    let connections = scope.first(&source, "connections").unwrap_or(Value::Nothing);
    let mut is_taken = false;
    for database in &mut found.databases {
        match connections.get(&database.alias) {
            Some(connection) if project.keeps_replicas() => {
                let replica = replica(project, &database.alias, connection, &definitions);
                is_taken |= replica.is_some();
                database.replica = replica.or(database.replica.take());
            }
            Some(_) => {}
            None => database.left_out = Some(format!("{PACKAGE} does not name it")),
        }
    }
    if is_taken {
        project.note(format!(
            "the replicas are those of {PACKAGE}; its variables have to be in litekeeper's own environment, .env is the app's"
        ));
    }
}

/// Reads the replica of a connection.
fn replica(project: &Project<'_>, alias: &str, connection: &Value, definitions: &Value) -> Option<Replica> {
    let text = |key: &str| connection.get(key).and_then(Value::text);
    let Some(Value::List(names)) = connection.get("replicas") else { return None };
    let name = names.first().and_then(Value::text)?;
    if names.len() > 1 {
        existing::several(project, PACKAGE, alias);
    }
    let Some(definition) = definitions.get(&name) else {
        project.note(format!("{PACKAGE}: connection {alias} names the replica {name}, which is not defined"));
        return None;
    };
    // The package's own file has every key, with '' for those that are not needed.
    let is_empty = |(key, value): &&(String, Value)| match value {
        Value::Unset(name) if ["path", "region", "endpoint"].contains(&key.as_str()) => {
            let unset = project.variable(name).is_none();
            if unset {
                project.note(format!("{name} is not set here: {key} was left out of the replica"));
            }
            unset
        }
        _ => false,
    };
    let entries = definition.entries().iter().filter(|entry| !is_empty(entry));
    let pairs = entries.map(|(key, value)| (key.clone(), setting(value)));
    let mut settings = existing::replica_of(project, PACKAGE, pairs);
    let name = text("name").unwrap_or_else(|| alias.to_owned());
    set_path(&mut settings, text("path_mode").as_deref().unwrap_or("append"), &name);
    Some(settings)
}

/// Sets the path of a replica by one of the package's three modes.
fn set_path(settings: &mut Replica, mode: &str, name: &str) {
    let before = text_of(settings, "path").map(|path| path.trim_end_matches('/').to_owned());
    let path = match (mode, before) {
        ("preserve", _) => return,
        ("replace", _) | (_, None) => name.to_owned(),
        (_, Some(before)) => format!("{before}/{name}"),
    };
    match settings.iter_mut().find(|(key, _)| key == "path") {
        Some((_, value)) => *value = Setting::Text(path),
        None => settings.push(("path".to_owned(), Setting::Text(path))),
    }
}

/// Takes a single value; `['env' => 'NAME']` is a variable as well.
fn setting(value: &Value) -> Option<Setting> {
    let named = value.get("env").and_then(Value::text).filter(|name| path::is_name(name));
    named.map(|name| Setting::Text(path::variable(&name))).or_else(|| Setting::of(value))
}
