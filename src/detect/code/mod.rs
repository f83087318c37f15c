//! Literals and simple expressions in source code.
//!
//! Not a parser of five languages: what a configuration file says with texts, tables, calls and
//! operators is read the same way in all of them, and what is not understood is said to be unknown.

mod lexer;
mod parser;
mod scope;

pub(super) use lexer::Language;
pub(super) use parser::{Expr, Source, Statement};
pub(super) use scope::{Scope, Value};
