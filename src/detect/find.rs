//! The search for a project's framework and its databases.

use super::found::Found;
use super::frameworks::{
    django, drizzle, files, laravel, phoenix, pocketbase, prisma, rails, sqlalchemy, url,
};
use super::project::Project;
use super::start::{self, Below};
use super::{Database, Framework, Plan, Surroundings, bucket, existing, name, path, spare, walk};

/// No database to replicate was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nothing {
    /// The framework that was seen, and where.
    pub framework: Option<(Framework, String)>,
    /// What was skipped, and why.
    pub notes: Vec<String>,
}

/// A framework, whether a project has it, and its reader.
type Reader = (Framework, fn(&Project<'_>) -> bool, fn(&Project<'_>) -> Option<Found>);

/// The readers, in the order in which they win: those that run the app before those that only know its database.
const READERS: [Reader; 7] = [
    (Framework::Rails, rails::is_here, rails::read),
    (Framework::Django, django::is_here, django::read),
    (Framework::Laravel, laravel::is_here, laravel::read),
    (Framework::Phoenix, phoenix::is_here, phoenix::read),
    (Framework::PocketBase, pocketbase::is_here, pocketbase::read),
    (Framework::Prisma, prisma::is_here, prisma::read),
    (Framework::Drizzle, drizzle::is_here, drizzle::read),
];

/// Finds the databases of a project.
///
/// A framework in the folder itself wins over those in folders below, the shallower over the deeper. `DATABASE_URL` and
/// SQLite files count only without any framework: a SQLite file in a project whose database is PostgreSQL is not
/// replicated.
///
/// # Errors
/// Where no database is to be replicated: the framework that was seen, and why not.
pub fn find(around: &Surroundings<'_>) -> Result<Plan, Nothing> {
    let mut seen: Vec<(Framework, String)> = Vec::new();
    let mut notes = Vec::new();
    let mut best: Option<(Found, Below, String)> = None;
    for folder in walk::folders(around.tree) {
        let project = Project::new(around, &folder);
        for (framework, _, read) in READERS.iter().filter(|(_, is_here, _)| is_here(&project)) {
            // `prisma/schema.prisma` is the schema of its parent, and no project of its own.
            if folder != "." && seen.contains(&(*framework, path::parent(&folder))) {
                continue;
            }
            seen.push((*framework, folder.clone()));
            if best.is_some() {
                continue;
            }
            if let Some(mut found) = read(&project).filter(Found::is_replicable) {
                settle(around, &folder, read, &mut found);
                note_processes(&project, &found, &mut notes);
                let below = take_command(&project, &mut found);
                best = Some((found, below, folder.clone()));
            }
        }
        for note in project.notes() {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    if best.is_none() && seen.is_empty() {
        let (project, found) = plain(around);
        if let Some((what, _)) = url::foreign(&project).filter(|_| found.is_none()) {
            project.note(format!("default was skipped: {what} is not a local SQLite file"));
        }
        best = found.map(|mut found| {
            let below = take_command(&project, &mut found);
            (found, below, ".".to_owned())
        });
        notes.extend(project.notes());
    }
    let Some((found, below, folder)) = best else {
        return Err(Nothing { framework: seen.into_iter().next(), notes });
    };
    seen.retain(|(framework, place)| *framework != found.framework || *place != folder);
    Ok(plan(&Project::new(around, &folder), found, below, notes, seen))
}

/// Reads a project without a framework: its configuration of Litestream, else its variables, files and code.
fn plain<'a>(around: &'a Surroundings<'a>) -> (Project<'a>, Option<Found>) {
    let project = Project::new(around, ".");
    let existing = || existing::read(&project).filter(Found::is_replicable);
    let existing = if around.existing && around.keep_replicas { existing() } else { None };
    let above = match existing {
        Some(found) if found.source.starts_with("../") => Some(found),
        Some(found) => return (project, Some(found)),
        None => None,
    };
    // Its notes are dropped where the configuration above is taken.
    let own = Project::new(around, ".");
    let found = without_framework(&own).map(|mut found| {
        // The paths of files come from no variable.
        if found.framework != Framework::Files {
            settle(around, ".", &without_framework, &mut found);
        }
        found
    });
    match (above, found) {
        (Some(above), None) => (project, Some(above)),
        (Some(above), Some(found)) if existing::covers(&project, &above, &found) => (project, Some(above)),
        (Some(above), Some(found)) => {
            own.note(existing::of_others(&above.source, &above.written_paths));
            (own, Some(found))
        }
        (None, found) => (own, found),
    }
}

fn without_framework(project: &Project<'_>) -> Option<Found> {
    let found = sqlalchemy::flask(project).or_else(|| url::read(project));
    let files = || files::read(project).filter(Found::is_replicable);
    found.or_else(files).or_else(|| sqlalchemy::read(project)).filter(Found::is_replicable)
}

/// Gives the databases the places that they have without any variable, so that they are the same whether it is set where
/// `init` runs or not.
fn settle(
    around: &Surroundings<'_>,
    folder: &str,
    read: &dyn Fn(&Project<'_>) -> Option<Found>,
    found: &mut Found,
) {
    let Some(bare) = read(&Project::bare(around, folder)) else { return };
    for database in &mut found.databases {
        let same = bare.databases.iter().find(|other| other.alias == database.alias);
        database.place = same.filter(|other| other.path != database.path).map(Database::called);
    }
}

/// Puts together all that is written.
fn plan(
    project: &Project<'_>,
    mut found: Found,
    below: Below,
    mut notes: Vec<String>,
    others: Vec<(Framework, String)>,
) -> Plan {
    let deployment = project.deployment().clone();
    start::ports(&deployment, &mut found);
    let name = name::of(project, &found);
    project.read_dotenv(".env");
    let place = bucket::variables(project);
    let schemes = bucket::schemes(project, &found.databases, &place);
    let mut spares = spare::beside(project.tree, &found.databases);
    for database in found.databases.iter_mut().chain(&mut spares) {
        database.beside_code = walk::has_code(project.tree, &spare::folder(database));
    }
    notes.extend(spare::note(&spares));
    notes.extend(url::note_foreign(project, &found.databases));
    let is_existing = found.framework == Framework::Existing;
    let is_command_written = if is_existing { found.has_own_command } else { !found.command.is_empty() };
    Plan {
        framework: found.framework,
        source: found.source,
        project: name,
        place,
        schemes,
        folder: project.folder.clone(),
        databases: found.databases,
        spares,
        command: found.command,
        is_command_written,
        uses: found.uses,
        before: found.before,
        path_prefix: found.path_prefix,
        settings: found.settings,
        vfs: found.vfs,
        workdir: deployment.image.folder(found.workdir.as_deref()),
        env: found.env,
        deployment,
        below,
        notes,
        others,
    }
}

/// Takes the command that is deployed in place of a guess: first the one below a Litestream of the project's own.
fn take_command(project: &Project<'_>, found: &mut Found) -> Below {
    let below = start::litestream(project);
    if found.has_own_command {
        return below;
    }
    let (command, whose) = if let Some(command) = below.image.as_ref().or(below.web.as_ref()) {
        let whose = "the -exec of the project's own litestream: what else its script does, as migrations, belongs into litekeeper.before";
        (command.clone(), whose.to_owned())
    } else if let Some((command, file)) =
        start::deployed(project, &below).filter(|_| found.is_guess || found.command.is_empty())
    {
        (command, format!("the one of {}", project.in_tree(file)))
    } else {
        return below;
    };
    found.command = command;
    found.has_given_command = true;
    let asks = [
        "put the app's command into litekeeper.app.command",
        "put the app's own command into litekeeper.app.command",
        "put the one that you deploy with in its place",
    ];
    project.forget(|note| asks.iter().any(|end| note.ends_with(end)));
    project.note(format!("the command is {whose}"));
    below
}

/// Notes what else a Procfile starts.
fn note_processes(project: &Project<'_>, found: &Found, notes: &mut Vec<String>) {
    let others = project.deployment().procfile.iter().filter(|(name, _)| name != "web");
    let (release, others): (Vec<_>, Vec<_>) = others.partition(|(name, _)| name == "release");
    if !release.is_empty() && !found.before.is_empty() {
        notes.push("the `release` of Procfile runs where no database is restored, and beside replication: take it out, litekeeper.before has the migrations".to_owned());
    }
    if let Some((name, _)) = others.first() {
        notes.push(format!(
            "Procfile also starts `{name}`: all that writes to the database has to run below one litekeeper, as in examples/procfile"
        ));
    }
}
