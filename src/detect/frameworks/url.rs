//! No framework, but `DATABASE_URL`: from the environment, or from `.env`, which a fresh clone has only an example of.

use super::sqlalchemy;
use crate::detect::found::Found;
use crate::detect::path::{self, Named, Slashes};
use crate::detect::project::Project;
use crate::detect::{Database, Framework, database, existing, start};

/// Finds the server that `DATABASE_URL` names instead of a SQLite file, and the file that sets it.
pub(in crate::detect) fn foreign(project: &Project<'_>) -> Option<(String, String)> {
    let (url, file) = project.variable_and_file("DATABASE_URL")?;
    match path::named(&url, Slashes::Unknown) {
        Named::Foreign(scheme) => {
            let file = file.map_or_else(|| "the environment".to_owned(), |file| project.in_tree(&file));
            Some((database::foreign(&scheme), file))
        }
        Named::File(_) | Named::Either { .. } | Named::Memory => None,
    }
}

/// Notes which database is which, where a project has both.
pub(in crate::detect) fn note_foreign(project: &Project<'_>, databases: &[Database]) -> Option<String> {
    const MOST: usize = 3;
    let (what, source) = foreign(project)?;
    let replicated = databases.iter().filter(|database| database.is_replicated());
    let mut paths: Vec<String> = replicated.map(Database::shown_path).collect();
    let more = paths.len().saturating_sub(MOST);
    paths.truncate(MOST);
    paths.extend((more > 0).then(|| format!("{more} more")));
    let are = if paths.len() == 1 { "is SQLite, and is" } else { "are SQLite, and are" };
    Some(format!(
        "DATABASE_URL of {source} names {what}, which is not replicated; {} {are}",
        paths.join(", ")
    ))
}

pub(in crate::detect) fn read(project: &Project<'_>) -> Option<Found> {
    let deployed = project.variable("DATABASE_URL").and_then(|_| project.variable_and_file("DATABASE_URL"));
    let source = project.read_dotenvs(&[".env"]);
    if foreign(project).is_some() {
        return None;
    }
    let url = project.variable("DATABASE_URL")?;
    let of_deployed = deployed.map(|(_, file)| file.unwrap_or_else(|| "the environment".to_owned()));
    let source = of_deployed.unwrap_or_else(|| source.to_owned());
    let mut found = Found::new(Framework::DatabaseUrl, source);
    found.databases.extend(project.database("default", &url, ".", sqlalchemy::slashes(project)));
    found.command = start::plain(project);
    existing::carry_over(project, &["litestream.yml"], &mut found);
    Some(found).filter(|found| !found.databases.is_empty())
}
