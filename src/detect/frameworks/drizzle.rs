//! Drizzle: `drizzle.config.ts`.

use crate::detect::code::{Language, Scope, Source, Value};
use crate::detect::database::foreign;
use crate::detect::found::Found;
use crate::detect::path::Slashes;
use crate::detect::project::Project;
use crate::detect::{Framework, existing, start};

const CONFIGS: [&str; 5] = [
    "drizzle.config.ts",
    "drizzle.config.js",
    "drizzle.config.mjs",
    "drizzle.config.cjs",
    "drizzle.config.mts",
];

pub(in crate::detect) fn is_here(project: &Project<'_>) -> bool {
    CONFIGS.iter().any(|file| project.has(file))
}

pub(in crate::detect) fn read(project: &Project<'_>) -> Option<Found> {
    let (file, text) = project.first_text(&CONFIGS)?;
    project.read_dotenvs(&[".env", ".env.local", ".env.production"]);
    let env = |name: &str| project.variable(name);
    let mut scope = Scope::new(&file, &env);
    let source = Source::new(&text, Language::JavaScript);
    scope.run(&source);
    let first = |key: &str| scope.first(&source, key);
    let shown = project.in_tree(&file);
    let mut found = Found::new(Framework::Drizzle, shown.clone());
    // Before 0.21 there was only `driver`.
    let driver = first("driver").and_then(|value| value.text()).unwrap_or_default();
    let dialect = first("dialect").and_then(|value| value.text()).unwrap_or_else(|| driver.clone());
    let remote = ["d1-http", "d1", "expo", "durable-sqlite", "turso"];
    if !["sqlite", "turso", "better-sqlite", "libsql"].contains(&dialect.as_str()) {
        let what = if dialect.is_empty() { "an unknown dialect".to_owned() } else { foreign(&dialect) };
        project.note(format!("{shown} has {what}, not SQLite, and Litestream replicates nothing else"));
        return Some(found);
    }
    if remote.contains(&driver.as_str()) && dialect != "turso" {
        project.note(format!("{shown} has the driver {driver}: that database is no file here"));
        return Some(found);
    }
    match first("dbCredentials").and_then(|table| table.get("url").cloned()) {
        Some(Value::Unset(name)) => project.note(format!(
            "{name} is not set here, and no .env has it: set it (file:local.db) and run init again"
        )),
        Some(value) => match value.text() {
            Some(url) => found.databases.extend(project.database("default", &url, ".", Slashes::Three)),
            None => project.note(format!(
                "dbCredentials.url in {shown} cannot be read without Node; write the database's path into the file by hand"
            )),
        },
        None => project.note(format!("{shown} has no dbCredentials.url: write the database's path into the file by hand")),
    }
    found.start(&[], &[&["npx", "drizzle-kit", "migrate"]]);
    found.command = start::node(project);
    existing::carry_over(project, &["litestream.yml"], &mut found);
    Some(found)
}
