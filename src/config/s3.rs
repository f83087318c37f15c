//! Where the backups of a folder's databases are on S3, as a client of our own needs it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::database::text;
use super::model::Config;
use super::node::Node;
use super::place::s3_host;
use super::url::Url;

/// A place on S3 and the way to it. It may hold the key, so its `Debug` shows the place alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3 {
    /// The bucket, or the ARN of an access point.
    pub bucket: String,
    /// What every key begins with, without slashes around it.
    pub prefix: String,
    /// Another server than AWS's, with its scheme.
    pub endpoint: Option<String>,
    /// The bucket's region, if it is known.
    pub region: Option<String>,
    /// The bucket is part of the path, and not of the host's name.
    pub path_style: bool,
    /// Its certificate is not looked at.
    pub skip_verify: bool,
    /// The key, if it is not in the environment.
    pub access_key_id: Option<String>,
    /// Its secret.
    pub secret_access_key: Option<String>,
}

impl Config {
    /// Where the backups of the `place`-th folder of databases are, if they are on S3 (the settings as
    /// Litestream's `NewS3ReplicaClientFromConfig` reads them).
    ///
    /// # Errors
    /// What of its settings only Litestream can do.
    pub fn folder_s3(&self, place: usize) -> Result<Option<S3>, &'static str> {
        self.folder_node(place).map_or(Ok(None), |entry| S3::of(entry, self.root()))
    }

    /// The same of the only database of a [`Config::probe`].
    ///
    /// # Errors
    /// As for [`Config::folder_s3`].
    pub fn probe_s3(&self) -> Result<Option<S3>, &'static str> {
        let entries = self.root().get("dbs").and_then(Node::as_list).unwrap_or_default();
        entries.first().map_or(Ok(None), |entry| S3::of(entry, self.root()))
    }
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

impl S3 {
    /// That of an entry of `dbs`, with what stands at the top of the file.
    pub(super) fn of(entry: &Node, root: &Node) -> Result<Option<S3>, &'static str> {
        let listed = entry.get("replicas").and_then(Node::as_list).and_then(<[Node]>::first);
        let Some(node) = entry.get("replica").or(listed) else { return Ok(None) };
        let own = |key| text(node, key).ok().flatten();
        let either = |key| own(key).or_else(|| text(root, key).ok().flatten()).map(str::to_owned);
        let truth = |key: &str| node.get(key).or_else(|| root.get(key)).and_then(Node::as_bool);
        let url = own("url").and_then(|url| Url::parse(url).ok());
        let host = url.as_ref().map(|url| s3_host(&url.host));
        let query = |key: &str| url.as_ref().and_then(|url| url.query(key));
        let bucket = either("bucket").or_else(|| host.as_ref().map(|host| host.bucket.clone()));
        let Some(bucket) = bucket.filter(|bucket| !bucket.is_empty()) else { return Ok(None) };
        let path = own("path").or(url.as_ref().map(|url| url.path.as_str())).unwrap_or_default();
        if own("path").is_some_and(|path| path.starts_with('/')) {
            return Err(
                "its replica's path begins with a slash, which is part of the names on S3: leave it out",
            );
        }
        if either("sse-customer-key").is_some() || either("sse-customer-key-path").is_some() {
            return Err("its replica is encrypted with a key of its own");
        }
        let from_host = host.map(|host| host.endpoint).filter(|endpoint| !endpoint.is_empty());
        let endpoint = either("endpoint").or_else(|| query("endpoint")).or(from_host).map(with_scheme);
        let said = truth("force-path-style").or_else(|| {
            query("forcePathStyle").or_else(|| query("force-path-style")).map(|text| text == "true")
        });
        Ok(Some(S3 {
            bucket,
            prefix: path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/"),
            region: either("region").or_else(|| query("region")),
            path_style: said.unwrap_or(endpoint.is_some()),
            endpoint,
            skip_verify: truth("skip-verify")
                .unwrap_or_else(|| query("skipVerify").as_deref() == Some("true")),
            access_key_id: either("access-key-id"),
            secret_access_key: either("secret-access-key"),
        }))
    }
}

/// Litestream's `EnsureEndpointScheme`: https, but for this machine and private networks' names.
fn with_scheme(endpoint: String) -> String {
    if endpoint.contains("://") {
        return endpoint;
    }
    let host = endpoint.split([':', '/']).next().unwrap_or_default();
    let is_local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok();
    format!("{}://{endpoint}", if is_local { "http" } else { "https" })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{LoadOptions, load};

    fn place(top: &str, replica: &str) -> Result<Option<S3>, &'static str> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("litestream.yml");
        std::fs::write(&path, format!("{top}\ndbs: [{{dir: d, pattern: '*', replica: {replica}}}]\n"))
            .expect("a file");
        let none = |_: &str| None;
        let options =
            LoadOptions { no_expand_env: true, env: &none, cwd: Path::new("/srv"), home: None, pid: 1 };
        load(&path, &options).expect("a sound file").folder_s3(0)
    }

    fn shown(top: &str, replica: &str) -> String {
        serde_json::to_string(&place(top, replica).expect("it can be listed")).expect("JSON")
    }

    #[test]
    fn settings_mean_what_they_mean_to_litestream() {
        insta::assert_snapshot!(
            shown("endpoint: 127.0.0.1:9\nregion: r\naccess-key-id: k", "{type: s3, bucket: b, path: a/b/}"),
            @r#"{"bucket":"b","prefix":"a/b","endpoint":"http://127.0.0.1:9","region":"r","path_style":true,"skip_verify":false,"access_key_id":"k","secret_access_key":null}"#
        );
        insta::assert_snapshot!(
            shown("", "{url: 's3://b/a?endpoint=minio.example:9&forcePathStyle=false'}"),
            @r#"{"bucket":"b","prefix":"a","endpoint":"https://minio.example:9","region":null,"path_style":false,"skip_verify":false,"access_key_id":null,"secret_access_key":null}"#
        );
        insta::assert_snapshot!(
            shown("", "{url: 's3://b/a'}"),
            @r#"{"bucket":"b","prefix":"a","endpoint":null,"region":null,"path_style":false,"skip_verify":false,"access_key_id":null,"secret_access_key":null}"#
        );
        assert!(place("", "{type: s3, bucket: b, path: /a}").is_err());
    }
}
