//! A configuration without a file: from `--db`/`--replica`, or from the environment alone.

use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::error::{Error, Origin, Problem};
use super::given::{self, Given};
use super::load::{Document, LoadOptions};
use super::model::Config;
use super::node::{Node, NodeKind, Variable};
use super::path::strip_sqlite;
use super::url::{escape, is_nats, is_url, with_path};
use super::variables::Env;
use crate::database_url::{self, Named, PRISMA_CONFIGS, Slashes};
use crate::os::open;

impl Config {
    /// The databases and replicas of the command line, in pairs.
    ///
    /// A replica is a URL, or a folder that is clearly one: `/…`, `./…`, `../…`, `~/…`. A database without one has the
    /// environment's, as one in a file has.
    ///
    /// # Errors
    /// Without any pair and for another kind of replica the exit code is 64; for what would be wrong
    /// in a file, too, 78.
    pub fn from_pairs(pairs: &[(String, Option<String>)], options: &LoadOptions<'_>) -> Result<Self, Error> {
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
            if let Some(given) = given::unread(name, database, true).or(one) {
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
            if let Some(given) = given::unread(said_by, replica, true) {
                return Err(Error::new(Origin::CommandLine, 0, 0, Problem::Given(given)));
            }
            let replica = replica_of(replica).ok_or_else(|| {
                let meant = given::meant_place(replica);
                let problem = Problem::ReplicaNotUrl { database: database.clone(), said_by, meant };
                Error::new(Origin::CommandLine, 0, 0, problem)
            })?;
            databases.push(entry(path, replica));
        }
        Self::of(Origin::CommandLine, Node::list(databases), options)
    }

    /// The database of `DATABASE_URL` with the replica of `LITESTREAM_REPLICA_URL`, or of
    /// `LITESTREAM_REPLICA_BUCKET` with `_PATH` (the file's name if not set), `_REGION` and `_ENDPOINT`.
    ///
    /// None if the environment names no replica. An empty variable is the same as none.
    ///
    /// # Errors
    /// When a replica is there, but `DATABASE_URL` is missing or names no SQLite file.
    pub fn from_environment(options: &LoadOptions<'_>) -> Result<Option<Self>, Error> {
        let Some((database, place)) = from_variables(options, "")? else { return Ok(None) };
        let config = Self::of(Origin::Environment, entries(vec![(database, place.replica)]), options)?;
        Ok(Some(config.with_other(place.other)))
    }

    /// The same tree that a file with these databases would have.
    fn of(origin: Origin, databases: Node, options: &LoadOptions<'_>) -> Result<Self, Error> {
        let root = Node::mapping([("dbs", databases)]);
        Document { origin, text: String::new(), root, unset: Vec::new(), traces: Default::default() }
            .config(options)
    }
}

/// Where the environment has a database's backup.
pub(super) struct Place {
    /// Its replica.
    pub(super) replica: Node,
    /// What the same variables can mean as well, the whole place or one below it: a backup that was made when they were read
    /// so is there, and is not to be passed over.
    pub(super) other: Option<Node>,
}

/// The database that the environment names, and where its backup is, see [`Config::from_environment`]; a path in
/// the bucket that is not said is the file's name below `prefix`.
pub(super) fn from_variables(
    options: &LoadOptions<'_>,
    prefix: &str,
) -> Result<Option<(String, Place)>, Error> {
    let env = options.env;
    let (url, bucket) = (set(env, REPLICA_URL), set(env, REPLICA_BUCKET));
    let replica_variable = match (&url, &bucket) {
        (Some(_), _) => REPLICA_URL,
        (None, Some(_)) => REPLICA_BUCKET,
        (None, None) => return Ok(None),
    };
    given::refused(wrong_replica(env))?;
    let fail = |problem| Error::new(Origin::Environment, 0, 0, problem);
    let database_url =
        set(env, "DATABASE_URL").ok_or_else(|| fail(Problem::NoDatabaseUrl { replica: replica_variable }))?;
    let database = named_database(&database_url, options.cwd).map_err(fail)?;
    let name = database.rsplit('/').next().unwrap_or_default();
    let tail = join(prefix.trim_start_matches('/'), name);
    let place = match (url, bucket) {
        (Some(url), _) => {
            let other = below(&url, &tail).map(|url| at_url(url, Variable::Own));
            Place { replica: at_url(url, Variable::Named(REPLICA_URL.to_owned())), other }
        }
        (None, bucket) => in_bucket(env, &bucket.unwrap_or_default(), &tail, true),
    };
    Ok(Some((database, place)))
}

/// What to say where nothing names a replica, or nothing at all.
pub fn nothing_given(options: &LoadOptions<'_>) -> Error {
    half_given(options).unwrap_or_else(|| Error::nothing_given(seen(options.cwd)))
}

/// A configuration by the looks of its name, which nobody looks for.
fn seen(cwd: &Path) -> Option<String> {
    let folders = ["", "config/", "etc/", "deploy/", "docker/", "../"];
    let names = ["litestream.yml", "litestream.yaml", "litekeeper.yml", "litekeeper.yaml"];
    let all = folders.iter().flat_map(|folder| names.iter().map(move |name| format!("{folder}{name}")));
    let mut all = all.chain(["/etc/litestream.yaml".to_owned(), "/etc/litekeeper.yaml".to_owned()]);
    all.find(|file| cwd.join(file).is_file())
}

/// The same if there is a database's URL: whose replica is missing, or what is wrong with it.
pub(super) fn half_given(options: &LoadOptions<'_>) -> Option<Error> {
    let url = set(options.env, "DATABASE_URL")?;
    let problem = match named_database(&url, options.cwd) {
        Ok(database) => Problem::Given(Given::NoReplica { database }),
        Err(problem @ (Problem::TwoReadings { .. } | Problem::Given(_))) => problem,
        // Of another kind of database nobody expects to be replicated here.
        Err(_) => return None,
    };
    Some(Error::new(Origin::Environment, 0, 0, problem))
}

/// What is wrong with the variables that name the environment's replica.
pub(super) fn wrong_replica(env: Env<'_>) -> Vec<Given> {
    given::of_replica(REPLICA_URL, &[REPLICA_BUCKET, REPLICA_PATH, REPLICA_REGION, REPLICA_ENDPOINT], env)
}

/// The file of a `DATABASE_URL` that somebody has set as it is meant.
fn named_database(url: &str, cwd: &Path) -> Result<String, Problem> {
    const NAME: &str = "DATABASE_URL";
    match given::unread(NAME, url, true).or_else(|| one_path(NAME, url, false, cwd)) {
        Some(given) => Err(Problem::Given(given)),
        None => database_of(url, cwd),
    }
}

/// The problem of a text that is several paths, unless a file is called so.
fn one_path(name: &str, text: &str, is_variable: bool, cwd: &Path) -> Option<Given> {
    let count = given::several(text, is_variable).filter(|_| !cwd.join(text).exists())?;
    Some(Given::SeveralPaths { name: name.to_owned(), text: text.to_owned(), count })
}

/// Databases as they stand in a file. `replicas` with one entry is the form that every version takes.
pub(super) fn entries(databases: Vec<(String, Node)>) -> Node {
    Node::list(databases.into_iter().map(|(path, replica)| entry(path, replica)).collect())
}

fn entry(path: String, replica: Node) -> Node {
    Node::mapping([("path", Node::text(path)), ("replicas", Node::list(vec![replica]))])
}

/// Whether the environment names a replica for databases that have none.
pub fn names_replica(env: Env<'_>) -> bool {
    set(env, REPLICA_URL).or_else(|| set(env, REPLICA_BUCKET)).is_some()
}

/// The place in the environment for a database that has none of its own: each is `tail` there, but for one that has the path
/// in the bucket `alone`.
pub(super) fn default_place(env: Env<'_>, tail: &str, alone: bool) -> Option<Place> {
    if let Some(url) = set(env, REPLICA_URL) {
        let own = if is_nats(&url) { None } else { Some(with_path(&url, |path| join(path, &escape(tail)))) };
        // Of the whole bucket nobody says that it is one database's.
        let other = below(&url, tail).map(|_| at_url(url.clone(), Variable::Own));
        return Some(Place { replica: at_url(own.unwrap_or(url), Variable::Own), other });
    }
    set(env, REPLICA_BUCKET).map(|bucket| in_bucket(env, &bucket, tail, alone))
}

/// A URL's place below its path, if it has one.
fn below(url: &str, tail: &str) -> Option<String> {
    let mut has_path = false;
    let below = with_path(url, |path| {
        has_path = !path.trim_matches('/').is_empty();
        join(path, &escape(tail))
    });
    (has_path && !is_nats(url)).then_some(below)
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

/// In the bucket, what `_PATH` says is the whole path of a database that has it `alone`, as it is for images that put the
/// variable into their configuration; of several, each is `tail` below it.
fn in_bucket(env: Env<'_>, bucket: &str, tail: &str, alone: bool) -> Place {
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
        return Place { replica: at(tail.to_owned()), other: None };
    };
    let below = join(&whole, tail);
    let (own, other) = if alone { (whole, below) } else { (below, whole) };
    Place { replica: at(own), other: Some(at(other)) }
}

fn at_url(url: String, variable: Variable) -> Node {
    Node::mapping([("url", url_node(url, variable))])
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

/// Whether this is a place as `--replica` has it: a URL, or a folder that is clearly one.
pub fn is_place(text: &str) -> bool {
    replica_of(text).is_some()
}

/// `tail` below such a place.
pub(super) fn below_place(text: &str, tail: &str) -> Option<Node> {
    match (is_url(text), is_nats(text)) {
        (true, true) => replica_of(text),
        (true, false) => Some(at_url(with_path(text, |path| join(path, &escape(tail))), Variable::Own)),
        (false, _) => replica_of(text).and_then(|_| replica_of(&join(text, tail))),
    }
}

pub(super) fn replica_of(text: &str) -> Option<Node> {
    let folder = text == "~" || ["/", "./", "../", "~/"].iter().any(|start| text.starts_with(start));
    match (is_url(text), folder) {
        (true, _) => Some(at_url(text.to_owned(), Variable::Own)),
        (false, true) => Some(Node::mapping([("path", Node::text(text))])),
        (false, false) => None,
    }
}

/// The file that a `DATABASE_URL` names. Relative ones stay relative to `cwd`.
fn database_of(url: &str, cwd: &Path) -> Result<String, Problem> {
    match database_url::named(url, Slashes::Unknown) {
        Named::File(path) if is_file_url(url) && !path.starts_with('/') => Ok(below_prisma(cwd, path)),
        Named::File(path) => Ok(path),
        Named::Either { relative, absolute } => {
            let exists = |path: &str| cwd.join(path).exists();
            let may_be_made = |path: &str| {
                let folder = cwd.join(path).parent().map(Path::to_owned).unwrap_or_default();
                folder.is_dir() && access(&folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
            };
            let path = cwd.join(&relative);
            match database_url::choose(&relative, &absolute, exists, may_be_made) {
                _ if path == Path::new(&absolute) => Ok(absolute),
                Some(true) => Ok(relative),
                Some(false) => Ok(absolute),
                None => Err(Problem::TwoReadings { relative: path, absolute: absolute.into() }),
            }
        }
        Named::Memory => Err(Problem::MemoryDatabaseUrl),
        Named::Foreign(scheme) => Err(Problem::ForeignDatabaseUrl { scheme }),
    }
}

fn is_file_url(url: &str) -> bool {
    url.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"))
}

/// A `file:` URL is relative to the folder of Prisma's schema, where a schema has it from this variable.
fn below_prisma(cwd: &Path, path: String) -> String {
    // No schema is as long, and nothing but a file is read.
    let text = |file: &Path| {
        let bytes = open::whole(file, 1 << 20).ok().filter(|bytes| !bytes.is_empty())?;
        String::from_utf8(bytes).ok()
    };
    if PRISMA_CONFIGS.iter().any(|file| cwd.join(file).is_file()) {
        return path;
    }
    let is_it = |file: &Path| text(file).is_some_and(|text| text.contains("DATABASE_URL"));
    let package = text(&cwd.join("package.json"));
    for schema in database_url::prisma_schemas(package.as_deref()) {
        let file = cwd.join(&schema);
        let folder = match schema.rsplit_once('/') {
            _ if file.is_dir() => Some(schema.as_str()),
            Some((folder, _)) => Some(folder),
            None => None,
        };
        let mut parts: Vec<PathBuf> = match std::fs::read_dir(&file) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(_) => vec![file],
        };
        parts.retain(|part| part.extension().is_some_and(|extension| extension == "prisma"));
        if parts.iter().any(|part| is_it(part)) {
            return folder.map_or_else(|| path.clone(), |folder| format!("{folder}/{path}"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
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
    fn database_urls_name_files() {
        for (url, path) in [
            ("sqlite:a.db", "a.db"),
            ("sqlite3:///data/a.db", "/data/a.db"),
            ("sqlite:////data/a.db", "/data/a.db"),
            ("sqlite+aiosqlite:///data/a.db", "data/a.db"),
            ("sqlite3://a.db?mode=rwc", "a.db"),
            ("file:./dev.db", "./dev.db"),
            ("file:/data/a%20b.db?mode=rw", "/data/a b.db"),
            ("file:///data/a.db", "/data/a.db"),
            ("file://localhost/data/a.db", "/data/a.db"),
            ("storage/a.db", "storage/a.db"),
        ] {
            assert_eq!(database_of(url, Path::new("/nowhere")), Ok(path.to_owned()), "{url}");
        }
        for url in
            ["sqlite::memory:", "sqlite://:memory:", "sqlite3:///:memory:", "file:x?mode=memory", "sqlite:"]
        {
            assert_eq!(database_of(url, Path::new("/nowhere")), Err(Problem::MemoryDatabaseUrl), "{url}");
        }
    }

    #[test]
    fn a_url_with_two_readings_is_the_file_that_can_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let cwd = folder.path().join("app");
        std::fs::create_dir_all(cwd.join("data")).expect("a folder");
        let inside = format!("{}/x.db", &folder.path().display().to_string()[1..]);
        let of = |path: &str| database_of(&format!("sqlite:///{path}"), &cwd);
        // Its folder is there from the root only, then from the working folder only.
        assert_eq!(of(&inside), Ok(format!("/{inside}")));
        assert_eq!(of("data/x.db"), Ok("data/x.db".to_owned()));
        let both =
            Problem::TwoReadings { relative: cwd.join("nowhere/x.db"), absolute: "/nowhere/x.db".into() };
        assert_eq!(of("nowhere/x.db"), Err(both));
        std::fs::create_dir_all(cwd.join(&inside).parent().expect("a folder")).expect("a folder");
        assert!(of(&inside).is_err(), "both folders can be written to");
        std::fs::write(cwd.join(&inside), "").expect("a file");
        assert_eq!(of(&inside), Ok(inside.clone()));
        std::fs::write(format!("/{inside}"), "").expect("a file");
        assert!(of(&inside).is_err(), "both are there");
    }

    #[test]
    fn prismas_file_is_relative_to_the_schema() {
        let folder = tempfile::tempdir().expect("a folder");
        let cwd = folder.path();
        assert_eq!(database_of("file:./dev.db", cwd), Ok("./dev.db".to_owned()));
        std::fs::create_dir(cwd.join("prisma")).expect("a folder");
        let schema = "datasource db { provider = \"sqlite\"\n url = env(\"DATABASE_URL\") }";
        std::fs::write(cwd.join("prisma/schema.prisma"), schema).expect("a file");
        assert_eq!(database_of("file:./dev.db", cwd), Ok("prisma/./dev.db".to_owned()));
        assert_eq!(database_of("file:/data/dev.db", cwd), Ok("/data/dev.db".to_owned()));
        assert_eq!(database_of("sqlite:dev.db", cwd), Ok("dev.db".to_owned()));
        std::fs::write(cwd.join("prisma.config.ts"), "").expect("a file");
        assert_eq!(database_of("file:./dev.db", cwd), Ok("./dev.db".to_owned()));
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
