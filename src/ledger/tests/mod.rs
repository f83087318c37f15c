//! What is answered of a database, and of what is found in its place.

mod case;
mod chance;
mod copied;
mod found;
