//! YAML as Go's yaml.v2 reads it, and as every reader takes it.
//!
//! ```text
//! text ─ layout ─ parse (stricter, builder) ─ node, scalar ─ emit ─ text
//! ```
//!
//! `limits` says how much one text may come to, `problem` why one is not taken.
//!
//! Architecture invariant: nothing here knows what a key means.

mod builder;
mod emit;
mod layout;
mod limits;
mod node;
mod parse;
mod problem;
mod scalar;
mod stricter;

pub use emit::{Emitted, emit, is_bare, literal};
pub use limits::{Budget, MAX_BYTES, MAX_DEPTH, MAX_NODES, Size};
pub use node::{Node, NodeKind};
pub use parse::parse;
pub use problem::{Located, YamlProblem};
pub use scalar::{Resolved, Scalar, Tag, Variable};
