//! Where a database's backup may be beside its replica: what is to be looked at before a start without.

use super::error::Error;
use super::model::Config;
use super::node::Node;

impl Config {
    /// The same with only those databases whose replica the environment names in a way that can mean another place as well:
    /// each there.
    pub fn others(&self) -> Self {
        // What the environment says is as sound in the one reading as in the other.
        self.at(self.completed.iter().filter_map(|(number, said)| Some((*number, said.other.clone()?)))).0
    }

    /// The same with these entries of `dbs` alone, each with this in the place of all its replicas; and what is not sound of
    /// that.
    fn at(&self, places: impl Iterator<Item = (usize, Node)>) -> (Self, Result<(), Error>) {
        let known = self.root().get("dbs").and_then(Node::as_list).unwrap_or_default();
        let entry = |(number, replica): (usize, Node)| {
            let mut entry = known.get(number)?.clone();
            entry.remove("replica");
            entry.set("replicas", Node::list(vec![Node { line: entry.line, ..replica }]));
            Some(entry)
        };
        self.with_only(places.filter_map(entry).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::load::{Document, LoadOptions};
    use super::super::parse::parse;
    use super::*;
    use crate::config::{Origin, emit::emit};

    fn read(text: &str, env: &[(&str, &str)]) -> Config {
        let env =
            |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let options =
            LoadOptions { no_expand_env: false, env: &env, cwd: Path::new("/srv"), home: None, pid: 1 };
        let root = parse(text).unwrap();
        let origin = Origin::File("l.yml".into());
        let document =
            Document { origin, text: text.to_owned(), root, unset: Vec::new(), traces: Default::default() };
        document.config(&options).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Where each database is, and where it may be.
    fn places(config: &Config) -> [Vec<String>; 2] {
        [config, &config.others()].map(|config| {
            let replicas = config.databases().iter().flat_map(|database| &database.replicas);
            replicas.map(|replica| replica.display.clone()).collect()
        })
    }

    fn both(own: &[&str], other: &[&str]) -> [Vec<String>; 2] {
        [own, other].map(|places| places.iter().map(|place| (*place).to_owned()).collect())
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
        assert!(folder.others().databases().is_empty());
        let later = resolver.with_databases(r#"[{"path": "t.db"}]"#, &|name| {
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
        assert!(!emit(config.others().root()).text.contains("hunter2"));
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
