//! The `litekeeper` section.

pub(super) mod keys;
pub(super) mod resolver;
pub(super) mod section;
pub(super) mod vfs;
