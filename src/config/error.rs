//! What can be wrong with a configuration, where, and what to do about it: one list, so that whoever adds a problem
//! sees the words and the hints of all others.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::duration::in_hours;
use crate::config::fault::Fault;
use crate::config::given::Given;
use crate::config::model::bucket;
use crate::config::model::url;
use crate::config::schema::{Section, Type};
use crate::config::variable_names::{from, unset_hint, unset_words};
use crate::core::ExitCode;
use crate::{foreign, secrets, yaml};

/// Everything that is wrong with a configuration; at least one finding.
///
/// Shown as one line a finding. No text of it holds a value that could be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.findings.iter().map(shown).collect::<Vec<_>>().join("\n"))]
pub struct Error {
    findings: Vec<Finding>,
    unset: Vec<String>,
}

/// Returns one line, with no secret of a URL in it.
fn shown(finding: &Finding) -> String {
    foreign::line(&secrets::mask(&finding.to_string())).into_owned()
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}{}{problem}", Position { line: *line, column: *column })]
pub struct Finding {
    /// What the configuration was read from.
    pub origin: Origin,
    /// The line, from 1; 0 when the whole is meant.
    pub line: usize,
    /// The column in characters, from 1; 0 when the whole line is meant.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What a configuration was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file, as it was named.
    File(PathBuf),
    /// `--db` and `--replica`.
    CommandLine,
    /// `LITESTREAM_REPLICA_URL` and its like.
    Environment,
    /// The command of `litekeeper.resolver`.
    Resolver,
}

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

impl Error {
    /// Makes an error of one finding.
    pub fn new(origin: Origin, line: usize, column: usize, problem: Problem) -> Self {
        Self { findings: vec![Finding { origin, line, column, problem }], unset: Vec::new() }
    }

    /// Makes the error of neither a configuration file nor anything in its place.
    pub fn nothing_given(seen: Option<String>) -> Self {
        Self::new(Origin::CommandLine, 0, 0, Problem::NothingGiven { seen })
    }

    /// Makes the error of an `origin` that names no database, though `dbs` stands on this line.
    pub(super) fn no_databases(origin: &Origin, line: usize) -> Self {
        Self::new(origin.clone(), line, 0, Problem::NoDatabases)
    }

    /// Returns everything that was found, in the order of the file.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Returns the next step: the hint of the first finding that has one, and the variables that were not set.
    pub fn hint(&self) -> Option<String> {
        let hint = self.findings.first().map(Finding::hint);
        // `${VAR:-x}` names a variable with all of that in its name, and x may be a secret.
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let shown = |name: &String| match name.find(|c| !is_name(c)) {
            Some(end) => format!("{}…", &name[..end]),
            None => name.clone(),
        };
        // What a finding is about need not be said again.
        let is_told = |name: &&String| self.variables().any(|told| told == *name);
        let unset: Vec<String> = self.unset.iter().filter(|name| !is_told(name)).map(shown).collect();
        let unset = match unset.as_slice() {
            [] => None,
            [name] => Some(format!("the file uses ${{{name}}}, which is not set")),
            names => Some(format!("the file uses variables that are not set: {}", names.join(", "))),
        };
        match (hint, unset) {
            (Some(hint), Some(unset)) => Some(format!("{hint}; {unset}")),
            (hint, unset) => hint.or(unset),
        }
    }

    /// Returns the variables without a value that findings are about.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.findings.iter().filter_map(|finding| match &finding.problem {
            Problem::Unset { name, .. } => Some(name.as_str()),
            _ => None,
        })
    }

    /// Returns 78, or 64 when the command line alone is at fault.
    pub fn exit(&self) -> ExitCode {
        let usage = self.findings.iter().all(|finding| {
            matches!(finding.problem, Problem::NothingGiven { .. } | Problem::ReplicaNotUrl { .. })
                && finding.origin == Origin::CommandLine
        });
        if usage { ExitCode::USAGE } else { ExitCode::CONFIG }
    }

    /// Returns `Ok` if nothing was found.
    pub(super) fn of(
        origin: &Origin,
        mut found: Vec<(usize, Problem)>,
        unset: &[String],
    ) -> Result<(), Self> {
        // One variable that is missing, or wrong, is one thing to be done, in however many databases it stands.
        let mut told = HashSet::new();
        found.retain(|(_, problem)| match problem {
            Problem::Unset { name, .. } => told.insert(name.clone()),
            Problem::Given(given) => told.insert(given.to_string()),
            _ => true,
        });
        if found.is_empty() {
            return Ok(());
        }
        let finding = |(line, problem)| Finding { origin: origin.clone(), line, column: 0, problem };
        Err(Self { findings: found.into_iter().map(finding).collect(), unset: unset.to_vec() })
    }

    /// Returns both values, or all that is wrong with either, in the order of the file.
    ///
    /// # Errors
    /// When at least one of them is one.
    pub fn both<A, B>(one: Result<A, Self>, other: Result<B, Self>) -> Result<(A, B), Self> {
        match (one, other) {
            (Ok(one), Ok(other)) => Ok((one, other)),
            (Err(mut error), Err(other)) => {
                error.findings.extend(other.findings);
                error.findings.sort_by_key(|finding| finding.line);
                Err(error)
            }
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        }
    }
}

impl Problem {
    /// Says whether Litestream takes what is written, for something else than it looks like: `check` and `run` refuse
    /// it all the same.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self, Problem::BareDuration { is_taken: true, .. } | Problem::NotOctal { .. })
    }
}

impl Finding {
    /// Returns the next step.
    pub fn hint(&self) -> String {
        let hint = match &self.problem {
            Problem::Text(problem) => problem.hint(),
            Problem::Section(fault) => return fault.hint(),
            Problem::Given(given) => return given.hint(),
            Problem::BadUrl { meant: Some(meant), .. } => return meant.clone(),
            Problem::UnknownTemplate { template, .. } if url::is_url(template) => {
                return format!(
                    "a URL is written so: `replica: {{url: \"{}\"}}`",
                    secrets::mask_value(template)
                );
            }
            Problem::UnknownTemplate { template, .. } if template.starts_with(['/', '.', '~']) => {
                return format!("a folder is written so: `replica: {{path: \"{template}\"}}`");
            }
            Problem::Unset { name, .. } => return unset_hint(name),
            Problem::HostAsBucket { host } => return bucket::hint(host),
            Problem::BucketWithMore { what: "a blank" } => {
                "write the bucket's name alone; no bucket has a blank in it"
            }
            Problem::BucketWithMore { .. } => "a path goes into `path`, and a server into `endpoint`",
            Problem::Expanded { names, problem }
                if matches!(**problem, Problem::Text(yaml::YamlProblem::Syntax { .. })) =>
            {
                let name = names.first().map_or("NAME", String::as_str);
                return format!(
                    "write {{env: {name}}} in its place, which no value can break, or set another value"
                );
            }
            Problem::Expanded { problem, .. } => {
                return Finding { problem: (**problem).clone(), ..self.clone() }.hint();
            }
            Problem::Unreadable { reason, .. } if reason == "it is a folder, not a file" => {
                "Docker makes such a folder where the file that is to be mounted is not there: remove it, and mount the file, or name another one with --config"
            }
            Problem::Unreadable { missing: true, .. } => {
                "name the file with --config, or give --db and --replica"
            }
            Problem::NoDatabases => {
                "add a `dbs:` list with a `path` and a `replica` for each database, or give --db and --replica"
            }
            Problem::PathIsUrl { .. } => "write the plain path of the file; sqlite:// is understood, too",
            Problem::NoReplica { .. } => {
                "add `replica: {url: …}` to the database, or set LITESTREAM_REPLICA_URL or LITESTREAM_REPLICA_BUCKET"
            }
            Problem::ReplicaAndReplicas { .. } => "keep `replica`; `replicas` is the older form",
            Problem::WrongType { kind: Type::Duration, value, .. } => {
                match value.as_deref().and_then(in_hours) {
                    Some(hours) => return format!("it knows no days or weeks: write {hours}"),
                    None => "write it as 10s, 500ms, 5m or 1h30m",
                }
            }
            Problem::BareDuration { text, .. } => {
                return format!("write a unit: {text}s is seconds, {text}m minutes");
            }
            Problem::WrongType { kind: Type::Size, .. } => "write it as 5MiB, 1.5GB, or a number of bytes",
            Problem::WrongType { kind: Type::Octal, .. } | Problem::NotOctal { .. } => {
                "write it without quotes and with a 0 in front, such as 0600"
            }
            Problem::WrongType { kind: Type::Bool | Type::Int, is_plain: false, .. } => {
                "take the quotes away"
            }
            Problem::WrongType { kind: Type::Texts | Type::Mappings(_), .. } => {
                "write each entry in a line of its own, after `- `"
            }
            Problem::WrongType { kind: Type::Text, .. } => "write one text there, in quotes if need be",
            Problem::NotIn05 { key: "age", .. } => {
                "leave it out, and let the storage encrypt: 0.5 cannot, only Litestream 0.3 can (--allow-litestream)"
            }
            Problem::NotIn03 => "name each database, or use Litestream 0.5",
            Problem::SameName { .. } => "give each replica a `name`",
            Problem::FolderOnNats => "name each database by itself, with a bucket of its own",
            Problem::NatsWithPath => {
                "write `nats://HOST/BUCKET`, with the server's port behind HOST and a bucket of its own for each database"
            }
            Problem::NoPattern => "for example `pattern: \"*.db\"`",
            Problem::SeveralReplicas { .. } => "keep one; only Litestream 0.3 writes to several",
            Problem::ReplicaPathIsUrl => "use `url` instead of `path`",
            Problem::BadUrl { reason, .. } if reason.contains('%') => {
                "write each `%` that is meant as one as `%25`, in a password as well"
            }
            Problem::Contradiction { first: "url", .. } => {
                "a `url` says it all; the other setting may also come from the top of the file"
            }
            Problem::BothSpellings { .. } => "keep one of them",
            Problem::UnknownTemplate { known, .. } if !known.is_empty() => {
                return format!("there are: {}", known.join(", "));
            }
            Problem::UnknownTemplate { .. } => {
                "a text in the place of a replica is the name of a mapping in `litekeeper.replicas`"
            }
            Problem::NoFile { .. } => {
                "mount it, or write another path: a relative one begins in the current folder"
            }
            Problem::Elsewhere { .. } => "write the whole path",
            Problem::NoVariable { .. } => "set the variable in the environment that litekeeper is started in",
            Problem::SameReplica { .. } => "give each database a place of its own, for example by its name",
            Problem::ReplicaIsDatabase { .. } | Problem::ReplicaInMetadata { .. } => {
                "give the replica a folder of its own, better one on another disk"
            }
            Problem::ExecNeedsShell { .. } => {
                "let a shell run it: leave `exec` out and start with `litekeeper run -- sh -c '…'`"
            }
            Problem::ExecUnfinished => "close the quotes, or give the command after `--`",
            Problem::NothingGiven { seen: Some(file) } => {
                return format!("`{file}` is there, but not looked for: name it with --config {file}");
            }
            Problem::NothingGiven { seen: None } => {
                "`litekeeper init` writes a litestream.yml; or give --db PATH --replica URL"
            }
            Problem::ReplicaNotUrl { meant: Some(meant), .. } => return meant.clone(),
            Problem::ReplicaNotUrl { .. } => {
                "for example s3://bucket/path, file:///backups/app.db or /backups/app.db"
            }
            Problem::NoDatabaseUrl { .. } => {
                "set DATABASE_URL to the SQLite file, or give --db and --replica"
            }
            Problem::TwoReadings { .. } => {
                "write the whole path with four slashes, which all read alike: sqlite:////PATH; or make the folder that is meant"
            }
            Problem::Variable { .. } => "correct it, or take the variable out",
            Problem::ForeignDatabaseUrl { .. } => "name the SQLite file with --db",
            Problem::NotUtf8 { .. } => "save the file as UTF-8",
            Problem::UpFromLink { .. } => "write the path without `..`",
            Problem::PathHasNul { .. } => "correct the path",
            Problem::BadAnswer { .. } => {
                "print a JSON list of mappings with the same keys as in `dbs`, and all else to standard error"
            }
            Problem::Unreadable { reason, .. } if reason.starts_with("the pipe") => {
                "whoever writes it has to close it; or name a file"
            }
            Problem::Unreadable { .. } => "name a file that this user can read with --config",
            Problem::NotMapping { .. } => "write `key: value` lines; `litekeeper init` prints an example",
            Problem::WrongType { .. } | Problem::OutOfRange { .. } => {
                "correct the value; leaving it out gives the default"
            }
            Problem::NotIn05 { .. } => "leave it out, or use Litestream 0.3 (--allow-litestream)",
            Problem::NeedsDir { .. } => "leave it out, or write `dir` in place of `path`",
            Problem::MetaPathAndDir | Problem::PathAndDir => "keep one of the two",
            Problem::BadPathMode { .. } => "write one of these, or leave it out",
            Problem::BadName { .. } => "write a name without slashes that is neither `.` nor `..`",
            Problem::NoPath => "add `path`, or `dir` and `pattern` for a folder of databases",
            Problem::NoHome { .. } => "write the whole path, or set HOME",
            Problem::BadUrl { .. } => {
                "for example s3://bucket/path, file:///backups/app.db or sftp://user@host/path"
            }
            Problem::NoPort { .. } => {
                "write host and port, for example 127.0.0.1:9090, or `:9090` for all addresses"
            }
            Problem::HeartbeatUrl => "write the whole URL that is to be asked, or leave it out",
            Problem::Contradiction { .. } => "keep one of the two",
            Problem::Missing { .. } | Problem::Empty { .. } => {
                "add its value, or say where the replica is with a `url`"
            }
            Problem::NoType { key: "host" } => "write `type: sftp` beside it",
            Problem::NoType { .. } => "write `type: s3` beside it, or the type that it is",
            Problem::SameDatabase { .. } => "keep one of the two entries",
            Problem::SameMetadata { .. } => "give one of them a `meta-path` of its own",
            Problem::MemoryDatabaseUrl => "set DATABASE_URL to a file, or name one with --db",
        };
        hint.to_owned()
    }
}

impl Origin {
    /// Returns the file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Origin::File(path) => Some(path),
            Origin::CommandLine | Origin::Environment | Origin::Resolver => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::CommandLine => f.write_str("command line"),
            Origin::Environment => f.write_str("environment"),
            Origin::Resolver => f.write_str("resolver"),
        }
    }
}

fn first_line(line: usize) -> String {
    if line == 0 { String::new() } else { format!(", first on line {line}") }
}

/// `:12:3: `, as compilers write it.
struct Position {
    line: usize,
    column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => f.write_str(": "),
            (line, 0) => write!(f, ":{line}: "),
            (line, column) => write!(f, ":{line}:{column}: "),
        }
    }
}

fn in_brackets(shown: &str) -> String {
    if shown.is_empty() { String::new() } else { format!(" ({shown})") }
}
