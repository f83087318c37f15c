//! One database, and where its replica is.

use serde_yaml::Value as Yaml;

use super::code::Value;
use super::path;

/// One database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Database {
    /// The framework's own name for it.
    pub alias: String,
    /// Its file, relative to the folder that was looked at, or absolute.
    pub path: String,
    /// Why it is not replicated unless the user takes it in.
    pub left_out: Option<String>,
    /// Whether it is made again when it is gone, so that no volume has to hold it.
    pub comes_back: bool,
    /// A comment for the file.
    pub comment: Option<String>,
    /// Whether the program has files in the same folder, which a volume would hide.
    pub beside_code: bool,
    /// Its name on the replica, where its file's name is a variable that may be set or not.
    pub place: Option<String>,
    /// A replica that the project names already, with Litestream's own keys.
    pub replica: Option<Replica>,
}

/// The settings of a replica, in their order.
pub type Replica = Vec<(String, Setting)>;

/// One value of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A text, quoted where YAML needs it.
    Text(String),
    /// A number, a truth value, or more than one value: YAML already.
    Plain(String),
}

impl Setting {
    /// Takes a single value of a YAML file.
    pub(super) fn of_yaml(value: &Yaml) -> Option<Self> {
        match value {
            Yaml::String(text) => Some(Self::Text(text.clone())),
            Yaml::Number(number) => Some(Self::Plain(number.to_string())),
            Yaml::Bool(flag) => Some(Self::Plain(flag.to_string())),
            Yaml::Null | Yaml::Sequence(_) | Yaml::Mapping(_) | Yaml::Tagged(_) => None,
        }
    }

    /// Takes a single value of a program's settings.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(Self::Text(text.clone())),
            Value::Unset(name) => Some(Self::Text(path::variable(name))),
            Value::Number(number) => Some(Self::Plain(number.clone())),
            Value::Flag(flag) => Some(Self::Plain(flag.to_string())),
            Value::Nothing | Value::List(_) | Value::Table(_) | Value::Unknown => None,
        }
    }

    /// Takes it as it is written.
    pub(super) fn into_written(self) -> String {
        let (Self::Text(text) | Self::Plain(text)) = self;
        text
    }

    /// Takes its text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Plain(_) => None,
        }
    }
}

impl Database {
    /// Makes a database that is replicated.
    pub(super) fn new(alias: &str, path: String) -> Self {
        Self { alias: alias.to_owned(), path, ..Self::default() }
    }

    /// Tells its name on the replica: its file's name, or its alias where that is a variable.
    pub(super) fn called(&self) -> String {
        let file = path::name(&self.path);
        match (&self.place, path::variables(file).next()) {
            (Some(place), _) => place.clone(),
            (None, Some(_)) => format!("{}.db", self.alias),
            (None, None) => file.to_owned(),
        }
    }

    /// Tells whether it is replicated.
    pub(super) fn is_replicated(&self) -> bool {
        self.left_out.is_none()
    }

    /// Tells whether its replica is the one that all databases go to, and not one of the project's own.
    pub(super) fn goes_with_others(&self) -> bool {
        self.is_replicated() && self.replica.is_none()
    }

    /// Shows its file to people.
    pub fn shown_path(&self) -> String {
        path::shown(&self.path)
    }
}

/// Finds the text of a replica's setting.
pub(super) fn text_of<'a>(replica: &'a [(String, Setting)], key: &str) -> Option<&'a str> {
    replica.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.text())
}

/// Names the database server that a scheme or an adapter stands for.
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
