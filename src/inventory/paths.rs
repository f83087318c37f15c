//! Databases, folders and replicas of a configuration, as the rooms want them that work with the files themselves.

use std::path::PathBuf;

use crate::config::{self, Config, Kind};
use crate::litestream::database::Database;
use crate::litestream::folder::{Backups, Folder};
use crate::remote::Place;

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

/// Returns where databases go that a resolver names, each below one of them, as far as that is known before it names them; `env`
/// is the environment.
pub fn common(config: &Config, env: &dyn Fn(&str) -> Option<String>) -> Vec<Backups> {
    let common = config::in_common(config, env);
    common.into_iter().map(|config::Common { replica, place }| at(&replica, place)).collect()
}

fn backups(config: &Config, place: usize, directory: &config::Directory) -> Backups {
    let Some(replica) = directory.replicas.first() else { return Backups::Unlisted("no replica".to_owned()) };
    at(replica, config::place_of_folder(config, place))
}

fn at(replica: &config::Replica, place: Result<Option<Place>, &'static str>) -> Backups {
    let unlisted = |why: &str| Backups::Unlisted(why.to_owned());
    match (&replica.kind, place) {
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
        is_on_several: database.replicas.len() > 1,
    }
}
