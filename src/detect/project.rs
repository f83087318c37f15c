//! A project's folder with what its readers need: texts, variables, notes.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;

use super::compose::FILES as COMPOSE;
use super::deploy::Deployment;
use super::find::Surroundings;
use super::place::{self, Named, Slashes};
use super::plan::Database;
use super::tree::{MAX_FILE, MAX_YAML, ReadError, Tree};
use crate::database_url::choose;

/// More than this nobody reads.
const MAX_NOTES: usize = 200;

/// Variables that choose among a project's settings.
const CHOOSING: [&str; 6] =
    ["RAILS_ENV", "RACK_ENV", "MIX_ENV", "DJANGO_SETTINGS_MODULE", "APP_ENV", "NODE_ENV"];

/// What shows others which variables there are.
const EXAMPLES: [&str; 5] = [".env.example", ".env.sample", ".env.template", ".env.dist", "env.example"];

/// One project: the folder that a framework's marker is in.
pub(super) struct Project<'a> {
    tree: &'a dyn Tree,
    env: &'a dyn Fn(&str) -> Option<String>,
    /// The tree's own absolute path; what lies below it is written relative to it.
    root: &'a str,
    /// The project's folder in the tree, `.` for the tree itself.
    pub folder: String,
    /// Whether the replicas that the project names already are kept.
    pub keep_replicas: bool,
    /// How many folders above the tree may be looked at.
    parents: usize,
    /// Whether no variable counts but those that choose among settings.
    is_bare: bool,
    deployment: OnceCell<Deployment>,
    /// Each variable with the file that it is from.
    dotenv: RefCell<BTreeMap<String, (String, String)>>,
    notes: RefCell<Vec<String>>,
}

impl<'a> Project<'a> {
    pub fn new(around: &Surroundings<'a>, folder: &str) -> Self {
        Self {
            tree: around.tree,
            env: around.env,
            root: around.root,
            folder: folder.to_owned(),
            keep_replicas: around.keep_replicas,
            parents: around.parents,
            is_bare: false,
            deployment: OnceCell::new(),
            dotenv: RefCell::default(),
            notes: RefCell::default(),
        }
    }

    /// The same, as it is where nobody has set a variable.
    pub fn bare(around: &Surroundings<'a>, folder: &str) -> Self {
        Self { is_bare: true, ..Self::new(around, folder) }
    }

    /// A file of the project in the tree.
    pub fn in_tree(&self, file: &str) -> String {
        place::join(&self.folder, file)
    }

    /// The tree itself.
    pub fn tree(&self) -> &'a dyn Tree {
        self.tree
    }

    /// Its absolute path.
    pub fn root(&self) -> &'a str {
        self.root
    }

    /// The folders in which a configuration may be: the project's, the tree's, and those above it.
    pub fn upwards(&self) -> Vec<String> {
        let inside = self.folder.split('/').filter(|part| *part != ".").count();
        (0..=inside + self.parents).map(|levels| vec![".."; levels].join("/")).collect()
    }

    pub fn has(&self, file: &str) -> bool {
        self.tree.is_file(Path::new(&self.in_tree(file)))
    }

    /// A file's text; what is there but cannot be read is noted.
    pub fn text(&self, file: &str) -> Option<String> {
        let shown = self.in_tree(file);
        match self.tree.read(Path::new(&shown), MAX_FILE) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                if matches!(text, std::borrow::Cow::Owned(_)) {
                    self.note(format!("{shown} is not UTF-8; what is not was passed over"));
                }
                Some(place::without_marks(text.trim_start_matches('\u{FEFF}')))
            }
            Err(ReadError::Missing) => None,
            Err(ReadError::TooLarge) => {
                self.note(format!("{shown} was not read: it is larger than {} KiB", MAX_FILE >> 10));
                None
            }
            Err(ReadError::Other(reason)) => {
                self.note(format!("{shown} cannot be read: {reason}"));
                None
            }
        }
    }

    /// The text of a file in which something is only looked for, and that may be anything: a program, a picture. Nobody
    /// misses what cannot be read of it.
    pub fn glimpse(&self, file: &str) -> Option<String> {
        let bytes = self.tree.read(Path::new(&self.in_tree(file)), MAX_FILE).ok()?;
        // No text has one, and a program has words of others in it.
        let is_text = !bytes.contains(&0);
        is_text.then(|| place::without_marks(String::from_utf8_lossy(&bytes).trim_start_matches('\u{FEFF}')))
    }

    /// A text as YAML; that it is none is noted.
    pub fn yaml(&self, file: &str, text: &str) -> Option<serde_yaml::Value> {
        let reason = if text.len() > MAX_YAML {
            format!("was not read: it is larger than {} KiB", MAX_YAML >> 10)
        } else {
            match serde_yaml::from_str(text) {
                Ok(yaml) => return Some(yaml),
                Err(error) => format!("is no YAML: {error}"),
            }
        };
        self.note(format!("{} {reason}", self.in_tree(file)));
        None
    }

    /// The first of these files that is there, and its text.
    pub fn first_text(&self, files: &[&str]) -> Option<(String, String)> {
        files.iter().find_map(|file| Some(((*file).to_owned(), self.text(file)?)))
    }

    /// Says something about what was found, once.
    pub fn note(&self, text: impl Into<String>) {
        let text = text.into();
        let mut notes = self.notes.borrow_mut();
        match notes.len() {
            MAX_NOTES => notes.push("and more of the kind".to_owned()),
            length if length < MAX_NOTES && !notes.contains(&text) => notes.push(text),
            _ => {}
        }
    }

    /// Takes back what is so no more.
    pub fn forget(&self, what: impl Fn(&str) -> bool) {
        self.notes.borrow_mut().retain(|note| !what(note));
    }

    pub fn notes(&self) -> Vec<String> {
        self.notes.borrow().clone()
    }

    /// Takes the variables of a `.env` file; the environment's own are stronger.
    pub fn read_dotenv(&self, file: &str) -> bool {
        let Some(text) = self.text(file) else { return false };
        let mut dotenv = self.dotenv.borrow_mut();
        for (name, value) in dotenv_lines(&text) {
            dotenv.entry(name).or_insert_with(|| (value, file.to_owned()));
        }
        true
    }

    /// Takes the variables of these files, the stronger first; without any of them those of an example: a fresh clone has
    /// no other. The file that was taken, or the first that would be.
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

    /// How it is started so far.
    pub fn deployment(&self) -> &Deployment {
        self.deployment.get_or_init(|| Deployment::of(self))
    }

    /// A variable's value: the environment's, else the one that it is deployed with, else `.env`'s. Empty is none.
    pub fn variable(&self, name: &str) -> Option<String> {
        let (value, file) = self.said(name)?;
        let is_deployed = |file: &String| {
            ["Dockerfile", "fly.toml"].contains(&file.as_str()) || COMPOSE.contains(&file.as_str())
        };
        if let Some(file) = file.filter(is_deployed) {
            self.note(format!("{name} is the one of {}", self.in_tree(&file)));
        }
        Some(value)
    }

    /// The same with the file that says it, if it is not the environment, and without a note.
    pub fn said(&self, name: &str) -> Option<(String, Option<String>)> {
        if self.is_bare && !CHOOSING.contains(&name) {
            return None;
        }
        let is_set = |value: &str| !value.is_empty();
        let outer = || (self.env)(name).filter(|value| is_set(value)).map(|value| (value, None));
        let deployed = || {
            let (value, file) = self.deployment().variable(name).filter(|(value, _)| is_set(value))?;
            Some((value.to_owned(), Some(file.to_owned())))
        };
        let dotenv = || {
            let (value, file) = self.dotenv.borrow().get(name).filter(|(value, _)| is_set(value)).cloned()?;
            Some((value, Some(file)))
        };
        let (value, file) = outer().or_else(deployed).or_else(dotenv)?;
        Some((place::without_marks(&value), file))
    }

    /// The database that a setting names, relative to `base` in the project; what it is instead is noted.
    pub fn database(&self, alias: &str, setting: &str, base: &str, slashes: Slashes) -> Option<Database> {
        match place::named(setting, slashes) {
            Named::File(path) if path.contains('\u{FFFD}') => {
                self.note(format!("{alias} was skipped: its path is not UTF-8, which YAML must be"));
                None
            }
            Named::File(path) if path.contains(char::is_control) => {
                self.note(format!("{alias} was skipped: its path has control characters"));
                None
            }
            Named::File(path) => Some(self.file(alias, &place::join(base, &path))),
            Named::Either { relative, absolute } => {
                // Whether a folder can be written to is no question of texts: `run` asks it.
                let exists = |path: &str| self.tree.is_file(Path::new(path));
                let inside = self.in_tree(&place::join(base, &relative));
                match choose(&inside, &absolute, exists, |_| false) {
                    Some(true) => Some(self.file(alias, &place::join(base, &relative))),
                    Some(false) => Some(self.file(alias, &absolute)),
                    None => {
                        self.note(format!(
                            "{alias} was skipped: its URL is {inside} to SQLAlchemy and dj-database-url, {absolute} to Rails \
                             and sqlx, and either could be meant: write the whole path with four slashes (sqlite:////…), which all read alike"
                        ));
                        None
                    }
                }
            }
            Named::Memory => {
                self.note(format!("{alias} was skipped: it is a database in memory"));
                None
            }
            Named::Foreign(scheme) => {
                let from = self.named_by(setting).map(|name| {
                    format!("; {name} names it: where the app uses SQLite, set {name} to its file (file:./dev.db) and run init again")
                });
                self.note(format!(
                    "{alias} was skipped: {} is not a local SQLite file{}",
                    foreign(&scheme),
                    from.unwrap_or_default()
                ));
                None
            }
        }
    }

    /// The variable of databases that has this value.
    fn named_by(&self, value: &str) -> Option<&'static str> {
        let names = ["DATABASE_URL", "DB_URL", "DATABASE_URI", "DB_FILE_NAME"];
        names.into_iter().find(|name| self.said(name).is_some_and(|(said, _)| said == value))
    }

    /// A database by its file in the project.
    fn file(&self, alias: &str, path: &str) -> Database {
        let begins_with_variable = place::pieces(path).first().is_some_and(Result::is_err);
        let path = if begins_with_variable { path.to_owned() } else { self.relative(path) };
        let mut database = Database::new(alias, path);
        if place::is_outside(&database.path) {
            database.comment = Some("outside of the project: see that a volume holds it".to_owned());
        }
        database
    }

    /// A path of the project as the tree has it: relative below the tree's root, else absolute.
    pub fn relative(&self, path: &str) -> String {
        let path = match self.in_tree(path) {
            // Above the tree's root there is only its own path.
            path if path.starts_with("../") => match place::join(self.root, &path) {
                whole if whole.starts_with(&format!("{}/", self.root)) => whole,
                _ => path,
            },
            path => path,
        };
        match path.strip_prefix(self.root) {
            Some(rest) if rest.starts_with('/') && rest.len() > 1 => rest[1..].to_owned(),
            _ => path,
        }
    }
}

/// What a scheme or an adapter is called.
pub(super) fn foreign(name: &str) -> String {
    match name {
        "postgres" | "postgresql" | "pgsql" | "postgis" | "ecto" => "PostgreSQL",
        "mysql" | "mysql2" | "trilogy" => "MySQL",
        "mariadb" => "MariaDB",
        "sqlserver" | "sqlsrv" | "mssql" => "SQL Server",
        "mongodb" | "mongodb+srv" => "MongoDB",
        "libsql" | "turso" => "libSQL on a server",
        other => other,
    }
    .to_owned()
}

/// `NAME=value` lines as the dotenv libraries read them, with `${NAME}` of earlier ones filled in.
fn dotenv_lines(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
        let value = value.trim();
        let quoted = ['"', '\''].into_iter().find_map(|quote| {
            let inner = value.strip_prefix(quote)?;
            Some((quote, inner.split(quote).next()?))
        });
        let value = match quoted {
            Some(('\'', inner)) => inner.to_owned(),
            Some((_, inner)) => filled(inner, &found),
            None => filled(value.split(" #").next().unwrap_or_default().trim_end(), &found),
        };
        // The last one counts, as it does for a shell.
        found.insert(name.trim().to_owned(), value);
    }
    found
}

fn filled(value: &str, earlier: &BTreeMap<String, String>) -> String {
    let mut parts = value.split("${");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}') {
            Some((name, rest)) => {
                text.push_str(earlier.get(name).map_or("", String::as_str));
                text.push_str(rest);
            }
            None => text.extend(["${", part]),
        }
        // Doubling at every line is no configuration.
        if text.len() > 4096 {
            return String::new();
        }
    }
    text
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn dotenv_is_read_as_its_libraries_do() {
        let text = "# A=1\nexport A=one # said\nB=\"two # ${A}\" # x\nC='${A}'\n\nD=\nbroken\n";
        let pairs = dotenv_lines(text);
        let expected = [("A", "one"), ("B", "two # one"), ("C", "${A}"), ("D", "")];
        assert_eq!(pairs, BTreeMap::from(expected.map(|(name, value)| (name.to_owned(), value.to_owned()))));
    }
}
