//! A configuration without a file: from `--db`/`--replica`, or from the environment alone.

use super::env_database::{self, database_of, half_given, one_path};
use super::file::of_document;
use crate::config::error::{Error, Origin, Problem};
use crate::config::given::Given;
use crate::config::model::path::strip_sqlite;
use crate::config::model::whole::Config;
use crate::config::values::document::Document;
use crate::config::values::env_replica::{entries, entry, replica_of};
use crate::config::values::meant::meant_place;
use crate::config::values::options::LoadOptions;
use crate::config::values::unread::unread;
use crate::yaml::Node;

/// Makes the databases and replicas of the command line, in pairs.
///
/// A replica is a URL, or a folder that is clearly one: `/…`, `./…`, `../…`, `~/…`. A database without one has the
/// environment's, as one in a file has.
///
/// # Errors
/// Without any pair and for another kind of replica the exit code is 64; for what would be wrong
/// in a file, too, 78.
pub fn of_pairs(pairs: &[(String, Option<String>)], options: &LoadOptions<'_>) -> Result<Config, Error> {
    if pairs.is_empty() {
        return Err(Error::nothing_given(None));
    }
    let mut databases = Vec::new();
    let is = |name: &str, text: &str| (options.env)(name).as_deref() == Some(text);
    for (database, replica) in pairs {
        let empty = [("--db", Some(database)), ("--replica", replica.as_ref())];
        if let Some((name, _)) = empty.iter().find(|(_, text)| text.is_some_and(String::is_empty)) {
            let problem = Problem::Given(Given::Empty { name: (*name).to_owned() });
            return Err(Error::new(Origin::CommandLine, 0, 0, problem));
        }
        let is_variable = is("LITEKEEPER_DB", database);
        let name = if is_variable { "LITEKEEPER_DB" } else { "--db" };
        let one = one_path(name, database, is_variable, options.cwd);
        if let Some(given) = unread(name, database, true).or(one) {
            return Err(Error::new(Origin::CommandLine, 0, 0, Problem::Given(given)));
        }
        let path = match database {
            url if strip_sqlite(url) != url => database_of(url, options.cwd)
                .map_err(|problem| Error::new(Origin::CommandLine, 0, 0, problem))?,
            path => path.clone(),
        };
        let Some(replica) = replica else {
            databases.push(Node::mapping([("path", Node::text(path))]));
            continue;
        };
        let said_by = if is("LITEKEEPER_REPLICA", replica) { "LITEKEEPER_REPLICA" } else { "--replica" };
        if let Some(given) = unread(said_by, replica, true) {
            return Err(Error::new(Origin::CommandLine, 0, 0, Problem::Given(given)));
        }
        let replica = replica_of(replica).ok_or_else(|| {
            let meant = meant_place(replica);
            let problem = Problem::ReplicaNotUrl { database: database.clone(), said_by, meant };
            Error::new(Origin::CommandLine, 0, 0, problem)
        })?;
        databases.push(entry(path, replica));
    }
    read(Origin::CommandLine, Node::list(databases), options)
}

/// Makes the database of `DATABASE_URL` with the replica of `LITESTREAM_REPLICA_URL`, or of
/// `LITESTREAM_REPLICA_BUCKET` with `_PATH` (the file's name if not set), `_REGION` and `_ENDPOINT`.
///
/// None if the environment names no replica. An empty variable is the same as none.
///
/// # Errors
/// When a replica is there, but `DATABASE_URL` is missing or names no SQLite file.
pub fn of_environment(options: &LoadOptions<'_>) -> Result<Option<Config>, Error> {
    let Some((database, place)) = env_database::replicated(options, "")? else { return Ok(None) };
    let config = read(Origin::Environment, entries(vec![(database, place.replica)]), options)?;
    Ok(Some(config.with_other(place.other)))
}

/// Returns the same tree that a file with these databases would have.
fn read(origin: Origin, databases: Node, options: &LoadOptions<'_>) -> Result<Config, Error> {
    let root = Node::mapping([("dbs", databases)]);
    let document =
        Document { origin, text: String::new(), root, unset: Vec::new(), traces: Default::default() };
    of_document(document, options)
}

/// Makes the error where nothing names a replica, or nothing at all; `is_file` says what there is in the current folder.
pub fn nothing_given(options: &LoadOptions<'_>, is_file: &dyn Fn(&str) -> bool) -> Error {
    half_given(options).unwrap_or_else(|| Error::nothing_given(seen(is_file)))
}

/// Finds a file that looks like a configuration by its name, and is not one of those that are read.
fn seen(is_file: &dyn Fn(&str) -> bool) -> Option<String> {
    let folders = ["", "config/", "etc/", "deploy/", "docker/", "../"];
    let names = ["litestream.yml", "litestream.yaml", "litekeeper.yml", "litekeeper.yaml"];
    let all = folders.iter().flat_map(|folder| names.iter().map(move |name| format!("{folder}{name}")));
    let mut all = all.chain(["/etc/litestream.yaml".to_owned(), "/etc/litekeeper.yaml".to_owned()]);
    all.find(|file| is_file(file))
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
        let pairs: Vec<_> =
            pairs.iter().map(|(db, url)| ((*db).to_owned(), Some((*url).to_owned()))).collect();
        of_pairs(&pairs, &options(&|_| None))
    }

    fn environment(vars: &[(&str, &str)]) -> Result<Option<Config>, Error> {
        let env =
            |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        of_environment(&options(&env))
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
            "command line: the replica of `a.db` (--replica) is neither a URL nor an absolute path"
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
