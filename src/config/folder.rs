//! One database of a folder, as an entry of its own: what Litestream makes of it when it finds the file
//! (`newDBFromDirectoryEntry` in the main.go of 0.5), for what Litestream does not do itself, a restore.

use std::path::Path;

use serde_json::{Map, Value};

use super::database::text;
use super::model::Config;
use super::node::{Node, NodeKind};
use super::scalar::Resolved;
use super::url::{go_path, is_url};

impl Config {
    /// The database `below` the `place`-th folder, as it could stand under `dbs`; none for a folder that is
    /// not there, and for a name that is no UTF-8.
    pub fn in_folder(&self, place: usize, below: &Path) -> Option<Value> {
        let node = self.folder_node(place)?;
        let name = below.file_name()?.to_str()?;
        let relative = below.to_str()?;
        let directory = self.directories().get(place)?;
        let Value::Object(mut entry) = json(node) else { return None };
        for key in ["dir", "pattern", "recursive", "watch"] {
            entry.remove(key);
        }
        entry.insert("path".into(), directory.dir.join(below).to_str()?.into());
        let own = |key| text(node, key).ok().flatten();
        if let Some(base) = own("meta-dir") {
            entry.remove("meta-dir");
            entry.insert("meta-path".into(), format!("{}/{relative}-litestream", trimmed(base)).into());
        } else if let Some(base) = own("meta-path") {
            let parent = below.parent().and_then(Path::to_str).filter(|parent| !parent.is_empty());
            let parent = parent.map_or_else(String::new, |parent| format!("/{parent}"));
            entry.insert("meta-path".into(), format!("{}{parent}/.{name}-litestream", trimmed(base)).into());
        }
        if let Some(Value::Object(replica)) = entry.get_mut("replica") {
            move_below(replica, relative);
        }
        if let Some(Value::Array(replicas)) = entry.get_mut("replicas") {
            replicas
                .iter_mut()
                .filter_map(Value::as_object_mut)
                .for_each(|replica| move_below(replica, relative));
        }
        Some(Value::Object(entry))
    }

    pub(super) fn folder_node(&self, place: usize) -> Option<&Node> {
        let entries = self.root().get("dbs").and_then(Node::as_list)?;
        entries.iter().filter(|entry| text(entry, "dir").is_ok_and(|dir| dir.is_some())).nth(place)
    }
}

/// `cloneReplicaConfigWithRelativePath`.
fn move_below(replica: &mut Map<String, Value>, below: &str) {
    let get = |key: &str| replica.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(url) = get("url") {
        let at = url.find(['?', '#']).unwrap_or(url.len());
        let (place, rest) = url.split_at(at);
        // A bucket without a path has a slash to come.
        let separator = if is_url(url) && place.ends_with("//") { "" } else { "/" };
        let moved = format!("{}{separator}{}{rest}", trimmed(place), go_path(below));
        replica.insert("url".into(), moved.into());
        return;
    }
    let moved = get("path").map_or_else(|| below.to_owned(), |path| format!("{}/{below}", trimmed(path)));
    replica.insert("path".into(), moved.into());
}

fn trimmed(path: &str) -> &str {
    if path == "/" { "" } else { path.trim_end_matches('/') }
}

fn json(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Sequence(items) => items.iter().map(json).collect(),
        NodeKind::Mapping(entries) => {
            Value::Object(entries.iter().map(|(key, value)| (key.key().to_owned(), json(value))).collect())
        }
        NodeKind::Scalar(scalar) => {
            let number = || serde_json::from_str::<serde_json::Number>(&scalar.text).ok().map(Value::Number);
            match scalar.resolve() {
                Resolved::Null => Value::Null,
                Resolved::Bool(value) => Value::Bool(value),
                Resolved::Int(value) => {
                    number().unwrap_or_else(|| i64::try_from(value).map_or(Value::Null, Value::from))
                }
                Resolved::Float(_) => number().unwrap_or_else(|| Value::String(scalar.text.clone())),
                Resolved::Text => Value::String(scalar.text.clone()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{LoadOptions, load};
    use std::path::Path;

    fn entry(yaml: &str, below: &str) -> serde_json::Value {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("litestream.yml");
        std::fs::write(&path, format!("dbs:\n- path: a.db\n  replica: {{path: /a}}\n- {yaml}\n"))
            .expect("a file");
        let none = |_: &str| None;
        let options =
            LoadOptions { no_expand_env: true, env: &none, cwd: Path::new("/srv"), home: None, pid: 1 };
        let config = load(&path, &options).expect("a sound file");
        let entry = config.in_folder(0, Path::new(below)).expect("a folder");
        config.with_databases(&serde_json::json!([entry]).to_string(), &none).expect("a sound entry");
        entry
    }

    #[test]
    fn a_file_of_a_folder_is_a_database_of_its_own() {
        let dir = "{dir: t, pattern: '*.db', recursive: true, watch: yes, meta-path: /m, replica: {type: s3, bucket: b, path: base/, part-size: 5, force-path-style: on}}";
        insta::assert_snapshot!(entry(dir, "x/1 2.db"), @r#"{"meta-path":"/m/x/.1 2.db-litestream","path":"/srv/t/x/1 2.db","replica":{"bucket":"b","force-path-style":true,"part-size":5,"path":"base/x/1 2.db","type":"s3"}}"#);
        let dir = "{dir: t, pattern: '*.db', meta-dir: /m, replicas: [{url: 's3://b/base?region=r'}]}";
        insta::assert_snapshot!(entry(dir, "1 2.db"), @r#"{"meta-path":"/m/1 2.db-litestream","path":"/srv/t/1 2.db","replicas":[{"url":"s3://b/base/1%202.db?region=r"}]}"#);
        let dir = "{dir: t, pattern: '*.db', replica: {path: /backup}}";
        insta::assert_snapshot!(entry(dir, "1.db"), @r#"{"path":"/srv/t/1.db","replica":{"path":"/backup/1.db"}}"#);
    }
}
