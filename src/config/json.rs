//! Databases as JSON, which other programs print.
//!
//! Read by a JSON reader: half of what they print is no YAML 1.1, `\/` and `\ud83d\ude00` for a start.

use serde_json::Value;

use super::error::Problem;
use super::limits::{MAX_BYTES, MAX_DEPTH, MAX_NODES};
use super::node::{Node, NodeKind};
use super::parse::Located;

/// The entries of a JSON list of databases. No line is known of them.
pub(super) fn databases(text: &str) -> Result<Vec<Node>, Located> {
    if text.len() > MAX_BYTES {
        return Err((0, 0, Problem::TooLarge { limit: MAX_BYTES }));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let info = error.to_string();
        // The place is told beside it.
        let info = info.split(" at line ").next().unwrap_or_default().to_owned();
        let info = byte_order_mark(text.as_bytes()).map_or(info, |mark| format!("it begins with {mark}"));
        (error.line(), error.column(), Problem::Json { info })
    })?;
    let Value::Array(items) = value else { return Err((0, 0, Problem::NotDatabases)) };
    let mut left = MAX_NODES;
    items.into_iter().map(|item| node(item, 1, &mut left).map_err(|problem| (0, 0, problem))).collect()
}

/// What nobody sees at the beginning of a text, where a parser gives up.
pub(super) fn byte_order_mark(text: &[u8]) -> Option<&'static str> {
    match text {
        [0xef, 0xbb, 0xbf, ..] => Some("the byte order mark of UTF-8"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("the byte order mark of UTF-16"),
        _ => None,
    }
}

fn node(value: Value, depth: usize, left: &mut usize) -> Result<Node, Problem> {
    if depth > MAX_DEPTH {
        return Err(Problem::TooDeep { limit: MAX_DEPTH });
    }
    *left = left.checked_sub(1).ok_or(Problem::TooManyNodes { limit: MAX_NODES })?;
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
    use super::super::emit::emit;
    use super::*;

    #[test]
    fn what_programs_print_is_read() {
        let text = r#"[{"path": "tenants\/\ud83d\ude00\u007f.db", "n": 5, "b": true, "x": null, "$l": ["0600", {}]}]"#;
        let entries = databases(text).expect("valid JSON");
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
        let problem = |text: &str| databases(text).expect_err("it is taken");
        assert_eq!(problem("hello"), (1, 1, Problem::Json { info: "expected value".to_owned() }));
        let marked = "it begins with the byte order mark of UTF-8".to_owned();
        assert_eq!(problem("\u{feff}[]"), (1, 1, Problem::Json { info: marked }));
        assert_eq!(problem("[]\n[]").0, 2);
        assert_eq!(problem("{\"dbs\": []}").2, Problem::NotDatabases);
        assert_eq!(problem(&" ".repeat(MAX_BYTES + 1)).2, Problem::TooLarge { limit: MAX_BYTES });
        let deep = format!("[{}{}]", "[".repeat(70), "]".repeat(70));
        assert_eq!(problem(&deep).2, Problem::TooDeep { limit: MAX_DEPTH });
        assert!(matches!(problem(&"[".repeat(100_000)).2, Problem::Json { .. }));
        let many = format!("[{}0]", "0,".repeat(MAX_NODES));
        assert_eq!(problem(&many).2, Problem::TooManyNodes { limit: MAX_NODES });
    }
}
