//! A [`Node`] as YAML in block style that means the same to every reader of YAML 1.1.
//!
//! Litestream expands variables in the text before it reads it, so every `$` that means itself is
//! written as an escape, and a text that the file must not hold as `${NAME}`.

use std::fmt::Write;

use super::node::{Node, NodeKind};
use super::scalar::{Resolved, Scalar, Tag, Variable, resolve_text};
use crate::foreign::is_obeyed;

/// A key longer than this is written after `?`: readers stop looking for its colon after 1024 characters.
const LONGEST_SIMPLE_KEY: usize = 500;

/// What Litekeeper's own variables begin with.
const OWN: &str = "LITEKEEPER_VALUE_";

/// Writes `node` as a document of its own, with a newline at its end.
///
/// What was plain and is no text (numbers, `yes`, `~`) stays as it was written; a text becomes
/// double-quoted unless it needs no quotes.
pub fn emit(node: &Node) -> Emitted {
    let mut emitter = Emitter { own: Vec::new() };
    let mut text = String::new();
    emitter.emit_at(&mut text, node, 0);
    Emitted { text, env: emitter.own }
}

/// A document, and the variables of Litekeeper's own that it names.
pub struct Emitted {
    /// The document.
    pub text: String,
    /// These variables, with their values.
    pub env: Vec<(String, String)>,
}

struct Emitter {
    own: Vec<(String, String)>,
}

impl Emitter {
    /// Writes the block of a collection, or a scalar and a newline.
    fn emit_at(&mut self, out: &mut String, node: &Node, indent: usize) {
        match &node.kind {
            NodeKind::Mapping(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    pad(out, indent);
                    let key =
                        self.scalar_text(key).filter(|key| !key.is_empty()).unwrap_or_else(|| "~".to_owned());
                    if key.len() > LONGEST_SIMPLE_KEY {
                        out.push_str("? ");
                        out.push_str(&key);
                        out.push('\n');
                        pad(out, indent);
                    } else {
                        out.push_str(&key);
                    }
                    out.push(':');
                    self.emit_value(out, value, indent + 2);
                }
            }
            NodeKind::Sequence(items) if !items.is_empty() => {
                for item in items {
                    let mut block = String::new();
                    self.emit_at(&mut block, item, indent + 2);
                    pad(out, indent);
                    out.push_str("- ");
                    // The first line of the block stands beside the dash.
                    out.push_str(block.trim_start_matches(' '));
                }
            }
            NodeKind::Mapping(_) | NodeKind::Sequence(_) | NodeKind::Scalar(_) => {
                out.push_str(&self.inline(node));
                out.push('\n');
            }
        }
    }

    /// Writes what comes after a `key:` or a `-`.
    fn emit_value(&mut self, out: &mut String, node: &Node, indent: usize) {
        let text = match &node.kind {
            NodeKind::Mapping(entries) if !entries.is_empty() => {
                out.push('\n');
                return self.emit_at(out, node, indent);
            }
            NodeKind::Sequence(items) if !items.is_empty() => {
                out.push('\n');
                return self.emit_at(out, node, indent);
            }
            NodeKind::Mapping(_) | NodeKind::Sequence(_) | NodeKind::Scalar(_) => self.inline(node),
        };
        if !text.is_empty() {
            out.push(' ');
            out.push_str(&text);
        }
        out.push('\n');
    }

    fn inline(&mut self, node: &Node) -> String {
        match &node.kind {
            NodeKind::Mapping(_) => "{}".to_owned(),
            NodeKind::Sequence(_) => "[]".to_owned(),
            NodeKind::Scalar(scalar) => self.written(scalar),
        }
    }

    fn scalar_text(&mut self, node: &Node) -> Option<String> {
        match &node.kind {
            NodeKind::Scalar(scalar) => Some(self.written(scalar)),
            NodeKind::Mapping(_) | NodeKind::Sequence(_) => None,
        }
    }

    fn written(&mut self, scalar: &Scalar) -> String {
        let tag = match scalar.tag {
            None => "",
            Some(Tag::Str) => "!!str ",
            Some(Tag::Int) => "!!int ",
            Some(Tag::Float) => "!!float ",
            Some(Tag::Bool) => "!!bool ",
            Some(Tag::Null) => "!!null ",
            Some(Tag::Timestamp) => "!!timestamp ",
        };
        // With a tag quotes change nothing, and an empty plain text would be easy to lose.
        let typed = scalar.plain && scalar.tag.is_none() && scalar.resolve() != Resolved::Text;
        if let Some(variable) = &scalar.variable {
            let name = self.variable(&scalar.text, variable);
            return if typed { format!("${{{name}}}") } else { format!("{tag}\"${{{name}}}\"") };
        }
        if typed || (scalar.plain && scalar.tag.is_none() && is_bare(&scalar.text)) {
            return scalar.text.clone();
        }
        format!("{tag}{}", quoted(&scalar.text))
    }

    /// The name of the variable that holds `text` as it is to stand between double quotes.
    fn variable(&mut self, text: &str, variable: &Variable) -> String {
        match variable {
            Variable::Named(name) if is_shell_name(name) && escaped(text) == text => name.clone(),
            Variable::Named(_) | Variable::Own => {
                let name = format!("{OWN}{}", self.own.len() + 1);
                self.own.push((name.clone(), escaped(text)));
                name
            }
        }
    }
}

/// A name that `os.Expand` takes as it is, and that means the same to Litestream: `$PID` is its own number
/// to it, and Litekeeper's own variables are counted from 1 again.
fn is_shell_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.starts_with(OWN)
        && name != "PID"
}

/// Whether a text is certainly the same without quotes.
pub fn is_bare(text: &str) -> bool {
    let safe = |c: u8| c.is_ascii_alphanumeric() || b"_+./~-:@=".contains(&c);
    let begins = |text: &str| text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '_');
    text.bytes().all(safe)
        && (begins(text) || text.starts_with("./") || text.starts_with("../"))
        && !text.ends_with(':')
        && resolve_text(text) == Resolved::Text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", literal(text))
}

/// A text as it stands between double quotes of a file that Litestream expands first.
pub fn literal(text: &str) -> String {
    escaped(text).replace('$', "\\x24")
}

/// The text as it stands between double quotes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Line breaks and marks to YAML 1.1, invisible to people.
            c if is_obeyed(c) || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::parse::parse;
    use super::*;

    #[test]
    fn what_was_written_keeps_its_meaning() {
        let text = concat!(
            "a: yes\nb: \"yes\"\nc: 0600\nd: '0600'\ne: 10s\nf:\ng: ''\nh: {}\ni: []\n",
            "j: {k: [1, {l: m}, [n]]}\no: |\n  two\n  lines\np: a:b\nq: !!str 5\n",
            "r: it's \"quoted\" \\ here # no\ns: s3://b/p\n'yes': 1\n'': 2\nt: plain # comment\n",
        );
        let emitted = emit(&parse(text).expect("valid YAML")).text;
        insta::assert_snapshot!(emitted, @r#"
        a: yes
        b: "yes"
        c: 0600
        d: "0600"
        e: 10s
        f:
        g: ""
        h: {}
        i: []
        j:
          k:
            - 1
            - l: m
            - - n
        o: "two\nlines\n"
        p: a:b
        q: !!str "5"
        r: "it's \"quoted\" \\ here"
        s: s3://b/p
        "yes": 1
        "": 2
        t: plain
        "#);
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~]{0,12}",
            "\\PC{0,12}",
            any::<String>(),
            prop::sample::select(vec![
                "", "~", "null", "yes", "0600", "1e3", "- a", "? b", "a: b", "#", "---", "...", "<<", " x ",
                "\n", "a\n\nb"
            ])
            .prop_map(str::to_owned),
        ]
    }

    fn any_node() -> impl Strategy<Value = Node> {
        let plain = prop::sample::select(vec![
            "",
            "~",
            "yes",
            "No",
            "0600",
            "0x1F",
            "1_000",
            "-1.5",
            ".inf",
            "10s",
            "s3://b/p",
            "2001-01-01",
        ]);
        let leaf = prop_oneof![any_text().prop_map(Node::text), plain.prop_map(Node::plain)];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Node::list),
                prop::collection::btree_map(any_text(), inner, 0..5).prop_map(|entries| Node {
                    kind: NodeKind::Mapping(entries.into_iter().map(|(k, v)| (Node::text(k), v)).collect()),
                    line: 0,
                    column: 0,
                }),
            ]
        })
    }

    /// The tree without places, each scalar as its type and text.
    fn meaning(node: &Node) -> String {
        match &node.kind {
            NodeKind::Scalar(scalar) => format!("{:?} {:?}", scalar.resolve(), scalar.text),
            NodeKind::Sequence(items) => {
                format!("[{}]", items.iter().map(meaning).collect::<Vec<_>>().join(","))
            }
            NodeKind::Mapping(entries) => {
                let entry = |(key, value): &(Node, Node)| format!("{}: {}", meaning(key), meaning(value));
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(","))
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_that_nobody_sees_is_emitted(text in "[a\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2066}-\u{2069}\u{feff}\u{1b}]{1,6}") {
            let emitted = emit(&Node::list(vec![Node::text(text.as_str())])).text;
            prop_assert!(!emitted.trim_end_matches('\n').contains(is_obeyed), "{:?}", emitted);
            prop_assert_eq!(meaning(&parse(&emitted).expect("YAML")), meaning(&Node::list(vec![Node::text(text.as_str())])));
        }

        #[test]
        fn what_is_emitted_reads_back_the_same(node in any_node()) {
            let emitted = emit(&node).text;
            let back = parse(&emitted).map_err(|(line, column, problem)| {
                TestCaseError::fail(format!("{line}:{column}: {problem}\n{emitted}"))
            })?;
            prop_assert_eq!(meaning(&back), meaning(&node), "{}", emitted);
        }

        /// libyaml is what yaml.v2 was translated from.
        #[test]
        fn another_parser_reads_the_same_texts(texts in prop::collection::btree_map(any_text(), any_text(), 0..6)) {
            let entries = texts.iter().map(|(k, v)| (Node::text(k.as_str()), Node::text(v.as_str()))).collect();
            let emitted = emit(&Node { kind: NodeKind::Mapping(entries), line: 0, column: 0 }).text;
            let back: std::collections::BTreeMap<String, String> =
                serde_yaml::from_str(&emitted).map_err(|error| TestCaseError::fail(format!("{error}\n{emitted}")))?;
            prop_assert_eq!(back, texts, "{}", emitted);
        }
    }
}
