//! Where databases go that are named later, as far as that is known before they are.

use super::place;
use super::replica::Replica;
use super::templates::Additions;
use super::whole::Config;
use crate::remote::Place;
use crate::yaml::{Budget, Node};

/// A place that such databases have in common: each is there, or below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// It.
    pub replica: Replica,
    /// The same for a client of our own, if that can get there; or what of its settings only Litestream can do.
    pub place: Result<Option<Place>, &'static str>,
}

/// Returns those of all templates, and of the environment, which is `env`: of a database that refers to one of them, or says
/// nothing of a replica.
pub fn in_common(config: &Config, env: &dyn Fn(&str) -> Option<String>) -> Vec<Common> {
    let budget = Budget::default();
    let mut found: Vec<Common> = Vec::new();
    for node in Additions::of(config.root(), env, &budget).in_common() {
        // What is not sound, no database can have.
        let Ok(replica) = Replica::read(&node, config.root(), &config.base()) else { continue };
        if found.iter().any(|known| known.replica.location == replica.location) {
            continue;
        }
        let place = place::of(&replica.kind, &Node::mapping([("replica", node)]), config.root());
        found.push(Common { replica, place });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::sound;

    fn places(text: &str, env: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
        let env =
            |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let config = sound(&format!("{text}\ndbs: [{{path: a.db, replica: {{path: /a}}}}]\n"));
        let common = in_common(&config, &env).into_iter();
        let prefix = |place: Option<Place>| place.map(|place| place.prefix().to_owned());
        common.map(|Common { replica, place }| (replica.display, prefix(place.ok().flatten()))).collect()
    }

    #[test]
    fn what_refers_to_a_template_goes_below_it() {
        let one = |replica: &str| {
            let text = format!("litekeeper: {{path-prefix: /p/, replicas: {{r: {replica}}}}}");
            places(&text, &[]).pop()
        };
        for (replica, display, prefix) in [
            ("{type: s3, bucket: b, path: t/}", "s3://b/t/p", Some("t/p")),
            ("{type: s3, bucket: b}", "s3://b/p", Some("p")),
            ("{type: s3, bucket: b, path: t, path-mode: replace}", "s3://b/p", Some("p")),
            ("{type: s3, bucket: b, path: t, path-mode: preserve}", "s3://b/t", Some("t")),
            ("{url: 's3://b/t?region=r'}", "s3://b/t/p", Some("t/p")),
            ("{url: 'gs://b', path-mode: replace}", "gs://b/p", Some("p")),
            ("{type: file, path: /t}", "/t/p", None),
            ("{type: sftp, host: h, user: u, path: /t}", "sftp://h/t/p", None),
        ] {
            assert_eq!(one(replica), Some((display.to_owned(), prefix.map(str::to_owned))), "{replica}");
        }
        for nobodys in
            ["{type: s3, bucket: {env: NOWHERE}}", "{url: nonsense}", "{type: s3, bucket: b, path: [x]}"]
        {
            assert_eq!(one(nobodys), None, "{nobodys}");
        }
    }

    #[test]
    fn without_a_prefix_it_is_the_whole_path_of_the_template_or_the_environment() {
        let url = [("LITESTREAM_REPLICA_URL", "s3://k:hunter2@b/t/?region=r")];
        let there = |display: &str, prefix: &str| (display.to_owned(), Some(prefix.to_owned()));
        assert_eq!(places("", &url), [there("s3://b/t", "t")]);
        let bucket = [("LITESTREAM_REPLICA_BUCKET", "b")];
        assert_eq!(places("", &bucket), [there("s3://b", "")]);
        let path = [bucket[0], ("LITESTREAM_REPLICA_PATH", "t/")];
        assert_eq!(places("litekeeper: {path-prefix: p}", &path), [there("s3://b/t/p", "t/p")]);
        let both =
            "litekeeper: {replicas: {one: {type: s3, bucket: b, path: t}, two: {type: s3, bucket: c}}}";
        assert_eq!(places(both, &path), [there("s3://b/t", "t"), there("s3://c", "")]);
        assert_eq!(places("", &[]), []);
    }
}
