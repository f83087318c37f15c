//! Texts and values as YAML.
//!
//! Litestream expands `$NAME` in the text before it reads YAML, comments included: only what is meant as a variable
//! has a dollar sign, all others are written as `\x24` in double quotes.

use crate::detect::code::Value;
use crate::detect::{Setting, path};
use crate::yaml;

/// Writes the words of a command.
pub(super) fn words(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", quoted.join(", "))
}

/// Writes one value of a replica.
pub(super) fn setting(value: &Setting) -> String {
    match value {
        Setting::Text(text) => scalar(text),
        Setting::Plain(plain) => plain.clone(),
    }
}

/// Writes several values in one line.
pub(in crate::detect) fn flow(value: &Value) -> Option<String> {
    let entry = |(key, value): &(String, Value)| Some(format!("{}: {}", quoted(key), flow(value)?));
    let joined = |parts: Option<Vec<String>>| Some(parts?.join(", "));
    match value {
        Value::List(items) => Some(format!("[{}]", joined(items.iter().map(flow).collect())?)),
        Value::Table(entries) => Some(format!("{{{}}}", joined(entries.iter().map(entry).collect())?)),
        Value::Text(_) | Value::Unset(_) => value.text().map(|text| quoted(&text)),
        Value::Number(_) | Value::Flag(_) | Value::Nothing | Value::Unknown => {
            Some(setting(&Setting::of(value)?))
        }
    }
}

/// Writes a text as YAML, in quotes only where it needs them.
pub(super) fn scalar(text: &str) -> String {
    let literal: String = path::pieces(text).into_iter().map(|piece| piece.unwrap_or("x")).collect();
    if yaml::is_bare(&literal) { path::shown(text) } else { quoted(text) }
}

/// Writes a text in double quotes, its variables apart.
fn quoted(text: &str) -> String {
    let written = |piece: Result<&str, &str>| match piece {
        Ok(literal) => yaml::literal(literal),
        Err(name) => format!("${{{name}}}"),
    };
    format!("\"{}\"", path::pieces(text).into_iter().map(written).collect::<String>())
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn texts_stay_texts() {
        for (text, yaml) in [
            ("storage/production.sqlite3", "storage/production.sqlite3"),
            ("/data/x.db", "/data/x.db"),
            ("../x.db", "../x.db"),
            ("s3://bucket/x", "s3://bucket/x"),
            ("on", "\"on\""),
            ("No", "\"No\""),
            ("1.5", "\"1.5\""),
            (".5", "\".5\""),
            ("a b", "\"a b\""),
            ("a\nb\u{2028}", "\"a\\nb\\u2028\""),
            ("2024.db", "2024.db"),
            ("1_000", "\"1_000\""),
            ("=", "\"=\""),
            ("a#b: \"c\"\\", "\"a#b: \\\"c\\\"\\\\\""),
            ("$HOME/x", "\"\\x24HOME/x\""),
            ("dé.db", "\"dé.db\""),
            ("x:", "\"x:\""),
            ("", "\"\""),
        ] {
            assert_eq!(scalar(text), yaml, "{text}");
        }
        assert_eq!(scalar(&path::variable("DATABASE_PATH")), "${DATABASE_PATH}");
        assert_eq!(scalar(&format!("a b/{}", path::variable("X"))), "\"a b/${X}\"");
    }
}
