//! The tree of a document, made event by event: aliases copied, merges and duplicate keys applied as yaml.v2 does.
//!
//! yaml.v2 decodes into structs, entry after entry. So a later `<<` wins over an earlier key, and a
//! mapping that comes twice is merged key by key, while anything else replaces what was there.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, ScalarStyle, Span, Tag as ParsedTag};

use super::limits::{Budget, MAX_DEPTH, MAX_KEYS, Size};
use super::node::{Node, NodeKind};
use super::problem::YamlProblem;
use super::scalar::{Scalar, Tag};

/// What has been read of the document so far.
#[derive(Default)]
pub(super) struct Builder {
    /// The collections that are still open, the outermost first.
    open: Vec<Open>,
    /// Finished values that an alias can name. yaml.v2 lets a name be used again; the parser counts.
    anchors: HashMap<usize, Anchored>,
    budget: Budget,
    pub(super) root: Option<Node>,
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
    pub(super) fn take(&mut self, event: Event<'_>, span: Span, is_flow: bool) -> Result<bool, YamlProblem> {
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

    pub(super) fn is_in_flow(&self) -> bool {
        self.open.last().is_some_and(|open| open.is_flow)
    }

    pub(super) fn wants_key(&self) -> bool {
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
