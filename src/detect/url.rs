//! No framework, but `DATABASE_URL`: from the environment, or from `.env`, which a fresh clone has only an example of.

use super::command;
use super::existing;
use super::find::Found;
use super::place::Slashes;
use super::plan::Framework;
use super::project::Project;

pub(super) fn read(project: &Project<'_>) -> Option<Found> {
    let from_environment = project.variable("DATABASE_URL").is_some();
    let source = project.read_dotenvs(&[".env"]);
    let url = project.variable("DATABASE_URL")?;
    let source = if from_environment { "the environment" } else { source };
    let mut found = Found::new(Framework::DatabaseUrl, source.to_owned());
    found.databases.extend(project.database("default", &url, ".", Slashes::Unknown));
    found.command = command::plain(project);
    existing::carry_over(project, &["litestream.yml"], &mut found);
    Some(found).filter(|found| !found.databases.is_empty())
}
