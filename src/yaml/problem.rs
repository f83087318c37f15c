//! What can be wrong with a text, and what to do about it.

/// Why a text is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum YamlProblem {
    /// The text is longer than any configuration.
    #[error("the configuration is larger than {limit} bytes")]
    TooLarge {
        /// The most bytes that are read.
        limit: usize,
    },
    /// A character that YAML forbids even in comments.
    #[error("control characters are not allowed in YAML")]
    ControlCharacter,
    /// A character that ends a line to Litestream and to nobody else.
    #[error("the character U+{code:04X} is a line break in Litestream's YAML")]
    LineBreak {
        /// Its code point.
        code: u32,
    },
    /// Not YAML.
    #[error("not valid YAML: {info}")]
    Syntax {
        /// The parser's words.
        info: String,
    },
    /// Nested too deeply.
    #[error("the configuration is nested deeper than {limit} levels")]
    TooDeep {
        /// The most levels.
        limit: usize,
    },
    /// Too many values, maybe by aliases of aliases.
    #[error("the configuration has more than {limit} values, counting each use of an alias or a template")]
    TooManyNodes {
        /// The most values.
        limit: usize,
    },
    /// Too many bytes, by aliases, templates or variables.
    #[error(
        "the configuration comes to more than {limit} bytes, counting each use of an alias, a template or a variable"
    )]
    TooManyBytes {
        /// The most bytes.
        limit: usize,
    },
    /// Too many keys.
    #[error("a mapping has more than {limit} keys")]
    TooManyKeys {
        /// The most keys of one mapping.
        limit: usize,
    },
    /// A key that is a list or a mapping.
    #[error("a key must be a text, not a list or a mapping")]
    KeyNotText,
    /// `!!binary`
    #[error("the tag `{tag}` is not supported here")]
    UnknownTag {
        /// The tag without its handle.
        tag: String,
    },
    /// `!!int abc`
    #[error("the value is not what its tag says")]
    WrongTag,
    /// An alias inside of its own anchor.
    #[error("an alias stands inside of the value that it names")]
    AliasOfItself,
    /// `<<` with anything but mappings.
    #[error("`<<` takes a mapping or a list of mappings")]
    MergeNotMapping,
}

impl YamlProblem {
    /// Whether a limit is passed: reading the text again would take as long again.
    pub fn is_limit(&self) -> bool {
        match self {
            Self::TooLarge { .. }
            | Self::TooDeep { .. }
            | Self::TooManyNodes { .. }
            | Self::TooManyBytes { .. }
            | Self::TooManyKeys { .. } => true,
            Self::ControlCharacter
            | Self::LineBreak { .. }
            | Self::Syntax { .. }
            | Self::KeyNotText
            | Self::UnknownTag { .. }
            | Self::WrongTag
            | Self::AliasOfItself
            | Self::MergeNotMapping => false,
        }
    }

    /// The next step.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::LineBreak { code: 0x85 } => "leave it out, or write it as `\\N` in double quotes",
            Self::LineBreak { .. } => "leave it out, or write it as `\\u2028` or `\\u2029` in double quotes",
            Self::UnknownTag { .. } => "leave the tag out and quote the value if it is a text",
            Self::ControlCharacter => "take it out, or write it as an escape in double quotes",
            Self::TooLarge { .. }
            | Self::TooDeep { .. }
            | Self::TooManyNodes { .. }
            | Self::TooManyBytes { .. }
            | Self::TooManyKeys { .. } => {
                "no configuration needs so much: name a folder (`dir` and `pattern`) or a resolver in place of many entries, and use fewer aliases"
            }
            Self::Syntax { .. } => {
                "correct the file there: a text with `: `, ` #` or quotes in it goes into quotes"
            }
            Self::KeyNotText => "write a plain text before the colon",
            Self::WrongTag => "leave the tag out, or correct the value",
            Self::AliasOfItself => "write the value out in one of the two places",
            Self::MergeNotMapping => "give it an alias of a mapping: `<<: *defaults`",
        }
    }
}

/// Where a problem is: line and column from 1, in characters, and what is wrong.
pub type Located = (usize, usize, YamlProblem);
