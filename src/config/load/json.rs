//! Databases as JSON, which other programs print.
//!
//! Read by a JSON reader: half of what they print is no YAML 1.1, `\/` and `\ud83d\ude00` for a start.

use serde_json::Value;

use crate::config::error::Problem;
use crate::yaml::{self, MAX_BYTES, MAX_DEPTH, MAX_NODES, Node, NodeKind};

/// Returns the entries of a JSON list of databases, or of the list `dbs` in a mapping. No line is known of them.
pub(in crate::config) fn databases(text: &[u8]) -> Result<Vec<Node>, Problem> {
    if text.len() > MAX_BYTES {
        return Err(Problem::Text(yaml::YamlProblem::TooLarge { limit: MAX_BYTES }));
    }
    let wrong = |reason: String| Problem::BadAnswer { reason };
    let found: Value = serde_json::from_slice(text).map_err(|error| {
        wrong(match byte_order_mark(text) {
            Some(mark) => format!("no JSON: it begins with {mark}"),
            None => format!("no JSON (line {}, column {})", error.line(), error.column()),
        })
    })?;
    let no_list = || wrong("neither a list nor a mapping with the list `dbs`".into());
    let list = match found {
        Value::Array(list) => list,
        Value::Object(mut object) => match object.remove("dbs") {
            Some(Value::Array(list)) => list,
            Some(_) | None => return Err(no_list()),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err(no_list()),
    };
    let is_database = |entry: &Value| entry.get("path").is_some_and(Value::is_string);
    if let Some(place) = list.iter().position(|entry| !is_database(entry)) {
        return Err(wrong(format!("without a `path` in its entry {}", place + 1)));
    }
    let mut left = MAX_NODES;
    list.into_iter().map(|item| node(item, 1, &mut left)).collect()
}

/// Names the byte order mark at the beginning of a text, which is not seen, and where a parser gives up.
pub(in crate::config) fn byte_order_mark(text: &[u8]) -> Option<&'static str> {
    match text {
        [0xef, 0xbb, 0xbf, ..] => Some("the byte order mark of UTF-8"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("the byte order mark of UTF-16"),
        _ => None,
    }
}

fn node(value: Value, depth: usize, left: &mut usize) -> Result<Node, Problem> {
    if depth > MAX_DEPTH {
        return Err(Problem::Text(yaml::YamlProblem::TooDeep { limit: MAX_DEPTH }));
    }
    *left = left.checked_sub(1).ok_or(Problem::Text(yaml::YamlProblem::TooManyNodes { limit: MAX_NODES }))?;
    Ok(match value {
        Value::Null => Node::plain("null"),
        Value::Bool(value) => Node::plain(value.to_string()),
        Value::Number(number) => Node::plain(number.to_string()),
        Value::String(text) => Node::text(text),
        Value::Array(items) => {
            let items: Result<_, _> = items.into_iter().map(|item| node(item, depth + 1, left)).collect();
            Node::list(items?)
        }
        Value::Object(entries) => {
            let entries: Result<_, Problem> = entries
                .into_iter()
                .map(|(key, value)| Ok((Node::text(key), node(value, depth + 1, left)?)))
                .collect();
            Node { kind: NodeKind::Mapping(entries?), ..Node::list(Vec::new()) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::emit;

    #[test]
    fn what_programs_print_is_read() {
        let text = r#"[{"path": "tenants\/\ud83d\ude00\u007f.db", "n": 5, "b": true, "x": null, "$l": ["0600", {}]}]"#;
        let entries = databases(text.as_bytes()).expect("valid JSON");
        insta::assert_snapshot!(emit(&Node::list(entries)).text, @r#"
        - "\x24l":
            - "0600"
            - {}
          "b": true
          "n": 5
          "path": "tenants/😀\u007F.db"
          "x": null
        "#);
    }

    #[test]
    fn rubbish_is_refused() {
        let problem = |text: &str| databases(text.as_bytes()).expect_err("it is taken");
        let wrong = |reason: &str| Problem::BadAnswer { reason: reason.to_owned() };
        assert_eq!(problem("hello"), wrong("no JSON (line 1, column 1)"));
        assert_eq!(problem("\u{feff}[]"), wrong("no JSON: it begins with the byte order mark of UTF-8"));
        assert_eq!(problem("[]\n[]"), wrong("no JSON (line 2, column 1)"));
        assert_eq!(
            problem(&" ".repeat(MAX_BYTES + 1)),
            Problem::Text(yaml::YamlProblem::TooLarge { limit: MAX_BYTES })
        );
        let entry = |inside: &str| format!(r#"[{{"path": "a", "x": {inside}}}]"#);
        let deep = entry(&format!("{}{}", "[".repeat(70), "]".repeat(70)));
        assert_eq!(problem(&deep), Problem::Text(yaml::YamlProblem::TooDeep { limit: MAX_DEPTH }));
        assert!(matches!(problem(&"[".repeat(100_000)), Problem::BadAnswer { .. }));
        let many = entry(&format!("[{}0]", "0,".repeat(MAX_NODES)));
        assert_eq!(problem(&many), Problem::Text(yaml::YamlProblem::TooManyNodes { limit: MAX_NODES }));
    }
}
