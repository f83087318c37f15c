//! Literals and simple expressions in source code.
//!
//! Not a parser of five languages: the texts, tables, calls and operators of configuration files are read the
//! same way in all of them, and other code is unknown.
//!
//! ```text
//! lexer       words, texts and marks
//! parser      expressions and Python's statements
//! source      a file: its assignments, settings and calls
//! value       what an expression evaluates to
//! scope       the evaluation, with the values of names and variables
//! ```

mod lexer;
mod parser;
mod scope;
mod source;
mod value;

pub(super) use lexer::Language;
pub(super) use parser::{Expr, Statement};
pub(super) use scope::{Asked, Scope};
pub(super) use source::Source;
pub(super) use value::Value;
