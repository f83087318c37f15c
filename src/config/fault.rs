//! What can be wrong in the `litekeeper` section, and what to do about it.

use crate::config::own::keys::SECTION;

/// What can be wrong in the section.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A key that the section does not have.
    #[error("unknown key `{key}`{}", did_you_mean(meant.as_deref()))]
    UnknownKey {
        /// The key with all above it.
        key: String,
        /// The key that was probably meant.
        meant: Option<String>,
        /// What there is in its place.
        known: String,
    },
    /// One key in two spellings.
    #[error("`{key}` is there twice, as `{first}` and as `{second}`")]
    KeyTwice {
        /// The key.
        key: String,
        /// A spelling.
        first: String,
        /// The other one.
        second: String,
    },
    /// A list where a text belongs, or the like.
    #[error("`{key}` must be {wanted}")]
    WrongType {
        /// The key.
        key: String,
        /// What belongs there.
        wanted: &'static str,
    },
    /// A text that means nothing there.
    #[error("`{key}: {value}`: {reason}")]
    WrongValue {
        /// The key.
        key: String,
        /// What was written.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A command line that does not do what it looks like.
    #[error("`{key}` has {what}, which only a shell understands")]
    NeedsShell {
        /// The key.
        key: String,
        /// The part in question.
        what: &'static str,
    },
    /// Quotes without an end.
    #[error("`{key}` ends inside of quotes or after a backslash")]
    Unfinished {
        /// The key.
        key: String,
    },
    /// A command without a word.
    #[error("`{key}` is an empty command")]
    EmptyCommand {
        /// The key.
        key: String,
    },
    /// A text that no process can be given.
    #[error("`{key}` holds a NUL character")]
    Nul {
        /// The key.
        key: String,
    },
    /// Texts that no process can be given, all together.
    #[error("the values of `{key}` come to more than {limit} bytes, which no process can be given")]
    TooLong {
        /// The key.
        key: String,
        /// The most bytes.
        limit: usize,
    },
    /// A name that no variable can have.
    #[error("`{name}` in `{SECTION}.app.env` cannot be the name of a variable")]
    VariableName {
        /// What was written.
        name: String,
    },
    /// `{file: PATH}` of a file that cannot be read.
    #[error("`{key}` takes its value from the file {path}, which {reason}")]
    NoFile {
        /// The key.
        key: String,
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// `{env: NAME}` without a value.
    #[error("`{key}` is the value of {variable}, which is {}", if *empty { "empty" } else { "not set" })]
    NoVariable {
        /// The key.
        key: String,
        /// The variable.
        variable: String,
        /// Whether it is there.
        empty: bool,
    },
}

fn did_you_mean(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"))
}

impl Fault {
    /// Returns the next step, where there is one.
    pub fn hint(&self) -> String {
        let hint = match self {
            Fault::UnknownKey { known, .. } => return format!("known here: {known}"),
            Fault::KeyTwice { .. } => "keep one of them",
            Fault::NeedsShell { .. } => "write it as a list that names the shell: [sh, -c, '…']",
            Fault::Unfinished { .. } => "close the quotes, or write the command as a list of words",
            Fault::NoFile { .. } => {
                "mount it, or write another path: a relative one begins in the current folder"
            }
            Fault::NoVariable { .. } => "set it, or write the value itself",
            Fault::Nul { .. } => "take it out: no variable and no word of a command can have one",
            Fault::WrongType { .. } | Fault::WrongValue { .. } => {
                "correct the value; leaving it out gives the default"
            }
            Fault::EmptyCommand { .. } => "write the program first, then its arguments; or leave it out",
            Fault::TooLong { .. } => "write less: what is long goes into a file that the app reads",
            Fault::VariableName { .. } => "a name has letters, digits and `_`, and begins with no digit",
        };
        hint.to_owned()
    }
}
