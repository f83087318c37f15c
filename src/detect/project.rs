//! A project's folder with its variables and its deployment.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;

use super::database::foreign;
use super::folder::Folder;
use super::path::{self, Named, Slashes};
use super::{Database, Deployment, Question, Surroundings, deploy};
use crate::database_url::choose;
use crate::dotenv;

/// Variables that choose among a project's settings.
const CHOOSING: [&str; 6] =
    ["RAILS_ENV", "RACK_ENV", "MIX_ENV", "DJANGO_SETTINGS_MODULE", "APP_ENV", "NODE_ENV"];

/// Files that list the variables of a project for whoever sets it up.
const EXAMPLES: [&str; 5] = [".env.example", ".env.sample", ".env.template", ".env.dist", "env.example"];

/// One project: its files, and the variables that it runs with.
pub(super) struct Project<'a> {
    files: Folder<'a>,
    around: &'a Surroundings<'a>,
    /// Whether no variable counts but those that choose among settings.
    is_bare: bool,
    deployment: OnceCell<Deployment>,
    /// Each variable with the file that it is from.
    dotenv: RefCell<BTreeMap<String, (String, String)>>,
}

impl<'a> Deref for Project<'a> {
    type Target = Folder<'a>;

    fn deref(&self) -> &Folder<'a> {
        &self.files
    }
}

impl<'a> Project<'a> {
    pub fn new(around: &'a Surroundings<'a>, folder: &str) -> Self {
        Self {
            files: Folder::new(around.tree, around.root, folder),
            around,
            is_bare: false,
            deployment: OnceCell::new(),
            dotenv: RefCell::default(),
        }
    }

    /// Opens the project as it is where no variable is set, and its Python is not asked.
    pub fn bare(around: &'a Surroundings<'a>, folder: &str) -> Self {
        Self { is_bare: true, ..Self::new(around, folder) }
    }

    /// Tells whether the replicas that the project names already are kept.
    pub fn keeps_replicas(&self) -> bool {
        self.around.keep_replicas
    }

    /// Asks the project's own Python.
    pub fn ask(&self, question: &Question) -> Result<String, String> {
        if self.is_bare { Err("not asked".to_owned()) } else { (self.around.ask)(question) }
    }

    /// Lists the folders in which a configuration may be: the project's, the tree's, and those above it.
    pub fn upwards(&self) -> Vec<String> {
        let inside = self.folder.split('/').filter(|part| *part != ".").count();
        (0..=inside + self.around.parents).map(|levels| vec![".."; levels].join("/")).collect()
    }

    /// Takes the variables of a `.env` file; the environment's own are stronger.
    pub fn read_dotenv(&self, file: &str) -> bool {
        let Some(text) = self.text(file) else { return false };
        let mut dotenv = self.dotenv.borrow_mut();
        let lines = dotenv::lines(&text, &|_| None);
        // The last one of a file counts, as it does for a shell.
        for (name, value) in lines.into_iter().rev().filter_map(|(_, entry)| entry.ok()) {
            dotenv.entry(name).or_insert_with(|| (value, file.to_owned()));
        }
        true
    }

    /// Takes the variables of these files, the stronger first; where none exists those of an example, since a fresh clone
    /// has no other. Returns the file that was taken, or the first that would be.
    pub fn read_dotenvs<'f>(&self, files: &[&'f str]) -> &'f str {
        let usual = files.first().copied().unwrap_or(".env");
        let read: Vec<&str> = files.iter().copied().filter(|file| self.read_dotenv(file)).collect();
        if let Some(first) = read.first() {
            return first;
        }
        let Some(example) = EXAMPLES.into_iter().find(|file| self.read_dotenv(file)) else { return usual };
        self.note(format!("there is no {} here: variables are those of {example}", self.in_tree(usual)));
        example
    }

    /// Reads how the project is deployed so far.
    pub fn deployment(&self) -> &Deployment {
        self.deployment.get_or_init(|| Deployment::of(self))
    }

    /// Finds a variable's value: the environment's, else the deployment's, else `.env`'s. An empty one does not count.
    pub fn variable(&self, name: &str) -> Option<String> {
        let (value, file) = self.variable_and_file(name)?;
        if let Some(file) = file.filter(|file| deploy::is_file(file)) {
            self.note(format!("{name} is the one of {}", self.in_tree(&file)));
        }
        Some(value)
    }

    /// Finds a variable's value, without a note, and the file that sets it, if it is not the environment.
    pub fn variable_and_file(&self, name: &str) -> Option<(String, Option<String>)> {
        if self.is_bare && !CHOOSING.contains(&name) {
            return None;
        }
        let is_set = |value: &str| !value.is_empty();
        let outer = || (self.around.env)(name).filter(|value| is_set(value)).map(|value| (value, None));
        let deployed = || {
            let (value, file) = self.deployment().variable(name).filter(|(value, _)| is_set(value))?;
            Some((value.to_owned(), Some(file.to_owned())))
        };
        let dotenv = || {
            let (value, file) = self.dotenv.borrow().get(name).filter(|(value, _)| is_set(value)).cloned()?;
            Some((value, Some(file)))
        };
        let (value, file) = outer().or_else(deployed).or_else(dotenv)?;
        Some((path::without_marks(&value), file))
    }

    /// Makes the database that a setting names, relative to `base` in the project; a setting that names none is noted.
    pub fn database(&self, alias: &str, setting: &str, base: &str, slashes: Slashes) -> Option<Database> {
        let reason = match path::named(setting, slashes) {
            Named::File(path) if path.contains('\u{FFFD}') => {
                "its path is not UTF-8, which YAML must be".to_owned()
            }
            Named::File(path) if path.contains(char::is_control) => {
                "its path has control characters".to_owned()
            }
            Named::File(path) => return Some(self.file(alias, &path::join(base, &path))),
            Named::Either { relative, absolute } => {
                // Whether a folder can be written to is left to `run`: detection has only texts.
                let exists = |path: &str| self.tree.is_file(Path::new(path));
                let own = path::join(base, &relative);
                let inside = self.in_tree(&own);
                if let Some(is_own) = choose(&inside, &absolute, exists, |_| false) {
                    return Some(self.file(alias, if is_own { &own } else { &absolute }));
                }
                format!(
                    "its URL is {inside} to SQLAlchemy and dj-database-url, {absolute} to Rails and sqlx, and either could \
                     be meant: write the whole path with four slashes (sqlite:////…), which all read alike"
                )
            }
            Named::Memory => "it is a database in memory".to_owned(),
            Named::Foreign(scheme) => {
                let from = self.variable_of(setting).map(|name| {
                    format!("; {name} names it: where the app uses SQLite, set {name} to its file (file:./dev.db) and run init again")
                });
                format!("{} is not a local SQLite file{}", foreign(&scheme), from.unwrap_or_default())
            }
        };
        self.note(format!("{alias} was skipped: {reason}"));
        None
    }

    /// Finds the variable of databases that has this value.
    fn variable_of(&self, value: &str) -> Option<&'static str> {
        let names = ["DATABASE_URL", "DB_URL", "DATABASE_URI", "DB_FILE_NAME"];
        names.into_iter().find(|name| self.variable_and_file(name).is_some_and(|(found, _)| found == value))
    }

    /// Makes a database of a file in the project.
    fn file(&self, alias: &str, path: &str) -> Database {
        let path = if path::begins_with_variable(path) { path.to_owned() } else { self.relative(path) };
        let mut database = Database::new(alias, path);
        if path::is_outside(&database.path) {
            database.comment = Some("outside of the project: see that a volume holds it".to_owned());
        }
        database
    }
}
