//! The suite: real processes, real Litestream, real SQLite. `support` is the harness.

mod harness;
mod support;
