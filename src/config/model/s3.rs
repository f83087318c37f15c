//! A place on S3, as a client of our own needs it.

use super::endpoint::{Written, with_scheme};
use super::replica_location::s3_host;
use super::settings::text;
use super::url::Url;
use crate::remote::S3;
use crate::yaml::Node;

/// Reads the settings of an entry of `dbs`, with what stands at the top of the file, as Litestream's
/// `NewS3ReplicaClientFromConfig` reads them.
pub(in crate::config) fn of(entry: &Node, root: &Node) -> Result<Option<S3>, &'static str> {
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
        return Err("its replica's path begins with a slash, which is part of the names on S3: leave it out");
    }
    if either("sse-customer-key").is_some() || either("sse-customer-key-path").is_some() {
        return Err("its replica is encrypted with a key of its own");
    }
    let key = either("endpoint").map(|endpoint| with_scheme(&endpoint, Written::Key));
    let asked = query("endpoint").map(|endpoint| with_scheme(&endpoint, Written::Query));
    let styles = Styles {
        key: truth("force-path-style"),
        query: query("forcePathStyle").map(|text| text == "true"),
        has_key: key.is_some(),
        has_query: asked.is_some(),
        by_host: host.as_ref().is_some_and(|host| host.path_style),
    };
    let (in_host, region) = host.map_or((None, None), |host| (set(host.endpoint), set(host.region)));
    let endpoint = key.or(asked).or(in_host);
    Ok(Some(S3 {
        bucket,
        prefix: path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/"),
        region: either("region").or_else(|| query("region")).or(region),
        path_style: styles.is_path(endpoint.as_deref().unwrap_or_default()),
        endpoint,
        skip_verify: truth("skip-verify").unwrap_or_else(|| query("skipVerify").as_deref() == Some("true")),
        access_key_id: either("access-key-id"),
        secret_access_key: either("secret-access-key"),
    }))
}

fn set(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// All that decides where the bucket goes.
struct Styles {
    key: Option<bool>,
    query: Option<bool>,
    has_key: bool,
    has_query: bool,
    by_host: bool,
}

impl Styles {
    /// Says whether it goes into the path: a `false` of the key's does not count against a URL that says the other
    /// thing, and one of the URL's not against an endpoint of a key's own, or one with a port.
    fn is_path(&self, endpoint: &str) -> bool {
        let by_url = self.query.unwrap_or(self.has_query || self.by_host);
        let by_key = self.key.unwrap_or(self.has_key);
        by_key || by_url || (self.key.is_none() && needs_path(endpoint))
    }
}

/// Says whether one of these holds: `IsFilebaseEndpoint`, `IsBackblazeEndpoint`, `IsMinIOEndpoint` and
/// `IsSupabaseEndpoint` of its replica_url.go.
fn needs_path(endpoint: &str) -> bool {
    const CLOUDS: [&str; 9] = [
        ".amazonaws.com",
        ".digitaloceanspaces.com",
        ".backblazeb2.com",
        ".filebase.com",
        ".scw.cloud",
        ".r2.cloudflarestorage.com",
        "tigris.dev",
        "t3.storage.dev",
        ".supabase.co",
    ];
    let lower = endpoint.trim().to_ascii_lowercase();
    let host = lower.split_once("://").map_or(lower.as_str(), |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') {
        return false;
    }
    host == "s3.filebase.com"
        || host.ends_with(".backblazeb2.com")
        || host.ends_with(".supabase.co")
        || host.contains(':') && !CLOUDS.iter().any(|cloud| host.contains(cloud))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::on_s3::place_of_folder;
    use crate::config::tests::sound;
    use crate::remote::Place;

    fn place(top: &str, replica: &str) -> Result<Option<S3>, &'static str> {
        let config = sound(&format!("{top}\ndbs: [{{dir: d, pattern: '*', replica: {replica}}}]\n"));
        let found = place_of_folder(&config, 0)?;
        Ok(found.map(|found| match found {
            Place::S3(place) => place,
            Place::Gcs(_) | Place::Azure(_) => panic!("{found:?} is not on S3"),
        }))
    }

    fn shown(top: &str, replica: &str) -> String {
        serde_json::to_string(&place(top, replica).expect("it can be listed")).expect("JSON")
    }

    #[test]
    fn the_bucket_goes_where_litestream_puts_it() {
        for (replica, path_style, region) in [
            ("{type: s3, bucket: b, endpoint: 'https://h'}", true, None),
            ("{type: s3, bucket: b, endpoint: 'https://h', force-path-style: false}", false, None),
            ("{type: s3, bucket: b, endpoint: 'http://h:9', force-path-style: false}", false, None),
            ("{url: 's3://b/a'}", false, None),
            ("{url: 's3://b/a?endpoint=h.example'}", true, None),
            ("{url: 's3://b/a?endpoint=h.example&forcePathStyle=false'}", false, None),
            ("{url: 's3://b/a?endpoint=h.example:9&forcePathStyle=false'}", true, None),
            ("{url: 's3://b/a?endpoint=h.example', force-path-style: false}", true, None),
            ("{url: 's3://b/a?endpoint=h.example&force-path-style=false'}", true, None),
            ("{url: 's3://b/a?forcePathStyle=false', endpoint: 'https://h'}", true, None),
            ("{url: 's3://b.h:9000/a'}", true, Some("us-east-1")),
            ("{url: 's3://b.fra1.digitaloceanspaces.com/a'}", false, Some("fra1")),
            ("{url: 's3://b.s3.eu-1.backblazeb2.com/a'}", true, Some("eu-1")),
            ("{url: 's3://b.s3.fr-par.scw.cloud/a'}", false, Some("fr-par")),
            ("{url: 's3://b.s3.filebase.com/a'}", true, None),
            ("{url: 's3://b.s3.eu-west-1.amazonaws.com/a'}", false, Some("eu-west-1")),
            ("{url: 's3://b.s3.eu-west-1.amazonaws.com/a', region: r}", false, Some("r")),
            ("{url: 's3://arn:aws:s3:us-west-2:1:accesspoint/x/a'}", false, Some("us-west-2")),
        ] {
            let found = place("", replica).unwrap().unwrap();
            assert_eq!((found.path_style, found.region.as_deref()), (path_style, region), "{replica}");
        }
        let found = place("", "{url: 's3://b.h.example:9000/a'}").unwrap().unwrap();
        assert_eq!(found.endpoint.as_deref(), Some("http://h.example:9000"));
    }

    #[test]
    fn settings_mean_what_they_mean_to_litestream() {
        insta::assert_snapshot!(
            shown("endpoint: 127.0.0.1:9\nregion: r\naccess-key-id: k", "{type: s3, bucket: b, path: a/b/}"),
            @r#"{"bucket":"b","prefix":"a/b","endpoint":"https://127.0.0.1:9","region":"r","path_style":true,"skip_verify":false,"access_key_id":"k","secret_access_key":null}"#
        );
        insta::assert_snapshot!(
            shown("", "{url: 's3://b/a?endpoint=minio.example:9&forcePathStyle=false'}"),
            @r#"{"bucket":"b","prefix":"a","endpoint":"https://minio.example:9","region":null,"path_style":true,"skip_verify":false,"access_key_id":null,"secret_access_key":null}"#
        );
        insta::assert_snapshot!(
            shown("", "{url: 's3://b/a'}"),
            @r#"{"bucket":"b","prefix":"a","endpoint":null,"region":null,"path_style":false,"skip_verify":false,"access_key_id":null,"secret_access_key":null}"#
        );
        assert!(place("", "{type: s3, bucket: b, path: /a}").is_err());
    }
}
