//! A YAML tree with the places that its parts came from.

use std::fmt;

use super::scalar::{Resolved, Scalar, Variable};

/// One value of a configuration, and where it stands.
///
/// Aliases, merges and duplicate keys are already resolved, as Go's yaml.v2 resolves them. Its
/// `Debug` shows the shape and never a value: a configuration is full of secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    /// The value.
    pub kind: NodeKind,
    /// The line in the file, from 1; 0 for a value that no file holds.
    pub line: usize,
    /// The column in the file, in characters from 1; 0 for a value that no file holds.
    pub column: usize,
}

/// The three kinds of YAML values.
#[derive(Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the file; every key is a scalar, and no key is there twice.
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// Puts it, with all that is in it, on a line.
    pub fn place(&mut self, line: usize) {
        self.line = line;
        match &mut self.kind {
            NodeKind::Scalar(_) => {}
            NodeKind::Sequence(items) => items.iter_mut().for_each(|item| item.place(line)),
            NodeKind::Mapping(entries) => entries.iter_mut().for_each(|(key, value)| {
                key.place(line);
                value.place(line);
            }),
        }
    }

    /// Whether both say the same, whatever they have under `key`.
    pub fn is_same_without(&self, other: &Self, key: &str) -> bool {
        match (&self.kind, &other.kind) {
            (NodeKind::Mapping(ours), NodeKind::Mapping(theirs)) => {
                let without = |(known, _): &&(Node, Node)| known.key() != key;
                ours.iter().filter(without).eq(theirs.iter().filter(without))
            }
            (NodeKind::Scalar(_) | NodeKind::Sequence(_) | NodeKind::Mapping(_), _) => self == other,
        }
    }

    /// The value of `key`, if this is a mapping that has it and the value is not null.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).filter(|value| !value.is_null())
    }

    /// The value of `key`, null or not.
    pub fn entry(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            NodeKind::Mapping(entries) => {
                entries.iter().find(|(k, _)| k.key() == key).map(|(_, value)| value)
            }
            NodeKind::Scalar(_) | NodeKind::Sequence(_) => None,
        }
    }

    /// The value of `key` to change it, if this is a mapping that has it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        match &mut self.kind {
            NodeKind::Mapping(entries) => {
                entries.iter_mut().find(|(k, _)| k.key() == key).map(|(_, value)| value)
            }
            NodeKind::Scalar(_) | NodeKind::Sequence(_) => None,
        }
    }

    /// The text of any scalar, numbers and booleans as they were written; none for null and collections.
    pub fn as_str(&self) -> Option<&str> {
        self.scalar().filter(|scalar| !scalar.is_null()).map(|scalar| scalar.text.as_str())
    }

    /// The truth value of an unquoted `yes`, `off`, `true` ….
    pub fn as_bool(&self) -> Option<bool> {
        match self.scalar()?.resolve() {
            Resolved::Bool(value) => Some(value),
            Resolved::Null | Resolved::Int(_) | Resolved::Float(_) | Resolved::Text => None,
        }
    }

    /// The number of an unquoted integer in any base; a float loses its fraction, as in yaml.v2.
    pub fn as_u64(&self) -> Option<u64> {
        match self.scalar()?.resolve() {
            Resolved::Int(number) => u64::try_from(number).ok(),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the range is checked; the fraction is meant to go"
            )]
            Resolved::Float(number) if (0.0..18_446_744_073_709_551_616.0).contains(&number) => {
                Some(number as u64)
            }
            Resolved::Null | Resolved::Bool(_) | Resolved::Float(_) | Resolved::Text => None,
        }
    }

    /// What a single value resolves to; none for collections.
    pub fn resolve(&self) -> Option<Resolved> {
        self.scalar().map(Scalar::resolve)
    }

    /// The variable of Litestream's environment that has this text, if the generated file names it.
    pub fn variable(&self) -> Option<&str> {
        match &self.scalar()?.variable {
            Some(Variable::Named(name)) => Some(name),
            Some(Variable::Own) | None => None,
        }
    }

    /// The items of a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.kind {
            NodeKind::Sequence(items) => Some(items),
            NodeKind::Scalar(_) | NodeKind::Mapping(_) => None,
        }
    }

    /// Whether this is a mapping.
    pub fn is_mapping(&self) -> bool {
        matches!(self.kind, NodeKind::Mapping(_))
    }

    /// Whether this is `~`, `null` or nothing.
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_null)
    }

    /// A value that no file holds, written without quotes.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::made(NodeKind::Scalar(Scalar { text: text.into(), plain: true, tag: None, variable: None }))
    }

    /// A text that no file holds, written in quotes.
    pub fn text(text: impl Into<String>) -> Self {
        Self::made(NodeKind::Scalar(Scalar { text: text.into(), plain: false, tag: None, variable: None }))
    }

    /// The value of a variable, which is shown as its name.
    pub fn of_variable(name: impl Into<String>) -> Self {
        let variable = Some(Variable::Named(name.into()));
        Self::made(NodeKind::Scalar(Scalar { text: String::new(), plain: false, tag: None, variable }))
    }

    /// A list that no file holds.
    pub fn list(items: Vec<Node>) -> Self {
        Self::made(NodeKind::Sequence(items))
    }

    /// A mapping that no file holds.
    pub fn mapping<const N: usize>(entries: [(&str, Node); N]) -> Self {
        Self::made(NodeKind::Mapping(
            entries.into_iter().map(|(key, value)| (Node::plain(key), value)).collect(),
        ))
    }

    /// Puts `value` at `key`, in the place of the old one or at the end. Nothing happens to other kinds.
    pub fn set(&mut self, key: &str, value: Node) {
        if let NodeKind::Mapping(entries) = &mut self.kind {
            match entries.iter_mut().find(|(k, _)| k.key() == key) {
                Some((_, old)) => *old = value,
                None => entries.push((Node::plain(key), value)),
            }
        }
    }

    /// Takes `key` out, if it is there.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        match &mut self.kind {
            NodeKind::Mapping(entries) => {
                let index = entries.iter().position(|(k, _)| k.key() == key)?;
                Some(entries.remove(index).1)
            }
            NodeKind::Scalar(_) | NodeKind::Sequence(_) => None,
        }
    }

    /// The text that this has as a key: yaml.v2 makes the null key an empty one.
    pub fn key(&self) -> &str {
        self.as_str().unwrap_or_default()
    }

    fn scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            NodeKind::Scalar(scalar) => Some(scalar),
            NodeKind::Sequence(_) | NodeKind::Mapping(_) => None,
        }
    }

    fn made(kind: NodeKind) -> Self {
        Self { kind, line: 0, column: 0 }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            NodeKind::Scalar(_) => write!(f, "scalar at line {}", self.line),
            NodeKind::Sequence(items) => write!(f, "list of {} at line {}", items.len(), self.line),
            NodeKind::Mapping(entries) => write!(f, "mapping of {} at line {}", entries.len(), self.line),
        }
    }
}

impl fmt::Debug for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NodeKind::Scalar(_) => "Scalar",
            NodeKind::Sequence(_) => "Sequence",
            NodeKind::Mapping(_) => "Mapping",
        })
    }
}
