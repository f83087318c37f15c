//! The one way through a configuration by the table of its settings.

use super::table::{Key, Section, Type};
use crate::yaml::{Node, NodeKind};

/// What stands under a name in a section.
#[derive(Clone, Copy)]
pub(in crate::config) struct KeyValue<'a> {
    pub section: Section,
    pub name: &'a Node,
    /// What the table says of the name, in either spelling.
    pub key: Option<Key>,
    pub value: &'a Node,
}

/// Calls `see` with every entry of `node`, a `section`, and goes on below those that it says yes to; templates of replicas
/// included.
pub(in crate::config) fn walk<'a>(
    node: &'a Node,
    section: Section,
    see: &mut dyn FnMut(KeyValue<'a>) -> bool,
) {
    let NodeKind::Mapping(entries) = &node.kind else { return };
    for (name, value) in entries {
        let key = section.key(&kebab(name));
        if !see(KeyValue { section, name, key, value }) {
            continue;
        }
        match key.map(|key| key.kind) {
            Some(Type::Mapping(inner)) => walk(value, inner, see),
            Some(Type::Mappings(inner)) => {
                value.as_list().unwrap_or_default().iter().for_each(|item| walk(item, inner, see));
            }
            Some(Type::Litekeeper) => {
                if let Some(NodeKind::Mapping(templates)) = value.get("replicas").map(|node| &node.kind) {
                    templates.iter().for_each(|(_, template)| walk(template, Section::Replica, see));
                }
            }
            Some(
                Type::Text | Type::Bool | Type::Int | Type::Duration | Type::Size | Type::Octal | Type::Texts,
            )
            | None => {}
        }
    }
}

/// Returns the name as Litestream spells it; Litekeeper takes snake_case as well.
pub(in crate::config) fn kebab(name: &Node) -> String {
    name.key().replace('_', "-")
}
