//! `litestream.yml` as a test needs it, good for every version of Litestream.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Map, Value};

/// One replica: its keys as Litestream spells them.
#[derive(Clone, Debug, Default)]
pub struct Replica(Map<String, Value>);

impl Replica {
    /// A replica of `kind`: `file`, `s3` …
    pub fn new(kind: &str) -> Self {
        Self::default().set("type", kind)
    }

    /// A replica that is a folder of this machine.
    pub fn folder(path: &Path) -> Self {
        Self::new("file").set("path", text(path))
    }

    /// It as YAML in one line.
    pub fn text(&self) -> String {
        Value::from(self.0.clone()).to_string()
    }

    /// The same replica with one key set, over what it was.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }
}

/// The text of a configuration: `top` (lines of YAML, may be empty), then each database with its replica.
///
/// JSON is YAML in one line, and quotes every path right. `replicas` with one entry is the form that 0.3 and 0.5
/// both read.
pub fn yaml<'a>(top: &str, databases: impl IntoIterator<Item = (&'a Path, &'a Replica)>) -> String {
    let mut out = String::new();
    if !top.is_empty() {
        out.push_str(top.trim_end());
        out.push('\n');
    }
    out.push_str("dbs:\n");
    for (database, replica) in databases {
        let path = Value::from(text(database));
        let replica = Value::from(replica.0.clone());
        write!(out, "  - path: {path}\n    replicas:\n      - {replica}\n").expect("a String takes any text");
    }
    out
}

fn text(path: &Path) -> String {
    path.to_str().expect("Litestream's YAML holds only UTF-8 paths").to_owned()
}
