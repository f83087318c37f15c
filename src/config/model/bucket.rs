//! Buckets, and the servers that people write in their place.
//!
//! In `s3://HOST/…` Litestream takes the host for the bucket, unless it is one of few forms (`s3.ParseHost`). So
//! `s3://minio.example.com:9000/b` is a bucket of that name at Amazon.

use std::net::IpAddr;

/// Where S3 is spoken. No bucket has such a name.
const SERVERS: [&str; 30] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "aliyuncs.com",
    "backblazeb2.com",
    "civo.com",
    "contabostorage.com",
    "digitaloceanspaces.com",
    "exo.io",
    "filebase.com",
    "googleapis.com",
    "idrivee2.com",
    "ionoscloud.com",
    "linodeobjects.com",
    "min.io",
    "myqcloud.com",
    "myhuaweicloud.com",
    "oraclecloud.com",
    "ovh.net",
    "r2.cloudflarestorage.com",
    "r2.dev",
    "scw.cloud",
    "storage.dev",
    "supabase.co",
    "tigris.dev",
    "upcloudobjects.com",
    "vultrobjects.com",
    "wasabisys.com",
    "yandexcloud.net",
    "your-objectstorage.com",
    "infomaniak.cloud",
];

/// Says whether `bucket`, which Litestream makes of the host of a URL, is really a server.
pub(in crate::config) fn is_server(host: &str, bucket: &str) -> bool {
    if host.starts_with("arn:") {
        return false;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_provider = |bucket: &str| {
        SERVERS.iter().any(|server| {
            let before = bucket.strip_suffix(server);
            before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        })
    };
    // What has a port, and no bucket before its first dot; no bucket has a colon in its name.
    bucket.is_empty() && !host.is_empty()
        || bucket.contains(':')
        || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
        || is_provider(bucket)
}

/// Finds a host that is a server by its looks, though a bucket could have the name.
pub(in crate::config) fn perhaps_host(host: &str) -> Option<&str> {
    let (name, port) = host.rsplit_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let mut labels = name.split('.');
    let first = labels.next().unwrap_or_default();
    let is_server_name = ["s3", "minio", "storage", "objects", "garage", "localhost"].contains(&first);
    let has_domain = labels.next().is_some();
    (is_server_name && (has_domain || port.is_some() || first == "localhost")).then_some(host)
}

/// Says what to write instead.
pub(in crate::config) fn hint(host: &str) -> String {
    let host = host.chars().take(80).collect::<String>();
    let is_plain = host.contains(':') && !host.ends_with(":443");
    let scheme = if is_plain { "http" } else { "https" };
    format!("write `url: s3://BUCKET/PATH`, and beside it `endpoint: {scheme}://{host}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::replica_location::s3_host;

    #[test]
    fn servers_are_told_from_buckets() {
        for host in [
            "minio.example.com:9000",
            "minio:9000",
            "localhost:9000",
            "127.0.0.1:9000",
            "10.0.0.7",
            "abc.r2.cloudflarestorage.com",
            "abc.eu.r2.cloudflarestorage.com",
            "s3.amazonaws.com",
            "s3.eu-west-1.amazonaws.com",
            "fly.storage.tigris.dev",
            "t3.storage.dev",
            "nyc3.digitaloceanspaces.com",
            "s3.us-west-004.backblazeb2.com",
            "s3.eu-central-1.wasabisys.com",
            "storage.googleapis.com",
            "fsn1.your-objectstorage.com",
        ] {
            assert!(is_server(host, &s3_host(host).bucket), "{host}");
        }
        for host in [
            "bucket",
            "my.bucket.name",
            "backups.example.com",
            "b.localhost:9000",
            "b.minio.internal:9000",
            "b.s3.amazonaws.com",
            "b.s3.eu-west-1.amazonaws.com",
            "b.nyc3.digitaloceanspaces.com",
            "b.s3.us-west-004.backblazeb2.com",
            "b.s3.fr-par.scw.cloud",
            "b.s3.filebase.com",
            "arn:aws:s3:us-east-1:123:accesspoint/mine",
            "",
        ] {
            assert!(!is_server(host, &s3_host(host).bucket), "{host}");
            assert_eq!(perhaps_host(host), None, "{host}");
        }
        for host in ["s3.example.org", "minio.internal:9000", "minio.example.com", "localhost"] {
            assert_eq!(perhaps_host(host), Some(host), "{host}");
        }
    }
}
