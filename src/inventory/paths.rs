//! Databases, folders and replicas of a configuration, as the rooms want them that work with the files themselves.

use std::path::PathBuf;

use crate::config::{self, Config, Kind};
use crate::litestream::database::Database;
use crate::litestream::folder::{Backups, Folder};

/// Returns the databases as the other rooms want them.
pub fn databases(config: &Config) -> Vec<Database> {
    config.databases().iter().map(database).collect()
}

/// Returns the folders of databases as the other rooms want them.
pub fn folders(config: &Config) -> Vec<Folder> {
    let folder = |(place, directory): (usize, &config::Directory)| Folder {
        dir: directory.dir.clone(),
        pattern: directory.pattern.clone(),
        recursive: directory.recursive,
        watch: directory.watch,
        meta_base: directory.meta_base.clone(),
        meta_prefix: directory.meta_prefix,
        backups: backups(config, place, directory),
    };
    config.directories().iter().enumerate().map(folder).collect()
}

fn backups(config: &Config, place: usize, directory: &config::Directory) -> Backups {
    let Some(replica) = directory.replicas.first() else { return Backups::Unlisted("no replica".to_owned()) };
    let unlisted = |why: &str| Backups::Unlisted(why.to_owned());
    match (&replica.kind, config::place_of_folder(config, place)) {
        (Kind::File, _) => Backups::Folder(PathBuf::from(&replica.display)),
        (_, Ok(Some(place))) => Backups::There(replica.display.clone(), place),
        (_, Err(why)) => unlisted(why),
        (kind, Ok(None)) => unlisted(&format!("it is on {kind}")),
    }
}

/// Returns a database as the other rooms want it.
pub fn database(database: &config::Database) -> Database {
    let replica = database.replicas.first();
    let folder =
        replica.filter(|replica| replica.kind == Kind::File).map(|replica| PathBuf::from(&replica.display));
    let places: Vec<&str> = database.replicas.iter().map(|replica| replica.display.as_str()).collect();
    Database {
        path: database.path.clone(),
        meta: database.meta_path.clone(),
        replica: places.join(" and "),
        replica_folder: folder,
        place: database.place.clone(),
    }
}
