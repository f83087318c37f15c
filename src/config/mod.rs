//! Configuration: a `litestream.yml` as it is, read as Litestream reads it, and the file that
//! Litestream gets in its place.
//!
//! ```text
//! file ─ values ─────────────────────────────────┬─ model ─ output
//! flags, environment, a resolver's answer ─ load ─┘
//! ```
//!
//! | folder | what it is |
//! |---|---|
//! | `schema` | the table of Litestream's settings, their spellings, and which values it refuses |
//! | `values` | from a text to its values, and which of them came from variables |
//! | `own` | the `litekeeper` section: `keys` is the table, `section` the reader |
//! | `model` | templates filled in; databases, replicas and places as they are meant; what is at odds |
//! | `load` | where a configuration comes from, and the variables that outweigh it |
//! | `output` | the file that Litestream gets, and what may be shown of it |
//! | `lint` | what is worth to be told of the text |
//!
//! What is wrong (`error`, `problem`, `fault`, `given`), and what to do about it (`hints`), knows none of the readers.
//!
//! The room reads the one file that it is told to read; the environment, the working directory and the home come in as arguments.

pub mod duration;
mod error;
mod fault;
mod given;
mod hints;
pub mod lint;
mod load;
mod model;
mod output;
mod own;
mod problem;
pub mod schema;
mod values;
mod variable_names;

pub use error::{Error, Finding, Origin, Problem};
pub use fault::Fault;
pub use given::Given;
pub use load::file::{load, of_document, open, open_read, read, sound_of_document};
pub use load::named::{Registration, parse_answer, registrations};
pub use load::overrides::{Override, switch};
pub use load::search::{named, usual};
pub use load::sources::{nothing_given, of_environment, of_pairs};
pub use model::common::{Common, in_common};
pub use model::database::{Database, Directory};
pub use model::elsewhere::{from_elsewhere, other_places};
pub use model::folder::{in_folder, path_in_folder};
pub use model::kind::Kind;
pub use model::on_s3::{BareEndpoint, bare_endpoints, place_of_folder, place_of_probe};
pub use model::probe::{Owner, probe};
pub use model::register::key_variables;
pub use model::replica::Replica;
pub use model::replica_location::has_user;
pub use model::webdav::webdav_of_probe;
pub use model::whole::Config;
pub use output::generate::{GenerateOptions, Generated, to_yaml};
pub use output::redact;
pub use output::redact::{each_secret, secrets_of_url};
pub use own::keys::{KEYS, KeeperKey, OFF, SECTION, Shape};
pub use own::resolver::Resolver;
pub use own::section::{Accepts, AppVariable, KeeperSection, Setting};
pub use own::vfs::{ReadReplica, variable as variable_of_alias, variable_of_database};
pub use schema::Series;
pub use values::document::Document;
pub use values::env_replica::{is_place, names_replica};
pub use values::expand::{Expanded, expand};
pub use values::key_variables::KEY_VARIABLES;
pub use values::options::LoadOptions;
pub use values::traces::Traces;
pub use values::unread::refuse_unread;
pub use values::variables::read_file;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Config, LoadOptions, load};

    /// What a text says that is sound: in `/srv`, with nothing in the environment.
    pub(in crate::config) fn sound(text: &str) -> Config {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("litestream.yml");
        std::fs::write(&path, text).expect("a file");
        let none = |_: &str| None;
        let options =
            LoadOptions { no_expand_env: true, env: &none, cwd: Path::new("/srv"), home: None, pid: 1 };
        load(&path, &options).expect("a sound file")
    }
}
