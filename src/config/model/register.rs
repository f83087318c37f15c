//! What a running Litestream takes a database in by: `POST /register` has its path and its replica's
//! URL, and nothing else (`handleRegister` in Litestream's server.go).
//!
//! What a URL cannot say must not be dropped where it decides the place or the safety of the backup:
//! such a database is refused, with what to change. What only decides when something happens is left
//! to the next start of Litestream, whose file has it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::database::Database;
use super::kind::Kind;
use super::replica::Replica;
use super::settings::text;
use super::url::Url;
use super::whole::Config;
use crate::yaml::{Node, NodeKind};

/// Settings of a database that decide when, and not where.
const DATABASE: &[&str] = &[
    "path",
    "replica",
    "replicas",
    "name",
    "path-mode",
    "monitor-interval",
    "checkpoint-interval",
    "busy-timeout",
    "min-checkpoint-page-count",
    "max-checkpoint-page-count",
    "truncate-page-n",
    "max-sync-wal-bytes",
    "restore-if-db-not-exists",
    "snapshot",
];

/// The same of a replica.
const REPLICA: &[&str] = &[
    "type",
    "url",
    "path",
    "name",
    "sync-interval",
    "validation-interval",
    "snapshot-interval",
    "retention",
    "retention-check-interval",
    "auto-recover",
    "max-sync-ltx-files",
];

/// What an `s3://` URL has a parameter for (`NewReplicaClientFromURL` in Litestream's s3 package).
const S3: &[(&str, &str)] = &[
    ("endpoint", "endpoint"),
    ("region", "region"),
    ("force-path-style", "forcePathStyle"),
    ("skip-verify", "skipVerify"),
    ("sign-payload", "signPayload"),
    ("require-content-md5", "requireContentMD5"),
    ("storage-class", "storageClass"),
    ("part-size", "partSize"),
    ("concurrency", "concurrency"),
    ("sse-customer-algorithm", "sseCustomerAlgorithm"),
    ("sse-customer-key", "sseCustomerKey"),
    ("sse-kms-key-id", "sseKmsKeyId"),
];

/// Settings of other kinds that the top of a file may have, and no URL.
const OTHERS: &[&str] = &["account-name", "account-key", "sas-token", "host-key", "key-path"];

/// The variables that the S3 client of a URL takes its key from.
const KEYS: [(&str, [&str; 2]); 2] = [
    ("access-key-id", ["AWS_ACCESS_KEY_ID", "LITESTREAM_ACCESS_KEY_ID"]),
    ("secret-access-key", ["AWS_SECRET_ACCESS_KEY", "LITESTREAM_SECRET_ACCESS_KEY"]),
];

/// What stays as it is in a query (RFC 3986, 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same in a path.
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// Returns the key at the top of the file as variables: what is registered later has no other way to it.
pub fn key_variables(config: &Config) -> Vec<(String, String)> {
    let value = |key| text(config.root(), key).ok().flatten().map(str::to_owned);
    let found = KEYS.map(|(key, [variable, _])| value(key).map(|value| (variable.to_owned(), value)));
    match found {
        [Some(id), Some(secret)] => vec![id, secret],
        _ => Vec::new(),
    }
}

/// Returns that URL for an entry of `dbs`, whose database this is; or what keeps it from one.
pub(in crate::config) fn url_of(
    config: &Config,
    entry: &Node,
    database: &Database,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<String, String> {
    if let Some(key) = keys(entry).find(|key| !DATABASE.contains(key)) {
        return Err(cannot(key, "leave it out"));
    }
    let listed = entry.get("replicas").and_then(Node::as_list).and_then(<[Node]>::first);
    let (Some(node), Some(replica)) = (entry.get("replica").or(listed), database.replicas.first()) else {
        return Err("has no replica".into());
    };
    let asked = Asked { node, root: config.root(), env };
    match replica.kind {
        Kind::File => file(replica),
        Kind::S3 => asked.s3(),
        Kind::Gcs => asked.gcs(),
        Kind::Abs | Kind::Oss | Kind::Sftp | Kind::Nats | Kind::Webdav | Kind::Other(_) => asked.as_it_is(),
    }
}

/// Says what this URL tells Litestream, in one spelling: the place with its server, who asks there, and how. A region
/// is what Litestream finds out by itself, or what a server takes as it is: it makes no other place.
pub(in crate::config) fn told(replica: &Replica, url: &str) -> String {
    let (place, query) = url.split('#').next().unwrap_or_default().split_once('?').unwrap_or((url, ""));
    let host = place.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or_default();
    let user = host.rsplit_once('@').map_or("", |(user, _)| user);
    let mut parameters = std::collections::BTreeMap::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if replica.kind != Kind::S3 || !["endpoint", "region"].contains(&key) {
            // The first of two counts.
            parameters.entry(key).or_insert_with(|| percent_decode_str(value).collect::<Vec<u8>>());
        }
    }
    format!("{}\n{user}\n{parameters:?}", replica.location)
}

fn cannot(key: &str, instead: &str) -> String {
    format!(
        "a running litestream takes in a database by its replica's URL, which cannot say `{key}`: {instead}"
    )
}

fn keys(node: &Node) -> impl Iterator<Item = &str> {
    let NodeKind::Mapping(entries) = &node.kind else { return Vec::new().into_iter() };
    let set = entries.iter().filter(|(_, value)| !value.is_null());
    set.map(|(key, _)| key.as_str().unwrap_or_default()).collect::<Vec<_>>().into_iter()
}

/// Writes the URL of a folder. Litestream takes it from the URL as Go writes it again, so it must not need escapes.
fn file(replica: &Replica) -> Result<String, String> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&c);
    if !replica.display.bytes().all(plain) {
        return Err(format!(
            "a running litestream takes in a database by its replica's URL, in which the folder `{}` would be \
             another one: use letters, digits and -_.~ only",
            replica.display
        ));
    }
    Ok(format!("file://{}", replica.display))
}

struct Asked<'a> {
    node: &'a Node,
    root: &'a Node,
    env: &'a dyn Fn(&str) -> Option<String>,
}

impl Asked<'_> {
    fn own(&self, key: &'static str) -> Option<&str> {
        text(self.node, key).ok().flatten()
    }

    fn setting(&self, key: &'static str) -> Option<&str> {
        self.own(key).or_else(|| text(self.root, key).ok().flatten())
    }

    fn only(&self, further: impl Fn(&str) -> bool) -> Result<(), String> {
        match keys(self.node).find(|key| !REPLICA.contains(key) && !further(key)) {
            Some(key) => Err(cannot(key, "leave it out, or restart litekeeper to take the database in")),
            None => Ok(()),
        }
    }

    fn s3(&self) -> Result<String, String> {
        let is_key = |key: &str| KEYS.iter().any(|(known, _)| *known == key);
        self.only(|key| key == "bucket" || is_key(key) || S3.iter().any(|(known, _)| *known == key))?;
        if self.setting("sse-customer-key-path").is_some() {
            return Err(cannot("sse-customer-key-path", "give the key itself with `sse-customer-key`"));
        }
        self.same_key()?;
        let mut query = Vec::new();
        for (key, parameter) in S3 {
            let node = self.node.get(key).or_else(|| self.root.get(key));
            let Some(value) = node.and_then(|node| Some(node).filter(|node| node.as_str().is_some())) else {
                continue;
            };
            let text = value.as_str().unwrap_or_default();
            let text = value.as_bool().map_or_else(|| text.to_owned(), |truth| truth.to_string());
            if *key == "part-size" && text.parse::<u64>().is_err() {
                return Err(cannot("part-size", "write it as a number of bytes"));
            }
            if !text.is_empty() {
                query.push(format!("{parameter}={}", utf8_percent_encode(&text, UNRESERVED)));
            }
        }
        let (place, own_query) = match self.own("url") {
            Some(url) => {
                let url = url.split('#').next().unwrap_or_default();
                let (place, query) = url.split_once('?').unwrap_or((url, ""));
                (place.to_owned(), query)
            }
            None => (self.bucket_and_path("s3")?, ""),
        };
        // The first of two parameters counts (`url.Values.Get`), and a setting outweighs the URL.
        query.extend(Some(own_query.to_owned()).filter(|query| !query.is_empty()));
        let endpoint = query.iter().any(|parameter| parameter.contains("endpoint="))
            || Url::parse(&place).is_ok_and(|url| url.host.contains('.'));
        if !endpoint && (self.env)("LITESTREAM_S3_ENDPOINT").is_some() {
            return Err(
                "LITESTREAM_S3_ENDPOINT would send it elsewhere: give its replica an `endpoint`".into()
            );
        }
        Ok(if query.is_empty() { place } else { format!("{place}?{}", query.join("&")) })
    }

    /// Refuses another key than that of Litestream's environment, which is the only one that the URL's client has.
    fn same_key(&self) -> Result<(), String> {
        let top = |key| text(self.root, key).ok().flatten().map(str::to_owned);
        for (key, variables) in KEYS {
            let environments = || variables.into_iter().find_map(self.env);
            if self.own(key).is_some_and(|own| top(key).or_else(environments).as_deref() != Some(own)) {
                return Err(format!(
                    "its `{key}` is not the one that litestream was started with, and a running litestream takes in a \
                     database without a key of its own: put one key for all at the top of the configuration, or into {}",
                    variables[1]
                ));
            }
        }
        Ok(())
    }

    fn gcs(&self) -> Result<String, String> {
        self.only(|key| key == "bucket")?;
        match self.own("url") {
            Some(url) => Ok(url.to_owned()),
            None => self.bucket_and_path("gs"),
        }
    }

    fn as_it_is(&self) -> Result<String, String> {
        self.only(|_| false)?;
        if let Some(key) = OTHERS.iter().find(|key| self.root.get(key).is_some()) {
            return Err(cannot(key, "restart litekeeper to take the database in"));
        }
        match self.own("url") {
            Some(url) => Ok(url.to_owned()),
            None => {
                Err("a running litestream takes in a database by its replica's URL: give it a `url`".into())
            }
        }
    }

    fn bucket_and_path(&self, scheme: &str) -> Result<String, String> {
        let bucket = self.setting("bucket").unwrap_or_default();
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
        if bucket.is_empty() || !bucket.bytes().all(is_plain) {
            // With dots in it, it may look like the host of a provider.
            return Err(format!(
                "the bucket `{bucket}` cannot be part of a URL as it is: give its replica a `url`"
            ));
        }
        let path = self.own("path").unwrap_or_default();
        let is_clean = path.is_empty() || path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !is_clean {
            // Litestream cleans the path of a URL, and no other.
            return Err(format!(
                "write the replica's path `{path}` without `.`, `..`, leading, doubled or final slashes"
            ));
        }
        Ok(format!("{scheme}://{bucket}/{}", utf8_percent_encode(path, PATH)))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load::named::{Registration, registrations, with_databases};
    use crate::config::tests::sound;

    fn url(top: &str, entry: serde_json::Value, env: &[(&str, &str)]) -> Result<String, String> {
        registration(top, entry, env).url
    }

    fn registration(top: &str, entry: serde_json::Value, env: &[(&str, &str)]) -> Registration {
        let config = sound(&format!("{top}\ndbs: []\n"));
        let json = serde_json::json!([entry]).to_string();
        let config = with_databases(&config, &json, &|_: &str| None).expect("a sound entry");
        let env =
            |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        registrations(&config, 1, &env).remove(0)
    }

    fn replica(replica: serde_json::Value) -> serde_json::Value {
        serde_json::json!({"path": "/data/t.db", "replica": replica})
    }

    #[test]
    fn what_a_url_can_say_is_said() {
        use serde_json::json;
        for (top, entry, expected) in [
            ("", json!({"path": "/backup/t"}), "file:///backup/t"),
            ("", json!({"url": "file:///backup/t"}), "file:///backup/t"),
            ("", json!({"type": "s3", "bucket": "b", "path": "t/1 2"}), "s3://b/t/1%202"),
            (
                "endpoint: http://127.0.0.1:9000\nregion: eu\nbucket: b\nforce-path-style: yes",
                json!({"type": "s3", "path": "t"}),
                "s3://b/t?endpoint=http%3A%2F%2F127.0.0.1%3A9000&region=eu&forcePathStyle=true",
            ),
            ("region: eu", json!({"url": "s3://b/t?region=us&x=1"}), "s3://b/t?region=eu&region=us&x=1"),
            ("", json!({"url": "s3://b/t", "sync-interval": "5s"}), "s3://b/t"),
            ("", json!({"type": "gs", "bucket": "b", "path": "t"}), "gs://b/t"),
            ("", json!({"url": "sftp://u:p@host/t"}), "sftp://u:p@host/t"),
            ("", json!({"url": "abs://account@container/t"}), "abs://account@container/t"),
        ] {
            assert_eq!(url(top, replica(entry), &[]).as_deref(), Ok(expected), "{top}");
        }
    }

    #[test]
    fn what_it_cannot_say_is_refused_with_what_to_change() {
        use serde_json::json;
        for (top, entry, reason) in [
            ("", json!({"path": "/backup/a b"}), "letters, digits"),
            ("", json!({"type": "s3", "bucket": "a.b", "path": "t"}), "give its replica a `url`"),
            ("", json!({"type": "s3", "bucket": "b", "path": "/t"}), "leading"),
            ("", json!({"type": "s3", "bucket": "b", "path": "t", "part-size": "5MB"}), "number of bytes"),
            ("", json!({"type": "s3", "bucket": "b", "path": "t", "something-new": 1}), "`something-new`"),
            (
                "",
                json!({"type": "s3", "bucket": "b", "path": "t", "access-key-id": "hunter2"}),
                "LITESTREAM_ACCESS_KEY_ID",
            ),
            ("account-key: hunter2", json!({"url": "abs://account@container/t"}), "`account-key`"),
            ("", json!({"url": "abs://c/t", "account-key": "hunter2"}), "`account-key`"),
            ("", json!({"type": "abs", "bucket": "c", "account-name": "a"}), "`account-name`"),
        ] {
            let error = url(top, replica(entry), &[]).expect_err(reason);
            assert!(error.contains(reason) && !error.contains("hunter2"), "{error}");
        }
        let elsewhere =
            serde_json::json!({"path": "/data/t.db", "meta-path": "/m", "replica": {"path": "/b"}});
        assert!(url("", elsewhere, &[]).expect_err("meta-path").contains("`meta-path`"));
        let set = [("LITESTREAM_S3_ENDPOINT", "http://x")];
        assert!(url("", replica(serde_json::json!({"url": "s3://b/t"})), &set).is_err());
    }

    #[test]
    fn what_tells_litestream_the_same_is_the_same_however_it_is_written() {
        use serde_json::json;
        let told = |entry| registration("", replica(entry), &[]).told.expect("a URL can say it");
        let s3 = |more: &str| told(json!({"url": format!("s3://b/t{more}")}));
        for (one, other) in [
            (told(json!({"path": "/backup/t"})), told(json!({"url": "file:///backup/t/"}))),
            (s3(""), s3("/")),
            (s3(""), told(json!({"type": "s3", "bucket": "b", "path": "t", "sync-interval": "5s"}))),
            (s3(""), s3("?region=us-east-1&endpoint=https://s3.us-east-1.amazonaws.com")),
            (
                s3("?endpoint=http://h:9000&region=us-east-1"),
                told(json!({"type": "s3", "bucket": "b", "path": "t", "endpoint": "http://h:9000"})),
            ),
            (s3("?partSize=5&storageClass=A%41"), s3("?storageClass=AA&partSize=5&partSize=7")),
        ] {
            assert_eq!(one, other);
        }
        for (one, other) in [
            (s3(""), s3("/u")),
            (s3(""), s3("?endpoint=http://h:9000")),
            (s3(""), s3("?storageClass=AA")),
            (told(json!({"url": "sftp://u:p@host/t"})), told(json!({"url": "sftp://u:q@host/t"}))),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_key_is_that_of_litestreams_environment() {
        let own = serde_json::json!({"url": "s3://b/t", "access-key-id": "id", "secret-access-key": "s"});
        let env = [("LITESTREAM_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "s")];
        assert!(url("", replica(own.clone()), &env).is_ok());
        assert!(url("access-key-id: id\nsecret-access-key: s", replica(own.clone()), &[]).is_ok());
        assert!(url("access-key-id: other\nsecret-access-key: s", replica(own), &env).is_err());
    }
}
