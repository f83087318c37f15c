//! Where a configuration comes from: a file, the command line, the environment, a resolver.

pub(super) mod env_database;
pub(super) mod file;
pub(super) mod json;
pub(super) mod named;
pub(super) mod overrides;
pub(super) mod search;
pub(super) mod sources;
