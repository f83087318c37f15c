//! No framework: SQLite files, by the first 16 bytes.

use std::path::Path;

use crate::detect::found::Found;
use crate::detect::path::{self, Slashes};
use crate::detect::project::Project;
use crate::detect::spare::Spare;
use crate::detect::walk::{self, Ended, MAX_FILE_DEPTH};
use crate::detect::{Framework, existing, start};

pub(in crate::detect) fn read(project: &Project<'_>) -> Option<Found> {
    let mut found = Found::new(Framework::Files, "the files' first bytes".to_owned());
    let ended = walk::each(project.tree, &mut |file| {
        if walk::is_database(project.tree, file) {
            take(project, file, &mut found);
        }
        found.databases.len()
    });
    match ended {
        Ended::Whole => {}
        Ended::Deep => {
            project.note(format!("folders more than {MAX_FILE_DEPTH} levels deep were not looked at"));
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
        .filter(|database| !database.is_replicated())
        .map(|database| database.path.as_str())
        .collect();
    if !spares.is_empty() && spares.len() == found.databases.len() {
        project.note(format!("only copies and caches are here: {}", spares.join(", ")));
    }
    found.command = start::plain(project);
    existing::carry_over(project, &["litestream.yml", "etc/litestream.yml"], &mut found);
    Some(found)
}

fn take(project: &Project<'_>, file: &Path, found: &mut Found) {
    let Some(path) = file.to_str() else {
        project.note(format!("{} was skipped: its path is not UTF-8, which YAML must be", file.display()));
        return;
    };
    let path = path::clean(path);
    let stem = path::stem(&path).to_owned();
    let taken = |alias: &str| found.databases.iter().any(|database| database.alias == alias);
    let alias = if taken(&stem) { path.clone() } else { stem };
    // With `./` it is a path and no URL: `file:x` may be a name.
    let path = format!("./{path}");
    let mut database = project.database(&alias, &path, ".", Slashes::Three);
    if let Some(database) = &mut database
        && let Some(spare) = Spare::of(&database.path)
    {
        spare.mark(database);
    }
    found.databases.extend(database);
}
