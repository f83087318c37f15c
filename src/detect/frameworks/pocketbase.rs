//! PocketBase: `pb_data`.

use std::path::Path;

use crate::detect::found::Found;
use crate::detect::path::{self, Slashes};
use crate::detect::project::Project;
use crate::detect::{Framework, existing};

const DATA: &str = "pb_data/data.db";

pub(in crate::detect) fn is_here(project: &Project<'_>) -> bool {
    let go =
        || project.glimpse("go.mod").is_some_and(|text| text.contains("github.com/pocketbase/pocketbase"));
    // A fresh clone has neither the data nor the program, but what was written for it.
    let written = || ["pb_migrations", "pb_hooks"].iter().any(|folder| has_files(project, folder));
    project.has(DATA) || project.has("pocketbase") || go() || written() || is_in_image(project)
}

/// Tells whether only the image has the program, as in PocketBase's own documentation.
fn is_in_image(project: &Project<'_>) -> bool {
    let image = &project.deployment().image;
    let is_program = |word: &String| path::name(word) == "pocketbase";
    let starts = || {
        image
            .start()
            .is_some_and(|start| start.iter().flat_map(|word| words(word)).any(|word| is_program(&word)))
    };
    let gets = || image.copies.iter().any(|(from, _)| from.contains("/pocketbase/releases/"));
    image.is_there && (image.is_built_on("pocketbase") || starts() || gets())
}

/// Splits a line, or a single word, into words.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Finds the folder of its data: the one in its command, else `pb_data` beside the program.
fn data(project: &Project<'_>) -> String {
    let start: Vec<String> =
        project.deployment().image.start().unwrap_or_default().iter().flat_map(|word| words(word)).collect();
    let option = start.iter().position(|word| word == "--dir").and_then(|at| start.get(at + 1).cloned());
    let option =
        option.or_else(|| start.iter().find_map(|word| word.strip_prefix("--dir=").map(str::to_owned)));
    option.filter(|dir| !dir.contains('$')).unwrap_or_else(|| "pb_data".to_owned())
}

fn has_files(project: &Project<'_>, folder: &str) -> bool {
    !project.tree.list(Path::new(&project.in_tree(folder))).is_empty()
}

pub(in crate::detect) fn read(project: &Project<'_>) -> Option<Found> {
    let mut found = Found::new(Framework::PocketBase, project.in_tree("pb_data"));
    let folder = data(project);
    let folder = match project.deployment().image.folder(Some("/pb")) {
        Some(own) if path::is_below(&folder, &own) && folder != own && own != "/" => {
            folder[own.len() + 1..].to_owned()
        }
        _ => folder,
    };
    let file = |name: &str| path::join(&folder, name);
    if folder == "pb_data" && !project.has(DATA) {
        project.note("pb_data is not there yet: these are PocketBase's own names for its databases");
    }
    found.databases.extend(project.database("data", &file("data.db"), ".", Slashes::Three));
    // Before 0.23 the logs were in logs.db.
    for (alias, file) in [("auxiliary", file("auxiliary.db")), ("logs", file("logs.db"))] {
        if project.has(&file) || (alias == "auxiliary" && !project.has("pb_data/logs.db")) {
            let mut database = project.database(alias, &file, ".", Slashes::Three)?;
            database.left_out = Some(
                "request logs: PocketBase makes the file anew, and writes it with every request".to_owned(),
            );
            database.comes_back = true;
            found.databases.push(database);
        }
    }
    found.start(&["./pocketbase", "serve", "--http=0.0.0.0:8090"], &[]);
    if !project.has("pocketbase") {
        found.is_guess = true;
        project.note("there is no ./pocketbase here: put the app's own command into litekeeper.app.command");
    }
    project.note("uploaded files are in pb_data/storage, which is no database: put them on S3 in PocketBase's settings, or on the volume");
    found.workdir = Some("/pb".to_owned());
    existing::carry_over(project, &["litestream.yml"], &mut found);
    Some(found)
}
