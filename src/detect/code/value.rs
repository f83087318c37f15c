//! What an expression evaluates to.

use crate::detect::path;

/// The most that one value may be, in characters and entries; `a = a + a` doubles at every line.
pub(super) const MAX_WEIGHT: usize = 1 << 16;

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
    /// Writes it as a text, with a variable that is not set as a part of it.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text.clone()),
            Self::Unset(name) => Some(path::variable(name)),
            Self::Nothing | Self::Flag(_) | Self::List(_) | Self::Table(_) | Self::Unknown => None,
        }
    }

    /// Finds the value behind a table's key; the last one counts.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Lists a table's entries; other values have none.
    pub fn entries(&self) -> &[(String, Self)] {
        if let Self::Table(entries) = self { entries } else { &[] }
    }

    /// Estimates its size.
    pub fn weight(&self) -> usize {
        match self {
            Self::Text(text) | Self::Number(text) | Self::Unset(text) => 1 + text.len(),
            Self::List(items) => 1 + items.iter().map(Self::weight).sum::<usize>(),
            Self::Table(entries) => {
                1 + entries.iter().map(|(key, one)| key.len() + one.weight()).sum::<usize>()
            }
            Self::Nothing | Self::Flag(_) | Self::Unknown => 1,
        }
    }

    /// Tells whether it counts as true, if that is known.
    pub fn is_true(&self) -> Option<bool> {
        match self {
            Self::Nothing | Self::Unset(_) => Some(false),
            Self::Flag(flag) => Some(*flag),
            Self::Text(text) => Some(!text.is_empty()),
            Self::Number(_) | Self::List(_) | Self::Table(_) => Some(true),
            Self::Unknown => None,
        }
    }
}

/// Names the folder of a path; a variable's folder is not known.
pub(super) fn parent(path: &str) -> Value {
    if path::has_variable(path::name(path)) { Value::Unknown } else { Value::Text(path::parent(path)) }
}

/// Joins paths; an absolute one replaces those before it.
pub(super) fn joined(parts: &[Value]) -> Value {
    let mut path: Option<String> = None;
    for part in parts {
        let Some(part) = part.text() else { return Value::Unknown };
        path = Some(match path {
            Some(path) if path.len() + part.len() > MAX_WEIGHT => return Value::Unknown,
            Some(path) => path::join(&path, &part),
            None => part,
        });
    }
    path.map_or(Value::Unknown, Value::Text)
}

/// Replaces lists by their items.
pub(super) fn flat(values: &[Value]) -> Vec<Value> {
    let one = |value: &Value| match value {
        Value::List(items) => items.clone(),
        other => vec![other.clone()],
    };
    values.iter().flat_map(one).collect()
}

/// Evaluates a method, or a member, of a value.
pub(super) fn method(of: Value, name: &str, arguments: &[Value]) -> Value {
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
