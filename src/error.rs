//! What ends the program, as `main` shows it: one error, its exit code, and what to do next.

use crate::core::ExitCode;
use crate::{foreign, secrets};

/// A failure that ends the program.
///
/// The message is a lowercase fragment that names the path and the value; rooms have errors of
/// their own (`thiserror`) that become one of these at the edge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What the operating system gets.
    pub exit: ExitCode,
    /// What happened, to what: a line, or one for each thing.
    pub message: String,
    /// The next step, where there is one.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint. Its message is one line, whatever names are in it.
    pub fn new(exit: ExitCode, message: impl AsRef<str>) -> Self {
        Self::lines(exit, [message])
    }

    /// The same with a line for each thing that happened.
    pub fn lines(exit: ExitCode, messages: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let lines = messages.into_iter().map(|message| shown(message.as_ref()));
        Self { exit, message: lines.collect::<Vec<_>>().join("\n"), hint: None }
    }

    /// The same failure with a next step.
    pub fn hint(mut self, hint: impl AsRef<str>) -> Self {
        self.hint = Some(shown(hint.as_ref()));
        self
    }
}

/// One line, with no secret of a URL in it.
fn shown(text: &str) -> String {
    foreign::line(&secrets::mask(text)).into_owned()
}
