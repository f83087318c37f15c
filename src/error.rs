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

/// The most lines of a message.
const MOST_LINES: usize = 60;

impl Failure {
    /// A failure without a hint. Its message is one line, whatever names are in it.
    pub fn new(exit: ExitCode, message: impl AsRef<str>) -> Self {
        Self::lines(exit, [message])
    }

    /// The same with a line for each thing that happened, as far as anybody reads; the others are counted.
    pub fn lines(exit: ExitCode, messages: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut messages = messages.into_iter();
        let mut lines: Vec<_> =
            messages.by_ref().take(MOST_LINES).map(|message| shown(message.as_ref())).collect();
        match messages.count() {
            0 => {}
            more => lines.push(format!("and {more} more")),
        }
        Self { exit, message: lines.join("\n"), hint: None }
    }

    /// Several as one: all messages, and each next step once.
    pub fn all<'a>(exit: ExitCode, failures: impl IntoIterator<Item = &'a Self>) -> Self {
        let (mut messages, mut hints) = (Vec::new(), Vec::<&str>::new());
        for failure in failures {
            messages.extend(failure.message.split('\n'));
            hints.extend(failure.hint.as_deref().filter(|hint| !hints.contains(hint)));
        }
        let hint = (!hints.is_empty()).then(|| hints.join("; "));
        Self { hint, ..Self::lines(exit, messages) }
    }

    /// The same failure with a next step, where there is one.
    pub fn hinted(self, hint: Option<impl AsRef<str>>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
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
