//! Where a database's backup may be beside its replica: what is to be looked at, or taken, before a start without.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::templates;
use super::whole::Config;
use crate::config::error::Error;
use crate::config::values::env_replica;
use crate::yaml::{Budget, Node};

/// Returns the same with only those databases whose replica the environment names in a way that can mean another
/// place as well: each there.
pub fn other_places(config: &Config) -> Config {
    // What the environment says is as sound in the one reading as in the other.
    at(config, config.completed.iter().filter_map(|(number, said)| Some((*number, said.other.clone()?)))).0
}

/// Returns the same with only those databases that are to be restored from elsewhere if their replica holds no
/// backup, each there: from the place that `each` has for its path, else from `all`, which is the only database's
/// place, and has those of several below it as their names and the prefix say. Databases that are replicated to
/// that place are left out.
///
/// # Errors
/// What is wrong with a place.
pub fn from_elsewhere(
    config: &Config,
    all: Option<&str>,
    each: &BTreeMap<PathBuf, String>,
) -> Result<Config, Error> {
    let budget = Budget::default();
    let alone = config.databases().len() == 1;
    let known = config.root().get("dbs").and_then(Node::as_list).unwrap_or_default();
    let place = |(number, entry): (usize, &Node)| {
        let path = config.base().absolute("path", entry.get("path")?.as_str()?).ok()?;
        let from = match (each.get(&path), all) {
            (Some(own), _) => env_replica::replica_of(own),
            (None, Some(all)) if alone => env_replica::replica_of(all),
            (None, Some(all)) => {
                let name = config.completed.get(&number).map_or("", |said| said.name.as_str());
                let tail = templates::tail(config.root(), name);
                let fits = budget.take_text(entry.line, all.len() + tail.len());
                fits.then(|| env_replica::below_place(all, &tail)).flatten()
            }
            (None, None) => None,
        };
        Some((number, with_keys_of(entry, from?)))
    };
    let places: Vec<_> = known.iter().enumerate().filter_map(place).collect();
    let mut spent = Vec::new();
    budget.settle(&mut spent);
    Error::of(config.origin(), spent, &[])?;
    let (mut found, result) = at(config, places.into_iter());
    result?;
    let own = config.databases().iter().map(|database| (&database.path, &database.replicas));
    let own: BTreeMap<_, _> = own.collect();
    found.retain_databases(|database| {
        let is_own = |place: &super::replica::Replica| {
            let own = own.get(&database.path).into_iter().flat_map(|replicas| replicas.iter());
            own.map(|own| &own.location).any(|own| *own == place.location)
        };
        !database.replicas.iter().any(is_own)
    });
    Ok(found)
}

/// Returns the same with these entries of `dbs` alone, each with this in the place of all its replicas; and what
/// is not sound of that.
fn at(config: &Config, places: impl Iterator<Item = (usize, Node)>) -> (Config, Result<(), Error>) {
    let known = config.root().get("dbs").and_then(Node::as_list).unwrap_or_default();
    let entry = |(number, replica): (usize, Node)| {
        let mut entry = known.get(number)?.clone();
        entry.remove("replica");
        entry.set("replicas", Node::list(vec![Node { line: entry.line, ..replica }]));
        Some(entry)
    };
    config.with_only(places.filter_map(entry).collect())
}

/// Gives another place on S3 the keys of the database's own replica, where that has any.
fn with_keys_of(entry: &Node, mut place: Node) -> Node {
    let is_s3 = place.get("url").and_then(Node::as_str).is_some_and(|url| url.starts_with("s3:"));
    let first = entry.get("replicas").and_then(Node::as_list).and_then(<[Node]>::first);
    if let Some(own) = entry.get("replica").or(first).filter(|_| is_s3) {
        for key in ["access-key-id", "secret-access-key"] {
            if let Some(value) = own.get(key) {
                place.set(key, value.clone());
            }
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Origin;
    use crate::config::load::file::of_document;
    use crate::config::load::named::with_databases;
    use crate::config::values::document::Document;
    use crate::config::values::options::LoadOptions;
    use crate::yaml::emit;
    use crate::yaml::parse;

    fn read(text: &str, env: &[(&str, &str)]) -> Config {
        let env =
            |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let options =
            LoadOptions { no_expand_env: false, env: &env, cwd: Path::new("/srv"), home: None, pid: 1 };
        let root = parse(text).unwrap();
        let origin = Origin::File("l.yml".into());
        let document =
            Document { origin, text: text.to_owned(), root, unset: Vec::new(), traces: Default::default() };
        of_document(document, &options).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Where each database is, and where it may be.
    fn places(config: &Config) -> [Vec<String>; 2] {
        [config, &other_places(config)].map(|config| {
            let replicas = config.databases().iter().flat_map(|database| &database.replicas);
            replicas.map(|replica| replica.display.clone()).collect()
        })
    }

    fn both(own: &[&str], other: &[&str]) -> [Vec<String>; 2] {
        [own, other].map(|places| places.iter().map(|place| (*place).to_owned()).collect())
    }

    fn from(config: &Config, all: Option<&str>, each: &[(&str, &str)]) -> Result<[Vec<String>; 2], String> {
        let each = each.iter().map(|(path, place)| (PathBuf::from(path), (*place).to_owned())).collect();
        let from = from_elsewhere(config, all, &each).map_err(|error| error.to_string())?;
        let of = |database: &crate::config::Database| {
            (database.path.display().to_string(), database.replicas[0].display.clone())
        };
        let (paths, places) = from.databases().iter().map(of).unzip();
        Ok([paths, places])
    }

    #[test]
    fn a_database_comes_from_its_place_or_from_below_all() {
        let one = read("dbs: [{path: a.db, replica: {path: /b}}]", &[]);
        assert_eq!(from(&one, Some("s3://old/app"), &[]), Ok(both(&["/srv/a.db"], &["s3://old/app"])));
        assert_eq!(from(&one, Some("/old"), &[]), Ok(both(&["/srv/a.db"], &["/old"])));
        assert_eq!(from(&one, Some("/b"), &[]), Ok(both(&[], &[])), "it is its own replica");
        let text = "litekeeper: {path-prefix: p, aliases: {main: a.db}, replicas: {r: {path: /r}}}\n\
                    dbs: [{path: main, replica: r}, {dir: d, pattern: '*', replica: r}, {path: b.db, name: x, replica: r}]";
        let several = read(text, &[]);
        let paths = ["/srv/a.db", "/srv/b.db"];
        assert_eq!(
            from(&several, Some("s3://old/app?region=r"), &[]),
            Ok(both(&paths, &["s3://old/app/p/main", "s3://old/app/p/x"]))
        );
        assert_eq!(
            from(&several, Some("/old/"), &[("/srv/b.db", "./y")]),
            Ok(both(&paths, &["/old/p/main", "/srv/y"]))
        );
        assert_eq!(from(&several, None, &[("/srv/b.db", "gs://y")]), Ok(both(&["/srv/b.db"], &["gs://y"])));
        assert!(
            from(&several, Some("nats://h/b"), &[]).is_err_and(|error| error.contains("the same replica"))
        );
    }

    #[test]
    fn a_place_elsewhere_is_asked_with_the_replicas_keys() {
        let text = "dbs: [{path: a.db, replica: {type: s3, bucket: b, path: a, access-key-id: k, secret-access-key: {env: SECRET}}}]";
        let config = read(text, &[("SECRET", "hunter2")]);
        let from = from_elsewhere(&config, Some("s3://u:other@old/app"), &BTreeMap::new()).unwrap();
        let text = emit(from.root()).text;
        assert!(
            text.contains("secret-access-key: \"${SECRET}\"") && text.contains("access-key-id: k"),
            "{text}"
        );
        assert!(!text.contains("other"), "{text}");
    }

    const PATH: [(&str, &str); 2] =
        [("LITESTREAM_REPLICA_BUCKET", "b"), ("LITESTREAM_REPLICA_PATH", "apps/mine")];

    #[test]
    fn one_database_has_all_of_the_path_and_several_are_below_it() {
        let whole = both(&["s3://b/apps/mine"], &["s3://b/apps/mine/a.db"]);
        assert_eq!(places(&read("dbs: [{path: a.db}]", &PATH)), whole);
        let slash = [("LITESTREAM_REPLICA_BUCKET", "b"), ("LITESTREAM_REPLICA_PATH", "apps/mine/")];
        assert_eq!(places(&read("dbs: [{path: a.db}]", &slash)), whole);
        let beside = "dbs: [{path: a.db}, {path: b.db, replica: {path: /b}}]";
        assert_eq!(
            places(&read(beside, &PATH)),
            both(&["s3://b/apps/mine", "/b"], &["s3://b/apps/mine/a.db"])
        );
        let prefix = "litekeeper: {path-prefix: p}\ndbs: [{path: a.db}]";
        assert_eq!(places(&read(prefix, &PATH)), both(&["s3://b/apps/mine"], &["s3://b/apps/mine/p/a.db"]));
        // The first is the one that was there alone.
        assert_eq!(
            places(&read("dbs: [{path: a.db}, {path: b.db}]", &PATH)),
            both(&["s3://b/apps/mine/a.db", "s3://b/apps/mine/b.db"], &["s3://b/apps/mine"])
        );
    }

    #[test]
    fn what_may_become_several_is_below_the_path() {
        let resolver = read("litekeeper: {resolver: {command: [x]}}\ndbs: [{path: a.db}]", &PATH);
        assert_eq!(places(&resolver)[0], ["s3://b/apps/mine/a.db"]);
        let folder = read("dbs: [{dir: d, pattern: '*'}]", &PATH);
        assert_eq!(folder.directories()[0].replicas[0].display, "s3://b/apps/mine/d");
        assert!(other_places(&folder).databases().is_empty());
        let later = with_databases(&resolver, r#"[{"path": "t.db"}]"#, &|name| {
            PATH.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        let later = later.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            places(&later),
            both(&["s3://b/apps/mine/a.db", "s3://b/apps/mine/t.db"], &["s3://b/apps/mine"])
        );
    }

    #[test]
    fn a_url_and_the_environment_alone_have_two_readings_as_well() {
        let url =
            [("LITESTREAM_REPLICA_URL", "s3://k:hunter2@b/apps?region=r"), ("DATABASE_URL", "sqlite:x/a.db")];
        let config = read("dbs: [{path: a.db}]", &url);
        assert_eq!(places(&config), both(&["s3://b/apps/a.db"], &["s3://b/apps"]));
        assert!(!emit(other_places(&config).root()).text.contains("hunter2"));
        assert_eq!(places(&read("", &url)), both(&["s3://b/apps"], &["s3://b/apps/a.db"]));
        let path = [PATH[0], PATH[1], url[1]];
        assert_eq!(places(&read("", &path)), both(&["s3://b/apps/mine"], &["s3://b/apps/mine/a.db"]));
    }

    #[test]
    fn a_bucket_alone_has_one_reading() {
        for env in [
            vec![("LITESTREAM_REPLICA_URL", "s3://b")],
            vec![("LITESTREAM_REPLICA_URL", "s3://b/")],
            vec![("LITESTREAM_REPLICA_BUCKET", "b")],
            vec![("LITESTREAM_REPLICA_BUCKET", "b"), ("LITESTREAM_REPLICA_PATH", "/")],
            vec![("LITESTREAM_REPLICA_URL", "nats://h:4222/b")],
        ] {
            let [own, other] = places(&read("dbs: [{path: a.db}]", &env));
            assert!(own[0].ends_with("b/a.db") || own[0].starts_with("nats:"), "{own:?}");
            assert!(other.is_empty(), "{env:?}: {other:?}");
        }
    }
}
