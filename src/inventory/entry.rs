//! A database that a source named, and what Litestream is told of databases.

use std::path::PathBuf;
use std::rc::Rc;

use crate::litestream::database::Database;
use crate::remote::Webdav;
use crate::yaml::Node;

/// What Litestream is started with. No `Debug`: both parts may hold secrets.
pub struct Inputs {
    /// Its configuration.
    pub config: String,
    /// The variables that it needs beside those of the environment.
    pub env: Vec<(String, String)>,
}

/// Where else the backups of some databases may be. No `Debug`: it may hold secrets.
pub struct Elsewhere {
    /// These, each with that place for its replica.
    pub dbs: Vec<Database>,
    /// They are to be restored from there; else it is only to be known whether a backup is there.
    pub is_source: bool,
    /// What Litestream restores them from there with.
    pub inputs: Inputs,
}

/// A place that Litestream can write to on trial. No `Debug`: it may hold secrets.
pub struct Trial {
    /// What Litestream writes there with.
    pub inputs: Inputs,
    /// The place, for people.
    pub shown: String,
    /// The same for a client of our own, if it is on WebDAV.
    pub webdav: Option<Webdav>,
}

/// A database that a source named. No `Debug`: what the source said may hold secrets.
#[derive(Clone)]
pub struct Named {
    /// The database.
    pub database: Database,
    /// What a running Litestream takes it in by, or what keeps it from that.
    pub url: Result<String, String>,
    /// The same text for all that tells a running Litestream the same; none without such a URL.
    pub told: Option<String>,
    /// Which source names it, and how.
    pub entry: Entry,
}

impl Named {
    /// Says whether a running Litestream that has the one has what the other says of it.
    pub fn tells_the_same(&self, other: &Self) -> bool {
        self.entry.is_same(&other.entry) || self.told.is_some() && self.told == other.told
    }
}

/// How a source names a database. No `Debug`: what a resolver says may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum Entry {
    /// The resolver said this, as it could stand under `dbs`.
    Said(Rc<Node>),
    /// It lies in this folder of databases, under this path below it.
    InFolder(usize, PathBuf),
}

impl Entry {
    /// Says whether both say the same of a database, by whatever name.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Said(one), Self::Said(other)) => one.is_same_without(other, "path"),
            (Self::InFolder(..) | Self::Said(_), _) => self == other,
        }
    }
}
