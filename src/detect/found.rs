//! What a reader found.

use super::project::Project;
use super::{Database, Framework, Setting};

/// How many databases are taken of one project.
const MAX_DATABASES: usize = 1_000;

/// The databases that a reader found, and how the app is started; a `Plan` in the making.
#[derive(Default)]
pub(super) struct Found {
    pub framework: Framework,
    pub source: String,
    pub databases: Vec<Database>,
    pub command: Vec<String>,
    pub before: Vec<Vec<String>>,
    pub workdir: Option<String>,
    pub env: Vec<(String, String)>,
    pub path_prefix: Option<String>,
    pub settings: Vec<(String, Setting)>,
    pub vfs: Vec<(String, String)>,
    /// Whether the project's configuration of Litestream has the command.
    pub has_own_command: bool,
    /// Whether the command is the one that is deployed, port and all.
    pub has_given_command: bool,
    /// Whether the command is only one that would do, such as a server for development.
    pub is_guess: bool,
    /// The variables of a configuration that stays as it is.
    pub uses: Vec<String>,
    /// The paths of its databases as they are written in it.
    pub written_paths: Vec<String>,
}

impl Found {
    pub fn new(framework: Framework, source: String) -> Self {
        Self { framework, source, ..Self::default() }
    }

    /// Sets how the app is started, and what runs before it.
    pub fn start(&mut self, command: &[&str], before: &[&[&str]]) {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        self.command = words(command);
        self.before = before.iter().map(|one| words(one)).collect();
    }

    /// Asks for a variable where the app runs, unless it is deployed with it.
    pub fn needs(&mut self, project: &Project<'_>, name: &str, value: &str) {
        if project.deployment().variable(name).is_none() {
            self.env.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Adds a database, unless its file is known by another name already.
    pub fn add(&mut self, project: &Project<'_>, database: Database) {
        if self.databases.len() >= MAX_DATABASES {
            return project.note(format!("only the first {MAX_DATABASES} databases were taken"));
        }
        let (path, alias) = (&database.path, &database.alias);
        match self.databases.iter().find(|known| known.path == *path) {
            Some(known) => project.note(format!("{alias} is the same file as {}", known.alias)),
            None => self.databases.push(database),
        }
    }

    /// Tells whether it has a database to replicate.
    pub fn is_replicable(&self) -> bool {
        self.databases.iter().any(Database::is_replicated)
    }
}
