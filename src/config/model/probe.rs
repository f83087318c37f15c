//! One replica of a configuration alone, to be tried out.

use std::path::Path;

use super::settings::text;
use super::whole::Config;
use crate::config::schema::Section;
use crate::yaml::{Node, NodeKind, Variable};

/// Whose replica it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The n-th of [`Config::databases`].
    Database(usize),
    /// The n-th of [`Config::directories`].
    Directory(usize),
}

/// Returns a configuration of `database` alone on this replica, or in the folder `below` it: with nothing of
/// the file but the replica's settings, so that no port is opened and nobody is told.
///
/// None if there is no such replica.
pub fn probe(
    config: &Config,
    owner: Owner,
    replica: usize,
    database: &Path,
    below: Option<&str>,
) -> Option<Config> {
    let entries = config.root().get("dbs").and_then(Node::as_list)?;
    let is_directory = |entry: &&Node| matches!(text(entry, "dir"), Ok(Some(_)));
    let entry = match owner {
        Owner::Database(number) if config.directories().is_empty() => entries.get(number)?,
        Owner::Database(number) => entries.iter().filter(|entry| !is_directory(entry)).nth(number)?,
        Owner::Directory(number) => entries.iter().filter(is_directory).nth(number)?,
    };
    let several = entry.get("replicas").and_then(Node::as_list).unwrap_or_default();
    let mut replica = entry.get("replica").into_iter().chain(several).nth(replica)?.clone();
    if let Some(folder) = below {
        go_below(&mut replica, folder);
    }
    // There may be thousands of others, and each is tried by itself.
    let is_replicas = |key: &Node| Section::Replica.key(&key.key().replace('_', "-")).is_some();
    let settings: Vec<(Node, Node)> = match &config.root().kind {
        NodeKind::Mapping(entries) => entries.iter().filter(|(key, _)| is_replicas(key)).cloned().collect(),
        NodeKind::Scalar(_) | NodeKind::Sequence(_) => Vec::new(),
    };
    let mut root = Node { kind: NodeKind::Mapping(settings), ..Node::plain("") };
    root.set(
        "dbs",
        Node::list(vec![Node::mapping([
            ("path", Node::text(database.to_string_lossy())),
            ("replicas", Node::list(vec![replica])),
        ])]),
    );
    Some(config.with_tree(root))
}

/// Appends a folder to where a replica is: to the path of its URL, or to `path`.
fn go_below(replica: &mut Node, folder: &str) {
    let key = if matches!(text(replica, "url"), Ok(Some(_))) { "url" } else { "path" };
    let old = replica.get(key).and_then(Node::as_str).unwrap_or_default();
    let (place, rest) =
        old.find(['?', '#']).filter(|_| key == "url").map_or((old, ""), |at| old.split_at(at));
    let place = place.trim_end_matches('/');
    let slash = if place.is_empty() { "" } else { "/" };
    let mut new = Node::text(format!("{place}{slash}{folder}{rest}"));
    if let (NodeKind::Scalar(new), Some(NodeKind::Scalar(old))) =
        (&mut new.kind, replica.get(key).map(|old| &old.kind))
    {
        // What came from the environment stays there.
        new.variable = old.variable.as_ref().map(|_| Variable::Own);
    }
    replica.set(key, new);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_added_where_the_replica_is() {
        for (before, after) in [
            ("url: s3://b/app?endpoint=x", "s3://b/app/probe?endpoint=x"),
            ("url: s3://b", "s3://b/probe"),
            ("url: file:///a/", "file:///a/probe"),
            ("path: /a/b", "/a/b/probe"),
            ("bucket: b", "probe"),
        ] {
            let mut node = crate::yaml::parse(before).map_err(|error| error.2.to_string()).unwrap();
            go_below(&mut node, "probe");
            let place = node.get("url").or(node.get("path")).and_then(Node::as_str);
            assert_eq!(place, Some(after), "{before}");
        }
    }
}
