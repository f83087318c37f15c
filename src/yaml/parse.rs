//! YAML text in, a [`Node`] out: aliases copied, merges and duplicate keys applied as yaml.v2 does.
//!
//! yaml.v2 decodes into structs, entry after entry. So a later `<<` wins over an earlier key, and a
//! mapping that comes twice is merged key by key, while anything else replaces what was there.
//! Only the first document counts; yaml.v2 never looks at the others, not even for errors.
//!
//! A third of this file is tests, which hold one reader against the other's corners.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag as ParsedTag};

use super::layout::Layout;
use super::limits::{Budget, MAX_BYTES, MAX_DEPTH, MAX_KEYS, Size};
use super::node::{Node, NodeKind};
use super::problem::YamlProblem;
use super::scalar::{Scalar, Tag};

/// Where a problem is: line and column from 1, in characters, and what is wrong.
pub type Located = (usize, usize, YamlProblem);

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
    let source = Source(text.chars().collect());
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

/// yaml.v2 refuses control characters anywhere in the file, comments included.
///
/// To it, and to no editor, the three line breaks of Unicode end a line (and a comment).
fn refuse_characters(text: &str) -> Result<(), Located> {
    let is_control = |c: char| {
        (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')) || c == '\u{fffe}' || c == '\u{ffff}'
    };
    let is_break = |c: char| matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}');
    let Some(at) = text.find(|c| is_control(c) || is_break(c)) else { return Ok(()) };
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let problem = match text[at..].chars().next().filter(|c| is_break(*c)) {
        Some(c) => YamlProblem::LineBreak { code: u32::from(c) },
        None => YamlProblem::ControlCharacter,
    };
    Err((line, before[line_start..].chars().count() + 1, problem))
}

/// yaml.v2 knows `%YAML 1.1` and `%TAG`, and goes no further than any other.
fn refuse_directives(text: &str) -> Result<(), Located> {
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (None, _) => {}
            (Some(word), _) if word.starts_with('#') => {}
            (Some("%YAML"), Some("1.1")) | (Some("%TAG"), _) if line.starts_with('%') => {}
            _ if line.starts_with('%') => {
                let info = "the directive is neither %YAML 1.1 nor %TAG".to_owned();
                return Err((index + 1, 1, YamlProblem::Syntax { info }));
            }
            _ => break,
        }
    }
    Ok(())
}

/// The text by characters, for what the parser takes and yaml.v2 does not.
struct Source(Vec<char>);

impl Source {
    fn check(&self, event: &Event<'_>, span: Span, builder: &Builder) -> Result<(), YamlProblem> {
        let refuse = |info: &str| Err(YamlProblem::Syntax { info: info.to_owned() });
        match event {
            Event::Scalar(_, ScalarStyle::DoubleQuoted, ..) if self.has_slash(span) => {
                refuse("`\\/` is no escape in YAML 1.1")
            }
            Event::Scalar(text, ScalarStyle::Plain, ..)
                if builder.is_in_flow() && (text.contains('?') || text.starts_with(['|', '>'])) =>
            {
                refuse(
                    "inside of brackets a text with a `?`, or one that begins with `|` or `>`, needs quotes",
                )
            }
            Event::Scalar(text, ScalarStyle::Plain, ..)
                if text.is_empty() && builder.wants_key() && self.is_left_out(span) =>
            {
                refuse("there is no key in front of the `:`")
            }
            Event::Alias(_) if !self.is_name(span) => {
                refuse("a name after `*` has other characters than letters, digits, `_` and `-`")
            }
            Event::Scalar(_, _, 1.., _) | Event::SequenceStart(1.., _) | Event::MappingStart(1.., _)
                if !self.has_plain_anchor(span) =>
            {
                refuse("a name after `&` has other characters than letters, digits, `_` and `-`")
            }
            Event::Scalar(..) if builder.wants_key() && self.is_broken(span) && !self.is_after_mark(span) => {
                refuse("a key must be on one line")
            }
            _ => Ok(()),
        }
    }

    /// Whether a quoted text has the one escape that YAML 1.2 added, as JSON has it.
    fn has_slash(&self, span: Span) -> bool {
        let quoted = self.0.get(span.start.index()..span.end.index()).unwrap_or_default();
        let mut chars = quoted.iter();
        while let Some(c) = chars.next() {
            if *c == '\\' && chars.next() == Some(&'/') {
                return true;
            }
        }
        false
    }

    /// Whether an empty key has nothing at all in front of its colon, not even a `?`.
    fn is_left_out(&self, span: Span) -> bool {
        self.0.get(span.start.index()) == Some(&':') && !self.is_after_mark(span)
    }

    /// Whether an alias has a name that yaml.v2 reads to its end.
    fn is_name(&self, span: Span) -> bool {
        let alias = self.0.get(span.start.index() + 1..span.end.index()).unwrap_or_default();
        alias.iter().all(|c| is_name(*c) || c.is_whitespace())
    }

    /// The same of the anchor that a value begins with; a tag may stand in front of it.
    fn has_plain_anchor(&self, span: Span) -> bool {
        let mut rest = self.0.get(span.start.index()..).unwrap_or_default();
        if rest.first() == Some(&'!') {
            let tag = rest.iter().position(|c| c.is_whitespace()).unwrap_or(rest.len());
            rest = &rest[tag..];
            rest = &rest[rest.iter().position(|c| !c.is_whitespace()).unwrap_or(rest.len())..];
        }
        let Some(rest) = rest.strip_prefix(&['&']) else { return true };
        let end = rest.iter().position(|c| !is_name(*c)).unwrap_or(rest.len());
        rest.get(end).is_none_or(|c| c.is_whitespace() || "?:,]}%@`".contains(*c))
    }

    /// Whether a collection is written in brackets.
    fn is_flow(&self, span: Span) -> bool {
        let last = span.end.index().checked_sub(1).filter(|last| *last >= span.start.index());
        matches!(last.and_then(|last| self.0.get(last)), Some('[' | '{'))
    }

    /// Whether a text goes over several lines, or has its colon on another one.
    fn is_broken(&self, span: Span) -> bool {
        let text = self.0.get(span.start.index()..span.end.index()).unwrap_or_default();
        let end = text.iter().rposition(|c| !c.is_whitespace()).unwrap_or(0);
        let after = self.0.get(span.end.index()..).unwrap_or_default();
        let gap = after.iter().take(LONGEST_GAP).position(|c| !c.is_whitespace()).unwrap_or(0);
        let is_apart = after.get(gap) == Some(&':') && after[..gap].contains(&'\n');
        is_apart || text[..end].contains(&'\n')
    }

    /// Whether it stands after the `?` of a key.
    fn is_after_mark(&self, span: Span) -> bool {
        let before = self.0.get(..span.start.index()).unwrap_or_default();
        before.iter().rev().take(LONGEST_GAP).find(|c| !c.is_whitespace()) == Some(&'?')
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// How far in front of a key its `?` is looked for.
const LONGEST_GAP: usize = 1000;

/// What has been read of the document so far.
#[derive(Default)]
struct Builder {
    /// The collections that are still open, the outermost first.
    open: Vec<Open>,
    /// Finished values that an alias can name. yaml.v2 lets a name be used again; the parser counts.
    anchors: HashMap<usize, Anchored>,
    budget: Budget,
    root: Option<Node>,
}

struct Anchored {
    node: Node,
    size: Size,
}

struct Open {
    anchor: usize,
    line: usize,
    column: usize,
    /// Whether it is written in brackets.
    is_flow: bool,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<(Node, Node)>, key: Option<Key> },
}

/// A key whose value has not come yet.
enum Key {
    Merge,
    Named(Node),
}

impl Builder {
    /// Takes one event, in brackets or not; true at the end of the first document.
    fn take(&mut self, event: Event<'_>, span: Span, is_flow: bool) -> Result<bool, YamlProblem> {
        let (line, column) = (span.start.line(), span.start.col() + 1);
        match event {
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
            Event::StreamEnd | Event::DocumentEnd => return Ok(true),
            Event::Alias(anchor) => {
                let Some(anchored) = self.anchors.get(&anchor) else {
                    return Err(YamlProblem::AliasOfItself);
                };
                if self.is_after_merge() && !anchored.node.is_mapping() {
                    // It follows no alias to a list.
                    return Err(YamlProblem::MergeNotMapping);
                }
                self.spend(anchored.size)?;
                self.check_depth(anchored.size.height)?;
                let mut node = anchored.node.clone();
                (node.line, node.column) = (line, column);
                self.add(node)?;
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(Size { nodes: 1, bytes: text.len(), height: 0 })?;
                let scalar = scalar(text, style, tag)?;
                self.finish(Node { kind: NodeKind::Scalar(scalar), line, column }, anchor)?;
            }
            Event::SequenceStart(anchor, _) => {
                self.start(Open { anchor, line, column, is_flow, content: Content::Sequence(Vec::new()) })?;
            }
            Event::MappingStart(anchor, _) => {
                let content = Content::Mapping { entries: Vec::new(), key: None };
                self.start(Open { anchor, line, column, is_flow, content })?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { anchor, line, column, content, .. }) = self.open.pop() else {
                    return Ok(true);
                };
                let kind = match content {
                    Content::Sequence(items) => NodeKind::Sequence(items),
                    Content::Mapping { entries, .. } => NodeKind::Mapping(entries),
                };
                self.finish(Node { kind, line, column }, anchor)?;
            }
        }
        Ok(false)
    }

    fn start(&mut self, mut open: Open) -> Result<(), YamlProblem> {
        // A pair such as `[a: b]` has no brackets of its own.
        open.is_flow |= self.is_in_flow();
        self.spend(Size { nodes: 1, bytes: 0, height: 1 })?;
        self.check_depth(1)?;
        self.open.push(open);
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), YamlProblem> {
        if anchor != 0 {
            let size = Size::of(&node);
            // The copy for later takes memory as well.
            self.spend(size)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), size });
        }
        self.add(node)
    }

    fn add(&mut self, node: Node) -> Result<(), YamlProblem> {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping { entries, key }) => match key.take() {
                None => *key = Some(as_key(node)?),
                Some(Key::Merge) => merge(entries, node)?,
                Some(Key::Named(name)) => put(entries, name, node)?,
            },
        }
        Ok(())
    }

    fn is_in_flow(&self) -> bool {
        self.open.last().is_some_and(|open| open.is_flow)
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last().map(|open| &open.content), Some(Content::Mapping { key: None, .. }))
    }

    fn is_after_merge(&self) -> bool {
        let content = self.open.last().map(|open| &open.content);
        matches!(content, Some(Content::Mapping { key: Some(Key::Merge), .. }))
    }

    fn spend(&self, size: Size) -> Result<(), YamlProblem> {
        let mut found = Vec::new();
        if !self.budget.take(0, size) {
            self.budget.settle(&mut found);
        }
        found.pop().map_or(Ok(()), |(_, problem)| Err(problem))
    }

    fn check_depth(&self, more: usize) -> Result<(), YamlProblem> {
        if self.open.len() + more > MAX_DEPTH {
            Err(YamlProblem::TooDeep { limit: MAX_DEPTH })
        } else {
            Ok(())
        }
    }
}

fn scalar(
    text: Cow<'_, str>,
    style: ScalarStyle,
    tag: Option<Cow<'_, ParsedTag>>,
) -> Result<Scalar, YamlProblem> {
    let plain = style == ScalarStyle::Plain;
    let (plain, tag) = match tag.as_deref() {
        None => (plain, None),
        // To yaml.v2 a lone `!` makes a text, whatever it looks like, and still a merge.
        Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => match text.as_ref() {
            "<<" => (true, None),
            _ => (plain, Some(Tag::Str)),
        },
        Some(tag) => match format!("{}{}", tag.handle, tag.suffix).strip_prefix(CORE) {
            Some("merge") if text == "<<" => (true, None),
            Some(core) => (plain, Some(core_tag(core)?)),
            // A tag that yaml.v2 does not know makes a text.
            None => (plain, Some(Tag::Str)),
        },
    };
    let scalar = Scalar { text: text.into_owned(), plain, tag, variable: None };
    if scalar.fits_its_tag() { Ok(scalar) } else { Err(YamlProblem::WrongTag) }
}

/// What `!!` stands for.
const CORE: &str = "tag:yaml.org,2002:";

fn core_tag(name: &str) -> Result<Tag, YamlProblem> {
    Ok(match name {
        "int" => Tag::Int,
        "float" => Tag::Float,
        "bool" => Tag::Bool,
        "null" => Tag::Null,
        "timestamp" => Tag::Timestamp,
        "binary" => return Err(YamlProblem::UnknownTag { tag: name.to_owned() }),
        _ => Tag::Str,
    })
}

fn as_key(node: Node) -> Result<Key, YamlProblem> {
    match &node.kind {
        NodeKind::Scalar(scalar) if scalar.plain && scalar.tag.is_none() && scalar.text == "<<" => {
            Ok(Key::Merge)
        }
        NodeKind::Scalar(_) => Ok(Key::Named(node)),
        NodeKind::Sequence(_) | NodeKind::Mapping(_) => Err(YamlProblem::KeyNotText),
    }
}

/// `<<: value`: a mapping, or a list of mappings of which the first one wins.
fn merge(entries: &mut Vec<(Node, Node)>, value: Node) -> Result<(), YamlProblem> {
    match value.kind {
        NodeKind::Mapping(source) => put_all(entries, source),
        NodeKind::Sequence(items) => items.into_iter().rev().try_for_each(|item| match item.kind {
            NodeKind::Mapping(source) => put_all(entries, source),
            NodeKind::Scalar(_) | NodeKind::Sequence(_) => Err(YamlProblem::MergeNotMapping),
        }),
        NodeKind::Scalar(_) => Err(YamlProblem::MergeNotMapping),
    }
}

fn put_all(entries: &mut Vec<(Node, Node)>, source: Vec<(Node, Node)>) -> Result<(), YamlProblem> {
    source.into_iter().try_for_each(|(key, value)| put(entries, key, value))
}

fn put(entries: &mut Vec<(Node, Node)>, key: Node, value: Node) -> Result<(), YamlProblem> {
    let Some(index) = entries.iter().position(|(known, _)| known.key() == key.key()) else {
        if entries.len() == MAX_KEYS {
            return Err(YamlProblem::TooManyKeys { limit: MAX_KEYS });
        }
        entries.push((key, value));
        return Ok(());
    };
    let old = &mut entries[index].1;
    match (&mut old.kind, value.kind) {
        (NodeKind::Mapping(entries), NodeKind::Mapping(source)) => put_all(entries, source),
        (_, kind) => {
            *old = Node { kind, line: value.line, column: value.column };
            Ok(())
        }
    }
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
