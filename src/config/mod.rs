//! Configuration: a `litestream.yml` as it is, read as Litestream reads it, and the file that
//! Litestream gets in its place.
//!
//! ```text
//! file ─ expand ─ parse ─ document ─┬─ spelling ─ variables ─ templates ─ settings ─ database, replica ─ model ─ exec
//! flags, environment ─ sources ─────┘                                                          └──── generate ─ emit
//! ```
//!
//! The `litekeeper` section is read beside it: `keys` is the table, `section` the reader. `overrides` has
//! the variables that outweigh the file, `redact` what may be shown of it; `error`, `fault` and `given` say
//! what is wrong, and use none of the readers.
//!
//! The room reads the one file that it is told to read; the environment, the working directory and the home come in as arguments.

mod bucket;
mod database;
mod document;
pub mod duration;
mod elsewhere;
mod endpoint;
mod env_database;
mod env_replica;
mod error;
mod exec;
mod expand;
mod fault;
mod folder;
mod generate;
mod given;
mod json;
mod key_variables;
mod keys;
mod kind;
pub mod lint;
mod load;
mod meant;
mod model;
mod named;
mod on_s3;
mod options;
mod overlap;
mod overrides;
mod path;
mod place;
mod probe;
mod real;
pub mod redact;
mod register;
mod replica;
mod resolver;
mod s3;
pub mod schema;
mod search;
mod section;
mod settings;
mod socket;
mod sources;
mod spelling;
mod templates;
mod traces;
mod twins;
mod types;
mod unread;
mod url;
mod variable_names;
mod variables;
mod webdav;

pub use database::{Database, Directory};
pub use document::Document;
pub use env_replica::{is_place, names_replica};
pub use error::{Error, Finding, Origin, Problem};
pub use expand::{Expanded, expand};
pub use fault::Fault;
pub use generate::{GenerateOptions, Generated, to_yaml};
pub use given::Given;
pub use key_variables::KEY_VARIABLES;
pub use keys::{KEYS, Key, OFF, SECTION, Shape};
pub use kind::Kind;
pub use load::{load, open, open_read, read};
pub use model::Config;
pub use named::{Registration, parse_answer};
pub use on_s3::BareEndpoint;
pub use options::LoadOptions;
pub use overrides::{Override, switch};
pub use place::has_user;
pub use probe::Owner;
pub use redact::{each_secret, secrets_of_url};
pub use replica::Replica;
pub use resolver::Resolver;
pub use s3::S3;
pub use schema::Series;
pub use search::{named, usual};
pub use section::{Accepts, AppVariable, Section, Setting};
pub use sources::nothing_given;
pub use traces::Traces;
pub use unread::refuse_unread;
pub use variables::read_file;
pub use webdav::Webdav;
