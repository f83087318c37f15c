//! Phoenix with `ecto_sqlite3`: `config/runtime.exs`.

use std::path::Path;

use crate::detect::code::{Expr, Language, Scope, Source};
use crate::detect::found::Found;
use crate::detect::path::Slashes;
use crate::detect::project::Project;
use crate::detect::{Entry, Framework, existing};

/// Where production's settings are, the stronger first.
const FILES: [&str; 5] =
    ["config/runtime.exs", "config/releases.exs", "config/prod.exs", "config/config.exs", "config/dev.exs"];

pub(in crate::detect) fn is_here(project: &Project<'_>) -> bool {
    let needs = |name: &str| project.glimpse("mix.exs").is_some_and(|text| text.contains(name));
    project.has("mix.exs") && (needs(":phoenix") || needs(":ecto") || needs("apps_path"))
}

pub(in crate::detect) fn read(project: &Project<'_>) -> Option<Found> {
    let mix = Source::new(&project.text("mix.exs")?, Language::Elixir);
    let mut found = Found::new(Framework::Phoenix, project.in_tree("mix.exs"));
    // The apps of an umbrella have dependencies of their own, and the settings of all are at its top.
    let apps = project.tree.list(Path::new(&project.in_tree("apps")));
    let of_app =
        |folder: &Entry| project.text(&format!("apps/{}/mix.exs", folder.path.file_name()?.to_str()?));
    let all: Vec<Source> = std::iter::once(mix)
        .chain(apps.iter().filter_map(of_app).map(|text| Source::new(&text, Language::Elixir)))
        .collect();
    let needs = |name: &str| all.iter().any(|mix| mix.has_word(name));
    if !needs("ecto_sqlite3") && !needs("exqlite") {
        let what = if needs("postgrex") { "PostgreSQL (postgrex)" } else { "no SQLite" };
        project.note(format!(
            "{} has {what} and not ecto_sqlite3, and Litestream replicates nothing else",
            project.in_tree("mix.exs")
        ));
        return Some(found);
    }
    for file in FILES {
        read_file(project, file, &mut found);
        if !found.databases.is_empty() {
            found.source = project.in_tree(file);
            if file == "config/dev.exs" {
                project.note("only config/dev.exs names a database: this is the one of development");
            }
            break;
        }
    }
    if found.databases.is_empty() {
        project.note("no config/*.exs has a repository with `database:`");
    }
    if project.has("rel/overlays/bin/server") {
        let migrate: &[&[&str]] =
            if project.has("rel/overlays/bin/migrate") { &[&["bin/migrate"]] } else { &[] };
        found.start(&["bin/server"], migrate);
        if project.has("rel/overlays/bin/migrate")
            && project.glimpse("Dockerfile").is_some_and(|text| text.contains("bin/migrate"))
        {
            project.note("Dockerfile runs bin/migrate: leave it out, litekeeper runs it after the restore");
        }
    } else {
        found.start(&["mix", "phx.server"], &[&["mix", "ecto.migrate"]]);
        if found.source != project.in_tree("config/dev.exs") {
            found.needs(project, "MIX_ENV", "prod");
        }
        project.note("for a release, run `mix phx.gen.release --docker` and init again");
    }
    found.workdir = Some("/app".to_owned());
    existing::carry_over(
        project,
        &["litestream.yml", "rel/litestream.yml", "etc/litestream.yml"],
        &mut found,
    );
    Some(found)
}

fn read_file(project: &Project<'_>, file: &str, found: &mut Found) {
    let Some(text) = project.text(file) else { return };
    let source = Source::new(&text, Language::Elixir);
    let env = |name: &str| project.variable(name);
    let mut scope = Scope::new(file, &env);
    scope.run(&source);
    for arguments in source.bare_calls("config") {
        // `config :app, App.Repo, database: …`
        let [(None, _), (None, Expr::Name(repository)), settings @ ..] = arguments.as_slice() else {
            continue;
        };
        let setting = |name: &str| {
            let (_, value) = settings.iter().find(|(key, _)| key.as_deref() == Some(name))?;
            Some(scope.value(value))
        };
        let alias = alias(repository);
        // An endpoint has a `url:` as well.
        let url = || if repository.contains("Repo") { setting("url") } else { None };
        match setting("database").or_else(url).map(|value| value.text()) {
            Some(Some(database)) => {
                if let Some(database) = project.database(&alias, &database, ".", Slashes::Three) {
                    found.add(project, database);
                }
            }
            Some(None) => project.note(format!(
                "{alias} was skipped: its database in {} cannot be read without Elixir; write its path into the file by hand",
                project.in_tree(file)
            )),
            None => {}
        }
    }
    // A default of production that a variable overrules is worth knowing.
    for asked in scope.take_asked().iter().filter(|asked| asked.name.contains("DATABASE") && !asked.is_set) {
        if !found.databases.is_empty() {
            project.note(format!(
                "{} is not set here: it has to be where litekeeper runs, if the app needs it",
                asked.name
            ));
        }
    }
}

/// Turns `Shop.Repo` into `repo`, `Shop.Cache.Repo` into `cache_repo`.
fn alias(repository: &str) -> String {
    let below = repository.split_once('.').map_or(repository, |(_, below)| below);
    let mut alias = String::new();
    for (index, c) in below.char_indices() {
        let starts_word = c.is_uppercase() && index > 0 && !alias.ends_with('_');
        match c {
            '.' => alias.push('_'),
            _ if starts_word => alias.extend(std::iter::once('_').chain(c.to_lowercase())),
            _ => alias.extend(c.to_lowercase()),
        }
    }
    alias
}
