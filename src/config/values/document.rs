//! A configuration file that was parsed.

use super::traces::Traces;
use crate::config::error::Origin;
use crate::yaml::Node;

/// A configuration file as a tree. Nothing in it has been looked at yet: its two halves, Litestream's
/// and the `litekeeper` section, are read apart, so that what is wrong in both is told at once.
#[derive(Clone)]
pub struct Document {
    /// What it was read from.
    pub origin: Origin,
    /// The text as it was written, nothing in it expanded.
    pub text: String,
    /// Everything that was written, secrets included.
    pub root: Node,
    /// The variables in it that had no value.
    pub unset: Vec<String>,
    /// Which values of it came from variables.
    pub traces: Traces,
}
