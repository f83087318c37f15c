//! Configuration: a `litestream.yml` as it is, read as Litestream reads it, and the file that
//! Litestream gets in its place.
//!
//! ```text
//! file ─ expand ─ parse ─ node ─┬─ spelling ─ variables ─ templates ─ database, replica ─ model ─ exec
//! flags, environment ─ sources ─┘                                                  └──── generate ─ emit
//! ```
//!
//! The `litekeeper` section is read beside it: `keys` is the table, `section` the reader. `overrides` has
//! the variables that outweigh the file, `redact` what may be shown of it.
//!
//! The room imports `core::ExitCode` and nothing else of ours. It reads the one file that it is
//! told to read; the environment, the working directory and the home come in as arguments.

mod bucket;
mod database;
pub mod duration;
mod elsewhere;
mod emit;
mod error;
mod exec;
mod expand;
mod fault;
mod folder;
mod generate;
mod given;
mod json;
mod keys;
mod layout;
mod limits;
pub mod lint;
mod load;
mod model;
mod named;
mod node;
mod overlap;
mod overrides;
mod parse;
mod path;
mod place;
mod probe;
mod real;
pub mod redact;
mod register;
mod replica;
mod resolver;
mod s3;
mod scalar;
pub mod schema;
mod search;
mod section;
mod socket;
mod sources;
mod spelling;
mod templates;
mod traces;
mod types;
mod url;
mod variables;
mod webdav;

pub use database::{Database, Directory};
pub use error::{Error, Finding, Origin, Problem};
pub use expand::{Expanded, expand};
pub use fault::Fault;
pub use generate::{GenerateOptions, Generated, to_yaml};
pub use given::{Given, refuse_unread};
pub use keys::{KEYS, Key, OFF, Shape};
pub use load::{Document, LoadOptions, load, open, open_read, read};
pub use model::{Config, Series};
pub use named::{Registration, parse_answer};
pub use node::{Node, NodeKind, Scalar, Tag, Variable};
pub use overrides::{Override, switch};
pub use parse::parse;
pub use place::has_user;
pub use probe::Owner;
pub use redact::{each_secret, secrets_of_url};
pub use replica::{Kind, Replica};
pub use resolver::Resolver;
pub use s3::{BareEndpoint, S3};
pub use search::{named, usual};
pub use section::{Accepts, AppVariable, SECTION, Section, Setting};
pub use sources::{is_place, names_replica, nothing_given};
pub use traces::Traces;
pub use variables::read_file;
pub use webdav::Webdav;
