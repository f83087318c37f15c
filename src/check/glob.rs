//! Patterns in the place of paths.

use std::path::Path;

use super::site::Site;
use crate::config::lint::{DATABASE_PATH, Lint};
use crate::litestream::glob::is_pattern;

pub(super) fn look(site: &Site<'_>) -> Vec<Lint> {
    let databases = site.config.databases().iter().map(|database| (&database.path, database.line, "path"));
    let folders = site.config.directories().iter().map(|folder| (&folder.dir, folder.line, "dir"));
    databases.chain(folders).filter_map(|(path, line, key)| of(site, path, line, key)).collect()
}

/// A file may have such a name; then it is there.
fn of(site: &Site<'_>, path: &Path, line: usize, key: &str) -> Option<Lint> {
    let text = path.to_str().filter(|text| is_pattern(text))?;
    if path.symlink_metadata().is_ok() {
        return None;
    }
    let parts: Vec<&str> = text.split('/').collect();
    let first = parts.iter().position(|part| is_pattern(part)).unwrap_or_default();
    let folder = parts[..first].join("/");
    let folder = if folder.is_empty() { "/" } else { &folder };
    let is_last = first + 1 == parts.len();
    let message = format!("`{key}: {text}` is a pattern, which Litestream takes for a name");
    let pattern = if key == "dir" { "*.db" } else { parts.last().copied().unwrap_or_default() };
    let deep = if is_last && key == "path" { "" } else { ", `recursive: true`" };
    let hint = format!("write `dir: {folder}`, `pattern: \"{pattern}\"`{deep}");
    Some(site.lint(DATABASE_PATH, line, message).hint(hint))
}
