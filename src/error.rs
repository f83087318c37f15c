//! What ends the program, as `main` shows it: one error, its exit code, and what to do next.

use crate::core::ExitCode;

/// A failure that ends the program.
///
/// The message is a lowercase fragment that names the path and the value; rooms have errors of
/// their own (`thiserror`) that become one of these at the edge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What the operating system gets.
    pub exit: ExitCode,
    /// What happened, to what.
    pub message: String,
    /// The next step, where there is one.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(exit: ExitCode, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// The same failure with a next step.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
