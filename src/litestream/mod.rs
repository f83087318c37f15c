//! (map)

pub mod install;
