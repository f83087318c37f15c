//! Django's settings, of its own answer or of their text.

use serde_json::Value as Json;

use crate::detect::code::{Expr, Language, Scope, Source, Statement, Value};
use crate::detect::path;
use crate::detect::project::Project;
use crate::django::module_files;

/// How many files of settings are read, one importing the other.
const MAX_FILES: usize = 8;

/// The settings that matter.
pub(super) struct Settings {
    pub databases: Vec<(String, Value)>,
    pub litestream: Value,
    pub wsgi: Option<String>,
    pub asgi: Option<String>,
}

impl Settings {
    /// Reads the answer of the project's own Python.
    pub fn of_answer(answer: &Json) -> Self {
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
    pub fn of_text(project: &Project<'_>, module: &str) -> (String, Self) {
        let env = |name: &str| project.variable(name);
        project.read_dotenvs(&[".env"]);
        let [file, package] = module_files(module);
        let file = if project.has(&file) { file } else { package };
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
}

/// A block of settings: its indentation, whether it is run, and whether one of its branches was.
struct Block {
    column: usize,
    runs: bool,
    done: bool,
}

/// Runs a file's statements, those under a condition only if it holds; where that is not known the last one counts.
fn run(project: &Project<'_>, file: &str, scope: &mut Scope<'_>, left: &mut usize) {
    let Some(text) = project.text(file).filter(|_| *left > 0) else { return };
    *left -= 1;
    let outer = scope.enter(file);
    // No command: the settings are those of the running app.
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

/// Names the file of an imported module: `.base`, `..common`, `shop.settings.base`.
fn import(file: &str, module: &str) -> String {
    let dots = module.chars().take_while(|c| *c == '.').count();
    let path = module.trim_start_matches('.').replace('.', "/");
    let base = (0..dots).fold(file.to_owned(), |path, _| path::parent(&path));
    let path = if dots == 0 { path } else { path::join(&base, &path) };
    format!("{path}.py")
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nothing,
        Json::Bool(flag) => Value::Flag(*flag),
        Json::Number(number) => Value::Number(number.to_string()),
        Json::String(text) => Value::Text(path::without_marks(text)),
        Json::Array(items) => Value::List(items.iter().map(value).collect()),
        Json::Object(entries) => {
            Value::Table(entries.iter().map(|(key, one)| (key.clone(), value(one))).collect())
        }
    }
}
