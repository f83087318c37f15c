//! One database of a folder, as an entry of its own: what Litestream makes of it when it finds the file
//! (`newDBFromDirectoryEntry` in the main.go of 0.5), for what Litestream does not do itself, a restore.

use std::path::{Path, PathBuf};

use super::settings::text;
use super::url::{go_path, is_url};
use super::whole::Config;
use crate::yaml::{Node, NodeKind, Variable};

/// Returns the database `below` the `number`-th folder, as it could stand under `dbs`, with what its values came
/// from; none for a folder that is not there, and for a name that is no UTF-8.
pub fn in_folder(config: &Config, number: usize, below: &Path) -> Option<Node> {
    let node = folder_node(config, number)?;
    let name = below.file_name()?.to_str()?;
    let relative = below.to_str()?;
    let directory = config.directories().get(number)?;
    let mut entry = node.clone();
    for key in ["dir", "pattern", "recursive", "watch"] {
        entry.remove(key);
    }
    entry.set("path", Node::text(directory.dir.join(below).to_str()?));
    let own = |key| text(node, key).ok().flatten();
    if let Some(base) = own("meta-dir") {
        entry.remove("meta-dir");
        entry.set("meta-path", Node::text(format!("{}/{relative}-litestream", trimmed(base))));
    } else if let Some(base) = own("meta-path") {
        let parent = below.parent().and_then(Path::to_str).filter(|parent| !parent.is_empty());
        let parent = parent.map_or_else(String::new, |parent| format!("/{parent}"));
        entry.set("meta-path", Node::text(format!("{}{parent}/.{name}-litestream", trimmed(base))));
    }
    if let Some(replica) = entry.get_mut("replica") {
        move_below(replica, relative);
    }
    if let Some(Node { kind: NodeKind::Sequence(replicas), .. }) = entry.get_mut("replicas") {
        replicas.iter_mut().for_each(|replica| move_below(replica, relative));
    }
    // No line of the file has it.
    entry.place(0);
    Some(entry)
}

/// Returns the path of the database `below` the `number`-th folder; none where [`in_folder`] has none.
pub fn path_in_folder(config: &Config, number: usize, below: &Path) -> Option<PathBuf> {
    below.file_name()?.to_str()?;
    Some(config.directories().get(number)?.dir.join(below)).filter(|path| path.to_str().is_some())
}

pub(in crate::config) fn folder_node(config: &Config, number: usize) -> Option<&Node> {
    let entries = config.root().get("dbs").and_then(Node::as_list)?;
    entries.iter().filter(|entry| text(entry, "dir").is_ok_and(|dir| dir.is_some())).nth(number)
}

/// Does what Litestream's `cloneReplicaConfigWithRelativePath` does.
fn move_below(replica: &mut Node, below: &str) {
    if !replica.is_mapping() {
        return;
    }
    let get = |key: &str| replica.get(key).and_then(Node::as_str).filter(|text| !text.is_empty());
    let (key, moved) = match get("url") {
        Some(url) => {
            let at = url.find(['?', '#']).unwrap_or(url.len());
            let (place, rest) = url.split_at(at);
            // A bucket without a path has a slash to come.
            let separator = if is_url(url) && place.ends_with("//") { "" } else { "/" };
            ("url", format!("{}{separator}{}{rest}", trimmed(place), go_path(below)))
        }
        None => {
            let moved =
                get("path").map_or_else(|| below.to_owned(), |path| format!("{}/{below}", trimmed(path)));
            ("path", moved)
        }
    };
    let mut node = Node::text(moved);
    if let (NodeKind::Scalar(new), Some(NodeKind::Scalar(old))) =
        (&mut node.kind, replica.get(key).map(|old| &old.kind))
    {
        // No variable has exactly this text.
        new.variable = old.variable.as_ref().map(|_| Variable::Own);
    }
    replica.set(key, node);
}

fn trimmed(path: &str) -> &str {
    if path == "/" { "" } else { path.trim_end_matches('/') }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::sound;
    use std::path::Path;

    fn entry(yaml: &str, below: &str) -> String {
        let config = sound(&format!("dbs:\n- path: a.db\n  replica: {{path: /a}}\n- {yaml}\n"));
        let none = |_: &str| None;
        let entry = super::in_folder(&config, 0, Path::new(below)).expect("a folder");
        let (_, result) = config.with_entries(vec![entry.clone()], &[], &none, &none);
        result.expect("a sound entry");
        crate::config::to_yaml(&entry)
    }

    #[test]
    fn a_file_of_a_folder_is_a_database_of_its_own() {
        let dir = "{dir: t, pattern: '*.db', recursive: true, watch: yes, meta-path: /m, replica: {type: s3, bucket: b, path: base/, part-size: 5, force-path-style: on}}";
        insta::assert_snapshot!(entry(dir, "x/1 2.db"), @r#"
        meta-path: "/m/x/.1 2.db-litestream"
        replica:
          type: s3
          bucket: b
          path: "base/x/1 2.db"
          part-size: 5
          force-path-style: on
        path: "/srv/t/x/1 2.db"
        "#);
        let dir = "{dir: t, pattern: '*.db', meta-dir: /m, replicas: [{url: 's3://b/base?region=r'}]}";
        insta::assert_snapshot!(entry(dir, "1 2.db"), @r#"
        replicas:
          - url: "s3://b/base/1%202.db?region=r"
        path: "/srv/t/1 2.db"
        meta-path: "/m/1 2.db-litestream"
        "#);
        let dir = "{dir: t, pattern: '*.db', replica: {path: /backup}}";
        insta::assert_snapshot!(entry(dir, "1.db"), @r#"
        replica:
          path: "/backup/1.db"
        path: "/srv/t/1.db"
        "#);
    }
}
