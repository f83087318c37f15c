//! What Litestream's settings are: the table of all of them, and what is held against it.

pub(super) mod spelling;
pub(super) mod table;
pub(super) mod types;
pub(super) mod walk;

pub(super) use table::is_text;
pub use table::{Key, Reading, Secrecy, Section, Series, Type, is_secret, secrecy};
