//! Framework detection: a file tree and an environment in, a plan and a litestream.yml out.
//!
//! ```text
//! find          the search: which framework it is, and its databases
//! frameworks/   a reader for each framework, and for projects without one
//! existing/     a litestream.yml that the project has already
//! start/        the app's command, and a Litestream that the project starts itself
//! deploy/       Dockerfile, Procfile, compose file and fly.toml as they are
//! name          the project's name, which its places on the replica begin with
//! bucket        the variables of the replica's place
//! spare         copies and caches, which are not replicated
//! write/        the plan as a litestream.yml, and lines for the files that start the app
//! ```
//!
//! What they pass on to each other, and what they read with:
//!
//! ```text
//! surroundings  the project, its environment and its Python, as the caller has them
//! tree          a folder of files, with bounded reading; `walk` goes through it
//! folder        the texts of a project's folder, and notes about them
//! project       the same with its variables and its deployment
//! place         paths as a project's files write them, with variables that stay variables
//! shell         the words of a script's lines
//! code/         literals and simple expressions in Ruby, Python, PHP, Elixir and JavaScript
//! framework     the frameworks that are known
//! database      one database, and its replica
//! found         what a reader found
//! plan          all that is written
//! ```
//!
//! Architecture invariant: this room imports leaf files alone, and does no I/O. Files come through [`Tree`], variables and
//! the project's own Python through functions. Its files use each other one way.

mod bucket;
mod code;
mod database;
mod deploy;
mod existing;
mod find;
mod folder;
mod found;
mod framework;
mod frameworks;
mod name;
mod path;
mod plan;
mod project;
mod shell;
mod spare;
mod start;
mod surroundings;
mod tree;
mod walk;
mod write;

#[cfg(test)]
mod tests;

pub use database::{Database, Setting};
pub use deploy::Deployment;
pub use existing::FILES;
pub use find::{Nothing, find};
pub use framework::Framework;
pub use plan::Plan;
pub use start::Below;
pub use surroundings::{Ask, Question, Surroundings};
pub use tree::{Entry, Kind, ReadError, Tree};
pub use write::{Target, advice, begins_with_project, needed, yaml};
