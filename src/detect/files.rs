//! No framework: SQLite files, by the first 16 bytes.

use std::path::{Path, PathBuf};

use super::command;
use super::existing;
use super::find::{Found, is_passed_over};
use super::place::{self, Slashes};
use super::plan::Framework;
use super::project::Project;
use super::spare::Spare;
use super::tree::Kind;

/// What every database begins with (<https://www.sqlite.org/fileformat.html#magic_header_string>).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// How deep they are looked for.
const MAX_DEPTH: usize = 8;
/// How many entries are looked at.
const MAX_ENTRIES: usize = 20_000;
/// How many databases are taken.
const MAX_DATABASES: usize = 50;

/// Why a search was not one through everything.
pub(super) enum Ended {
    /// It was.
    Whole,
    /// Below there are more folders.
    Deep,
    /// After so many files and folders.
    Long(usize),
}

/// Goes through the files of the tree, the shallower first, then by name, until `visit` has taken enough of them.
pub(super) fn each(project: &Project<'_>, visit: &mut dyn FnMut(&Path) -> usize) -> Ended {
    let mut level = vec![PathBuf::from(".")];
    let mut looked = 0;
    for _ in 0..=MAX_DEPTH {
        let mut below = Vec::new();
        for folder in &level {
            let mut entries = project.tree().list(folder);
            entries.sort_unstable_by(|left, right| left.path.cmp(&right.path));
            let mut taken = 0;
            for entry in entries {
                looked += 1;
                let is_open = || {
                    let name = entry.path.file_name();
                    name.is_some_and(|name| !is_passed_over(&name.to_string_lossy()))
                };
                match entry.kind {
                    Kind::Folder if is_open() => below.push(entry.path),
                    Kind::File => taken = visit(&entry.path),
                    Kind::Folder | Kind::Other => {}
                }
            }
            if looked > MAX_ENTRIES || taken >= MAX_DATABASES {
                return Ended::Long(looked);
            }
        }
        level = below;
        if level.is_empty() {
            return Ended::Whole;
        }
    }
    Ended::Deep
}

pub(super) fn read(project: &Project<'_>) -> Option<Found> {
    let mut found = Found::new(Framework::Files, "the files' first bytes".to_owned());
    let ended = each(project, &mut |file| {
        if is_database(project, file) {
            take(project, file, &mut found);
        }
        found.databases.len()
    });
    match ended {
        Ended::Whole => {}
        Ended::Deep => {
            project.note(format!("folders more than {MAX_DEPTH} levels deep were not looked at"));
        }
        Ended::Long(looked) => {
            let databases = found.databases.len();
            project.note(format!(
                "the search ended after {looked} files and folders, with {databases} databases"
            ));
        }
    }
    let spares: Vec<&str> = found
        .databases
        .iter()
        .filter(|database| database.left_out.is_some())
        .map(|database| database.path.as_str())
        .collect();
    if !spares.is_empty() && spares.len() == found.databases.len() {
        project.note(format!("only copies and caches are here: {}", spares.join(", ")));
    }
    found.command = command::plain(project);
    existing::carry_over(project, &["litestream.yml", "etc/litestream.yml"], &mut found);
    Some(found)
}

pub(super) fn is_database(project: &Project<'_>, file: &Path) -> bool {
    project.tree().head(file, MAGIC.len()).is_some_and(|head| head == MAGIC)
}

fn take(project: &Project<'_>, file: &Path, found: &mut Found) {
    let Some(path) = file.to_str() else {
        project.note(format!("{} was skipped: its path is not UTF-8, which YAML must be", file.display()));
        return;
    };
    let path = place::clean(path);
    let stem = place::stem(&path).to_owned();
    let taken = |alias: &str| found.databases.iter().any(|database| database.alias == alias);
    let alias = if taken(&stem) { path.clone() } else { stem };
    // A path, and not a URL: `file:x` may be a name.
    let path = format!("./{path}");
    let mut database = project.database(&alias, &path, ".", Slashes::Three);
    if let Some(database) = &mut database
        && let Some(spare) = Spare::of(&database.path)
    {
        spare.mark(database);
    }
    found.databases.extend(database);
}
