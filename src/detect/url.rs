//! No framework, but `DATABASE_URL`: from the environment, or from `.env`, which a fresh clone has only an example of.

use super::command;
use super::existing;
use super::find::Found;
use super::place::{self, Named, Slashes};
use super::plan::{Database, Framework};
use super::project::{self, Project};
use super::sqlalchemy;

/// What `DATABASE_URL` names instead of a SQLite file, and what says so.
pub(super) fn foreign(project: &Project<'_>) -> Option<(String, String)> {
    let (url, file) = project.said("DATABASE_URL")?;
    match place::named(&url, Slashes::Unknown) {
        Named::Foreign(scheme) => {
            let file = file.map_or_else(|| "the environment".to_owned(), |file| project.in_tree(&file));
            Some((project::foreign(&scheme), file))
        }
        Named::File(_) | Named::Either { .. } | Named::Memory => None,
    }
}

/// What there is to say where both are: which database is which.
pub(super) fn said(project: &Project<'_>, databases: &[Database]) -> Option<String> {
    const MOST: usize = 3;
    let (what, source) = foreign(project)?;
    let replicated = databases.iter().filter(|database| database.left_out.is_none());
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

pub(super) fn read(project: &Project<'_>) -> Option<Found> {
    let deployed = project.variable("DATABASE_URL").and_then(|_| project.said("DATABASE_URL"));
    let source = project.read_dotenvs(&[".env"]);
    if foreign(project).is_some() {
        return None;
    }
    let url = project.variable("DATABASE_URL")?;
    let of_deployed = deployed.map(|(_, file)| file.unwrap_or_else(|| "the environment".to_owned()));
    let source = of_deployed.unwrap_or_else(|| source.to_owned());
    let mut found = Found::new(Framework::DatabaseUrl, source);
    found.databases.extend(project.database("default", &url, ".", sqlalchemy::slashes(project)));
    found.command = command::plain(project);
    existing::carry_over(project, &["litestream.yml"], &mut found);
    Some(found).filter(|found| !found.databases.is_empty())
}
