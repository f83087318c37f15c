//! Laravel: `.env` and `config/database.php`.

use super::code::{Language, Scope, Source, Value};
use super::command;
use super::existing;
use super::find::Found;
use super::place::{self, Slashes};
use super::plan::{Framework, Setting};
use super::project::{Project, foreign};

const FILE: &str = "config/database.php";

pub(super) fn is_here(project: &Project<'_>) -> bool {
    project.has("artisan")
}

pub(super) fn read(project: &Project<'_>) -> Option<Found> {
    project.read_dotenvs(&[".env"]);
    let env = |name: &str| project.variable(name);
    let scope = Scope::new(FILE, &env);
    let config = project.text(FILE).map(|text| Source::new(&text, Language::Php));
    let first = |key: &str| {
        let value = config.as_ref().and_then(|source| source.values_of(key).into_iter().next());
        value.map_or(Value::Nothing, |expr| scope.value(&expr))
    };
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
        let is_default = *name == default;
        let driver = settings.get("driver").and_then(Value::text).unwrap_or_default();
        if driver != "sqlite" {
            if is_default {
                project.note(format!(
                    "the default connection {name} is {}, not SQLite, and Litestream replicates nothing else",
                    foreign(&driver)
                ));
            }
            continue;
        }
        // `sqlite` stands in every new application, whatever it uses.
        if name == "sqlite" && !is_default {
            continue;
        }
        let text = |key: &str| settings.get(key).and_then(Value::text);
        let is_set = |text: &String| !text.is_empty() && place::variables(text).next().is_none();
        let Some(database) = text("url").filter(is_set).or_else(|| text("database")) else {
            project.note(format!(
                "{name} was skipped: its path cannot be read without PHP; write it into the file by hand"
            ));
            continue;
        };
        let alias = if is_default { "default" } else { name };
        if let Some(database) = project.database(alias, &database, ".", Slashes::Three) {
            found.add(project, database);
        }
    }
    if !connections.iter().any(|(name, _)| *name == default) {
        project.note(format!("the default connection {default} is not in {FILE}"));
    }
    let is_fpm = project.deployment().image.is_fpm;
    let octane = project.glimpse("composer.json").is_some_and(|text| text.contains("laravel/octane"));
    let what = if octane { "octane:start" } else { "serve" };
    found.start(
        &["php", "artisan", what, "--host=0.0.0.0", "--port=8000"],
        &[&["php", "artisan", "migrate", "--force"]],
    );
    if is_fpm && !octane {
        found.start(&command::PHP_FPM, &[&["php", "artisan", "migrate", "--force"]]);
    } else if !octane {
        found.is_guess = true;
        project.note(
            "the command is PHP's server for development: put the one that you deploy with in its place",
        );
    }
    found.workdir = Some("/var/www/html".to_owned());
    package(project, &mut found);
    existing::carry_over(project, &["litestream.yml"], &mut found);
    Some(found)
}

/// What the app calls itself, unless it still has its generator's name.
pub(super) fn name(project: &Project<'_>) -> Option<String> {
    project.read_dotenv(".env");
    project.variable("APP_NAME").filter(|name| name != "Laravel")
}

fn defaults(env: &dyn Fn(&str) -> Option<String>) -> Value {
    let database = env("DB_DATABASE").unwrap_or_else(|| "database/database.sqlite".to_owned());
    let text = |key: &str, value: String| (key.to_owned(), Value::Text(value));
    Value::Table(vec![
        text("driver", "sqlite".to_owned()),
        text("url", env("DB_URL").unwrap_or_default()),
        text("database", database),
    ])
}

/// laravel-litestream: its connections, replicas and path modes.
fn package(project: &Project<'_>, found: &mut Found) {
    let file = "config/litestream.php";
    let Some(text) = project.text(file) else { return };
    let source = Source::new(&text, Language::Php);
    let env = |name: &str| project.variable(name);
    // It names secrets: what is a variable there stays one.
    let scope = Scope::new(file, &env).keeping_variables();
    let first = |key: &str| {
        let value = source.values_of(key).into_iter().next();
        value.map_or(Value::Nothing, |expr| scope.value(&expr))
    };
    // The first `replicas` is a connection's list, the last one the definitions.
    let definitions = source.values_of("replicas").last().map_or(Value::Nothing, |expr| scope.value(expr));
    let connections = first("connections");
    let mut taken = false;
    for database in &mut found.databases {
        let Some(connection) = connections.get(&database.alias) else {
            database.left_out = Some(format!("{file} does not name it"));
            continue;
        };
        if !project.keep_replicas {
            continue;
        }
        let text = |key: &str| connection.get(key).and_then(Value::text);
        let Some(Value::List(names)) = connection.get("replicas") else { continue };
        let Some(replica) = names.first().and_then(Value::text) else { continue };
        if names.len() > 1 {
            project.note(format!(
                "{file} has several replicas for {}: the first was taken, Litestream 0.5 knows only one",
                database.alias
            ));
        }
        let Some(definition) = definitions.get(&replica) else {
            project.note(format!(
                "{file}: connection {} names the replica {replica}, which is not defined",
                database.alias
            ));
            continue;
        };
        let is_empty = |(key, value): &&(String, Value)| match value {
            // The package's own file has all of them, with '' for those that nobody needs.
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
        let mut settings = existing::replica_of(project, file, pairs);
        let name = text("name").unwrap_or_else(|| database.alias.clone());
        append(&mut settings, text("path_mode").as_deref().unwrap_or("append"), &name);
        database.replica = Some(settings);
        taken = true;
    }
    if taken {
        project.note(format!(
            "the replicas are those of {file}; its variables have to be in litekeeper's own environment, .env is the app's"
        ));
    }
}

/// The three path modes.
fn append(settings: &mut Vec<(String, Setting)>, mode: &str, name: &str) {
    let path = settings.iter().position(|(key, _)| key == "path");
    let before = path.and_then(|index| match &settings[index].1 {
        Setting::Text(text) => Some(text.trim_end_matches('/').to_owned()),
        Setting::Plain(_) => None,
    });
    let after = match (mode, before) {
        ("preserve", _) => return,
        ("replace", _) | (_, None) => name.to_owned(),
        (_, Some(before)) => format!("{before}/{name}"),
    };
    match path {
        Some(index) => settings[index].1 = Setting::Text(after),
        None => settings.push(("path".to_owned(), Setting::Text(after))),
    }
}

fn setting(value: &Value) -> Option<Setting> {
    match value {
        Value::Text(text) => Some(Setting::Text(text.clone())),
        // `['env' => 'NAME']` is a variable's name too.
        Value::Table(_) => {
            let name = value.get("env").and_then(Value::text).filter(|name| place::is_name(name))?;
            Some(Setting::Text(place::variable(&name)))
        }
        Value::Unset(name) => Some(Setting::Text(place::variable(name))),
        Value::Number(number) => Some(Setting::Plain(number.clone())),
        Value::Flag(flag) => Some(Setting::Plain(flag.to_string())),
        Value::Nothing | Value::List(_) | Value::Unknown => None,
    }
}
