//! Which framework it is.

use std::path::Path;

use super::django::{self, Ask};
use super::place;
use super::plan::{Database, Framework, Plan, Setting};
use super::project::Project;
use super::second::{self, Below};
use super::tree::{Entry, Kind, Tree};
use super::{
    bucket, command, drizzle, existing, files, laravel, name, phoenix, pocketbase, prisma, rails, spare,
    sqlalchemy, url,
};

/// How deep frameworks are looked for below the folder itself.
const MAX_DEPTH: usize = 3;
/// How many folders are looked at.
const MAX_FOLDERS: usize = 2_000;
/// What files of a program end in.
const CODE: [&str; 9] = ["rb", "php", "py", "prisma", "sql", "js", "ts", "ex", "exs"];
/// How many databases are taken of one project.
const MAX_DATABASES: usize = 1_000;

/// What detection may look at.
pub struct Surroundings<'a> {
    /// The project's files.
    pub tree: &'a dyn Tree,
    /// The tree's own absolute path.
    pub root: &'a str,
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Runs the project's own Python; `Err` is why that did not work.
    pub ask: Ask<'a>,
    /// Whether the replicas that the project names already are kept.
    pub keep_replicas: bool,
    /// Whether a configuration that is there already may be all that is needed.
    pub existing: bool,
    /// How many folders above the tree may be looked at for one.
    pub parents: usize,
}

/// That there is nothing to replicate, and what there is instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nothing {
    /// The framework that was seen, and where.
    pub framework: Option<(Framework, String)>,
    /// What was skipped, and why.
    pub notes: Vec<String>,
}

/// What a framework's reader found; [`Plan`] in the making.
pub(super) struct Found {
    pub framework: Framework,
    pub source: String,
    pub databases: Vec<Database>,
    pub command: Vec<String>,
    pub before: Vec<Vec<String>>,
    pub workdir: Option<String>,
    pub env: Vec<(String, String)>,
    pub path_prefix: Option<String>,
    pub settings: Vec<(String, Setting)>,
    pub vfs: Vec<(String, String)>,
    /// Whether somebody has chosen the command already.
    pub has_own_command: bool,
    /// Whether it is the one that is deployed, port and all.
    pub has_given_command: bool,
    /// Whether the command is only one that would do, as a server for development.
    pub is_guess: bool,
    /// Variables that a configuration names which stays as it is.
    pub uses: Vec<String>,
    /// The paths of its databases as they stand in it.
    pub said: Vec<String>,
}

impl Found {
    pub fn new(framework: Framework, source: String) -> Self {
        Self {
            framework,
            source,
            databases: Vec::new(),
            command: Vec::new(),
            before: Vec::new(),
            workdir: None,
            env: Vec::new(),
            path_prefix: None,
            settings: Vec::new(),
            vfs: Vec::new(),
            has_own_command: false,
            has_given_command: false,
            is_guess: false,
            uses: Vec::new(),
            said: Vec::new(),
        }
    }

    /// How the app is started, and what comes before it.
    pub fn start(&mut self, command: &[&str], before: &[&[&str]]) {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        self.command = words(command);
        self.before = before.iter().map(|one| words(one)).collect();
    }

    /// What has to be set where the app runs, unless it is deployed with it.
    pub fn needs(&mut self, project: &Project<'_>, name: &str, value: &str) {
        if project.deployment().variable(name).is_none() {
            self.env.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Takes a database, unless its file is known by another name already.
    pub fn add(&mut self, project: &Project<'_>, database: Database) {
        if self.databases.len() >= MAX_DATABASES {
            return project.note(format!("only the first {MAX_DATABASES} databases were taken"));
        }
        let (path, alias) = (&database.path, &database.alias);
        match self.databases.iter().find(|known| known.path == *path) {
            Some(known) => project.note(format!("{alias} is the same file as {}", known.alias)),
            None => self.databases.push(database),
        }
    }

    fn is_worth_something(&self) -> bool {
        self.databases.iter().any(|database| database.left_out.is_none())
    }
}

/// A framework's reader.
struct Reader {
    framework: Framework,
    is_here: fn(&Project<'_>) -> bool,
    read: fn(&Project<'_>, Ask<'_>) -> Option<Found>,
}

/// The readers, in the order in which they win: whoever runs the app before those who only know its database.
const READERS: [Reader; 7] = [
    Reader { framework: Framework::Rails, is_here: rails::is_here, read: |project, _| rails::read(project) },
    Reader { framework: Framework::Django, is_here: django::is_here, read: django::read },
    Reader {
        framework: Framework::Laravel,
        is_here: laravel::is_here,
        read: |project, _| laravel::read(project),
    },
    Reader {
        framework: Framework::Phoenix,
        is_here: phoenix::is_here,
        read: |project, _| phoenix::read(project),
    },
    Reader {
        framework: Framework::PocketBase,
        is_here: pocketbase::is_here,
        read: |project, _| pocketbase::read(project),
    },
    Reader {
        framework: Framework::Prisma,
        is_here: prisma::is_here,
        read: |project, _| prisma::read(project),
    },
    Reader {
        framework: Framework::Drizzle,
        is_here: drizzle::is_here,
        read: |project, _| drizzle::read(project),
    },
];

/// Finds the databases of a project.
///
/// A framework in the folder itself wins over those in folders below, the shallower over the deeper. Only without any
/// framework do `DATABASE_URL` and SQLite files count: a file of a project whose database is PostgreSQL is no database
/// to replicate.
///
/// # Errors
/// When there is nothing to replicate: what was seen instead.
pub fn find(around: &Surroundings<'_>) -> Result<Plan, Nothing> {
    let project = |folder: &str| Project::new(around, folder);
    let mut seen: Vec<(Framework, String)> = Vec::new();
    let mut notes = Vec::new();
    let mut best: Option<(Found, String)> = None;
    let mut below = Below::default();
    for folder in folders(around.tree) {
        let project = project(&folder);
        for reader in READERS.iter().filter(|reader| (reader.is_here)(&project)) {
            // `prisma/schema.prisma` is the schema of its parent, and no project of its own.
            if folder != "." && seen.contains(&(reader.framework, place::parent(&folder))) {
                continue;
            }
            seen.push((reader.framework, folder.clone()));
            if best.is_some() {
                continue;
            }
            let Some(found) = (reader.read)(&project, around.ask) else { continue };
            if found.is_worth_something() {
                let mut found = found;
                let bare = |project: &Project<'_>| (reader.read)(project, &|_| Err("not asked".to_owned()));
                settle(around, &folder, &bare, &mut found);
                processes(&project, &found, &mut notes);
                below = second::note(&project);
                take_command(&project, &below, &mut found);
                best = Some((found, folder.clone()));
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
        best = found.map(|found| (found, ".".to_owned()));
        if let Some((what, _)) = url::foreign(&project).filter(|_| best.is_none()) {
            project.note(format!("default was skipped: {what} is not a local SQLite file"));
        }
        if let Some((found, _)) = &mut best {
            below = second::note(&project);
            take_command(&project, &below, found);
        }
        notes.extend(project.notes());
    }
    let Some((found, folder)) = best else {
        return Err(Nothing { framework: seen.into_iter().next(), notes });
    };
    seen.retain(|(framework, place)| *framework != found.framework || *place != folder);
    Ok(Plan { below, ..plan(&project(&folder), found, folder.clone(), notes, seen) })
}

/// A project without a framework: the configuration that it has, else what its variables, files and code say.
fn plain<'a>(around: &Surroundings<'a>) -> (Project<'a>, Option<Found>) {
    let project = Project::new(around, ".");
    let existing = || existing::read(&project).filter(Found::is_worth_something);
    let existing = if around.existing && around.keep_replicas { existing() } else { None };
    let above = match existing {
        Some(found) if found.source.starts_with("../") => Some(found),
        Some(found) => return (project, Some(found)),
        None => None,
    };
    // What is said on the way is not said of a configuration that does.
    let own = Project::new(around, ".");
    let read = |project: &Project<'_>| {
        let found = sqlalchemy::flask(project).or_else(|| url::read(project));
        let there = || files::read(project).filter(Found::is_worth_something);
        found.or_else(there).or_else(|| sqlalchemy::read(project)).filter(Found::is_worth_something)
    };
    let found = read(&own).map(|mut found| {
        // What the files are is in no variable.
        if found.framework != Framework::Files {
            settle(around, ".", &read, &mut found);
        }
        found
    });
    match (above, found) {
        (Some(above), None) => (project, Some(above)),
        (Some(above), Some(found)) if existing::covers(&project, &above, &found) => (project, Some(above)),
        (Some(above), Some(found)) => {
            own.note(existing::of_others(&above.source, &above.said));
            (own, Some(found))
        }
        (None, found) => (own, found),
    }
}

/// Gives the databases the places that they have without any variable, so that they are the same ones whether it is set
/// where `init` runs or not.
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

fn plan(
    project: &Project<'_>,
    mut found: Found,
    folder: String,
    mut notes: Vec<String>,
    others: Vec<(Framework, String)>,
) -> Plan {
    let deployment = project.deployment().clone();
    command::ports(&deployment, &mut found);
    let name = name::of(project, &found);
    project.read_dotenv(".env");
    let place = bucket::variables(project);
    let schemes = bucket::schemes(project, &found.databases, &place);
    let mut spares = spare::beside(project, &found.databases);
    for database in found.databases.iter_mut().chain(&mut spares) {
        database.beside_code = has_code(project.tree(), &spare::folder(database));
    }
    notes.extend(spare::said(&spares));
    notes.extend(url::said(project, &found.databases));
    let is_command_written = match found.framework {
        Framework::Existing => found.has_own_command,
        _ => !found.command.is_empty(),
    };
    Plan {
        framework: found.framework,
        source: found.source,
        project: name,
        place,
        schemes,
        folder,
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
        below: Below::default(),
        notes,
        others,
    }
}

/// The app that a Litestream of the project's own starts is what is deployed, whatever else could be guessed.
fn take_command(project: &Project<'_>, below: &Below, found: &mut Found) {
    if found.has_own_command {
        return;
    }
    let (command, whose) = if let Some(command) = below.image.as_ref().or(below.web.as_ref()) {
        let whose = "the -exec of the project's own litestream: what else its script does, as migrations, belongs into litekeeper.before";
        (command.clone(), whose.to_owned())
    } else if let Some((command, file)) =
        command::deployed(project, below).filter(|_| found.is_guess || found.command.is_empty())
    {
        (command, format!("the one of {}", project.in_tree(file)))
    } else {
        return;
    };
    found.command = command;
    found.has_given_command = true;
    project.forget(|note| note.ends_with("put the app's command into litekeeper.app.command"));
    project.forget(|note| note.ends_with("put the app's own command into litekeeper.app.command"));
    project.forget(|note| note.ends_with("put the one that you deploy with in its place"));
    project.note(format!("the command is {whose}"));
}

/// Whether a folder, or one in it, holds parts of the program: migrations, a schema.
fn has_code(tree: &dyn Tree, folder: &str) -> bool {
    let is_code = |entry: &Entry| {
        let extension = entry.path.extension().and_then(|extension| extension.to_str());
        // PocketBase writes its types beside its data.
        entry.kind == Kind::File
            && !entry.path.ends_with("types.d.ts")
            && extension.is_some_and(|extension| CODE.contains(&extension))
    };
    let entries = tree.list(Path::new(folder));
    entries.iter().any(is_code)
        || entries
            .iter()
            .take(MAX_FOLDERS)
            .any(|entry| entry.kind == Kind::Folder && tree.list(&entry.path).iter().any(is_code))
}

/// What else a Procfile starts.
fn processes(project: &Project<'_>, found: &Found, notes: &mut Vec<String>) {
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

/// The folders of a tree that may hold a project, the shallower first, then by name.
fn folders(tree: &dyn Tree) -> Vec<String> {
    let mut found = vec![".".to_owned()];
    let mut level = found.clone();
    for _ in 0..MAX_DEPTH {
        let mut below: Vec<String> = Vec::new();
        for folder in &level {
            let entries = tree.list(Path::new(folder)).into_iter().filter(|entry| entry.kind == Kind::Folder);
            let names = entries.filter_map(|entry| entry.path.to_str().map(place::clean));
            below.extend(names.filter(|path| !is_passed_over(place::name(path))));
        }
        below.sort_unstable();
        below.truncate(MAX_FOLDERS.saturating_sub(found.len()));
        found.extend(below.iter().cloned());
        level = below;
    }
    found
}

/// Folders of other people's code, of builds, of tests, and hidden ones.
pub(super) fn is_passed_over(name: &str) -> bool {
    name.starts_with('.')
        || name.ends_with("-litestream")
        || [
            "node_modules",
            "vendor",
            "target",
            "venv",
            "env",
            "__pycache__",
            "deps",
            "_build",
            "site-packages",
        ]
        .contains(&name)
        || ["test", "tests", "spec", "fixtures"].contains(&name)
}
