//! YAML text in, a [`Node`] out.
//!
//! Only the first document counts; yaml.v2 never looks at the others, not even for errors.
//!
//! Half of this file is tests, which hold one reader against the other's corners.

use std::borrow::Cow;

use saphyr_parser::Parser;

use super::builder::Builder;
use super::layout::Layout;
use super::limits::{MAX_BYTES, MAX_DEPTH};
use super::node::Node;
use super::problem::{Located, YamlProblem};
use super::stricter::{Source, refuse_characters, refuse_directives};

/// Parses the first document of `text`; an empty text is a null.
///
/// # Errors
/// The first problem: wrong syntax, or a limit that is passed (1 MiB, 64 levels, 100 000 values,
/// 8 MiB with each use of an alias, 4096 keys in a mapping), or what yaml.v2 refuses (a merge of something else than mappings).
pub fn parse(text: &str) -> Result<Node, Located> {
    if text.len() > MAX_BYTES {
        return Err((0, 0, YamlProblem::TooLarge { limit: MAX_BYTES }));
    }
    let text = with_newlines(text.strip_prefix('\u{feff}').unwrap_or(text));
    let text = text.as_ref();
    refuse_characters(text)?;
    refuse_directives(text)?;
    let mut layout = Layout::new(text);
    loop {
        match parse_strictly(&layout.text) {
            Ok(mut root) => {
                layout.restore_columns(&mut root);
                return Ok(root);
            }
            Err(Failure { line, column, problem: YamlProblem::Syntax { info }, in_flow: Some(in_flow) })
                if layout.mend(line, column, &info, in_flow) => {}
            Err(Failure { line, column, problem, .. }) => {
                return Err((line, layout.original_column(line, column), problem));
            }
        }
    }
}

/// The text with each line break as a newline, which is all that YAML makes of them anyway: whoever
/// counts lines may then look for newlines alone.
fn with_newlines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

/// What went wrong.
struct Failure {
    line: usize,
    column: usize,
    problem: YamlProblem,
    /// Whether it is inside of brackets; known of what the parser itself found.
    in_flow: Option<bool>,
}

fn parse_strictly(text: &str) -> Result<Node, Failure> {
    let mut builder = Builder::default();
    let source = Source::new(text);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let at = error.marker();
            let problem = match error.info() {
                "recursion limit exceeded" => YamlProblem::TooDeep { limit: MAX_DEPTH },
                info => YamlProblem::Syntax { info: info.to_owned() },
            };
            let in_flow = Some(builder.is_in_flow());
            Failure { line: at.line(), column: at.col() + 1, problem, in_flow }
        })?;
        let start = span.start;
        let failure =
            |problem| Failure { line: start.line(), column: start.col() + 1, problem, in_flow: None };
        source.check(&event, span, &builder).map_err(failure)?;
        if builder.take(event, span, source.is_flow(span)).map_err(failure)? {
            break;
        }
    }
    Ok(builder.root.unwrap_or_else(|| Node::plain("")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> Node {
        parse(text).unwrap_or_else(|(line, column, problem)| panic!("{line}:{column}: {problem}"))
    }

    fn problem(text: &str) -> YamlProblem {
        parse(text).expect_err("it parses").2
    }

    fn at<'a>(node: &'a Node, path: &str) -> Option<&'a str> {
        path.split('.').try_fold(node, |node, key| node.get(key)).and_then(Node::as_str)
    }

    #[test]
    fn scalars_are_the_text_that_was_meant() {
        let node = yaml(
            "a: 0600\nb: 'it''s'\nc: \"x\\ty\"\nd: |\n  1\n  2\ne: >-\n  1\n  2\nf: two\n  lines\ng:\nh: ~\n",
        );
        for (key, text) in
            [("a", "0600"), ("b", "it's"), ("c", "x\ty"), ("d", "1\n2\n"), ("e", "1 2"), ("f", "two lines")]
        {
            assert_eq!(at(&node, key), Some(text), "{key}");
        }
        assert_eq!(node.get("a").and_then(Node::as_u64), Some(0o600));
        assert!(node.get("g").is_none() && node.entry("g").is_some_and(Node::is_null));
        assert!(node.get("h").is_none());
        assert_eq!((node.get("f").map(|n| (n.line, n.column))), Some((10, 4)));
    }

    #[test]
    fn a_later_merge_wins_and_mappings_merge_deeply() {
        let node = yaml(concat!(
            "d: &d {path: m, replica: {type: s3, bucket: b}}\n",
            "early: {<<: *d, path: x, replica: {path: p}}\n",
            "late: {path: x, <<: *d}\n",
            "twice: {a: {x: 1}, a: {y: 2}, b: 1, b: 2, c: {x: 1}, c: }\n",
            "many: {<<: [{k: first}, {k: second, l: second}]}\n",
            "quoted: {\"<<\": *d}\n",
        ));
        assert_eq!(at(&node, "early.path"), Some("x"));
        assert_eq!(at(&node, "early.replica.bucket"), Some("b"));
        assert_eq!(at(&node, "early.replica.path"), Some("p"));
        assert_eq!(at(&node, "late.path"), Some("m"));
        assert_eq!(at(&node, "twice.a.x"), Some("1"));
        assert_eq!(at(&node, "twice.a.y"), Some("2"));
        assert_eq!(at(&node, "twice.b"), Some("2"));
        assert!(node.get("twice").and_then(|n| n.entry("c")).is_some_and(Node::is_null));
        assert_eq!(at(&node, "many.k"), Some("first"));
        assert_eq!(at(&node, "many.l"), Some("second"));
        assert_eq!(at(&node, "quoted.<<.path"), Some("m"));
    }

    #[test]
    fn an_anchor_can_be_used_again_and_the_last_one_counts() {
        let node = yaml("a: &x 1\nb: *x\nc: &x 2\nd: *x\n");
        assert_eq!((at(&node, "b"), at(&node, "d")), (Some("1"), Some("2")));
    }

    #[test]
    fn only_the_first_document_counts() {
        assert_eq!(at(&yaml("---\na: 1\n---\na: 2\n...\n:::{{[\n"), "a"), Some("1"));
        assert!(yaml("").is_null());
        assert!(yaml("# nothing\n").is_null());
        assert_eq!(at(&yaml("\u{feff}a: 1\n"), "a"), Some("1"));
    }

    #[test]
    fn wrong_syntax_names_its_place() {
        let (line, column, problem) = parse("a: 1\nb: [1, 2\nc: 3\n").expect_err("it parses");
        assert!(line >= 2 && column >= 1, "{line}:{column}");
        assert!(matches!(problem, YamlProblem::Syntax { .. }), "{problem}");
        assert!(matches!(parse("a: 1\n b: \u{1}\n"), Err((2, 5, YamlProblem::ControlCharacter))));
    }

    #[test]
    fn what_yaml_v2_refuses_is_refused() {
        assert!(matches!(problem("a: {<<: 5}"), YamlProblem::MergeNotMapping));
        assert!(matches!(problem("a: {<<: [{}, 5]}"), YamlProblem::MergeNotMapping));
        assert!(matches!(problem("a: &a [*a]"), YamlProblem::AliasOfItself));
        assert!(matches!(problem("a: *nobody"), YamlProblem::Syntax { .. }));
        assert!(matches!(problem("? [a]\n: b"), YamlProblem::KeyNotText));
        assert!(matches!(problem("a: !!binary aGk="), YamlProblem::UnknownTag { .. }));
        assert!(matches!(problem("a: &a [{}]\nb: {<<: *a}"), YamlProblem::MergeNotMapping));
        for text in ["!!int abc", "!!bool 1", "!!null x", "!!float yes", "!!timestamp 2001", "!!int"] {
            assert!(matches!(problem(&format!("a: {text}")), YamlProblem::WrongTag), "{text}");
        }
        assert!(matches!(parse("a: 1 # \u{2028}b"), Err((1, 8, YamlProblem::LineBreak { code: 0x2028 }))));
        assert!(matches!(problem(r#"a: "\\\/""#), YamlProblem::Syntax { .. }));
        for text in [
            "a: {b: c?d}",
            "a: {b: | c}",
            "a: 1\n: 2",
            "a: {b\nc: d}",
            "a: [\"b\nc\": d]",
            "a: [b: c?]",
            "a: {b\n: c}",
            "a: &b{c: d}",
            "a: &b.c d\ne: *b.c",
        ] {
            assert!(matches!(problem(text), YamlProblem::Syntax { .. }), "{text}");
        }
        assert!(parse("? b\n  c\n: d\n?\n: e\n").is_ok());
        assert!(parse("a: &a\n  b: c?d\ne: !!map\n  f: g?\nh: &h\n- i?\nj: *a\n").is_ok());
        assert!(parse("a: !!str &a-1_B b\nc: [*a-1_B, &x , &y]\nd: {&k e: *x }\n").is_ok());
        assert!(parse("a: b?c\nd:\n- e?f\ng: [\"h?\", {i: 'j?'}]\nk: l?\n").is_ok());
        for text in ["%YAML 1.2\n---\n", "# c\n%FOO\n---\n", "%YAML\n---\n"] {
            assert!(matches!(problem(text), YamlProblem::Syntax { .. }), "{text}");
        }
    }

    #[test]
    fn tags_are_those_of_yaml_v2() {
        let node = yaml(concat!(
            "%YAML 1.1\n%TAG !y! tag:yaml.org,2002:\n---\n",
            "a: !y!str yes\nb: !<tag:yaml.org,2002:int> 0x10\nc: !mine 5\nd: !!set 5\n",
            "e: {!!merge <<: {f: !!timestamp 2001-12-14t21:59:43Z}}\ng: \"\\\\/\"\n",
            "h: ! ~\ni: ! 5\nj: {! <<: {k: l}}\n",
        ));
        assert_eq!((at(&node, "a"), node.get("a").and_then(Node::as_bool)), (Some("yes"), None));
        assert_eq!(node.get("b").and_then(Node::as_u64), Some(16));
        assert_eq!((at(&node, "c"), node.get("c").and_then(Node::as_u64)), (Some("5"), None));
        assert_eq!(node.get("d").and_then(Node::as_u64), None);
        assert_eq!(at(&node, "e.f"), Some("2001-12-14t21:59:43Z"));
        assert_eq!(at(&node, "g"), Some("\\/"));
        assert_eq!((at(&node, "h"), at(&node, "j.k")), (Some("~"), Some("l")));
        assert_eq!(node.get("i").and_then(Node::as_u64), None);
    }

    #[test]
    fn bombs_are_refused_quickly() {
        let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
        for level in 1..10 {
            let below = format!("*a{}", level - 1);
            laughs += &format!("a{level}: &a{level} [{}]\n", [below.as_str(); 10].join(", "));
        }
        assert!(matches!(problem(&laughs), YamlProblem::TooManyNodes { .. }));
        assert!(matches!(problem(&"- ".repeat(65)), YamlProblem::TooDeep { .. }));
        assert!(matches!(
            problem(&format!("{}{}", "[".repeat(65), "]".repeat(65))),
            YamlProblem::TooDeep { .. }
        ));
        assert!(parse(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_ok());
        let tower = format!(
            "a: &a {}{}\nb: {}*a{}\n",
            "[".repeat(40),
            "]".repeat(40),
            "[".repeat(40),
            "]".repeat(40)
        );
        assert!(matches!(problem(&tower), YamlProblem::TooDeep { .. }));
        assert!(matches!(problem(&"- a\n".repeat(100_001)), YamlProblem::TooManyNodes { .. }));
        let keys: String = (0..4097).map(|n| format!("k{n}: 1\n")).collect();
        assert!(matches!(problem(&keys), YamlProblem::TooManyKeys { .. }));
        assert!(matches!(problem(&"#".repeat(MAX_BYTES + 1)), YamlProblem::TooLarge { .. }));
    }

    #[test]
    fn debug_shows_no_value() {
        let node = yaml("secret-access-key: hunter2\nlist: [hunter2]\n");
        let shown = format!("{node:?} {:?} {:?}", node.kind, node.get("secret-access-key").map(|n| &n.kind));
        assert!(!shown.contains("hunter2") && shown.contains("mapping of 2"), "{shown}");
    }
}
