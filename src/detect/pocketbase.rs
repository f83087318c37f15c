//! PocketBase: `pb_data`.

use std::path::Path;

use super::existing;
use super::find::Found;
use super::place::Slashes;
use super::plan::Framework;
use super::project::Project;

const DATA: &str = "pb_data/data.db";

pub(super) fn is_here(project: &Project<'_>) -> bool {
    let go =
        || project.glimpse("go.mod").is_some_and(|text| text.contains("github.com/pocketbase/pocketbase"));
    // A fresh clone has neither the data nor the program, but what was written for it.
    let written = || ["pb_migrations", "pb_hooks"].iter().any(|folder| has_files(project, folder));
    project.has(DATA) || project.has("pocketbase") || go() || written()
}

fn has_files(project: &Project<'_>, folder: &str) -> bool {
    !project.tree().list(Path::new(&project.in_tree(folder))).is_empty()
}

pub(super) fn read(project: &Project<'_>) -> Option<Found> {
    let mut found = Found::new(Framework::PocketBase, project.in_tree("pb_data"));
    if !project.has(DATA) {
        project.note("pb_data is not there yet: these are PocketBase's own names for its databases");
    }
    found.databases.extend(project.database("data", DATA, ".", Slashes::Three));
    // Before 0.23 the logs were in logs.db.
    for (alias, file) in [("auxiliary", "pb_data/auxiliary.db"), ("logs", "pb_data/logs.db")] {
        if project.has(file) || (alias == "auxiliary" && !project.has("pb_data/logs.db")) {
            let mut database = project.database(alias, file, ".", Slashes::Three)?;
            database.left_out = Some(
                "request logs: PocketBase makes the file anew, and writes it with every request".to_owned(),
            );
            database.comes_back = true;
            found.databases.push(database);
        }
    }
    found.start(&["./pocketbase", "serve", "--http=0.0.0.0:8090"], &[]);
    if !project.has("pocketbase") {
        project.note("there is no ./pocketbase here: put the app's own command into litekeeper.app.command");
    }
    project.note("uploaded files are in pb_data/storage, which is no database: put them on S3 in PocketBase's settings, or on the volume");
    found.workdir = Some("/pb".to_owned());
    existing::carry_over(project, &["litestream.yml"], &mut found);
    Some(found)
}
