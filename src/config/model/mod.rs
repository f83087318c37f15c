//! What a configuration means: databases, replicas, places.

pub(super) mod bucket;
pub(super) mod common;
pub(super) mod database;
pub(super) mod duplicates;
pub(super) mod elsewhere;
pub(super) mod endpoint;
pub(super) mod exec;
pub(super) mod folder;
pub(super) mod kind;
pub(super) mod on_s3;
pub(super) mod overlap;
pub(super) mod path;
pub(super) mod place;
pub(super) mod probe;
pub(super) mod real;
pub(super) mod register;
pub(super) mod replica;
pub(super) mod replica_location;
pub(super) mod s3;
pub(super) mod settings;
pub(super) mod templates;
pub(super) mod url;
pub(super) mod webdav;
pub(super) mod whole;
