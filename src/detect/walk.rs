//! Walks through a tree of files, with limits.

use std::path::{Path, PathBuf};

use super::{Entry, Kind, Tree, path};
use crate::database_header::MAGIC;

/// How deep files are looked for.
pub(super) const MAX_FILE_DEPTH: usize = 8;
/// How many entries are looked at.
const MAX_ENTRIES: usize = 20_000;
/// How many files are taken.
const MAX_TAKEN: usize = 50;
/// How deep frameworks are looked for below the folder itself.
const MAX_DEPTH: usize = 3;
/// How many folders are looked at.
const MAX_FOLDERS: usize = 2_000;
/// The extensions of a program's files.
const CODE: [&str; 9] = ["rb", "php", "py", "prisma", "sql", "js", "ts", "ex", "exs"];

/// How a walk ended.
pub(super) enum Ended {
    /// All was looked at.
    Whole,
    /// There are folders that are too deep.
    Deep,
    /// Early, after so many files and folders.
    Long(usize),
}

/// Walks through the files of the tree, the shallower first, then by name, until `visit` has taken enough of them.
pub(super) fn each(tree: &dyn Tree, visit: &mut dyn FnMut(&Path) -> usize) -> Ended {
    let mut level = vec![PathBuf::from(".")];
    let mut looked = 0;
    for _ in 0..=MAX_FILE_DEPTH {
        let mut below = Vec::new();
        for folder in &level {
            let mut entries = tree.list(folder);
            entries.sort_unstable_by(|left, right| left.path.cmp(&right.path));
            let mut taken = 0;
            for entry in entries {
                looked += 1;
                let name = entry.path.file_name().map(|name| name.to_string_lossy());
                let is_open = name.is_some_and(|name| !is_passed_over(&name));
                match entry.kind {
                    Kind::Folder if is_open => below.push(entry.path),
                    Kind::File => taken = visit(&entry.path),
                    Kind::Folder | Kind::Other => {}
                }
            }
            if looked > MAX_ENTRIES || taken >= MAX_TAKEN {
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

/// Tells whether a file begins as a SQLite database does.
pub(super) fn is_database(tree: &dyn Tree, file: &Path) -> bool {
    tree.head(file, MAGIC.len()).is_some_and(|head| head == MAGIC)
}

/// Lists the folders of a tree that may hold a project, the shallower first, then by name.
pub(super) fn folders(tree: &dyn Tree) -> Vec<String> {
    let mut found = vec![".".to_owned()];
    let mut level = found.clone();
    for _ in 0..MAX_DEPTH {
        let mut below: Vec<String> = Vec::new();
        for folder in &level {
            let entries = tree.list(Path::new(folder)).into_iter().filter(|entry| entry.kind == Kind::Folder);
            let names = entries.filter_map(|entry| entry.path.to_str().map(path::clean));
            below.extend(names.filter(|path| !is_passed_over(path::name(path))));
        }
        below.sort_unstable();
        below.truncate(MAX_FOLDERS.saturating_sub(found.len()));
        found.extend(below.iter().cloned());
        level = below;
    }
    found
}

/// Tells whether a folder has code of others, builds or tests, or is hidden.
fn is_passed_over(name: &str) -> bool {
    name.starts_with('.')
        || name.ends_with("-litestream")
        || ["node_modules", "vendor", "target", "venv", "env", "__pycache__", "deps", "_build"]
            .contains(&name)
        || ["site-packages", "test", "tests", "spec", "fixtures"].contains(&name)
}

/// Tells whether a folder, or one in it, holds parts of the program: migrations, a schema.
pub(super) fn has_code(tree: &dyn Tree, folder: &str) -> bool {
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
