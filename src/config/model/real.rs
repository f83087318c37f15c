//! Databases and replicas that are in one place by different names: a link on the way to them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::database::{Database, Directory};
use super::duplicates;
use super::kind::Kind;
use super::overlap;
use super::replica::Replica;
use crate::config::error::Problem;
use crate::os::permit;

/// Returns what is at odds once each path is where it leads to. Of what is there by one name already nothing would have
/// been loaded.
pub(in crate::config) fn find(databases: &[Database], directories: &[Directory]) -> Vec<(usize, Problem)> {
    let (mut databases, mut directories) = (databases.to_vec(), directories.to_vec());
    let resolve = || {
        let (mut real, mut is_other) = (Real::default(), false);
        for database in &mut databases {
            is_other |= real.of_file(&mut database.path) | real.of_file(&mut database.meta_path);
            is_other |= real.of_replicas(&mut database.replicas);
        }
        for directory in &mut directories {
            is_other |= real.of_folder(&mut directory.dir) | real.of_replicas(&mut directory.replicas);
        }
        Ok(is_other)
    };
    if !permit::theirs(resolve).unwrap_or(false) {
        return Vec::new();
    }
    let mut found = overlap::find(&databases, &directories);
    found.extend(duplicates::of_databases(&databases));
    found.extend(duplicates::of_folders(&directories));
    found
}

/// Folders by where they lead to: there are few of them for thousands of databases.
#[derive(Default)]
struct Real {
    folders: HashMap<PathBuf, PathBuf>,
}

impl Real {
    /// Says whether it is elsewhere, to which the path is set.
    fn of_file(&mut self, path: &mut PathBuf) -> bool {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return false };
        let real = self.lookup(folder).join(name);
        let is_other = real != *path;
        *path = real;
        is_other
    }

    /// Does the same of a folder, which may be a link itself.
    fn of_folder(&mut self, path: &mut PathBuf) -> bool {
        let is_link = path.symlink_metadata().is_ok_and(|found| found.is_symlink());
        if !is_link {
            return self.of_file(path);
        }
        let real = self.lookup(path);
        let is_other = real != *path;
        *path = real;
        is_other
    }

    fn of_replicas(&mut self, replicas: &mut [Replica]) -> bool {
        let mut is_other = false;
        for replica in replicas.iter_mut().filter(|replica| replica.kind == Kind::File) {
            let mut folder = PathBuf::from(&replica.display);
            if self.of_folder(&mut folder) {
                is_other = true;
                replica.display = folder.display().to_string();
                replica.location = format!("file:{}", replica.display);
            }
        }
        is_other
    }

    /// Returns where a folder is, or will be.
    fn lookup(&mut self, folder: &Path) -> PathBuf {
        if let Some(known) = self.folders.get(folder) {
            return known.clone();
        }
        let real = permit::real(folder);
        self.folders.insert(folder.to_owned(), real.clone());
        real
    }
}
