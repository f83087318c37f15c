//! Framework detection: a file tree and an environment in, a plan and a litestream.yml out.
//!
//! ```text
//! tree        what is looked at: a folder of files, bounded reading
//! project     the same with what a framework's reader needs: text, .env, notes
//! place       paths as a project's files write them, with variables that stay variables
//! code        literals and simple expressions in Ruby, Python, PHP, Elixir and JavaScript
//! erb         the templates that Rails' YAML is
//! find        which framework it is, and the one entry: `find`
//! rails django laravel phoenix prisma drizzle pocketbase sqlalchemy url files
//!             a reader for each
//! command     how it is started, where no framework says so, and on which port
//! spare       copies and caches, which are not replicated
//! ignored     what neither image nor repository should have
//! name        what the project is called
//! bucket      the variables that say where the replica is
//! credentials what lets Litestream in, for each kind of storage
//! compose     what a compose file says of the app
//! deploy      what a Dockerfile, a Procfile and a fly.toml say already
//! second      a Litestream that the project starts itself, and the command that it has below it
//! shell       the words of a script's lines
//! existing    replicas that an older litestream.yml names
//! plan        what was found
//! write       the plan as a litestream.yml
//! advice      the lines for Dockerfile, Procfile, fly.toml, .gitignore and .dockerignore
//! ```
//!
//! Architecture invariant: this room imports no other room, and does no I/O. Files come through
//! [`Tree`], variables and the project's own Python through functions.

mod advice;
mod bucket;
mod code;
mod command;
mod compose;
mod credentials;
mod deploy;
mod django;
mod drizzle;
mod erb;
mod existing;
mod files;
mod find;
mod ignored;
mod laravel;
mod name;
mod phoenix;
mod place;
mod plan;
mod pocketbase;
mod prisma;
mod project;
mod rails;
mod second;
mod shell;
mod spare;
mod sqlalchemy;
mod tree;
mod url;
mod write;

#[cfg(test)]
mod tests;

pub use advice::{advice, needed};
pub use deploy::Deployment;
pub use django::{Ask, Question};
pub use existing::FILES;
pub use find::{Nothing, Surroundings, find};
pub use plan::{Database, Framework, Plan, Setting};
pub use second::Below;
pub use tree::{Entry, Kind, ReadError, Tree};
pub use write::{Target, begins_with_project, yaml};
