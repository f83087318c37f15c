//! The suite (map).

mod install;
