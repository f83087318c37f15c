//! The name of a project.

use super::found::Found;
use super::frameworks::{django, laravel};
use super::project::Project;
use super::{Framework, path};
use crate::toml;

/// Names that generators and templates give, or that every second project has.
const COMMON: &str = "admin api app application apps backend blog client code config core demo django django-project \
    example frontend hello hello-prisma hello-world home html laravel laravel-laravel laravel-livewire- \
    starter-kit laravel-react-starter-kit laravel-svelte-starter-kit laravel-vue-starter-kit main my-app \
    my-project my-remix-app my-t3-app my_app myapp myproject mysite nest-typescript-starter new-project \
    nextjs nuxt-app project rails-app rails_app railsapp remix-template sample server service site \
    skeleton src starter svelte-app sveltekit symfony-skeleton symfony-website-skeleton template test \
    vite-project web webapp website workspace";

/// Names of what an app is, and not of which one.
const KINDS: &str =
    "api app application backend my-app phoenix phx project rails rails-app rails_app server web website";

/// Finds the app's own name, else Kamal's, else Fly's, else the folder's: always one that can be a part of a path.
pub(super) fn of(project: &Project<'_>, found: &Found) -> String {
    let own = match found.framework {
        Framework::Rails => rails(project),
        Framework::Django => django::package(project),
        Framework::Laravel => laravel::name(project).or_else(|| manifest(project)),
        Framework::Phoenix => phoenix(project),
        Framework::PocketBase | Framework::Prisma | Framework::Drizzle => manifest(project),
        Framework::Flask | Framework::SqlAlchemy | Framework::DatabaseUrl => manifest(project),
        Framework::Files | Framework::Existing => manifest(project),
    };
    let own = own.map(|name| part(&name)).filter(|name| !name.is_empty());
    // Their generators ask for the name, so that it was chosen.
    let is_chosen = matches!(found.framework, Framework::Rails | Framework::Phoenix);
    let is_own = |name: &String| !name.is_empty() && !is_in(COMMON, name);
    let counts = |name: &String| if is_chosen { !is_in(KINDS, name) } else { is_own(name) };
    let kamal = || kamal(project).map(|name| part(&name)).filter(counts);
    let fly = || project.deployment().fly.as_ref()?.app.as_deref().map(part).filter(is_own);
    let folder = || {
        let whole = path::join(project.root, &project.folder);
        whole.rsplit('/').map(part).find(|name| !name.is_empty())
    };
    let deployed = own.clone().filter(counts).or_else(kamal).or_else(fly);
    let chosen = || own.filter(|_| is_chosen);
    deployed
        .or_else(|| folder().filter(|name| is_own(name) && !is_in(KINDS, name)))
        .or_else(chosen)
        .or_else(folder)
        .unwrap_or_else(|| "app".to_owned())
}

fn is_in(names: &str, name: &str) -> bool {
    names.split(' ').any(|known| known == name)
}

/// Makes a text a part of a path: small letters, digits, and no more than one sign between them.
fn part(text: &str) -> String {
    let mut found = String::new();
    for c in text.chars().take(100) {
        match c {
            _ if c.is_alphanumeric() => found.extend(c.to_lowercase()),
            '_' | '.' | '-' if !found.is_empty() => found.push(c),
            _ if !found.is_empty() && !found.ends_with('-') => found.push('-'),
            _ => {}
        }
    }
    found.trim_end_matches(['-', '.', '_']).to_owned()
}

/// Reads `module Shop` of config/application.rb, as Rails would spell its folder.
fn rails(project: &Project<'_>) -> Option<String> {
    let text = project.glimpse("config/application.rb")?;
    let name = text.lines().find_map(|line| line.trim().strip_prefix("module "))?.trim();
    let name: String = name.chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect();
    Some(underscored(&name.replace("::", "-")))
}

/// Turns `CornerShop` into `corner_shop`, and `HTMLShop` into `html_shop`.
fn underscored(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut found = String::new();
    for (index, c) in chars.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| chars.get(index));
        let ends_small = before.is_some_and(|before| before.is_lowercase() || before.is_numeric());
        let ends_big = before.is_some_and(|before| before.is_uppercase())
            && chars.get(index + 1).is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && (ends_small || ends_big) {
            found.push('_');
        }
        found.extend(c.to_lowercase());
    }
    found
}

/// Reads `app: :shop` of mix.exs; an umbrella has only the name of its module, `Shop.Umbrella.MixProject`.
fn phoenix(project: &Project<'_>) -> Option<String> {
    let text = project.glimpse("mix.exs")?;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.starts_with('#')).collect();
    let atom = |line: &&str| {
        let (_, behind) = line.split_once("app:")?;
        let name = behind.trim_start().strip_prefix(':')?.trim_start_matches('"');
        Some(name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
    };
    let module = || {
        let name = lines.iter().find_map(|line| line.strip_prefix("defmodule "))?.split('.').next()?.trim();
        Some(underscored(name)).filter(|name| name != "mix_project")
    };
    lines.iter().find_map(atom).or_else(module)
}

/// Reads `service: shop` of Kamal's config/deploy.yml, which is a template and no YAML yet.
fn kamal(project: &Project<'_>) -> Option<String> {
    let text = project.glimpse("config/deploy.yml")?;
    let value = text.lines().find_map(|line| line.strip_prefix("service:"))?;
    let value = value.split(" #").next()?.trim().trim_matches(['"', '\'']);
    Some(value.to_owned()).filter(|value| !value.contains(['<', '$']))
}

/// Reads the name of a manifest: package.json, composer.json, go.mod, Cargo.toml, pyproject.toml.
fn manifest(project: &Project<'_>) -> Option<String> {
    let json = |file: &str| {
        let json: serde_json::Value = serde_json::from_str(&project.glimpse(file)?).ok()?;
        Some(json["name"].as_str()?.to_owned())
    };
    let go = || {
        let text = project.glimpse("go.mod")?;
        let module = text.lines().find_map(|line| line.strip_prefix("module "))?.trim();
        Some(path::name(module).to_owned())
    };
    let toml = |file: &str, table: &str| {
        let text = project.glimpse(file)?;
        let name = toml::settings(&text).find(|found| found.table == table && found.key == "name")?;
        Some(name.value.to_owned())
    };
    json("package.json")
        .or_else(|| json("composer.json"))
        .or_else(go)
        .or_else(|| toml("Cargo.toml", "package"))
        .or_else(|| toml("pyproject.toml", "project"))
}
