//! Patterns in the place of paths.

use std::path::Path;

use super::context::CheckContext;
use crate::config::lint::{DATABASE_PATH, Lint};
use crate::litestream::database::misread;
use crate::litestream::glob::is_pattern;

pub(super) fn look(context: &CheckContext<'_>) -> Vec<Lint> {
    let databases = context.config.databases().iter().map(|database| (&database.path, database.line, "path"));
    let folders = context.config.directories().iter().map(|folder| (&folder.dir, folder.line, "dir"));
    databases.chain(folders).filter_map(|(path, line, key)| of(context, path, line, key)).collect()
}

/// The same of databases that a source names; one in a folder has its name from its backup.
pub(super) fn of_named(context: &CheckContext<'_>) -> Vec<Lint> {
    let in_folder =
        |path: &Path| context.config.directories().iter().any(|folder| path.starts_with(&folder.dir));
    let named = context.databases.iter().filter(|database| !in_folder(&database.path));
    named.filter_map(|database| of(context, &database.path, database.line, "path")).collect()
}

/// A file or folder may have such a name; then it is there.
pub(super) fn of(context: &CheckContext<'_>, path: &Path, line: usize, key: &str) -> Option<Lint> {
    let text = path.to_str().filter(|text| is_pattern(text))?;
    let parts: Vec<&str> = text.split('/').collect();
    let is_there = |count: usize| Path::new(&parts[..count].join("/")).symlink_metadata().is_ok();
    let first = (0..parts.len()).find(|at| is_pattern(parts[*at]) && !is_there(at + 1))?;
    let message = format!("`{key}: {text}` is a pattern, which Litestream takes for a name");
    let lint = context.lint(DATABASE_PATH, line, message);
    if let Some((file, parameters)) = text.split_once('?')
        && parameters.contains('=')
        && !is_pattern(file)
    {
        return Some(lint.hint(format!(
            "a path has no parameters: write `{file}`, or a URL such as `sqlite:{file}?{parameters}`"
        )));
    }
    // What the pattern would find is misread as well, and a lone question mark is rather a part of a name.
    let of_a_name = text.replace('?', "_");
    if !is_pattern(&of_a_name) || misread(Path::new(&of_a_name), context.is_old).is_some() {
        return None;
    }
    let folder = parts[..first].join("/");
    let folder = if folder.is_empty() { "/" } else { &folder };
    let is_last = first + 1 == parts.len();
    let pattern = if key == "dir" { "*.db" } else { parts.last().copied().unwrap_or_default() };
    let deep = if is_last && key == "path" { "" } else { ", `recursive: true`" };
    Some(lint.hint(format!("write `dir: {folder}`, `pattern: \"{pattern}\"`{deep}")))
}
