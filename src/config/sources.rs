//! A configuration without a file: from `--db`/`--replica`, or from the environment alone.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::error::{Error, Origin, Problem};
use super::load::{Document, LoadOptions};
use super::model::Config;
use super::node::{Node, NodeKind, Variable};
use super::path::strip_sqlite;
use super::url::{escape, is_nats, is_url, with_path};
use super::variables::Env;

impl Config {
    /// The databases and replicas of the command line, in pairs.
    ///
    /// A replica is a URL, or a folder that is clearly one: `/…`, `./…`, `../…`, `~/…`.
    ///
    /// # Errors
    /// Without any pair and for another kind of replica the exit code is 64; for what would be wrong
    /// in a file, too, 78.
    pub fn from_pairs(pairs: &[(String, String)], options: &LoadOptions<'_>) -> Result<Self, Error> {
        if pairs.is_empty() {
            return Err(Error::nothing_given());
        }
        let mut databases = Vec::new();
        for (database, replica) in pairs {
            let replica = replica_of(replica).ok_or_else(|| {
                Error::new(Origin::CommandLine, 0, 0, Problem::ReplicaNotUrl { database: database.clone() })
            })?;
            databases.push((database.clone(), replica));
        }
        Self::of(Origin::CommandLine, databases, options)
    }

    /// The database of `DATABASE_URL` with the replica of `LITESTREAM_REPLICA_URL`, or of
    /// `LITESTREAM_REPLICA_BUCKET` with `_PATH` (the file's name if not set), `_REGION` and `_ENDPOINT`.
    ///
    /// None if the environment names no replica. An empty variable is the same as none.
    ///
    /// # Errors
    /// When a replica is there, but `DATABASE_URL` is missing or names no SQLite file.
    pub fn from_environment(options: &LoadOptions<'_>) -> Result<Option<Self>, Error> {
        match from_variables(options, "")? {
            Some(database) => Self::of(Origin::Environment, vec![database], options).map(Some),
            None => Ok(None),
        }
    }

    /// The same tree that a file with these databases would have.
    fn of(origin: Origin, databases: Vec<(String, Node)>, options: &LoadOptions<'_>) -> Result<Self, Error> {
        let root = Node::mapping([("dbs", entries(databases))]);
        Document { origin, text: String::new(), root, unset: Vec::new(), traces: Default::default() }
            .config(options)
    }
}

/// The database and the replica that the environment names, see [`Config::from_environment`]; a path in
/// the bucket that is not said is the file's name below `prefix`.
pub(super) fn from_variables(
    options: &LoadOptions<'_>,
    prefix: &str,
) -> Result<Option<(String, Node)>, Error> {
    let env = options.env;
    let (url, bucket) = (set(env, REPLICA_URL), set(env, REPLICA_BUCKET));
    let replica_variable = match (&url, &bucket) {
        (Some(_), _) => REPLICA_URL,
        (None, Some(_)) => REPLICA_BUCKET,
        (None, None) => return Ok(None),
    };
    let fail = |problem| Error::new(Origin::Environment, 0, 0, problem);
    let database_url =
        set(env, "DATABASE_URL").ok_or_else(|| fail(Problem::NoDatabaseUrl { replica: replica_variable }))?;
    let database = database_of(&database_url).map_err(fail)?;
    let replica = match (url, bucket) {
        (Some(url), _) => Node::mapping([("url", url_node(url, Variable::Named(REPLICA_URL.to_owned())))]),
        (None, bucket) => {
            let name = database.rsplit('/').next().unwrap_or_default().to_owned();
            let path = set(env, REPLICA_PATH).unwrap_or_else(|| join(prefix.trim_start_matches('/'), &name));
            in_bucket(env, bucket.unwrap_or_default(), path)
        }
    };
    Ok(Some((database, replica)))
}

/// Databases as they stand in a file. `replicas` with one entry is the form that every version takes.
pub(super) fn entries(databases: Vec<(String, Node)>) -> Node {
    let entry = |(path, replica)| {
        Node::mapping([("path", Node::text(path)), ("replicas", Node::list(vec![replica]))])
    };
    Node::list(databases.into_iter().map(entry).collect())
}

/// The replica in the environment for a database that has none of its own: each has its place there, `tail`.
pub(super) fn default_replica(env: Env<'_>, tail: &str) -> Option<Node> {
    if let Some(url) = set(env, REPLICA_URL) {
        let url = if is_nats(&url) { url } else { with_path(&url, |path| join(path, &escape(tail))) };
        return Some(Node::mapping([("url", url_node(url, Variable::Own))]));
    }
    let path = join(&set(env, REPLICA_PATH).unwrap_or_default(), tail);
    set(env, REPLICA_BUCKET).map(|bucket| in_bucket(env, bucket, path))
}

/// `tail` below `path`, where an empty path is none.
pub(super) fn join(path: &str, tail: &str) -> String {
    if path.is_empty() { tail.to_owned() } else { format!("{}/{tail}", path.trim_end_matches('/')) }
}

const REPLICA_URL: &str = "LITESTREAM_REPLICA_URL";
const REPLICA_BUCKET: &str = "LITESTREAM_REPLICA_BUCKET";
const REPLICA_PATH: &str = "LITESTREAM_REPLICA_PATH";
const REPLICA_REGION: &str = "LITESTREAM_REPLICA_REGION";
const REPLICA_ENDPOINT: &str = "LITESTREAM_REPLICA_ENDPOINT";

/// The variables that a replica is made of, and the key of each in a file.
pub(super) const REPLICA_VARIABLES: [(&str, &str); 5] = [
    (REPLICA_URL, "url"),
    (REPLICA_BUCKET, "bucket"),
    (REPLICA_PATH, "path"),
    (REPLICA_REGION, "region"),
    (REPLICA_ENDPOINT, "endpoint"),
];

fn set(env: Env<'_>, name: &str) -> Option<String> {
    env(name).filter(|value| !value.is_empty())
}

fn in_bucket(env: Env<'_>, bucket: String, path: String) -> Node {
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
}

/// A URL from the environment, which stays there if it may hold a password.
fn url_node(url: String, variable: Variable) -> Node {
    let may_hold_secret = url.contains(['@', '?']);
    let mut node = Node::text(url);
    if let NodeKind::Scalar(scalar) = &mut node.kind {
        scalar.variable = may_hold_secret.then_some(variable);
    }
    node
}

fn replica_of(text: &str) -> Option<Node> {
    let folder = text == "~" || ["/", "./", "../", "~/"].iter().any(|start| text.starts_with(start));
    match (is_url(text), folder) {
        (true, _) => Some(Node::mapping([("url", url_node(text.to_owned(), Variable::Own))])),
        (false, true) => Some(Node::mapping([("path", Node::text(text))])),
        (false, false) => None,
    }
}

/// The file that a `DATABASE_URL` names. Relative ones stay relative.
fn database_of(url: &str) -> Result<String, Problem> {
    let without_query = |text: &str| text.split(['?', '#']).next().unwrap_or_default().to_owned();
    let stripped = strip_sqlite(url);
    let path = if stripped.len() < url.len() {
        without_query(stripped)
    } else if let Some(rest) = url.strip_prefix("sqlite3:").or_else(|| url.strip_prefix("sqlite:")) {
        without_query(rest)
    } else if let Some(rest) = url.strip_prefix("file:") {
        file_uri(&without_query(rest))
    } else if let Some(scheme) = foreign_scheme(url) {
        return Err(Problem::ForeignDatabaseUrl { scheme: scheme.to_owned() });
    } else {
        url.to_owned()
    };
    let memory = path.trim_start_matches('/') == ":memory:" || url.contains("mode=memory");
    if memory || path.is_empty() { Err(Problem::MemoryDatabaseUrl) } else { Ok(path) }
}

/// SQLite's own URI form: `file:rel`, `file:/abs`, `file:///abs`, `file://localhost/abs`, `%` escapes.
fn file_uri(rest: &str) -> String {
    let path = match rest.strip_prefix("//") {
        Some(rest) => rest.strip_prefix("localhost").filter(|rest| rest.starts_with('/')).unwrap_or(rest),
        None => rest,
    };
    percent_decode_str(path).decode_utf8().map_or_else(|_| path.to_owned(), Cow::into_owned)
}

fn foreign_scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.'));
    is_scheme.then_some(scheme)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::core::ExitCode;

    fn options<'a>(env: &'a dyn Fn(&str) -> Option<String>) -> LoadOptions<'a> {
        LoadOptions {
            no_expand_env: false,
            env,
            cwd: Path::new("/srv"),
            home: Some(Path::new("/home/me")),
            pid: 1,
        }
    }

    fn pairs(pairs: &[(&str, &str)]) -> Result<Config, Error> {
        let pairs: Vec<_> = pairs.iter().map(|(db, url)| ((*db).to_owned(), (*url).to_owned())).collect();
        Config::from_pairs(&pairs, &options(&|_| None))
    }

    fn environment(vars: &[(&str, &str)]) -> Result<Option<Config>, Error> {
        let env =
            |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Config::from_environment(&options(&env))
    }

    #[test]
    fn pairs_become_databases() {
        let config = pairs(&[("app.db", "s3://b/app"), ("~/b.db", "./backup")]).expect("valid pairs");
        let places: Vec<_> =
            config.databases().iter().map(|d| (d.path.clone(), d.replicas[0].display.as_str())).collect();
        assert_eq!(
            places,
            [("/srv/app.db".into(), "s3://b/app"), (PathBuf::from("/home/me/b.db"), "/srv/backup")]
        );
    }

    #[test]
    fn wrong_pairs_are_a_usage_error_and_twins_a_configuration_error() {
        assert_eq!(pairs(&[]).expect_err("no pairs").exit(), ExitCode::USAGE);
        let error = pairs(&[("a.db", "bucket/path")]).expect_err("no URL");
        assert_eq!(
            error.to_string(),
            "command line: the replica of `a.db` is neither a URL nor an absolute path"
        );
        assert_eq!(error.exit(), ExitCode::USAGE);
        let error = pairs(&[("a.db", "s3://b/p"), ("b.db", "s3://b/p/")]).expect_err("twins");
        assert_eq!(
            error.to_string(),
            "command line: the databases `/srv/a.db` and `/srv/b.db` have the same replica, s3://b/p"
        );
        assert_eq!(error.exit(), ExitCode::CONFIG);
    }

    #[test]
    fn the_environment_alone_is_enough() {
        assert!(environment(&[("DATABASE_URL", "sqlite:a.db")]).expect("nothing wrong").is_none());
        let config = environment(&[
            ("DATABASE_URL", "sqlite3:db/a.db?pool=5"),
            ("LITESTREAM_REPLICA_BUCKET", "b"),
            ("LITESTREAM_REPLICA_PATH", ""),
            ("LITESTREAM_REPLICA_ENDPOINT", "http://minio:9000"),
        ]);
        let config = config.expect("nothing wrong").expect("a configuration");
        assert_eq!(config.databases()[0].path, PathBuf::from("/srv/db/a.db"));
        assert_eq!(config.databases()[0].replicas[0].display, "s3://b/a.db");
        let url = environment(&[("DATABASE_URL", "/x.db"), ("LITESTREAM_REPLICA_URL", "gs://b/p")]);
        let url = url.expect("nothing wrong").expect("a configuration");
        assert_eq!(url.databases()[0].replicas[0].display, "gs://b/p");
    }

    #[test]
    fn database_urls_name_files() {
        for (url, path) in [
            ("sqlite:a.db", "a.db"),
            ("sqlite:///data/a.db", "/data/a.db"),
            ("sqlite:////data/a.db", "//data/a.db"),
            ("sqlite3://a.db?mode=rwc", "a.db"),
            ("file:./dev.db", "./dev.db"),
            ("file:/data/a%20b.db?mode=rw", "/data/a b.db"),
            ("file:///data/a.db", "/data/a.db"),
            ("file://localhost/data/a.db", "/data/a.db"),
            ("storage/a.db", "storage/a.db"),
        ] {
            assert_eq!(database_of(url), Ok(path.to_owned()), "{url}");
        }
        for url in
            ["sqlite::memory:", "sqlite://:memory:", "sqlite3:///:memory:", "file:x?mode=memory", "sqlite:"]
        {
            assert_eq!(database_of(url), Err(Problem::MemoryDatabaseUrl), "{url}");
        }
    }

    #[test]
    fn another_database_is_refused_without_its_password() {
        let error = environment(&[
            ("DATABASE_URL", "postgres://u:hunter2@h/d"),
            ("LITESTREAM_REPLICA_URL", "s3://b/p"),
        ])
        .expect_err("not SQLite");
        assert_eq!(error.to_string(), "environment: DATABASE_URL is a `postgres:` URL, not a SQLite file");
        assert!(!format!("{error:?}").contains("hunter2"));
        let error = environment(&[("LITESTREAM_REPLICA_BUCKET", "b")]).expect_err("no database");
        assert_eq!(
            error.to_string(),
            "environment: LITESTREAM_REPLICA_BUCKET is set, but DATABASE_URL, which names the database, is not"
        );
        assert_eq!(error.exit(), ExitCode::CONFIG);
    }
}
