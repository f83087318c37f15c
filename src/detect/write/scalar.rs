//! Texts and values as YAML.
//!
//! Litestream expands `$NAME` in the text before it reads YAML, comments included: only what is meant as a variable
//! has a dollar sign, all others are written as `\x24` in double quotes.

use crate::detect::code::Value;
use crate::detect::{Setting, place};

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
    let literal: String = place::pieces(text).into_iter().map(|piece| piece.unwrap_or("x")).collect();
    let starts_plain = literal.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_')
        || literal.starts_with("./")
        || literal.starts_with("../");
    let is_plain = starts_plain
        && literal.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@=:~".contains(c))
        && !literal.ends_with(':')
        // To YAML 1.1 these are no texts.
        && !["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&literal.to_ascii_lowercase().as_str());
    if is_plain { place::shown(text) } else { quoted(text) }
}

/// Tells whether a character ends a line for some reader, or is invisible: Litestream's YAML has more ends of lines than most.
pub(super) fn is_break(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{61c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Writes a text in double quotes, its variables apart.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for piece in place::pieces(text) {
        match piece {
            Err(name) => out.push_str(&format!("${{{name}}}")),
            Ok(literal) => {
                for c in literal.chars() {
                    match c {
                        '"' | '\\' => out.extend(['\\', c]),
                        '$' => out.push_str("\\x24"),
                        c if is_break(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
                        c => out.push(c),
                    }
                }
            }
        }
    }
    out.push('"');
    out
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
            ("a#b: \"c\"\\", "\"a#b: \\\"c\\\"\\\\\""),
            ("$HOME/x", "\"\\x24HOME/x\""),
            ("dé.db", "\"dé.db\""),
            ("x:", "\"x:\""),
            ("", "\"\""),
        ] {
            assert_eq!(scalar(text), yaml, "{text}");
        }
        assert_eq!(scalar(&place::variable("DATABASE_PATH")), "${DATABASE_PATH}");
        assert_eq!(scalar(&format!("a b/{}", place::variable("X"))), "\"a b/${X}\"");
    }
}
