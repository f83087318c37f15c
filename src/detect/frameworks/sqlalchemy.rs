//! SQLAlchemy, alone or below Flask: the URL that the project's Python gives it.
//!
//! Flask-SQLAlchemy 3 and later puts a relative file below the app's instance folder
//! (<https://flask-sqlalchemy.readthedocs.io/en/stable/config/#connection-url-format>), earlier ones below the app's own.

use std::collections::BTreeSet;
use std::path::Path;

use crate::detect::code::{Expr, Language, Scope, Source, Value};
use crate::detect::found::Found;
use crate::detect::path::{self, Named, Slashes};
use crate::detect::project::Project;
use crate::detect::{Framework, existing, start, walk};
use crate::secrets::mask;

/// How many files of Python are looked at.
const MAX_FILES: usize = 500;
/// How many of them are read as code.
const MAX_CODE: usize = 40;
/// Where the packages that a project needs are written down.
const MANIFESTS: &str = "requirements.txt requirements.in requirements/base.txt requirements/common.txt \
    requirements/production.txt requirements/prod.txt pyproject.toml Pipfile setup.py setup.cfg \
    poetry.lock uv.lock Pipfile.lock";
/// What Flask's own package is called.
const FLASK: &str = "flask-sqlalchemy";
/// Settings that hold the URL, the stronger first.
const URLS: [&str; 3] = ["SQLALCHEMY_DATABASE_URI", "SQLALCHEMY_DATABASE_URL", "DATABASE_URL"];
/// Functions that take it.
const ENGINES: [&str; 2] = ["create_engine", "create_async_engine"];

/// The Python of a project.
struct Code {
    /// The files that may name a database: their paths and texts.
    files: Vec<(String, String)>,
    /// The first file that makes a Flask app.
    app: Option<String>,
    /// The `__init__.py` of packages.
    packages: Vec<String>,
    /// Flask-SQLAlchemy's major version, if the project needs it.
    flask: Option<u32>,
}

/// Reads a project with Flask-SQLAlchemy, whatever names its database.
pub(in crate::detect) fn flask(project: &Project<'_>) -> Option<Found> {
    let code = Code::of(project);
    let version = code.flask?;
    let mut found = Found::new(Framework::Flask, String::new());
    let base = code.base(project, version);
    let env = project.read_dotenvs(&[".env", ".flaskenv"]);
    let of_variable = || {
        let (_, file) = project.variable_and_file("DATABASE_URL")?;
        Some((project.variable("DATABASE_URL")?, file.unwrap_or_else(|| env.to_owned())))
    };
    let of_variable = || of_variable().filter(|(url, _)| is_file(url));
    let Some((url, file)) = code.url(project, &base, &[]).or_else(of_variable) else {
        project.note(format!(
            "no URL of a SQLite file that Flask-SQLAlchemy gets could be read here: a relative one is below {base}/ for it"
        ));
        return None;
    };
    found.source = project.in_tree(&file);
    let database = project.database("default", &url, &base, Slashes::Four)?;
    if let Named::File(path) = path::named(&url, Slashes::Four)
        && !path.starts_with('/')
    {
        let where_to = match version {
            0..3 => format!("Flask-SQLAlchemy {version} puts it beside the app's own code"),
            _ => "Flask-SQLAlchemy puts it below the app's instance folder (since version 3)".to_owned(),
        };
        let plain = path::clean(&path);
        let other = if plain != database.path && project.has(&plain) {
            format!("; ./{plain} is there as well, and is not that file")
        } else {
            String::new()
        };
        project.note(format!("the database is {}, as {where_to}{other}", database.shown_path()));
    }
    found.databases.push(database);
    for (alias, url) in code.binds(project, &base) {
        if let Some(database) = project.database(&alias, &url, &base, Slashes::Four) {
            found.add(project, database);
        }
    }
    finish(project, found)
}

/// Reads a project with SQLAlchemy alone, whose database is not there yet.
pub(in crate::detect) fn read(project: &Project<'_>) -> Option<Found> {
    let code = Code::of(project);
    project.read_dotenvs(&[".env"]);
    let (url, file) = code.url(project, ".", &ENGINES)?;
    let mut found = Found::new(Framework::SqlAlchemy, project.in_tree(&file));
    found.databases.push(project.database("default", &url, ".", Slashes::Four)?);
    finish(project, found)
}

fn finish(project: &Project<'_>, mut found: Found) -> Option<Found> {
    found.command = start::plain(project);
    existing::carry_over(project, &["litestream.yml"], &mut found);
    Some(found)
}

/// Tells how many slashes a URL has in front of a path from the root, by the libraries that the project needs.
pub(in crate::detect) fn slashes(project: &Project<'_>) -> Slashes {
    let needs = |files: &str, names: &[&str]| {
        files.split(' ').any(|file| {
            project.glimpse(file).is_some_and(|text| {
                let text = text.to_ascii_lowercase().replace('_', "-");
                names.iter().any(|name| text.contains(name))
            })
        })
    };
    let four = ["sqlalchemy", "sqlmodel", "dj-database-url", "django-environ", "databases[", "alembic"];
    let is_four = needs(MANIFESTS, &four);
    let is_three = needs("Gemfile", &["activerecord", "rails", "sequel"]) || needs("Cargo.toml", &["sqlx"]);
    match (is_four, is_three) {
        (true, false) => Slashes::Four,
        (false, true) => Slashes::Three,
        (true, true) | (false, false) => Slashes::Unknown,
    }
}

impl Code {
    fn of(project: &Project<'_>) -> Self {
        let mut code = Self { files: Vec::new(), app: None, packages: Vec::new(), flask: None };
        let mut imports = false;
        let mut looked = 0;
        let _ = walk::each(project.tree, &mut |file| {
            let name = file.to_str().map(path::clean).filter(|name| name.ends_with(".py"));
            if let Some(name) = name.filter(|_| looked < MAX_FILES && code.files.len() < MAX_CODE) {
                looked += 1;
                if path::name(&name) == "__init__.py" {
                    code.packages.push(name.clone());
                }
                let text = project.glimpse(&name).unwrap_or_default();
                imports |= text.contains("flask_sqlalchemy");
                let makes = text.contains("Flask(");
                if makes && code.app.is_none() {
                    code.app = Some(name.clone());
                }
                if URLS.iter().chain(&ENGINES).any(|word| text.contains(word)) {
                    code.files.push((name, text));
                }
            }
            0
        });
        code.flask = version(project).or(imports.then_some(3));
        code
    }

    /// Finds the folder that Flask-SQLAlchemy puts a relative file in.
    fn base(&self, project: &Project<'_>, version: u32) -> String {
        let app = self.app.as_deref().unwrap_or("app.py");
        let own = path::parent(app);
        if version < 3 {
            return own;
        }
        // Beside a package, and not in it.
        let beside = self.outside(&own);
        let instance = path::join(&beside, "instance");
        let is_module = beside == own && own != ".";
        // A module of a folder that is no package: of the folder that Python is started in, which is the project's
        // (`find_package` of Flask's sansio/scaffold.py), or of its own, if that was so before.
        let was = !project.tree.list(Path::new(&project.in_tree(&instance))).is_empty();
        if is_module && !was { "instance".to_owned() } else { instance }
    }

    /// Finds the folder that a package lies in.
    fn outside(&self, folder: &str) -> String {
        let mut folder = folder.to_owned();
        while folder != "." && self.packages.contains(&path::join(&folder, "__init__.py")) {
            folder = path::parent(&folder);
        }
        folder
    }

    /// Evaluates the settings of these names, and the first arguments of these functions, in each file.
    fn values(
        &self,
        project: &Project<'_>,
        base: &str,
        settings: &[&str],
        functions: &[&str],
    ) -> Vec<(Value, String)> {
        let env = |name: &str| project.variable(name);
        let mut found = Vec::new();
        for (file, text) in &self.files {
            let source = Source::new(text, Language::Python);
            // What begins at `__file__` is a whole path, and no relative one.
            let whole = |path: &str| path::join(project.root, &project.in_tree(path));
            let mut scope = Scope::new(&whole(file), &env);
            for app in ["app", "current_app", "self"] {
                scope.set(&format!("{app}.instance_path"), Value::Text(whole(base)));
                scope.set(&format!("{app}.root_path"), Value::Text(whole(&path::parent(file))));
            }
            scope.run(&source);
            let settings = settings.iter().flat_map(|key| source.settings_of(key));
            let arguments = functions.iter().flat_map(|name| source.first_arguments(name));
            let all: Vec<Expr> = settings.chain(arguments).collect();
            found.extend(all.iter().map(|expr| (scope.value(expr), file.clone())));
        }
        found
    }

    /// Finds Flask-SQLAlchemy's further databases by their names.
    fn binds(&self, project: &Project<'_>, base: &str) -> Vec<(String, String)> {
        let tables = self.values(project, base, &["SQLALCHEMY_BINDS"], &[]);
        let entries = tables.iter().flat_map(|(table, _)| table.entries());
        let urls = entries.filter_map(|(alias, value)| Some((alias.clone(), value.text()?)));
        urls.filter(|(_, url)| is_file(url)).collect()
    }

    /// Finds the last URL of a SQLite file in the project's code, by habit production's, and the file that has it.
    fn url(&self, project: &Project<'_>, base: &str, functions: &[&str]) -> Option<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        for (value, file) in self.values(project, base, &URLS, functions) {
            match value {
                Value::Unset(name) => project.note(format!(
                    "{name} of {} is not set here, and no .env has it: set it and run init again",
                    project.in_tree(&file)
                )),
                value => found.extend(value.text().map(|url| (url, file))),
            }
        }
        found.retain(|(url, _)| is_file(url));
        let chosen = found.pop()?;
        const MOST: usize = 3;
        let others: BTreeSet<&str> =
            found.iter().map(|(url, _)| url.as_str()).filter(|url| *url != chosen.0).collect();
        if !others.is_empty() {
            let more = others.len().saturating_sub(MOST);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            let others: Vec<String> = others.iter().take(MOST).map(|url| mask(url).into_owned()).collect();
            project.note(format!(
                "the code names other databases as well, and the last one was taken: {}{more}",
                others.join(", ")
            ));
        }
        Some(chosen)
    }
}

/// Tells whether a URL is one of a SQLite file, and known as a whole.
fn is_file(url: &str) -> bool {
    url.starts_with("sqlite")
        && !path::has_variable(url)
        && matches!(path::named(url, Slashes::Four), Named::File(_))
}

/// Finds Flask-SQLAlchemy's major version, if a manifest names it.
fn version(project: &Project<'_>) -> Option<u32> {
    let mut named = false;
    for file in MANIFESTS.split(' ') {
        let Some(text) = project.glimpse(file) else { continue };
        let text = text.to_ascii_lowercase().replace('_', "-");
        let Some((_, behind)) = text.split_once(FLASK) else { continue };
        named = true;
        // `==2.5.1`, `~=2.5`, `<3`, and `version = "2.5.1"` on the next line of a lock.
        let behind: String = behind.chars().take(60).collect();
        let behind = behind.split(['#', ';', ',']).next().unwrap_or_default();
        let is_lock = file.ends_with(".lock");
        let behind = if is_lock { behind } else { behind.lines().next().unwrap_or_default() };
        let Some(at) = behind.find(|c: char| c.is_ascii_digit()) else { continue };
        let (sign, number) = behind.split_at(at);
        let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
        let Ok(major) = digits.parse::<u32>() else { continue };
        let below = sign.contains('<') && !sign.contains('=');
        if !sign.contains('>') {
            return Some(if below { major.saturating_sub(1) } else { major });
        }
    }
    named.then_some(3)
}
