//! Evaluates expressions, as far as that is possible without running them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::parser::{Argument, Expr};
use super::source::Source;
use super::value::{MAX_WEIGHT, Value, flat, joined, method, parent};
use crate::detect::path;

/// Names of the environment.
const ENVIRONMENTS: [&str; 7] =
    ["ENV", "os.environ", "environ", "process.env", "Bun.env", "$_ENV", "import.meta.env"];

/// A variable that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::detect) struct Asked {
    pub name: String,
    pub is_set: bool,
}

/// The values of names in a file.
pub(in crate::detect) struct Scope<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    names: BTreeMap<String, Value>,
    /// The file's path in the project.
    file: String,
    asked: RefCell<Vec<Asked>>,
    /// Whether variables stay variables, since the file holds secrets.
    keep_variables: bool,
}

impl<'a> Scope<'a> {
    pub fn new(file: &str, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        let names = BTreeMap::new();
        Self { env, names, file: file.to_owned(), asked: RefCell::default(), keep_variables: false }
    }

    /// Keeps variables as variables, for a file that holds secrets.
    pub fn keeping_variables(mut self) -> Self {
        self.keep_variables = true;
        self
    }

    /// Gives a name its value.
    pub fn set(&mut self, name: &str, value: Value) {
        self.names.insert(name.to_owned(), value);
    }

    pub fn name(&self, name: &str) -> Option<&Value> {
        self.names.get(name)
    }

    /// Goes on in another file; returns the one before.
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

    /// Evaluates the first value behind a key of this name.
    pub fn first(&self, source: &Source, key: &str) -> Option<Value> {
        source.values_of(key).first().map(|expr| self.value(expr))
    }

    /// Carries out the assignments of a file, in their order.
    pub fn run(&mut self, source: &Source) {
        source.assignments().iter().for_each(|(target, value)| self.assign(target, value));
    }

    /// Takes the variables that were asked for since the last time.
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
                let items = items.iter().map(|item| self.within(item, &mut left)).collect::<Option<_>>();
                items.map_or(Value::Unknown, Value::List)
            }
            Expr::Table(entries) => {
                let mut left = MAX_WEIGHT;
                let entries =
                    entries.iter().filter_map(|(key, value)| Some((self.value(key).text()?, value)));
                let entries = entries.map(|(key, value)| Some((key, self.within(value, &mut left)?)));
                entries.collect::<Option<_>>().map_or(Value::Unknown, Value::Table)
            }
            Expr::Raise | Expr::Unknown => Value::Unknown,
        }
    }

    /// Evaluates a value, if there is room for it.
    fn within(&self, expr: &Expr, left: &mut usize) -> Option<Value> {
        let value = self.value(expr);
        *left = left.checked_sub(value.weight())?;
        Some(value)
    }

    /// Tells whether a condition holds, if that is known.
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
        if !path::is_name(name) {
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
                Value::Text(path::parent(&self.file))
            }
            _ => self.member(name, &[]),
        }
    }

    /// Evaluates a member of a name that has a value: `BASE_DIR.parent`.
    fn member(&self, name: &str, arguments: &[Value]) -> Value {
        let Some((of, member)) = name.rsplit_once('.') else { return Value::Unknown };
        method(self.named(of), member, arguments)
    }

    fn call(&self, callee: &Expr, arguments: &[Argument], block: Option<&Expr>) -> Value {
        let positional = arguments.iter().filter(|(key, _)| key.is_none());
        let values: Vec<Value> = positional.map(|(_, value)| self.value(value)).collect();
        let name = match callee {
            Expr::Name(name) => name.as_str(),
            Expr::Member(of, name) => return method(self.value(of), name, &values),
            _ => return Value::Unknown,
        };
        let of_environment = self.environment_call(name, &values, arguments, block);
        of_environment.or_else(|| path_call(name, &values)).unwrap_or_else(|| match self.names.get(name) {
            // A constant that is called: a method without arguments.
            Some(value) if values.is_empty() => value.clone(),
            _ => self.member(name, &values),
        })
    }

    /// Evaluates a function that reads the environment.
    fn environment_call(
        &self,
        name: &str,
        values: &[Value],
        arguments: &[Argument],
        block: Option<&Expr>,
    ) -> Option<Value> {
        let first = values.first().and_then(Value::text);
        let second = || values.get(1).cloned();
        let default = || {
            let (_, value) = arguments.iter().find(|(key, _)| key.as_deref() == Some("default"))?;
            Some(self.value(value))
        };
        let value = match name {
            "ENV.fetch" | "os.environ.get" | "environ.get" | "os.getenv" | "getenv" | "env" | "env.str"
            | "env.get" | "config" | "System.get_env" | "System.fetch_env!" | "Deno.env.get" | "ENV.[]" => {
                let block = || Some(self.value(block?));
                let default = second().or_else(default).or_else(block);
                first.map(|name| self.variable(&name, default))
            }
            "ENV.key?" | "ENV.has_key?" | "ENV.include?" => {
                first.map(|name| Value::Flag((self.env)(&name).is_some()))
            }
            // The reader of settings takes the URL apart.
            "dj_database_url.parse" if first.is_some() => Some(url_table(Value::Text(first?))),
            "dj_database_url.config"
            | "dj_database_url.parse"
            | "env.db"
            | "env.db_url"
            | "env.dj_db_url" => {
                let variable = first.unwrap_or_else(|| "DATABASE_URL".to_owned());
                Some(url_table(self.variable(&variable, default().or_else(second))))
            }
            _ => return None,
        };
        Some(value.unwrap_or(Value::Unknown))
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
                    Value::Text((0..=levels).fold(path, |path, _: usize| path::parent(&path)))
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

fn url_table(url: Value) -> Value {
    Value::Table(vec![("URL".to_owned(), url)])
}

/// Evaluates a function that makes a path.
fn path_call(name: &str, values: &[Value]) -> Option<Value> {
    let first = || values.first().and_then(Value::text);
    // Laravel joins, whatever the second part begins with.
    let below = |base: &str| {
        let path = if values.is_empty() { String::new() } else { first()? };
        Some(Value::Text(path::clean(&format!("{base}/{path}"))))
    };
    let value = match name {
        "database_path" => below("database"),
        "storage_path" => below("storage"),
        "base_path" => below("."),
        "os.path.join" | "path.join" | "join" | "Path.join" | "File.join" | "resolve" | "path.resolve" => {
            Some(joined(&flat(values)))
        }
        "File.expand_path" | "Path.expand" => first().map(|path| match values.get(1).and_then(Value::text) {
            Some(base) => Value::Text(path::join(&base, &path)),
            None => Value::Text(path),
        }),
        "Path" | "pathlib.Path" | "str" | "os.fspath" | "os.path.abspath" | "os.path.realpath"
        | "abspath" | "realpath" | "Pathname.new" | "to_string" | "String" => Some(match values {
            [] => Value::Text(".".to_owned()),
            [only] => only.clone(),
            several => joined(several),
        }),
        "os.path.dirname" | "dirname" | "File.dirname" | "Path.dirname" | "path.dirname" => {
            first().map(|path| parent(&path))
        }
        "os.getcwd" | "process.cwd" | "File.cwd!" => Some(Value::Text(".".to_owned())),
        "os.path.expanduser" => first().map(Value::Text),
        _ => return None,
    };
    Some(value.unwrap_or(Value::Unknown))
}
