//! What a project is called.

use super::find::Found;
use super::place;
use super::plan::Framework;
use super::project::Project;
use super::{django, laravel};

/// Names that generators and templates give, or that every second project has.
const COMMON: [&str; 63] = [
    "admin",
    "api",
    "app",
    "application",
    "apps",
    "backend",
    "blog",
    "client",
    "code",
    "config",
    "core",
    "demo",
    "django",
    "django-project",
    "example",
    "frontend",
    "hello",
    "hello-prisma",
    "hello-world",
    "home",
    "html",
    "laravel",
    "laravel-laravel",
    "laravel-livewire-starter-kit",
    "laravel-react-starter-kit",
    "laravel-svelte-starter-kit",
    "laravel-vue-starter-kit",
    "main",
    "my-app",
    "my-project",
    "my-remix-app",
    "my-t3-app",
    "my_app",
    "myapp",
    "myproject",
    "mysite",
    "nest-typescript-starter",
    "new-project",
    "nextjs",
    "nuxt-app",
    "project",
    "rails-app",
    "rails_app",
    "railsapp",
    "remix-template",
    "sample",
    "server",
    "service",
    "site",
    "skeleton",
    "src",
    "starter",
    "svelte-app",
    "sveltekit",
    "symfony-skeleton",
    "symfony-website-skeleton",
    "template",
    "test",
    "vite-project",
    "web",
    "webapp",
    "website",
    "workspace",
];

/// The app's own name, else Fly's, else the folder's: always one, that can be a part of a path.
pub(super) fn of(project: &Project<'_>, found: &Found) -> String {
    let own = match found.framework {
        Framework::Rails => rails(project),
        Framework::Django => django::package(project),
        Framework::Laravel => laravel::name(project).or_else(|| manifest(project)),
        Framework::Phoenix => phoenix(project),
        Framework::PocketBase
        | Framework::Prisma
        | Framework::Drizzle
        | Framework::Flask
        | Framework::SqlAlchemy
        | Framework::DatabaseUrl
        | Framework::Files
        | Framework::Existing => manifest(project),
    };
    let is_own = |name: &String| !name.is_empty() && !COMMON.contains(&name.as_str());
    let own = own.map(|name| part(&name)).filter(is_own);
    let fly = || project.deployment().fly.as_ref()?.app.as_deref().map(part).filter(is_own);
    let folder = || {
        let whole = place::join(project.root(), &project.folder);
        whole.rsplit('/').map(part).find(|name| !name.is_empty())
    };
    own.or_else(fly).or_else(folder).unwrap_or_else(|| "app".to_owned())
}

/// A text as a part of a path: small letters, digits, and no more than one sign between them.
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

/// `module Shop` of config/application.rb, as Rails would spell its folder.
fn rails(project: &Project<'_>) -> Option<String> {
    let text = project.glimpse("config/application.rb")?;
    let name = text.lines().find_map(|line| line.strip_prefix("module "))?.trim();
    let mut found = String::new();
    for c in name.chars().take_while(|c| c.is_alphanumeric()) {
        if c.is_uppercase() && found.ends_with(char::is_lowercase) {
            found.push('_');
        }
        found.extend(c.to_lowercase());
    }
    Some(found)
}

fn phoenix(project: &Project<'_>) -> Option<String> {
    let text = project.glimpse("mix.exs")?;
    let (_, name) = text.split_once("app: :")?;
    Some(name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect())
}

/// What a manifest says: package.json, composer.json, go.mod, Cargo.toml, pyproject.toml.
fn manifest(project: &Project<'_>) -> Option<String> {
    let json = |file: &str| {
        let json: serde_json::Value = serde_json::from_str(&project.glimpse(file)?).ok()?;
        Some(json["name"].as_str()?.to_owned())
    };
    let go = || {
        let text = project.glimpse("go.mod")?;
        let module = text.lines().find_map(|line| line.strip_prefix("module "))?.trim();
        Some(place::name(module).to_owned())
    };
    let toml = |file: &str, section: &str| {
        let text = project.glimpse(file)?;
        let (_, behind) = text.split_once(section)?;
        let line = behind
            .lines()
            .skip(1)
            .take_while(|line| !line.starts_with('['))
            .find(|line| line.split_once('=').is_some_and(|(key, _)| key.trim() == "name"))?;
        Some(line.split_once('=')?.1.trim().trim_matches(['"', '\'']).to_owned())
    };
    json("package.json")
        .or_else(|| json("composer.json"))
        .or_else(go)
        .or_else(|| toml("Cargo.toml", "[package]"))
        .or_else(|| toml("pyproject.toml", "[project]"))
}
