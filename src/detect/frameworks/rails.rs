//! Rails: `config/database.yml`.

use serde_yaml::Value as Yaml;

use super::erb;
use crate::detect::code::{Asked, Scope, Value};
use crate::detect::database::foreign;
use crate::detect::found::Found;
use crate::detect::path::{self, Named, Slashes};
use crate::detect::project::Project;
use crate::detect::{Framework, existing, start};

const FILE: &str = "config/database.yml";

/// Environments in the order in which they are looked for without `RAILS_ENV`.
const ENVIRONMENTS: [&str; 3] = ["production", "staging", "development"];

/// Why a cache is left out.
const CACHE: &str = "it fills itself again, and changes so often that it would be most of the upload";
/// Why Action Cable's messages are left out.
const CABLE: &str = "it only holds messages on their way to browsers, for a day at most";

pub(in crate::detect) fn is_here(project: &Project<'_>) -> bool {
    project.has(FILE)
        && (project.has("config/application.rb") || project.has("bin/rails") || project.has("Gemfile"))
}

pub(in crate::detect) fn read(project: &Project<'_>) -> Option<Found> {
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
    note_unknown(project, rendered, &asked, &found);
    commands(project, &environment, &mut found);
    gem(project, &mut found);
    Some(found)
}

/// Notes the blocks of Ruby that were left out, and the variables of databases that are not set.
fn note_unknown(project: &Project<'_>, rendered: erb::Rendered, asked: &[Asked], found: &Found) {
    // Other code matters only where a database's path needs it, which is noted there.
    for (line, code) in rendered.unknown {
        if code.contains("do |") || code.starts_with("if ") || code.starts_with("unless ") {
            project.note(format!(
                "{}:{line}: `{code}` cannot be worked out without Ruby; its part was left out",
                project.in_tree(FILE)
            ));
        }
    }
    let paths: String = found.databases.iter().map(|database| database.path.as_str()).collect();
    for variable in asked.iter().filter(|asked| asked.name.contains("DATABASE") || asked.name.contains("DB_"))
    {
        if !variable.is_set && !path::variables(&paths).any(|name| name == variable.name) {
            project.note(format!("{} is not set here: {FILE}'s own default was taken", variable.name));
        }
    }
}

/// Carries out every `<<`, those in what is merged included.
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

/// Splits an environment into its databases, by their names.
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

/// Reads the settings of one database; a database that is not replicated is noted.
fn read_one(
    project: &Project<'_>,
    alias: &str,
    settings: &Yaml,
    rendered: &erb::Rendered,
    found: &mut Found,
) {
    let text = |key: &str| settings.get(key).and_then(Yaml::as_str);
    let database = match file(project, alias, settings, rendered) {
        Ok(database) => database,
        Err(reason) => return project.note(format!("{alias} was skipped: {reason}")),
    };
    let Some(mut database) = project.database(alias, &database, ".", Slashes::Three) else { return };
    let migrations = text("migrations_paths").unwrap_or_default();
    let reason =
        [("cache", CACHE), ("cable", CABLE)].iter().find(|(what, _)| is_for(alias, migrations, what));
    database.left_out = reason.map(|(_, reason)| (*reason).to_owned());
    database.comes_back = database.left_out.is_some();
    if is_for(alias, migrations, "queue") {
        database.comment =
            Some("jobs that were promised but not yet done: as worth keeping as the data".to_owned());
    }
    found.add(project, database);
}

/// Finds the file or URL that the settings of a database name.
///
/// # Errors
/// Why it cannot be replicated.
fn file(
    project: &Project<'_>,
    alias: &str,
    settings: &Yaml,
    rendered: &erb::Rendered,
) -> Result<String, String> {
    let text = |key: &str| settings.get(key).and_then(Yaml::as_str).map(str::to_owned);
    // `DATABASE_URL` and `CACHE_DATABASE_URL` are merged over the file, and so is `url:`.
    let prefix = if alias == "primary" { String::new() } else { format!("{}_", alias.to_uppercase()) };
    let url = project
        .variable(&format!("{prefix}DATABASE_URL"))
        .or_else(|| text("url"))
        .filter(|url| !url.is_empty());
    let adapter = text("adapter").unwrap_or_default();
    if settings.get("replica").and_then(Yaml::as_bool) == Some(true) {
        return Err("it is a second connection to another database".to_owned());
    }
    let server = match url.as_deref().map(|url| path::named(url, Slashes::Three)) {
        Some(Named::Foreign(scheme)) => Some(foreign(&scheme)),
        Some(Named::File(_) | Named::Either { .. } | Named::Memory) => None,
        None if adapter.contains("sqlite") || adapter == "litedb" => None,
        None if adapter.is_empty() => return Err(format!("{FILE} names no adapter for it")),
        None => Some(foreign(&adapter)),
    };
    if let Some(server) = server {
        return Err(format!("{server} is not SQLite, and Litestream replicates nothing else"));
    }
    let is_url = url.is_some();
    let Some(database) = url.or_else(|| text("database")) else {
        return Err(format!("{FILE} names no database for it; give it one and run init again"));
    };
    if let Some(code) = rendered.unknown_in(&database) {
        return Err(format!(
            "`{code}` cannot be worked out without Ruby; write its path into the file by hand"
        ));
    }
    if database.contains("%{") {
        return Err("it is a database for each tenant; replicate their folder with `dir` and `pattern`, or name them with litekeeper.resolver".to_owned());
    }
    // A URL is no path: its scheme would be a part of the file's name.
    if let Some(name) = path::variables(&database).next().filter(|_| is_url) {
        return Err(format!("{name} is not set here; set it and run init again"));
    }
    Ok(database)
}

/// Tells whether a database is the one of Solid Cache, Cable or Queue.
fn is_for(alias: &str, migrations: &str, what: &str) -> bool {
    alias == what || alias == format!("solid_{what}") || migrations.ends_with(&format!("{what}_migrate"))
}

fn commands(project: &Project<'_>, environment: &str, found: &mut Found) {
    let thruster = project.has("bin/thrust");
    let words: &[&str] = if thruster {
        &["bin/thrust", "bin/rails", "server"]
    } else if project.has("config/puma.rb") {
        &start::PUMA
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

/// Takes the litestream gem's configuration, and notes what must go.
fn gem(project: &Project<'_>, found: &mut Found) {
    existing::carry_over(project, &["config/litestream.yml", "litestream.yml"], found);
    let has_line = |file: &str, what: &str| {
        project.text(file).is_some_and(|text| {
            text.lines().any(|line| !line.trim_start().starts_with('#') && line.contains(what))
        })
    };
    if has_line("config/puma.rb", "plugin :litestream") {
        project.note("config/puma.rb starts a Litestream of its own: take `plugin :litestream` out, litekeeper runs it");
    }
    if project.has("config/initializers/litestream.rb") {
        project.note("config/initializers/litestream.rb sets the bucket and the keys inside of Rails only: give LITESTREAM_REPLICA_BUCKET, LITESTREAM_ACCESS_KEY_ID and LITESTREAM_SECRET_ACCESS_KEY to litekeeper's environment");
    }
    if has_line("Procfile", "litestream:replicate") {
        project.note("Procfile starts a Litestream of its own: take the line with litestream:replicate out");
    }
}
