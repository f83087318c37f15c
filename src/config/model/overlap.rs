//! Replicas that lie where a database or Litestream's own files are: each takes the other's away.

use std::collections::HashMap;
use std::path::Path;

use super::database::{Database, Directory};
use super::kind::Kind;
use super::replica::Replica;
use crate::config::error::Problem;

/// Returns every replica in a folder that is, or is in, a database or its metadata; and those with its own metadata
/// among the backup's files.
pub(in crate::config) fn find(databases: &[Database], directories: &[Directory]) -> Vec<(usize, Problem)> {
    let paths: HashMap<&Path, ()> = databases.iter().map(|database| (database.path.as_path(), ())).collect();
    let metas: HashMap<&Path, &Path> =
        databases.iter().map(|database| (database.meta_path.as_path(), database.path.as_path())).collect();
    let name = |path: &Path| path.display().to_string();
    let mut found = Vec::new();
    let within = |folder: &Path| {
        let in_meta = folder.ancestors().find_map(|above| metas.get_key_value(above));
        if let Some((meta, database)) = in_meta {
            return Some(Problem::ReplicaInMetadata {
                folder: name(folder),
                place: format!("in the metadata folder of `{}`, `{}`", name(database), name(meta)),
            });
        }
        let (path, ()) = folder.ancestors().find_map(|above| paths.get_key_value(above))?;
        Some(match folder == *path {
            true => Problem::ReplicaIsDatabase { database: name(path) },
            false => Problem::ReplicaInMetadata {
                folder: name(folder),
                place: format!("below the database `{}`, which is a file", name(path)),
            },
        })
    };
    for database in databases {
        for (replica, folder) in folders(&database.replicas) {
            let around = || {
                let place =
                    format!("around the metadata folder of its database, `{}`", name(&database.meta_path));
                // Beside each other they have names of their own.
                let is_around = database.meta_path.starts_with(folder.join("ltx"));
                is_around.then(|| Problem::ReplicaInMetadata { folder: name(folder), place })
            };
            found.extend(
                within(folder).or_else(around).map(|problem| (replica.line.max(database.line), problem)),
            );
        }
    }
    for directory in directories {
        for (replica, folder) in folders(&directory.replicas) {
            let is_it = || {
                let place =
                    "the very folder of the databases, each of which would be its own replica".to_owned();
                (folder == directory.dir).then(|| Problem::ReplicaInMetadata { folder: name(folder), place })
            };
            found.extend(
                within(folder).or_else(is_it).map(|problem| (replica.line.max(directory.line), problem)),
            );
        }
    }
    found
}

fn folders(replicas: &[Replica]) -> impl Iterator<Item = (&Replica, &Path)> {
    let files = replicas.iter().filter(|replica| replica.kind == Kind::File);
    files.map(|replica| (replica, Path::new(&replica.display)))
}
