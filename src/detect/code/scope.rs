//! What an expression is worth, as far as that can be said without running it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::parser::Expr;
use crate::detect::place;

/// The most that one value may be, in characters and entries; `a = a + a` doubles at every line.
const MAX_WEIGHT: usize = 1 << 16;

/// What the environment is called.
const ENVIRONMENTS: [&str; 7] =
    ["ENV", "os.environ", "environ", "process.env", "Bun.env", "$_ENV", "import.meta.env"];

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::detect) enum Value {
    /// `nil`, `null`, `None`.
    Nothing,
    Text(String),
    Number(String),
    Flag(bool),
    List(Vec<Value>),
    Table(Vec<(String, Value)>),
    /// A variable that is not set, and has no default.
    Unset(String),
    Unknown,
}

impl Value {
    /// As a text, with a variable that is not set as a part of it.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text.clone()),
            Self::Unset(name) => Some(place::variable(name)),
            Self::Nothing | Self::Flag(_) | Self::List(_) | Self::Table(_) | Self::Unknown => None,
        }
    }

    /// The value behind a table's key; the last one counts.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// A table's entries; nothing else has any.
    pub fn entries(&self) -> &[(String, Self)] {
        if let Self::Table(entries) = self { entries } else { &[] }
    }

    /// How large it is, about.
    fn weight(&self) -> usize {
        match self {
            Self::Text(text) | Self::Number(text) | Self::Unset(text) => 1 + text.len(),
            Self::List(items) => 1 + items.iter().map(Self::weight).sum::<usize>(),
            Self::Table(entries) => {
                1 + entries.iter().map(|(key, one)| key.len() + one.weight()).sum::<usize>()
            }
            Self::Nothing | Self::Flag(_) | Self::Unknown => 1,
        }
    }

    fn is_true(&self) -> Option<bool> {
        match self {
            Self::Nothing | Self::Unset(_) => Some(false),
            Self::Flag(flag) => Some(*flag),
            Self::Text(text) => Some(!text.is_empty()),
            Self::Number(_) | Self::List(_) | Self::Table(_) => Some(true),
            Self::Unknown => None,
        }
    }
}

/// A variable that was asked for, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::detect) struct Asked {
    pub name: String,
    pub is_set: bool,
}

/// What names mean in a file.
pub(in crate::detect) struct Scope<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    names: BTreeMap<String, Value>,
    /// Where the file is, in the project.
    file: String,
    asked: RefCell<Vec<Asked>>,
    /// Variables stay variables, whatever they are: the file holds secrets.
    keep_variables: bool,
}

impl<'a> Scope<'a> {
    pub fn new(file: &str, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        let names = BTreeMap::new();
        Self { env, names, file: file.to_owned(), asked: RefCell::default(), keep_variables: false }
    }

    /// The same for a file that holds secrets: variables stay variables.
    pub fn keeping_variables(mut self) -> Self {
        self.keep_variables = true;
        self
    }

    /// Gives a name its value; `file` is where the names of files in it are relative to.
    pub fn set(&mut self, name: &str, value: Value) {
        self.names.insert(name.to_owned(), value);
    }

    pub fn name(&self, name: &str) -> Option<&Value> {
        self.names.get(name)
    }

    /// Goes on in another file.
    pub fn enter(&mut self, file: &str) -> String {
        std::mem::replace(&mut self.file, file.to_owned())
    }

    /// Carries out an assignment.
    pub fn assign(&mut self, target: &Expr, value: &Expr) {
        let value = self.value(value);
        match target {
            Expr::Name(name) => self.set(name, value),
            Expr::Index(..) => {
                let mut keys = Vec::new();
                let mut at = target;
                while let Expr::Index(inner, key) = at {
                    let Some(key) = self.value(key).text() else { return };
                    keys.push(key);
                    at = inner;
                }
                let Expr::Name(name) = at else { return };
                let Some(mut place) = self.names.get_mut(name) else { return };
                while let Some(key) = keys.pop() {
                    let Value::Table(entries) = place else { return };
                    let index = entries.iter().position(|(name, _)| *name == key);
                    let index = index.unwrap_or_else(|| {
                        entries.push((key, Value::Table(Vec::new())));
                        entries.len() - 1
                    });
                    place = &mut entries[index].1;
                }
                *place = value;
            }
            _ => {}
        }
    }

    /// The variables that were asked for since the last time.
    pub fn take_asked(&self) -> Vec<Asked> {
        self.asked.take()
    }

    pub fn value(&self, expr: &Expr) -> Value {
        match expr {
            Expr::Text(parts) => self.interpolated(parts),
            Expr::Number(number) => Value::Number(number.clone()),
            Expr::Name(name) => self.named(name),
            Expr::Member(of, name) => method(self.value(of), name, &[]),
            Expr::Call(callee, arguments, block) => self.call(callee, arguments, block.as_deref()),
            Expr::Index(of, key) => self.index(of, key),
            Expr::Infix(op, left, right) => self.infix(op, left, right),
            Expr::Not(inner) => self.value(inner).is_true().map_or(Value::Unknown, |flag| Value::Flag(!flag)),
            Expr::Choice(condition, then, otherwise) => match self.value(condition).is_true() {
                Some(true) => self.value(then),
                Some(false) => self.value(otherwise),
                None => Value::Unknown,
            },
            Expr::List(items) => {
                let mut left = MAX_WEIGHT;
                let items =
                    items.iter().map(|item| within(self.value(item), &mut left)).collect::<Option<_>>();
                items.map_or(Value::Unknown, Value::List)
            }
            Expr::Table(entries) => {
                let mut left = MAX_WEIGHT;
                let entry = |(key, value): &(Expr, Expr)| Some((self.value(key).text()?, self.value(value)));
                let entries = entries.iter().filter_map(entry);
                let entries =
                    entries.map(|(key, value)| Some((key, within(value, &mut left)?))).collect::<Option<_>>();
                entries.map_or(Value::Unknown, Value::Table)
            }
            Expr::Raise | Expr::Unknown => Value::Unknown,
        }
    }

    /// Whether a condition holds, if that can be said.
    pub fn holds(&self, condition: &Expr) -> Option<bool> {
        self.value(condition).is_true()
    }

    fn interpolated(&self, parts: &[Result<String, Expr>]) -> Value {
        let mut text = String::new();
        for part in parts {
            match part {
                Ok(literal) => text.push_str(literal),
                Err(code) => match self.value(code) {
                    Value::Nothing => {}
                    value => match value.text() {
                        Some(value) => text.push_str(&value),
                        None => return Value::Unknown,
                    },
                },
            }
            if text.len() > MAX_WEIGHT {
                return Value::Unknown;
            }
        }
        Value::Text(text)
    }

    fn variable(&self, name: &str, default: Option<Value>) -> Value {
        if !place::is_name(name) {
            return Value::Unknown;
        }
        if self.keep_variables {
            return Value::Unset(name.to_owned());
        }
        let found = (self.env)(name);
        let mut asked = self.asked.borrow_mut();
        asked.push(Asked { name: name.to_owned(), is_set: found.is_some() });
        match (found, default) {
            (Some(value), _) => Value::Text(value),
            (None, Some(Value::Nothing)) | (None, None) => Value::Unset(name.to_owned()),
            (None, Some(default)) => default,
        }
    }

    fn named(&self, name: &str) -> Value {
        if let Some(value) = self.names.get(name) {
            return value.clone();
        }
        for start in ["process.env.", "Bun.env.", "import.meta.env.", "env."] {
            if let Some(variable) = name.strip_prefix(start).filter(|rest| !rest.contains('.')) {
                return self.variable(variable, None);
            }
        }
        match name {
            "nil" | "null" | "None" | "undefined" | "NULL" => Value::Nothing,
            "true" | "True" | "TRUE" => Value::Flag(true),
            "false" | "False" | "FALSE" => Value::Flag(false),
            "Rails.root" | "Dir.pwd" | "Path.cwd" => Value::Text(".".to_owned()),
            "__FILE__" | "__file__" | "__ENV__.file" => Value::Text(self.file.clone()),
            "__dir__" | "__DIR__" | "__dirname" | "import.meta.dirname" => {
                Value::Text(place::parent(&self.file))
            }
            _ => match name.rsplit_once('.') {
                // A member of a name that has a value: `BASE_DIR.parent`.
                Some((of, member)) => match self.named(of) {
                    Value::Unknown => Value::Unknown,
                    value => method(value, member, &[]),
                },
                None => Value::Unknown,
            },
        }
    }

    fn call(&self, callee: &Expr, arguments: &[(Option<String>, Expr)], block: Option<&Expr>) -> Value {
        let keyword = |name: &str| {
            arguments.iter().find(|(key, _)| key.as_deref() == Some(name)).map(|(_, value)| self.value(value))
        };
        let values: Vec<Value> =
            arguments.iter().filter(|(key, _)| key.is_none()).map(|(_, value)| self.value(value)).collect();
        let first = || values.first().and_then(Value::text);
        let name = match callee {
            Expr::Name(name) => name.as_str(),
            Expr::Member(of, name) => return method(self.value(of), name, &values),
            _ => return Value::Unknown,
        };
        match name {
            "ENV.fetch" | "os.environ.get" | "environ.get" | "os.getenv" | "getenv" | "env" | "env.str"
            | "env.get" | "config" | "System.get_env" | "System.fetch_env!" | "Deno.env.get" | "ENV.[]" => {
                let default = values.get(1).cloned().or_else(|| keyword("default"));
                let default = default.or_else(|| block.map(|block| self.value(block)));
                first().map_or(Value::Unknown, |name| self.variable(&name, default))
            }
            "ENV.key?" | "ENV.has_key?" | "ENV.include?" => {
                first().map_or(Value::Unknown, |name| Value::Flag((self.env)(&name).is_some()))
            }
            "database_path" | "storage_path" | "base_path" => {
                let base = match name {
                    "database_path" => "database",
                    "storage_path" => "storage",
                    _ => ".",
                };
                let path = if values.is_empty() { Some(String::new()) } else { first() };
                // Laravel joins, whatever the second begins with.
                path.map_or(Value::Unknown, |path| Value::Text(place::clean(&format!("{base}/{path}"))))
            }
            "os.path.join" | "path.join" | "join" | "Path.join" | "File.join" | "resolve"
            | "path.resolve" => joined(&flat(&values)),
            "File.expand_path" | "Path.expand" => match (first(), values.get(1).and_then(Value::text)) {
                (Some(path), Some(base)) => Value::Text(place::join(&base, &path)),
                (Some(path), None) => Value::Text(path),
                _ => Value::Unknown,
            },
            "Path" | "pathlib.Path" | "str" | "os.fspath" | "os.path.abspath" | "os.path.realpath"
            | "abspath" | "realpath" | "Pathname.new" | "to_string" | "String" => match values.as_slice() {
                [] => Value::Text(".".to_owned()),
                [only] => only.clone(),
                several => joined(several),
            },
            "os.path.dirname" | "dirname" | "File.dirname" | "Path.dirname" | "path.dirname" => {
                first().map_or(Value::Unknown, |path| parent(&path))
            }
            // What they make of a URL is the reader's business.
            "dj_database_url.config"
            | "dj_database_url.parse"
            | "env.db"
            | "env.db_url"
            | "env.dj_db_url" => {
                let url = match (first(), name) {
                    (Some(url), "dj_database_url.parse") => Value::Text(url),
                    (variable, _) => {
                        let variable = variable.unwrap_or_else(|| "DATABASE_URL".to_owned());
                        self.variable(&variable, keyword("default").or_else(|| values.get(1).cloned()))
                    }
                };
                Value::Table(vec![("URL".to_owned(), url)])
            }
            "os.getcwd" | "process.cwd" | "File.cwd!" => Value::Text(".".to_owned()),
            "os.path.expanduser" => first().map_or(Value::Unknown, Value::Text),
            _ => match self.names.get(name) {
                // A constant that is called: a method without arguments.
                Some(value) if values.is_empty() => value.clone(),
                _ => match name.rsplit_once('.') {
                    Some((of, member)) => match self.named(of) {
                        Value::Unknown => Value::Unknown,
                        value => method(value, member, &values),
                    },
                    None => Value::Unknown,
                },
            },
        }
    }

    fn index(&self, of: &Expr, key: &Expr) -> Value {
        let key = self.value(key);
        match (of, key.text()) {
            (Expr::Name(name), Some(variable)) if ENVIRONMENTS.contains(&name.as_str()) => {
                self.variable(&variable, None)
            }
            (_, Some(key)) => match self.value(of) {
                Value::List(items) => {
                    key.parse().ok().and_then(|at: usize| items.into_iter().nth(at)).unwrap_or(Value::Unknown)
                }
                // `Path(__file__).resolve().parents[1]`, which `parents` has left as the file itself.
                Value::Text(path) if matches!(of, Expr::Member(_, name) if name == "parents") => {
                    let levels = key.parse().unwrap_or(0).min(16);
                    Value::Text((0..=levels).fold(path, |path, _: usize| place::parent(&path)))
                }
                table => table.get(&key).cloned().unwrap_or(Value::Unknown),
            },
            _ => Value::Unknown,
        }
    }

    fn infix(&self, op: &str, left: &Expr, right: &Expr) -> Value {
        let value = self.value(left);
        match op {
            "in" => match (right, self.value(right), value.text()) {
                (Expr::Name(name), _, Some(variable)) if ENVIRONMENTS.contains(&name.as_str()) => {
                    Value::Flag((self.env)(&variable).is_some())
                }
                (_, Value::List(items), _) => Value::Flag(items.contains(&value)),
                _ => Value::Unknown,
            },
            "||" => match (value.is_true(), matches!(right, Expr::Raise)) {
                (Some(true), _) | (_, true) => value,
                (Some(false), false) => match (self.value(right), value) {
                    // Nothing on the right either: what is missing is the variable.
                    (Value::Nothing, unset @ Value::Unset(_)) => unset,
                    (other, _) => other,
                },
                (None, false) => Value::Unknown,
            },
            "&&" => match value.is_true() {
                Some(true) => self.value(right),
                Some(false) => value,
                None => Value::Unknown,
            },
            "==" | "!=" => match (value.text(), self.value(right).text()) {
                (Some(left), Some(right)) => Value::Flag((left == right) == (op == "==")),
                _ => Value::Unknown,
            },
            "+" => match (value.text(), self.value(right).text()) {
                (Some(left), Some(right)) if left.len() + right.len() <= MAX_WEIGHT => {
                    Value::Text(left + &right)
                }
                _ => Value::Unknown,
            },
            "/" => joined(&[value, self.value(right)]),
            _ => Value::Unknown,
        }
    }
}

/// The folder of a path; what a variable's folder is is not known.
fn parent(path: &str) -> Value {
    if place::variables(place::name(path)).next().is_some() {
        return Value::Unknown;
    }
    Value::Text(place::parent(path))
}

/// The value, if there is room for it.
fn within(value: Value, left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(value.weight())?;
    Some(value)
}

/// Paths one below the other; an absolute one begins anew.
fn joined(parts: &[Value]) -> Value {
    let mut path: Option<String> = None;
    for part in parts {
        let Some(part) = part.text() else { return Value::Unknown };
        path = Some(match path {
            Some(path) if path.len() + part.len() > MAX_WEIGHT => return Value::Unknown,
            Some(path) => place::join(&path, &part),
            None => part,
        });
    }
    path.map_or(Value::Unknown, Value::Text)
}

fn flat(values: &[Value]) -> Vec<Value> {
    let one = |value: &Value| match value {
        Value::List(items) => items.clone(),
        other => vec![other.clone()],
    };
    values.iter().flat_map(one).collect()
}

/// A method, or a member, of a value.
fn method(of: Value, name: &str, arguments: &[Value]) -> Value {
    match (name, &of) {
        ("join" | "joinpath", _) => {
            let all: Vec<Value> = std::iter::once(of).chain(flat(arguments)).collect();
            joined(&all)
        }
        ("parent" | "dirname", Value::Text(path)) => parent(path),
        ("presence", Value::Text(text)) if text.is_empty() => Value::Nothing,
        ("present?", _) => of.is_true().map_or(Value::Unknown, Value::Flag),
        ("blank?" | "nil?" | "empty?", _) => of.is_true().map_or(Value::Unknown, |flag| Value::Flag(!flag)),
        ("production?" | "development?" | "test?" | "staging?", Value::Text(environment)) => {
            Value::Flag(environment == name.trim_end_matches('?'))
        }
        // `parents[1]` counts from the file.
        (
            "resolve" | "absolute" | "as_posix" | "to_s" | "to_str" | "to_i" | "presence" | "strip"
            | "freeze" | "expanduser" | "parents" | "toString" | "expand_path",
            _,
        ) => of,
        (_, Value::Table(_)) => of.get(name).cloned().unwrap_or(Value::Unknown),
        _ => Value::Unknown,
    }
}
