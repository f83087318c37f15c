//! Where backups are: the scenes that are the same on a folder and on a server.

use std::path::PathBuf;

use super::config::Replica;
use super::s3::S3;
use super::world::World;

/// A place that both Litestream and this keeper can look at.
pub enum Store {
    Folder,
    S3(S3),
}

impl Store {
    /// One of each.
    pub fn all() -> [Self; 2] {
        let s3 = S3::start();
        s3.bucket("backups");
        [Self::Folder, Self::S3(s3)]
    }

    /// A replica of this name.
    pub fn replica(&self, world: &World, name: &str) -> Replica {
        match self {
            Self::Folder => Replica::folder(&world.path(name)),
            Self::S3(s3) => s3.replica("backups", name),
        }
    }

    /// The folder that holds Litestream's files of it.
    pub fn ltx(&self, world: &World, name: &str) -> PathBuf {
        match self {
            Self::Folder => world.path(name).join("ltx"),
            Self::S3(_) => self.folder(world, name),
        }
    }

    /// Where the mark of its history is.
    pub fn mark(&self, world: &World, name: &str) -> PathBuf {
        self.folder(world, name).join("litekeeper.json")
    }

    /// The folder that holds its files.
    pub fn folder(&self, world: &World, name: &str) -> PathBuf {
        match self {
            Self::Folder => world.path(name),
            Self::S3(s3) => s3.folder("backups").join(name),
        }
    }
}
