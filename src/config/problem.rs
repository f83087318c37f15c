//! What can be wrong with a configuration, apart from where: one list, so that whoever adds a problem sees the words of all
//! others.

use crate::config::fault::Fault;
use crate::config::given::Given;
use crate::config::schema::{Section, Type};
use crate::config::variable_names::{from, unset_words};
use crate::yaml;

/// What is wrong, apart from where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text is not YAML as it is read here.
    #[error(transparent)]
    Text(#[from] yaml::YamlProblem),
    /// The resolver's answer is no list of databases.
    #[error("its answer is {reason}")]
    BadAnswer {
        /// What it is instead.
        reason: String,
    },
    /// The file cannot be opened or read.
    #[error("the configuration cannot be read: {reason}")]
    Unreadable {
        /// The operating system's words.
        reason: String,
        /// Whether there is no such file.
        missing: bool,
    },
    /// Some byte is not UTF-8.
    #[error("the configuration is not UTF-8{how}")]
    NotUtf8 {
        /// How it seems to be that, with what separates it, or nothing.
        how: String,
    },
    /// The top of the file is a list or a text.
    #[error("{what} must be a mapping")]
    NotMapping {
        /// The key, or what the value is.
        what: String,
    },
    /// A setting with a value of another type.
    #[error("`{key}` must be {}, not {}", kind.words(), value.as_ref().map_or_else(|| format!("a {is}"), |value| format!("the {is} `{value}`")))]
    WrongType {
        /// The key.
        key: &'static str,
        /// What it must be.
        kind: Type,
        /// What it is.
        is: &'static str,
        /// Whether it is not in quotes.
        is_plain: bool,
        /// What was written, where it can be shown.
        value: Option<String>,
    },
    /// A number that is too small or too large for its setting.
    #[error("`{key}` must be {expected}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// What kind of number it is.
        kind: Type,
        /// What it must be.
        expected: &'static str,
    },
    /// A duration without a unit.
    #[error("`{key}: {text}` is {text} nanoseconds to Litestream")]
    BareDuration {
        /// The key.
        key: &'static str,
        /// What was written.
        text: String,
        /// Whether Litestream takes so many.
        is_taken: bool,
    },
    /// Permissions that look octal.
    #[error("`{key}: {text}` is {number:#o} to Litestream, not 0{text}")]
    NotOctal {
        /// The key.
        key: &'static str,
        /// What was written.
        text: String,
        /// What it is.
        number: i128,
    },
    /// A setting that Litestream 0.5 stops at.
    #[error("`{key}` of {} is refused by Litestream 0.5", section.words())]
    NotIn05 {
        /// The key.
        key: &'static str,
        /// Where it stands.
        section: Section,
    },
    /// A folder of databases for a Litestream that would take it for a file without a name.
    #[error("`dir` is not known to Litestream 0.3")]
    NotIn03,
    /// Replicas of one database that 0.3 cannot tell apart.
    #[error("the database `{database}` has two replicas of the name `{name}`")]
    SameName {
        /// The database's path.
        database: String,
        /// The name, or the type that stands for it.
        name: String,
    },
    /// A setting of folders at a database.
    #[error("`{key}` goes with `dir` only")]
    NeedsDir {
        /// The key.
        key: &'static str,
    },
    /// A folder without a pattern for the names of its databases.
    #[error("`dir` needs a `pattern`")]
    NoPattern,
    /// A folder of databases in a bucket of NATS.
    #[error(
        "a `dir` cannot go to NATS: Litestream puts the path of each database into the bucket's name, or all of them into one place"
    )]
    FolderOnNats,
    /// A path behind the name of an object store, in it, or beside it.
    #[error(
        "a replica on NATS is a bucket of one name, without a slash, and has no `path`: an object store has no folders"
    )]
    NatsWithPath,
    /// Both places for metadata.
    #[error("a database has both `meta-path` and `meta-dir`")]
    MetaPathAndDir,
    /// No `dbs`.
    #[error("no database is configured")]
    NoDatabases,
    /// An entry with neither `path` nor `dir`.
    #[error("a database has neither `path` nor `dir`")]
    NoPath,
    /// An entry with both.
    #[error("a database has both `path` and `dir`")]
    PathAndDir,
    /// A path in a form that Litestream would take for the name of a file.
    #[error("the database path `{scheme}…` is a URL, which Litestream would take for a file name")]
    PathIsUrl {
        /// The part up to the colon.
        scheme: String,
    },
    /// A path that no system call takes.
    #[error("`{key}` holds a NUL character, which no path can have")]
    PathHasNul {
        /// The key.
        key: &'static str,
    },
    /// A `~` without a home.
    #[error("`~` in `{key}` cannot be expanded: no home directory is known")]
    NoHome {
        /// The key.
        key: &'static str,
    },
    /// A database that nothing would be replicated of.
    #[error("the database `{database}` has no replica")]
    NoReplica {
        /// The database's path, or the folder.
        database: String,
    },
    /// Both forms at once.
    #[error("the database `{database}` has both `replica` and `replicas`")]
    ReplicaAndReplicas {
        /// The database's path, or the folder.
        database: String,
    },
    /// More replicas than this Litestream takes.
    #[error("the database `{database}` has {count} replicas, but Litestream 0.5 takes one")]
    SeveralReplicas {
        /// The database's path, or the folder.
        database: String,
        /// How many there are.
        count: usize,
    },
    /// A URL in the key for paths.
    #[error("the replica's `path` holds a URL")]
    ReplicaPathIsUrl,
    /// A heartbeat that goes nowhere.
    #[error("`heartbeat-url` must begin with http:// or https://")]
    HeartbeatUrl,
    /// An address to listen on, without what makes it one.
    #[error("`{key}` has no port, without which litestream does not start")]
    NoPort {
        /// The key.
        key: &'static str,
    },
    /// A URL that cannot be read.
    #[error("the replica's `url` {reason}{}", in_brackets(shown))]
    BadUrl {
        /// What is wrong with it.
        reason: &'static str,
        /// What could be written, where it is no URL at all.
        meant: Option<String>,
        /// It, without what may be a secret; empty where nobody can tell what in it is one.
        shown: String,
    },
    /// Two settings that exclude each other.
    #[error("the {kind} replica has both `{first}` and `{second}`")]
    Contradiction {
        /// The replica's type.
        kind: String,
        /// A key.
        first: &'static str,
        /// The other key.
        second: &'static str,
    },
    /// `{file: PATH}` of a file that cannot be read, or may not be.
    #[error("`{key}` takes its value from the file {path}, which {reason}")]
    NoFile {
        /// The setting.
        key: String,
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// `{env: NAME}` without a value.
    #[error("`{key}` takes its value from {name}, which is not set or empty")]
    NoVariable {
        /// The setting.
        key: String,
        /// The variable.
        name: String,
    },
    /// One setting in snake_case and in kebab-case.
    #[error("`{key}` is the same setting as `{other}` on line {line}")]
    BothSpellings {
        /// The key that comes second.
        key: String,
        /// The key that comes first.
        other: String,
        /// The line of the first.
        line: usize,
    },
    /// A replica that is a name, of nothing.
    #[error(
        "the database `{database}` refers to the replica `{template}`, which `litekeeper.replicas` does not define"
    )]
    UnknownTemplate {
        /// The database's name.
        database: String,
        /// The template's.
        template: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A `path-mode` that is not one of the three.
    #[error(
        "invalid path-mode `{mode}` configured for the database `{database}`, allowed values: append, replace, preserve"
    )]
    BadPathMode {
        /// The database's name.
        database: String,
        /// What is written.
        mode: String,
    },
    /// A `name` that cannot be a part of a path.
    #[error("the database's name `{name}` cannot be a part of a path")]
    BadName {
        /// The name.
        name: String,
    },
    /// A path that lacks a part.
    #[error("`{key}` would be another place without it")]
    Elsewhere {
        /// The key.
        key: String,
    },
    /// A variable without a value, and what comes of it.
    #[error("{}: {problem}", unset_words(name))]
    Unset {
        /// The variable.
        name: String,
        /// What is wrong without it.
        problem: Box<Problem>,
    },
    /// What is wrong with a value that came from the environment; the value itself may be a secret.
    #[error("{problem}; {}", from(names))]
    Expanded {
        /// The variables that it is made of.
        names: Vec<String>,
        /// What is wrong with it.
        problem: Box<Problem>,
    },
    /// What is really a server, as a bucket.
    #[error(
        "the server `{host}` stands where the bucket belongs: Litestream would take it for the bucket's name"
    )]
    HostAsBucket {
        /// The server.
        host: String,
    },
    /// A bucket's name with more than a name in it.
    #[error("the `bucket` of a replica is a name, without {what}")]
    BucketWithMore {
        /// What is there beside the name.
        what: &'static str,
    },
    /// A setting of a server's replica in one that is a folder, since nothing says of which type it is.
    #[error(
        "`{key}` means nothing to a replica without a `type` or a `url`, which is a folder to Litestream"
    )]
    NoType {
        /// The key.
        key: &'static str,
    },
    /// A setting of a replica that is there and says nothing.
    #[error("the replica's `{key}` is empty")]
    Empty {
        /// The key.
        key: &'static str,
    },
    /// A setting without which the replica is nowhere.
    #[error("the {kind} replica has no `{key}`")]
    Missing {
        /// The replica's type.
        kind: String,
        /// The key.
        key: &'static str,
    },
    /// One database, twice.
    #[error("the database `{database}` is configured twice{}", first_line(*first))]
    SameDatabase {
        /// The path.
        database: String,
        /// The line of the first entry, 0 without a file.
        first: usize,
    },
    /// Two databases in one place: one of them would be lost.
    #[error("the databases `{first}` and `{second}` have the same replica, {place}")]
    SameReplica {
        /// A database.
        first: String,
        /// The other one.
        second: String,
        /// Where both would be written to.
        place: String,
    },
    /// A folder of backups where the database is.
    #[error("the replica of `{database}` is the database itself")]
    ReplicaIsDatabase {
        /// The path of both.
        database: String,
    },
    /// A folder of backups where something else of a database is.
    #[error("the replica `{folder}` is {place}")]
    ReplicaInMetadata {
        /// The replica.
        folder: String,
        /// Where that is.
        place: String,
    },
    /// Two databases with one folder for Litestream's own state.
    #[error("the databases `{first}` and `{second}` have the same metadata folder, `{folder}`")]
    SameMetadata {
        /// A database.
        first: String,
        /// The other one.
        second: String,
        /// The folder.
        folder: String,
    },
    /// `link/..`, which is one folder to Litestream and another one to everybody else.
    #[error(
        "`{key}: {path}` goes up from the link {link}: Litestream takes the folder that the link is in, the system the one above where it leads"
    )]
    UpFromLink {
        /// The key.
        key: &'static str,
        /// What is written.
        path: String,
        /// The link.
        link: String,
    },
    /// An `exec` that Litestream would cut or misread.
    #[error("`exec` has {what}, which only a shell understands")]
    ExecNeedsShell {
        /// The part in question.
        what: &'static str,
    },
    /// Quotes without an end.
    #[error("`exec` ends inside of quotes or after a backslash")]
    ExecUnfinished,
    /// `--db` without anything, and no configuration either.
    #[error("neither a configuration nor a database and its replica are given")]
    NothingGiven {
        /// A file that may be meant as one.
        seen: Option<String>,
    },
    /// A `--replica` that is neither a URL nor clearly a folder.
    #[error("the replica of `{database}` ({said_by}) is neither a URL nor an absolute path")]
    ReplicaNotUrl {
        /// The database as it was named.
        database: String,
        /// The option or variable.
        said_by: &'static str,
        /// What could be written.
        meant: Option<String>,
    },
    /// A replica in the environment, but no database.
    #[error("{replica} is set, but DATABASE_URL, which names the database, is not")]
    NoDatabaseUrl {
        /// The variable that is there.
        replica: &'static str,
    },
    /// `DATABASE_URL` of another kind of database.
    #[error("DATABASE_URL is a `{scheme}:` URL, not a SQLite file")]
    ForeignDatabaseUrl {
        /// The part before the colon.
        scheme: String,
    },
    /// A variable that says something that cannot be meant.
    #[error("{variable} is `{value}`, but must be {wanted}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What it says.
        value: String,
        /// What it could say.
        wanted: &'static str,
    },
    /// What a variable, or an option in its place, gives.
    #[error(transparent)]
    Given(Given),
    /// Something in the `litekeeper` section.
    #[error(transparent)]
    Section(Fault),
    /// `DATABASE_URL` that is one file to some libraries and another to others.
    #[error(
        "DATABASE_URL is {} to SQLAlchemy and dj-database-url, {} to Rails and sqlx, and either could be meant",
        .relative.display(), .absolute.display()
    )]
    TwoReadings {
        /// In the working folder.
        relative: std::path::PathBuf,
        /// From the root.
        absolute: std::path::PathBuf,
    },
    /// `DATABASE_URL` without a file.
    #[error("DATABASE_URL names no file: a database in memory cannot be replicated")]
    MemoryDatabaseUrl,
}

impl Problem {
    /// Says whether Litestream takes what is written, for something else than it looks like: `check` and `run` refuse
    /// it all the same.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self, Problem::BareDuration { is_taken: true, .. } | Problem::NotOctal { .. })
    }
}

fn first_line(line: usize) -> String {
    if line == 0 { String::new() } else { format!(", first on line {line}") }
}

fn in_brackets(shown: &str) -> String {
    if shown.is_empty() { String::new() } else { format!(" ({shown})") }
}
