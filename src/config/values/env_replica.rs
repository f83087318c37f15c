//! Where the environment, or an option in its place, has the replica of a database that has none of its own.

use super::options::Env;
use super::unread::of_replica;
use crate::config::given::Given;
use crate::config::model::url::{escape, is_nats, is_url, with_path};
use crate::yaml::{Node, NodeKind, Variable};

/// The replica that the environment has for a database.
pub(in crate::config) struct EnvReplica {
    /// Its replica.
    pub(in crate::config) replica: Node,
    /// What the same variables can mean as well, the whole place or one below it: a backup that was made when they were read
    /// so is there, and is not to be passed over.
    pub(in crate::config) other: Option<Node>,
}

/// Returns what is wrong with the variables that name the environment's replica.
pub(in crate::config) fn wrong(env: Env<'_>) -> Vec<Given> {
    of_replica(REPLICA_URL, &[REPLICA_BUCKET, REPLICA_PATH, REPLICA_REGION, REPLICA_ENDPOINT], env)
}

/// Databases as they stand in a file. `replicas` with one entry is the form that every version takes.
pub(in crate::config) fn entries(databases: Vec<(String, Node)>) -> Node {
    Node::list(databases.into_iter().map(|(path, replica)| entry(path, replica)).collect())
}

pub(in crate::config) fn entry(path: String, replica: Node) -> Node {
    Node::mapping([("path", Node::text(path)), ("replicas", Node::list(vec![replica]))])
}

/// Says whether the environment names a replica for databases that have none.
pub fn names_replica(env: Env<'_>) -> bool {
    set(env, REPLICA_URL).or_else(|| set(env, REPLICA_BUCKET)).is_some()
}

/// Returns the place in the environment for a database that has none of its own: each is `tail` there, but for one
/// that has the path in the bucket `alone`.
pub(in crate::config) fn default_replica(env: Env<'_>, tail: &str, alone: bool) -> Option<EnvReplica> {
    if let Some(url) = set(env, REPLICA_URL) {
        let own = if is_nats(&url) { None } else { Some(with_path(&url, |path| join(path, &escape(tail)))) };
        // The whole bucket is not taken for one database's.
        let other = below(&url, tail).map(|_| at_url(url.clone(), Variable::Own));
        return Some(EnvReplica { replica: at_url(own.unwrap_or(url), Variable::Own), other });
    }
    set(env, REPLICA_BUCKET).map(|bucket| in_bucket(env, &bucket, tail, alone))
}

/// Returns a URL's place below its path, if it has one.
pub(in crate::config) fn below(url: &str, tail: &str) -> Option<String> {
    let mut has_path = false;
    let below = with_path(url, |path| {
        has_path = !path.trim_matches('/').is_empty();
        join(path, &escape(tail))
    });
    (has_path && !is_nats(url)).then_some(below)
}

/// Joins `tail` to `path`; an empty one of them counts as not set.
pub(in crate::config) fn join(path: &str, tail: &str) -> String {
    match (path, tail) {
        ("", only) | (only, "") => only.to_owned(),
        (path, tail) => format!("{}/{tail}", path.trim_end_matches('/')),
    }
}

pub(in crate::config) const REPLICA_URL: &str = "LITESTREAM_REPLICA_URL";
pub(in crate::config) const REPLICA_BUCKET: &str = "LITESTREAM_REPLICA_BUCKET";
const REPLICA_PATH: &str = "LITESTREAM_REPLICA_PATH";
const REPLICA_REGION: &str = "LITESTREAM_REPLICA_REGION";
const REPLICA_ENDPOINT: &str = "LITESTREAM_REPLICA_ENDPOINT";

/// The variables that a replica is made of, and the key of each in a file.
pub(in crate::config) const VARIABLES: [(&str, &str); 5] = [
    (REPLICA_URL, "url"),
    (REPLICA_BUCKET, "bucket"),
    (REPLICA_PATH, "path"),
    (REPLICA_REGION, "region"),
    (REPLICA_ENDPOINT, "endpoint"),
];

pub(in crate::config) fn set(env: Env<'_>, name: &str) -> Option<String> {
    env(name).filter(|value| !value.is_empty())
}

/// Makes a replica in the bucket. What `_PATH` says is the whole path of a database that has it `alone`, as it is for
/// images that put the variable into their configuration; of several, each is `tail` below it.
pub(in crate::config) fn in_bucket(env: Env<'_>, bucket: &str, tail: &str, alone: bool) -> EnvReplica {
    let at = |path: String| {
        let mut replica = Node::mapping([
            ("type", Node::plain("s3")),
            ("bucket", Node::text(bucket)),
            ("path", Node::text(path)),
        ]);
        for (key, name) in [("region", REPLICA_REGION), ("endpoint", REPLICA_ENDPOINT)] {
            if let Some(value) = set(env, name) {
                replica.set(key, Node::text(value));
            }
        }
        replica
    };
    let path = set(env, REPLICA_PATH).map(|path| path.trim_end_matches('/').to_owned());
    let Some(whole) = path.filter(|path| !path.is_empty()) else {
        return EnvReplica { replica: at(tail.to_owned()), other: None };
    };
    let below = join(&whole, tail);
    let (own, other) = if alone { (whole, below) } else { (below, whole) };
    EnvReplica { replica: at(own), other: Some(at(other)) }
}

pub(in crate::config) fn at_url(url: String, variable: Variable) -> Node {
    Node::mapping([("url", url_node(url, variable))])
}

/// Returns a URL from the environment, which stays there if it may hold a password.
fn url_node(url: String, variable: Variable) -> Node {
    let may_hold_secret = url.contains(['@', '?']);
    let mut node = Node::text(url);
    if let NodeKind::Scalar(scalar) = &mut node.kind {
        scalar.variable = may_hold_secret.then_some(variable);
    }
    node
}

/// Says whether this is a place as `--replica` has it: a URL, or a folder that is clearly one.
pub fn is_place(text: &str) -> bool {
    replica_of(text).is_some()
}

/// Puts `tail` below such a place.
pub(in crate::config) fn below_place(text: &str, tail: &str) -> Option<Node> {
    match (is_url(text), is_nats(text)) {
        (true, true) => replica_of(text),
        (true, false) => Some(at_url(with_path(text, |path| join(path, &escape(tail))), Variable::Own)),
        (false, _) => replica_of(text).and_then(|_| replica_of(&join(text, tail))),
    }
}

pub(in crate::config) fn replica_of(text: &str) -> Option<Node> {
    let folder = text == "~" || ["/", "./", "../", "~/"].iter().any(|start| text.starts_with(start));
    match (is_url(text), folder) {
        (true, _) => Some(at_url(text.to_owned(), Variable::Own)),
        (false, true) => Some(Node::mapping([("path", Node::text(text))])),
        (false, false) => None,
    }
}
