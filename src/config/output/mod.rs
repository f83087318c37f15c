//! What a configuration becomes: Litestream's file, and what may be shown.

pub(super) mod generate;
pub mod redact;
