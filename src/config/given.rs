//! What is wrong with values that variables, or options in their place, give.

/// What is wrong with a value that was given, apart from a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Given {
    /// Quotes that no shell took away.
    #[error("the value of {name} is in quotes, which belong to it: docker's --env-file takes them literally")]
    InQuotes {
        /// The variable.
        name: String,
    },
    /// A line's end before it or after it.
    #[error("the value of {name} has a line's end before it or after it")]
    LineEnd {
        /// The variable, or the option.
        name: String,
    },
    /// What a shell would have put a value in the place of.
    #[error("{name} has `{part}` in it, and nothing was put in its place")]
    Unexpanded {
        /// The variable, or the option.
        name: String,
        /// The part, without what may be a secret.
        part: String,
    },
    /// A variable for a URL that says something else.
    #[error("{name} has no scheme such as s3:// or file://")]
    NotUrl {
        /// The variable.
        name: String,
        /// What to write.
        hint: String,
    },
    /// Several paths where one belongs.
    #[error("{name} is `{text}`: these are {count} paths, where one belongs")]
    SeveralPaths {
        /// The variable, or the option.
        name: String,
        /// What it says.
        text: String,
        /// How many they are.
        count: usize,
    },
    /// A value that says nothing, as of a variable that a shell has put nothing in the place of.
    #[error("{name} is empty")]
    Empty {
        /// The option.
        name: String,
    },
    /// `DATABASE_URL`, but no replica.
    #[error("DATABASE_URL names the database {database}, but nothing names its replica")]
    NoReplica {
        /// The file.
        database: String,
    },
}

impl Given {
    /// Returns the next step.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::InQuotes { name } => {
                format!(
                    "write {name}=VALUE without quotes, in a file of variables as well as in `environment:` lists"
                )
            }
            Self::LineEnd { .. } => {
                "take it out; a file of variables with Windows line ends (CRLF) leaves one: `tr -d '\\r'` removes them"
                    .to_owned()
            }
            Self::Unexpanded { .. } => {
                "no shell reads it here: write the value itself, or have a shell set the \
                                        variable (in double quotes, where it was set in single ones)"
                    .to_owned()
            }
            Self::NotUrl { hint, .. } => hint.clone(),
            Self::SeveralPaths { .. } => {
                "name one file; several databases go into a configuration: a `dbs:` list in a \
                                          litestream.yml, which `litekeeper init` writes"
                    .to_owned()
            }
            Self::Empty { .. } => "set the variable that it is made of, or write the value itself".to_owned(),
            Self::NoReplica { .. } => "set LITESTREAM_REPLICA_URL (s3://BUCKET/PATH, file:///FOLDER) or \
                                       LITESTREAM_REPLICA_BUCKET, or give both: --db PATH --replica URL"
                .to_owned(),
        }
    }
}
