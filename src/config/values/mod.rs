//! From the text of a configuration to its values: what stands in for variables, and where each value came from.

pub(super) mod document;
pub(super) mod env_replica;
pub(super) mod expand;
pub(super) mod key_variables;
pub(super) mod meant;
pub(super) mod options;
pub(super) mod traces;
pub(super) mod unread;
pub(super) mod variables;
