//! What a framework's settings do to SQLite: some pragmas belong to a connection and are in no file that
//! SQLite keeps, so the settings are all that tells them.
//!
//! Only literals are looked at. What comes from a variable or an expression is not guessed.

use std::path::{Path, PathBuf};

use super::context::CheckContext;
use super::rules::{BUSY_TIMEOUT, EXCLUSIVE_LOCKING, FOREIGN_KEYS, JOURNAL_MODE, SYNCHRONOUS_OFF};
use super::text::text;
use crate::config::Origin;
use crate::config::lint::{Lint, Rule};
use crate::django;

/// Below this, writes fail while Litestream checkpoints; it is what the Laravel package asks for.
const LEAST_TIMEOUT: f64 = 5.0;

/// How a file writes settings.
#[derive(Clone, Copy)]
struct Dialect {
    comment: &'static str,
    /// The setting that is the busy timeout, quotes included, and what one of it is in seconds.
    timeout: (&'static str, f64),
}

const RAILS: Dialect = Dialect { comment: "#", timeout: ("timeout", 0.001) };
const DJANGO: Dialect = Dialect { comment: "#", timeout: ("'timeout", 1.0) };
const LARAVEL: Dialect = Dialect { comment: "//", timeout: ("busy_timeout", 0.001) };

pub(super) fn look(context: &CheckContext<'_>) -> Vec<Lint> {
    let mut files = vec![
        (context.cwd.join("config/database.yml"), RAILS),
        (context.cwd.join("config/database.php"), LARAVEL),
    ];
    files.extend(django_settings(context.cwd).map(|path| (path, DJANGO)));
    let mut found = Vec::new();
    for (path, dialect) in files {
        let Some(text) = text(&path) else { continue };
        if text.to_ascii_lowercase().contains("sqlite") {
            let origin = Origin::File(path.strip_prefix(context.cwd).unwrap_or(&path).to_owned());
            found.extend(settings(&text, dialect).filter_map(|setting| setting.lint(&origin, dialect)));
        }
    }
    found
}

/// The module that `manage.py` names: `'DJANGO_SETTINGS_MODULE', 'mysite.settings'`.
fn django_settings(cwd: &Path) -> Option<PathBuf> {
    let manage = text(&cwd.join("manage.py"))?;
    let is_part = |c: u8| c.is_ascii_alphanumeric() || b"._".contains(&c);
    let module = django::settings_module(&manage).filter(|module| module.bytes().all(is_part))?;
    let [file, package] = django::module_files(module).map(|file| cwd.join(file));
    Some(if file.is_file() { file } else { package })
}

/// A setting as it was written: `journal_mode: delete`, `'busy_timeout' => 100`, `PRAGMA synchronous=OFF`.
#[derive(Debug, PartialEq, Eq)]
struct Setting<'a> {
    name: &'a str,
    value: &'a str,
    line: usize,
}

const NAMES: [&str; 6] = [
    "journal_mode",
    "synchronous",
    "busy_timeout",
    "foreign_keys",
    "foreign_key_constraints",
    "locking_mode",
];

fn settings(text: &str, dialect: Dialect) -> impl Iterator<Item = Setting<'_>> {
    let lines =
        (1..).zip(text.lines()).filter(move |(_, line)| !line.trim_start().starts_with(dialect.comment));
    lines.flat_map(move |(number, line)| {
        let own = Some(dialect.timeout.0).filter(|name| !NAMES.contains(name));
        NAMES
            .into_iter()
            .chain(own)
            .filter_map(move |name| Some(Setting { name, value: value_of(line, name)?, line: number }))
    })
}

/// The word after a name that stands for itself, an assignment in between.
fn value_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    // Python has both kinds of quotes.
    let with_one_kind = name.starts_with('\'').then(|| line.replace('"', "'"));
    let at = with_one_kind
        .as_deref()
        .unwrap_or(line)
        .match_indices(name)
        .map(|(at, _)| at)
        .find(|at| !line[..*at].ends_with(is_word) && !line[at + name.len()..].starts_with(is_word))?;
    let rest = line[at + name.len()..].trim_start_matches(['\'', '"', ' ']);
    let rest = rest.strip_prefix("=>").or_else(|| rest.strip_prefix([':', '=']))?;
    let rest = rest.trim_start_matches([' ', '\'', '"']);
    let end = rest.find(|c: char| !is_word(c) && c != '.').unwrap_or(rest.len());
    // What is called or looked up is no literal.
    let is_literal = !rest[end..].trim_start().starts_with(['(', '[']);
    Some(&rest[..end]).filter(|value| is_literal && !value.is_empty())
}

impl Setting<'_> {
    fn lint(&self, origin: &Origin, dialect: Dialect) -> Option<Lint> {
        let value = self.value.to_ascii_lowercase();
        let (name, written) = (self.name.trim_start_matches('\''), self.value);
        let lint = |rule: &'static Rule, message: String| Lint::new(rule, origin, message).at(self.line, 0);
        let is_off = ["off", "false", "0"].contains(&value.as_str());
        Some(match name {
            "journal_mode"
                if ["delete", "truncate", "persist", "memory", "off"].contains(&value.as_str()) =>
            {
                lint(JOURNAL_MODE, format!("`{name}` is {written}, but Litestream needs WAL"))
                    .hint("set it to WAL: the app and Litestream would switch it to and fro")
            }
            "synchronous" if is_off => lint(
                SYNCHRONOUS_OFF,
                format!("`{name}` is {written}: a power failure can damage the database"),
            )
            .hint("set it to NORMAL, which is safe in WAL mode"),
            "locking_mode" if value == "exclusive" => {
                lint(EXCLUSIVE_LOCKING, format!("`{name}` is {written}: Litestream cannot open the database"))
                    .hint("leave it out")
            }
            "foreign_keys" | "foreign_key_constraints" if is_off => {
                lint(FOREIGN_KEYS, format!("`{name}` is {written}: SQLite does not look at foreign keys"))
                    .hint("switch it on, unless that is meant")
            }
            _ if self.name == dialect.timeout.0 || name == "busy_timeout" => {
                let unit = if self.name == dialect.timeout.0 { dialect.timeout.1 } else { 0.001 };
                let seconds = value.parse::<f64>().ok()? * unit;
                if seconds >= LEAST_TIMEOUT {
                    return None;
                }
                let message =
                    format!("`{name}` is {written}: a write fails that waits for more than {seconds} s");
                lint(BUSY_TIMEOUT, message)
                    .hint("Litestream takes the write lock for its checkpoints: wait for 5 s at least")
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, dialect: Dialect) -> Vec<(&str, &str, usize)> {
        settings(text, dialect).map(|setting| (setting.name, setting.value, setting.line)).collect()
    }

    #[test]
    fn literals_are_read_in_the_dialect_of_each_framework() {
        assert_eq!(
            read(
                "default:\n  timeout: 100\n  # timeout: 1\n  pragmas:\n    journal_mode: :delete\n  pool_timeout: 3\n",
                RAILS
            ),
            [("timeout", "100", 2)],
            "a Ruby symbol is no literal here"
        );
        assert_eq!(
            read(
                "'busy_timeout' => null,\n'journal_mode' => 'DELETE', 'synchronous' => env('X', 'off'),\n// 'synchronous' => 'off'\n",
                LARAVEL
            ),
            [("busy_timeout", "null", 1), ("journal_mode", "DELETE", 2)]
        );
        assert_eq!(
            read(
                "'OPTIONS': {'timeout': 2.5, 'init_command': 'PRAGMA journal_mode=WAL; PRAGMA synchronous = OFF'}\n",
                DJANGO
            ),
            [("journal_mode", "WAL", 1), ("synchronous", "OFF", 1), ("'timeout", "2.5", 1)]
        );
        assert_eq!(read("\"timeout\": 2, timeout=1\n", DJANGO), [("'timeout", "2", 1)]);
        assert_eq!(read("timeout = int(os.environ['T'])\ntimeout: <%= 5 %>\n", DJANGO), []);
    }
}
