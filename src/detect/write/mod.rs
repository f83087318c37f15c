//! The plan in writing.
//!
//! ```text
//! configuration  the plan as a litestream.yml
//! replica        where each database is replicated to
//! scalar         texts and values as YAML
//! advice         the lines for Dockerfile, Procfile, fly.toml and systemd
//! credentials    what lets Litestream in, for each kind of storage
//! kinds          the kinds of storage that databases go to
//! ignored        the lines for .gitignore and .dockerignore
//! volumes        the folders that belong on a volume
//! ```

mod advice;
mod configuration;
mod credentials;
mod ignored;
mod kinds;
mod replica;
pub(super) mod scalar;
mod volumes;

pub use advice::{advice, needed};
pub use configuration::yaml;
pub use replica::{Target, begins_with_project};
