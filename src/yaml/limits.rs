//! How much one configuration may come to. A small file names a long text thirty thousand times: each use of an
//! alias, a template and a variable counts with all its bytes, before it is copied or soon after.

use std::cell::{Cell, RefCell};

use super::node::{Node, NodeKind};
use super::problem::YamlProblem;

/// The longest text that is read, in bytes, before and after the expansion of `$NAME`.
pub const MAX_BYTES: usize = 1 << 20;
/// The deepest nesting, copies of aliases included.
pub const MAX_DEPTH: usize = 64;
/// The most values in one configuration, copies of aliases included.
pub const MAX_NODES: usize = 100_000;
/// The most keys in one mapping; looking a key up takes time that grows with them.
pub const MAX_KEYS: usize = 4096;
/// The most bytes of all values and keys together, copies included: ten thousand databases have 3 MB.
pub const MAX_TEXT: usize = 8 << 20;

/// How large a tree is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Its values and keys.
    pub nodes: usize,
    /// Their bytes.
    pub bytes: usize,
    /// How deep it is; a single value has no depth.
    pub height: usize,
}

impl Size {
    /// Of a tree.
    pub fn of(node: &Node) -> Self {
        let add = |size: Size, child: &Node| {
            let child = Size::of(child);
            Size {
                nodes: size.nodes + child.nodes,
                bytes: size.bytes + child.bytes,
                height: size.height.max(child.height + 1),
            }
        };
        let own = Size { nodes: 1, bytes: 0, height: 1 };
        match &node.kind {
            NodeKind::Scalar(scalar) => Size { nodes: 1, bytes: scalar.text.len(), height: 0 },
            NodeKind::Sequence(items) => items.iter().fold(own, add),
            NodeKind::Mapping(entries) => entries.iter().flat_map(|(key, value)| [key, value]).fold(own, add),
        }
    }
}

/// What is left of what a configuration may come to. Once something was too much, everything is.
pub struct Budget {
    nodes: Cell<usize>,
    bytes: Cell<usize>,
    spent: RefCell<Option<(usize, YamlProblem)>>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { nodes: Cell::new(MAX_NODES), bytes: Cell::new(MAX_TEXT), spent: RefCell::new(None) }
    }
}

impl Budget {
    /// Takes what a tree needs, which stands on a line; whether that was there.
    pub fn take(&self, line: usize, size: Size) -> bool {
        if self.is_spent() {
            return false;
        }
        let problem =
            match (self.nodes.get().checked_sub(size.nodes), self.bytes.get().checked_sub(size.bytes)) {
                (Some(nodes), Some(bytes)) => {
                    self.nodes.set(nodes);
                    self.bytes.set(bytes);
                    return true;
                }
                (None, _) => YamlProblem::TooManyNodes { limit: MAX_NODES },
                (Some(_), None) => YamlProblem::TooManyBytes { limit: MAX_TEXT },
            };
        *self.spent.borrow_mut() = Some((line, problem));
        false
    }

    /// The same for a single text.
    pub fn take_text(&self, line: usize, bytes: usize) -> bool {
        self.take(line, Size { nodes: 1, bytes, height: 0 })
    }

    /// Whether something was too much already.
    pub fn is_spent(&self) -> bool {
        self.spent.borrow().is_some()
    }

    /// What was too much, if anything was: whatever else is found follows from it.
    pub fn settle<P: From<YamlProblem>>(&self, found: &mut Vec<(usize, P)>) {
        if let Some((line, problem)) = self.spent.take() {
            *found = vec![(line, problem.into())];
        }
    }
}
