//! The frameworks that are known.

use std::fmt;

use serde::Serialize;

/// What names the databases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
    #[default]
    Files,
    /// A configuration that is there already, and works as it is.
    Existing,
}

impl Framework {
    /// Tells whether it names the databases, and not only a URL, a file or a configuration.
    pub(super) fn names_databases(self) -> bool {
        use Framework::{DatabaseUrl, Existing, Files, Flask, SqlAlchemy};
        use Framework::{Django, Drizzle, Laravel, Phoenix, PocketBase, Prisma, Rails};
        match self {
            Rails | Django | Laravel | Phoenix | PocketBase | Prisma | Drizzle => true,
            Flask | SqlAlchemy | DatabaseUrl | Files | Existing => false,
        }
    }
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
