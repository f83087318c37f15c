//! The configuration that Litestream gets.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::model::path::Base;
use crate::config::model::settings::text;
use crate::config::model::url::is_url;
use crate::config::model::whole::Config;
use crate::config::schema::Series;
use crate::yaml::{Node, NodeKind, emit};

/// What the keeper decides about the generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateOptions {
    /// The control socket that Litestream makes. Ignored by versions before 0.5.7.
    pub socket: PathBuf,
    /// How long Litestream may sync one database at its end; whole milliseconds.
    pub shutdown_sync_timeout: Duration,
    /// The Litestream that reads the file.
    pub series: Series,
}

/// What Litestream gets. No `Debug`: both parts may hold secrets.
pub struct Generated {
    /// The file. It holds the secrets that are written out in the user's.
    pub text: String,
    /// Variables that Litestream needs beside those of the environment.
    pub env: Vec<(String, String)>,
}

const HEADER: &str = "# Written by Litekeeper at each start. Change your own configuration instead.\n";

impl Config {
    /// Returns the user's settings, unchanged in meaning, as Litestream gets them.
    ///
    /// `exec` and `litekeeper` are taken out; the socket, JSON logs on stderr and the timeout are put
    /// in; paths are absolute, so that neither user nor working directory matter. For 0.3, which
    /// silently ignores `replica`, it becomes `replicas`. A secret that came from the environment is
    /// written as its variable again, and Litestream has to expand it: no `-no-expand-env`. Of the
    /// `$` that mean themselves none is left.
    ///
    /// A path that is no UTF-8 has no place in YAML: it is left as it was written.
    pub fn generate(&self, options: &GenerateOptions) -> Generated {
        let emitted = emit(&self.tree(options));
        Generated { text: format!("{HEADER}{}", emitted.text), env: emitted.env }
    }

    /// Does as [`Config::generate`], for a Litestream that ends by itself and is asked nothing: there is no socket,
    /// which has to fit a short path, and no database is waited for at its end, where what fails fails for a reason.
    pub fn generate_once(&self, series: Series) -> Generated {
        self.generate_alone(series, Duration::from_secs(1))
    }

    /// Does as [`Config::generate`], for a Litestream without a keeper: there is no socket.
    pub fn generate_alone(&self, series: Series, shutdown_sync_timeout: Duration) -> Generated {
        let socket = PathBuf::new();
        let mut root = self.tree(&GenerateOptions { socket, shutdown_sync_timeout, series });
        root.set("socket", Node::mapping([("enabled", Node::plain("false"))]));
        let emitted = emit(&root);
        Generated { text: format!("{HEADER}{}", emitted.text), env: emitted.env }
    }

    /// Does as [`Config::generate`], for each of these databases by itself: what a Litestream that is asked about one
    /// need not read of all others, which costs it more than all else where there are many.
    pub fn generate_apart(
        &self,
        options: &GenerateOptions,
        wanted: &BTreeSet<PathBuf>,
    ) -> Vec<(PathBuf, Generated)> {
        let mut root = self.tree(options);
        let entries = items_mut(&mut root, "dbs").map(std::mem::take).unwrap_or_default();
        let of = |entry: Node| {
            let path = text(&entry, "path")
                .ok()
                .flatten()
                .map(PathBuf::from)
                .filter(|path| wanted.contains(path))?;
            let mut alone = root.clone();
            alone.set("dbs", Node::list(vec![entry]));
            let emitted = emit(&alone);
            Some((path, Generated { text: format!("{HEADER}{}", emitted.text), env: emitted.env }))
        };
        entries.into_iter().filter_map(of).collect()
    }

    /// Returns the same as a tree, whose parts know where they were written.
    pub fn tree(&self, options: &GenerateOptions) -> Node {
        let mut root = if self.root().is_mapping() { self.root().clone() } else { Node::mapping([]) };
        let logging = logging(root.remove("logging"));
        for key in ["exec", "litekeeper", "socket", "shutdown-sync-timeout"] {
            root.remove(key);
        }
        if let Some(entries) = items_mut(&mut root, "dbs") {
            for entry in entries {
                fix_entry(entry, &self.base(), options.series);
            }
        }
        let place = self.root().get("socket").and_then(|socket| socket.get("path"));
        let place = place.filter(|_| self.socket().is_some());
        root.set("socket", socket(&options.socket, place, self.socket_permissions()));
        root.set("logging", logging);
        root.set("shutdown-sync-timeout", Node::plain(go_duration(options.shutdown_sync_timeout)));
        root
    }
}

/// Returns a tree as YAML, for people: what is in a variable is shown as `${NAME}`.
pub fn to_yaml(node: &Node) -> String {
    emit(node).text
}

/// Makes the setting `socket`; `place` is where the user wrote the path.
fn socket(path: &Path, place: Option<&Node>, permissions: Option<Node>) -> Node {
    let line = place.map_or(0, |place| place.line);
    Node::mapping([
        ("enabled", Node::plain("true")),
        ("path", Node { line, ..Node::text(path.to_string_lossy()) }),
        ("permissions", permissions.unwrap_or_else(|| Node::plain("0600"))),
    ])
}

/// Returns the user's level and source, but JSON on stderr.
fn logging(users: Option<Node>) -> Node {
    let mut logging = users.filter(Node::is_mapping).unwrap_or_else(|| Node::mapping([]));
    // That a snapshot was made is told at this level, and the keeper has to know of it.
    let level = logging.get("level").and_then(Node::as_str).unwrap_or_default();
    if !["debug", "trace"].iter().any(|more| level.eq_ignore_ascii_case(more)) {
        logging.set("level", Node::plain("info"));
    }
    logging.set("type", Node::plain("json"));
    logging.set("stderr", Node::plain("true"));
    logging
}

fn fix_entry(entry: &mut Node, base: &Base<'_>, series: Series) {
    for key in ["path", "dir", "meta-path", "meta-dir"] {
        fix_path(entry, key, base);
    }
    // Litestream would take an empty one for the working directory.
    if entry.entry("meta-path").is_some_and(|meta| meta.as_str().is_none_or(str::is_empty)) {
        entry.remove("meta-path");
    }
    if series == Series::V03
        && let Some(replica) = entry.remove("replica").filter(|replica| !replica.is_null())
    {
        entry.set("replicas", Node::list(vec![replica]));
    }
    if let Some(replicas) = items_mut(entry, "replicas") {
        replicas.iter_mut().for_each(|replica| fix_replica(replica, base, series));
    }
    if let Some(mut replica) = entry.remove("replica") {
        fix_replica(&mut replica, base, series);
        entry.set("replica", replica);
    }
}

/// Makes the folder of a file replica absolute (a `file://` URL always is), and calls Google's storage
/// what this series calls it.
fn fix_replica(replica: &mut Node, base: &Base<'_>, series: Series) {
    let (other, name) = match series {
        Series::V03 => ("gs", "gcs"),
        Series::V05 => ("gcs", "gs"),
    };
    if replica.get("type").and_then(Node::as_str) == Some(other) {
        replica.set("type", Node::plain(name));
    }
    let place = replica.get("url").and_then(Node::as_str);
    if let Some(place) = place.and_then(|url| url.strip_prefix(other)?.strip_prefix("://")) {
        replica.set("url", Node::text(format!("{name}://{place}")));
    }
    let url = replica.get("url").and_then(Node::as_str).unwrap_or_default().to_owned();
    if let Some(folder) = url.strip_prefix("file:").filter(|_| !is_url(&url)) {
        let folder = folder.split(['?', '#']).next().unwrap_or_default().to_owned();
        replica.remove("url");
        replica.set("path", Node::text(folder));
    }
    let is_file =
        replica.get("type").and_then(Node::as_str).is_none_or(|kind| kind.is_empty() || kind == "file");
    if is_file && !is_url(&url) {
        fix_path(replica, "path", base);
    }
}

fn fix_path(node: &mut Node, key: &'static str, base: &Base<'_>) {
    let absolute = match text(node, key) {
        Ok(Some(path)) => base.absolute(key, path).ok(),
        Ok(None) | Err(_) => None,
    };
    if let Some(path) = absolute.as_deref().and_then(Path::to_str) {
        let (line, column) = node.get(key).map_or((0, 0), |written| (written.line, written.column));
        node.set(key, Node { line, column, ..Node::text(path) });
    }
}

fn items_mut<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Vec<Node>> {
    let NodeKind::Mapping(entries) = &mut node.kind else { return None };
    entries.iter_mut().find(|(known, _)| known.key() == key).and_then(|(_, value)| match &mut value.kind {
        NodeKind::Sequence(items) => Some(items),
        NodeKind::Scalar(_) | NodeKind::Mapping(_) => None,
    })
}

/// Returns a duration as Go reads it: `4s`, `4500ms`.
fn go_duration(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}
