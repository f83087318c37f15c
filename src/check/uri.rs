//! Paths that Litestream opens another file for.

use std::path::Path;

use super::glob;
use super::rules::MISREAD_PATH;
use super::site::Site;
use crate::config::lint::Lint;
use crate::litestream::database::misread;

pub(super) fn look(site: &Site<'_>) -> Vec<Lint> {
    let folders = site.config.directories().iter();
    let mut found: Vec<Lint> =
        folders.filter_map(|folder| of(site, &folder.dir, folder.line, "dir")).collect();
    found.extend(of_named(site));
    found
}

/// The same of the databases alone, and in a folder only of what its own path does not tell.
pub(super) fn of_named(site: &Site<'_>) -> Vec<Lint> {
    site.of_each(|database, folder| {
        let is_told = folder.is_some_and(|folder| misread(&folder.dir, site.is_old).is_some());
        let lint = (!is_told).then(|| of(site, &database.path, database.line, "path"));
        lint.flatten().into_iter().collect()
    })
}

fn of(site: &Site<'_>, path: &Path, line: usize, key: &str) -> Option<Lint> {
    let why = misread(path, site.is_old)?;
    // What is meant for a pattern is told as one.
    if glob::of(site, path, line, key).is_some() {
        return None;
    }
    let message = format!("`{}`: litestream opens another file: {why}", path.display());
    Some(site.lint(MISREAD_PATH, line, message).hint(
        "rename the file, or the folder: Litestream takes no path with `?`, `#`, or `%` in front of two hexadecimal digits",
    ))
}
