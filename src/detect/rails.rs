//! Rails: `config/database.yml`.

use serde_yaml::Value as Yaml;

use super::code::{Scope, Value};
use super::command;
use super::find::Found;
use super::place::{self, Named, Slashes};
use super::plan::Framework;
use super::project::{Project, foreign};
use super::{erb, existing};

const FILE: &str = "config/database.yml";

/// Environments in the order in which they are looked for when `RAILS_ENV` says nothing.
const ENVIRONMENTS: [&str; 3] = ["production", "staging", "development"];

/// Why a cache is left out.
const CACHE: &str = "it fills itself again, and changes so often that it would be most of the upload";
/// Why Action Cable's messages are left out.
const CABLE: &str = "it only holds messages on their way to browsers, for a day at most";

pub(super) fn is_here(project: &Project<'_>) -> bool {
    project.has(FILE)
        && (project.has("config/application.rb") || project.has("bin/rails") || project.has("Gemfile"))
}

pub(super) fn read(project: &Project<'_>) -> Option<Found> {
    let template = project.text(FILE)?;
    let chosen = project.variable("RAILS_ENV");
    let env = |name: &str| project.variable(name);
    let rendering = |environment: &str| {
        let mut scope = Scope::new(FILE, &env);
        scope.set("Rails.env", Value::Text(environment.to_owned()));
        let rendered = erb::render(&template, &mut scope);
        let asked = scope.take_asked();
        let yaml = project.yaml(FILE, &rendered.text).map(merged);
        (rendered, asked, yaml)
    };
    let mut environment = chosen.clone().unwrap_or_else(|| ENVIRONMENTS[0].to_owned());
    let (mut rendered, mut asked, mut yaml) = rendering(&environment);
    let has = |yaml: &Option<Yaml>, name: &str| yaml.as_ref().is_some_and(|yaml| yaml.get(name).is_some());
    if chosen.is_none()
        && let Some(other) =
            ENVIRONMENTS.iter().find(|name| has(&yaml, name)).filter(|name| **name != environment)
    {
        project.note(format!("{FILE} has no production environment: {other} was taken"));
        environment = (*other).to_owned();
        (rendered, asked, yaml) = rendering(&environment);
    }
    let shown = project.in_tree(FILE);
    let mut found = Found::new(Framework::Rails, format!("{shown}, {environment}"));
    let Some(yaml) = yaml else { return Some(found) };
    let Some(section) = yaml.get(&environment) else {
        project.note(format!("{shown} has no environment {environment}"));
        return Some(found);
    };
    for (alias, settings) in configurations(section) {
        read_one(project, &alias, &settings, &rendered, &mut found);
    }
    // What could not be worked out matters only where a database's path needed it, which is said there.
    for (line, code) in rendered.unknown {
        if code.contains("do |") || code.starts_with("if ") || code.starts_with("unless ") {
            project.note(format!(
                "{shown}:{line}: `{code}` cannot be worked out without Ruby; its part was left out"
            ));
        }
    }
    let paths: String = found.databases.iter().map(|database| database.path.as_str()).collect();
    for variable in asked.iter().filter(|asked| asked.name.contains("DATABASE") || asked.name.contains("DB_"))
    {
        if !variable.is_set && !place::variables(&paths).any(|name| name == variable.name) {
            project.note(format!("{} is not set here: {FILE}'s own default was taken", variable.name));
        }
    }
    commands(project, &environment, &mut found);
    gem(project, &mut found);
    Some(found)
}

/// The same with every `<<` carried out, those in what is merged included.
fn merged(yaml: Yaml) -> Yaml {
    match yaml {
        Yaml::Mapping(mapping) => {
            let mut own: serde_yaml::Mapping =
                mapping.into_iter().map(|(key, value)| (key, merged(value))).collect();
            let others = match own.remove("<<") {
                Some(Yaml::Mapping(other)) => vec![other],
                Some(Yaml::Sequence(others)) => {
                    others.into_iter().filter_map(|other| other.as_mapping().cloned()).collect()
                }
                Some(_) | None => Vec::new(),
            };
            for (key, value) in others.into_iter().flatten() {
                own.entry(key).or_insert(value);
            }
            Yaml::Mapping(own)
        }
        Yaml::Sequence(items) => Yaml::Sequence(items.into_iter().map(merged).collect()),
        other => other,
    }
}

/// One database, or several by their names.
fn configurations(section: &Yaml) -> Vec<(String, Yaml)> {
    let Some(mapping) = section.as_mapping() else { return Vec::new() };
    // Rails: a mapping of mappings is several databases.
    let several = !mapping.is_empty() && mapping.values().all(Yaml::is_mapping);
    if several {
        mapping.iter().filter_map(|(name, one)| Some((name.as_str()?.to_owned(), one.clone()))).collect()
    } else {
        vec![("primary".to_owned(), section.clone())]
    }
}

fn read_one(
    project: &Project<'_>,
    alias: &str,
    settings: &Yaml,
    rendered: &erb::Rendered,
    found: &mut Found,
) {
    let text = |key: &str| settings.get(key).and_then(Yaml::as_str).map(str::to_owned);
    // `DATABASE_URL` and `CACHE_DATABASE_URL` are merged over the file, and so is `url:`.
    let prefix = if alias == "primary" { String::new() } else { format!("{}_", alias.to_uppercase()) };
    let url = project
        .variable(&format!("{prefix}DATABASE_URL"))
        .or_else(|| text("url"))
        .filter(|url| !url.is_empty());
    let adapter = text("adapter").unwrap_or_default();
    if settings.get("replica").and_then(Yaml::as_bool) == Some(true) {
        project.note(format!("{alias} was skipped: it is a second connection to another database"));
        return;
    }
    let url_is_file =
        url.as_deref().map(|url| !matches!(place::named(url, Slashes::Three), Named::Foreign(_)));
    let sqlite = url_is_file.unwrap_or_else(|| adapter.contains("sqlite") || adapter == "litedb");
    if !sqlite {
        let what = match url.as_deref().map(|url| place::named(url, Slashes::Three)) {
            Some(Named::Foreign(scheme)) => foreign(&scheme),
            _ if adapter.is_empty() => {
                project.note(format!("{alias} was skipped: {FILE} names no adapter for it"));
                return;
            }
            _ => foreign(&adapter),
        };
        project.note(format!(
            "{alias} was skipped: {what} is not SQLite, and Litestream replicates nothing else"
        ));
        return;
    }
    let is_url = url.is_some();
    let Some(database) = url.or_else(|| text("database")) else {
        project.note(format!(
            "{alias} was skipped: {FILE} names no database for it; give it one and run init again"
        ));
        return;
    };
    if let Some(code) = rendered.unknown_in(&database) {
        project.note(format!(
            "{alias} was skipped: `{code}` cannot be worked out without Ruby; write its path into the file by hand"
        ));
        return;
    }
    if database.contains("%{") {
        project.note(format!(
            "{alias} was skipped: it is a database for each tenant; replicate their folder with `dir` and `pattern`, or name them with litekeeper.resolver"
        ));
        return;
    }
    // A URL is no path: its scheme would be a part of the file's name.
    if is_url && let Some(name) = place::variables(&database).next() {
        project.note(format!("{alias} was skipped: {name} is not set here; set it and run init again"));
        return;
    }
    let Some(mut database) = project.database(alias, &database, ".", Slashes::Three) else { return };
    let migrations = text("migrations_paths").unwrap_or_default();
    database.left_out = if is_for(alias, &migrations, "cache") {
        Some(CACHE.to_owned())
    } else if is_for(alias, &migrations, "cable") {
        Some(CABLE.to_owned())
    } else {
        None
    };
    database.comes_back = database.left_out.is_some();
    if is_for(alias, &migrations, "queue") {
        database.comment =
            Some("jobs that were promised but not yet done: as worth keeping as the data".to_owned());
    }
    found.add(project, database);
}

fn is_for(alias: &str, migrations: &str, what: &str) -> bool {
    alias == what || alias == format!("solid_{what}") || migrations.ends_with(&format!("{what}_migrate"))
}

fn commands(project: &Project<'_>, environment: &str, found: &mut Found) {
    let thruster = project.has("bin/thrust");
    let words: &[&str] = if thruster {
        &["bin/thrust", "bin/rails", "server"]
    } else if project.has("config/puma.rb") {
        &command::PUMA
    } else {
        &["bin/rails", "server"]
    };
    found.start(words, &[&["bin/rails", "db:prepare"]]);
    found.workdir = Some("/rails".to_owned());
    found.needs(project, "RAILS_ENV", environment);
    if project.glimpse("bin/docker-entrypoint").is_some_and(|text| text.contains("db:prepare")) {
        project.note("bin/docker-entrypoint runs db:prepare: it must not run before litekeeper has restored the database; below litekeeper it is done twice, take it out of one of the two");
    }
}

/// The litestream gem: its configuration, where its secrets come from, and what must go.
fn gem(project: &Project<'_>, found: &mut Found) {
    existing::carry_over(project, &["config/litestream.yml", "litestream.yml"], found);
    let says = |file: &str, what: &str| {
        project.text(file).is_some_and(|text| {
            text.lines().any(|line| !line.trim_start().starts_with('#') && line.contains(what))
        })
    };
    if says("config/puma.rb", "plugin :litestream") {
        project.note("config/puma.rb starts a Litestream of its own: take `plugin :litestream` out, litekeeper runs it");
    }
    if project.has("config/initializers/litestream.rb") {
        project.note("config/initializers/litestream.rb sets the bucket and the keys inside of Rails only: give LITESTREAM_REPLICA_BUCKET, LITESTREAM_ACCESS_KEY_ID and LITESTREAM_SECRET_ACCESS_KEY to litekeeper's environment");
    }
    if says("Procfile", "litestream:replicate") {
        project.note("Procfile starts a Litestream of its own: take the line with litestream:replicate out");
    }
}
