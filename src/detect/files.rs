//! No framework: SQLite files, by the first 16 bytes.

use std::path::{Path, PathBuf};

use super::command;
use super::existing;
use super::find::{Found, is_passed_over};
use super::place::{self, Slashes};
use super::plan::Framework;
use super::project::Project;
use super::tree::Kind;

/// What every database begins with (<https://www.sqlite.org/fileformat.html#magic_header_string>).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// How deep they are looked for.
const MAX_DEPTH: usize = 8;
/// How many entries are looked at.
const MAX_ENTRIES: usize = 20_000;
/// How many databases are taken.
const MAX_DATABASES: usize = 50;

pub(super) fn read(project: &Project<'_>) -> Option<Found> {
    let mut found = Found::new(Framework::Files, "the files' first bytes".to_owned());
    let mut level = vec![PathBuf::from(".")];
    let mut looked = 0;
    for depth in 0.. {
        if depth > MAX_DEPTH {
            project.note(format!("folders more than {MAX_DEPTH} levels deep were not looked at"));
            break;
        }
        let mut below = Vec::new();
        for folder in &level {
            let mut entries = project.tree().list(folder);
            entries.sort_unstable_by(|left, right| left.path.cmp(&right.path));
            for entry in entries {
                looked += 1;
                match entry.kind {
                    Kind::Folder
                        if !entry
                            .path
                            .file_name()
                            .is_none_or(|name| is_passed_over(&name.to_string_lossy())) =>
                    {
                        below.push(entry.path);
                    }
                    Kind::File if is_database(project, &entry.path) => take(project, &entry.path, &mut found),
                    Kind::File | Kind::Folder | Kind::Other => {}
                }
            }
            if looked > MAX_ENTRIES || found.databases.len() >= MAX_DATABASES {
                let databases = found.databases.len();
                project.note(format!(
                    "the search ended after {looked} files and folders, with {databases} databases"
                ));
                below.clear();
                break;
            }
        }
        level = below;
        if level.is_empty() {
            break;
        }
    }
    let copies = found.databases.iter().filter(|database| database.left_out.is_some());
    let copies: Vec<&str> = copies.map(|database| database.path.as_str()).collect();
    if !copies.is_empty() && copies.len() == found.databases.len() {
        project.note(format!("only copies and caches are here: {}", copies.join(", ")));
    }
    found.command = command::plain(project);
    existing::carry_over(project, &["litestream.yml", "etc/litestream.yml"], &mut found);
    Some(found)
}

fn is_database(project: &Project<'_>, file: &Path) -> bool {
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
    if let Some(database) = &mut database {
        database.left_out = disposable(&database.path);
    }
    found.databases.extend(database);
}

/// Why nobody wants a file on the replica that somebody has copied, or that a program makes again.
fn disposable(path: &str) -> Option<String> {
    const COPIES: [&str; 10] =
        ["backup", "backups", "bak", "old", "archive", "archives", "dump", "dumps", "snapshot", "snapshots"];
    const CACHES: [&str; 5] = ["cache", "caches", "tmp", "temp", "log"];
    let is_in = |names: &[&str], part: &str| names.contains(&part.to_ascii_lowercase().as_str());
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let folder = |names: &[&str]| folders.split('/').find(|part| is_in(names, part));
    // `app.db.bak`, `app-backup-2026.db`, `cache.db`; `old_town.db` is neither.
    let words = |names: &[&str]| name.split(['.', '-', '_', ' ']).any(|part| is_in(names, part));
    if let Some(folder) = folder(&COPIES) {
        return Some(format!("it lies in {folder}/, as a copy does"));
    }
    if let Some(folder) = folder(&CACHES) {
        return Some(format!("it lies in {folder}/, where nothing is kept"));
    }
    if words(&["backup", "backups", "bak"]) || name.ends_with(".old") {
        return Some("its name is that of a copy".to_owned());
    }
    words(&["cache", "caches"]).then(|| "its name is that of a cache".to_owned())
}
