//! Duplicates: databases, and folders of them, that have the same place.

use std::collections::HashMap;
use std::path::Path;

use super::database::{Database, Directory};
use crate::config::error::Problem;

/// Finds databases that would overwrite each other: Litestream does not check that, and one of them is lost.
///
/// Each is named with the first one that it conflicts with; there can be thousands.
pub(in crate::config) fn of_databases(databases: &[Database]) -> Vec<(usize, Problem)> {
    let (mut paths, mut locations, mut folders) = (HashMap::new(), HashMap::new(), HashMap::new());
    let mut found = Vec::new();
    let name = |path: &Path| path.display().to_string();
    for database in databases {
        let (path, line) = (database.path.as_path(), database.line);
        if let Some(first) = paths.insert(path, line) {
            paths.insert(path, first);
            found.push((line, Problem::SameDatabase { database: name(path), first }));
            continue;
        }
        for replica in &database.replicas {
            let first = *locations.entry(replica.location.as_str()).or_insert(path);
            if first != path {
                let (first, second, place) = (name(first), name(path), replica.display.clone());
                found.push((line, Problem::SameReplica { first, second, place }));
            }
        }
        let first = *folders.entry(database.meta_path.as_path()).or_insert(path);
        if first != path {
            let (first, second, folder) = (name(first), name(path), name(&database.meta_path));
            found.push((line, Problem::SameMetadata { first, second, folder }));
        }
    }
    found
}

/// Finds folders with one pattern, whose databases would be duplicates as soon as two have one name; and what is
/// missing in one would be restored from the other's backups.
pub(in crate::config) fn of_folders(directories: &[Directory]) -> Vec<(usize, Problem)> {
    let (mut folders, mut locations) = (HashMap::new(), HashMap::new());
    let mut found = Vec::new();
    for directory in directories {
        let (line, pattern) = (directory.line, directory.pattern.as_str());
        let name = directory.dir.join(pattern).display().to_string();
        if let Some(first) = folders.insert((directory.dir.as_path(), pattern), line) {
            folders.insert((directory.dir.as_path(), pattern), first);
            found.push((line, Problem::SameDatabase { database: name, first }));
            continue;
        }
        for replica in &directory.replicas {
            let first = locations.entry((replica.location.as_str(), pattern)).or_insert_with(|| name.clone());
            if *first != name {
                let (first, second, place) = (first.clone(), name.clone(), replica.display.clone());
                found.push((line, Problem::SameReplica { first, second, place }));
            }
        }
    }
    found
}
