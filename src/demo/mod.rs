//! The guest book that `litekeeper demo` runs.
