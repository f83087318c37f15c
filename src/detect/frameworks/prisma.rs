//! Prisma: `schema.prisma`, and `prisma.config.ts` of Prisma 7.

use std::path::Path;

use crate::database_url::{PRISMA_CONFIGS as CONFIGS, prisma_schemas};
use crate::detect::code::{Language, Scope, Source, Value};
use crate::detect::database::foreign;
use crate::detect::found::Found;
use crate::detect::path::{self, Slashes};
use crate::detect::project::Project;
use crate::detect::{Framework, Kind, existing, start};

pub(in crate::detect) fn is_here(project: &Project<'_>) -> bool {
    CONFIGS.iter().any(|file| project.has(file))
        || schemas(project).iter().any(|path| schema_text(project, path).is_some())
}

/// Lists the places of the schema: package.json's, then the usual ones.
fn schemas(project: &Project<'_>) -> Vec<String> {
    prisma_schemas(project.glimpse("package.json").as_deref())
}

pub(in crate::detect) fn read(project: &Project<'_>) -> Option<Found> {
    project.read_dotenvs(&[".env", "prisma/.env"]);
    let env = |name: &str| project.variable(name);
    let config = project.first_text(&CONFIGS);
    let (mut url, mut base, mut schema) = (None, String::new(), None);
    if let Some((file, text)) = &config {
        let source = Source::new(text, Language::JavaScript);
        let scope = Scope::new(file, &env);
        let first = |key: &str| scope.first(&source, key);
        schema =
            first("schema").and_then(|value| value.text()).map(|path| path::join(&path::parent(file), &path));
        url = first("datasource").and_then(|table| table.get("url").cloned());
        // Since Prisma 7, relative to the configuration; before, to the schema.
        base = path::parent(file);
    }
    let candidates = schema.clone().into_iter().chain(schemas(project)).collect::<Vec<_>>();
    let (file, text) = candidates.iter().find_map(|path| schema_text(project, path))?;
    let mut found = Found::new(Framework::Prisma, project.in_tree(&file));
    let Some((name, source)) = datasource(&text) else {
        project.note(format!("{} has no datasource", project.in_tree(&file)));
        return Some(found);
    };
    let provider = setting(source, "provider").unwrap_or_default();
    let provider = provider.trim_matches('"');
    if provider != "sqlite" {
        project.note(format!(
            "{} has the provider {}, not SQLite, and Litestream replicates nothing else",
            project.in_tree(&file),
            foreign(provider)
        ));
        return Some(found);
    }
    if let Some(text) = setting(source, "url") {
        // Prisma's own expressions are JavaScript's.
        let scope = Scope::new(&file, &env);
        url = Some(scope.value(&Source::new(&text, Language::JavaScript).expression()));
        base = path::parent(&file);
    }
    match url.map(|url| (url.text(), url)) {
        Some((_, Value::Unset(variable))) => project.note(format!(
            "{variable} is not set here, and no .env has it: set it (file:./dev.db) and run init again"
        )),
        Some((Some(url), _)) => {
            let alias = if name.is_empty() { "db" } else { name };
            found.databases.extend(project.database(alias, &url, &base, Slashes::Three));
        }
        Some((None, _)) | None => project.note(format!(
            "the datasource's url cannot be read without Node; write the database's path into the file by hand ({})",
            project.in_tree(&file)
        )),
    }
    found.start(&[], &[&["npx", "prisma", "migrate", "deploy"]]);
    found.command = start::node(project);
    existing::carry_over(project, &["litestream.yml"], &mut found);
    Some(found)
}

/// Reads the schema's text; a folder's is that of the file with the datasource.
fn schema_text(project: &Project<'_>, path: &str) -> Option<(String, String)> {
    if project.has(path) {
        return Some((path.to_owned(), project.text(path)?));
    }
    let mut entries = project.tree.list(Path::new(&project.in_tree(path)));
    entries.sort_unstable_by(|left, right| left.path.cmp(&right.path));
    entries.into_iter().filter(|entry| entry.kind == Kind::File).find_map(|entry| {
        let name = entry.path.file_name()?.to_str().filter(|name| name.ends_with(".prisma"))?.to_owned();
        let file = format!("{path}/{name}");
        let text = project.text(&file)?;
        datasource(&text).is_some().then_some((file, text))
    })
}

/// Finds `datasource name { … }`: its name, and the text between its braces.
fn datasource(text: &str) -> Option<(&str, &str)> {
    let begins_line = |(at, word): &(usize, &str)| {
        text[..*at].rsplit('\n').next().is_some_and(|before| before.trim().is_empty())
            && text[at + word.len()..].starts_with([' ', '\t'])
    };
    let (at, word) = text.match_indices("datasource").find(begins_line)?;
    let (name, behind) = text[at + word.len()..].split_once('{')?;
    Some((name.trim(), behind.split('}').next()?))
}

/// Finds `name = value` in a block.
fn setting(block: &str, name: &str) -> Option<String> {
    block.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}
