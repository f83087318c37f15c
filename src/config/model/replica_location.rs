//! The one location that a replica's settings mean, however they are written.

use super::bucket;
use super::kind::Kind;
use super::path::Base;
use super::settings::Settings;
use super::url::Url;
use crate::config::error::Problem;
use crate::config::values::meant::meant;

/// A replica's location, once for people and once for comparing.
pub(in crate::config) struct ReplicaLocation {
    pub display: String,
    pub location: String,
}

type Found<T> = Result<T, (usize, Problem)>;

impl ReplicaLocation {
    /// Finds the place as Litestream's `New…ReplicaClientFromConfig` do.
    pub fn find(kind: &Kind, settings: &Settings<'_>, url: Option<&Url>, base: &Base<'_>) -> Found<Self> {
        match kind {
            Kind::File => file(settings, url, base),
            Kind::S3 => s3(settings, url),
            Kind::Gcs => {
                let (bucket, path) = bucket_and_path(kind, settings, url, str::to_owned)?;
                Ok(Self::new("gs", &bucket, &path, ""))
            }
            Kind::Oss => {
                let (bucket, path) = bucket_and_path(kind, settings, url, oss_bucket)?;
                Ok(Self::new("oss", &bucket, &path, ""))
            }
            Kind::Abs => abs(settings, url),
            Kind::Sftp => sftp(settings, url),
            Kind::Webdav => webdav(settings, url),
            Kind::Nats => nats(settings, url),
            Kind::Other(name) => other(name, settings, url),
        }
    }

    /// Makes `scheme://host/path`; `account` tells apart what has the same name elsewhere.
    fn new(scheme: &str, host: &str, path: &str, account: &str) -> Self {
        let display =
            if path.is_empty() { format!("{scheme}://{host}") } else { format!("{scheme}://{host}/{path}") };
        let location = format!("{scheme}:{account}:{host}/{path}");
        Self { display, location }
    }
}

fn file(settings: &Settings<'_>, url: Option<&Url>, base: &Base<'_>) -> Found<ReplicaLocation> {
    let text = match url {
        // `s3:/x` is no URL to Litestream's test for one, so it got here without a type.
        Some(url) if url.scheme != "file" => {
            return Err((
                settings.line(),
                Problem::BadUrl {
                    reason: "has no scheme such as s3:// or file://",
                    meant: settings.own("url")?.map(meant),
                    shown: String::new(),
                },
            ));
        }
        Some(url) => url.file.clone(),
        None if settings.own("type")?.is_none() => {
            for key in ["bucket", "endpoint", "region", "host"] {
                if settings.own(key)?.is_some() {
                    return Err((settings.line_of(key), Problem::NoType { key }));
                }
            }
            settings.own("path")?.ok_or_else(|| settings.missing(&Kind::File, "path"))?.to_owned()
        }
        None => settings.own("path")?.ok_or_else(|| settings.missing(&Kind::File, "path"))?.to_owned(),
    };
    if url.is_none() && has_user(&text) {
        return Err((
            settings.line(),
            Problem::BadUrl {
                reason: "has no scheme such as s3:// or file://",
                meant: None,
                shown: String::new(),
            },
        ));
    }
    let key = if url.is_some() { "url" } else { "path" };
    let path = base.absolute(key, &text).map_err(|problem| (settings.line(), problem))?;
    let display = path.display().to_string();
    Ok(ReplicaLocation { location: format!("file:{display}"), display })
}

/// Says whether this is a URL with a user and a password whose scheme was forgotten: as a folder it would be shown,
/// and made.
pub fn has_user(text: &str) -> bool {
    let place = match text.strip_prefix("//") {
        Some(place) => place,
        None => text.split('/').next().unwrap_or_default(),
    };
    place.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

fn s3(settings: &Settings<'_>, url: Option<&Url>) -> Found<ReplicaLocation> {
    let host = url.map(|url| s3_host(&url.host));
    if let (Some(url), Some(found)) = (url, &host)
        && bucket::is_server(&url.host, &found.bucket)
    {
        return Err((settings.line_of("url"), Problem::HostAsBucket { host: url.host.clone() }));
    }
    if let Some(named) = settings.or_default("bucket")? {
        let line = settings.line_of("bucket");
        let bare = named.split_once("://").map_or(named, |(_, rest)| rest);
        if bare == named && bucket::is_server(named, named) {
            return Err((line, Problem::HostAsBucket { host: named.to_owned() }));
        }
        if bare != named || (named.contains('/') && !named.starts_with("arn:")) {
            let what = if bare == named { "a path" } else { "a scheme" };
            return Err((line, Problem::BucketWithMore { what }));
        }
    }
    let (bucket, path) = bucket_and_path(&Kind::S3, settings, url, |_| {
        host.as_ref().map(|h| h.bucket.clone()).unwrap_or_default()
    })?;
    let endpoint = match settings.or_default("endpoint")? {
        Some(endpoint) => endpoint.to_owned(),
        None => url.and_then(|url| url.query("endpoint")).or(host.map(|h| h.endpoint)).unwrap_or_default(),
    };
    let endpoint = server(&endpoint);
    // Amazon's bucket names are unique in the world, whatever the region.
    let account = if endpoint.ends_with(".amazonaws.com") { "" } else { &endpoint };
    Ok(ReplicaLocation::new("s3", &bucket, &path, account))
}

/// What the host of an `s3://` URL says.
pub(in crate::config) struct S3Host {
    pub bucket: String,
    /// With its scheme; empty for Amazon's.
    pub endpoint: String,
    /// Empty where the host says none.
    pub region: String,
    /// The bucket goes into the path.
    pub path_style: bool,
}

/// Reads a host as Litestream's `s3.ParseHost` does: `bucket.host:port`, the hosts of some providers, else a bucket.
pub(in crate::config) fn s3_host(host: &str) -> S3Host {
    let of = |bucket: &str, endpoint: &str, region: &str, path_style| S3Host {
        bucket: bucket.to_owned(),
        endpoint: endpoint.to_owned(),
        region: region.to_owned(),
        path_style,
    };
    if host.starts_with("arn:") {
        return of(host, "", host.split(':').nth(3).unwrap_or_default(), false);
    }
    if host.contains(':') && !host.contains(".com") {
        return match host.split_once('.') {
            Some((bucket, endpoint)) => of(bucket, &format!("http://{endpoint}"), "us-east-1", true),
            None => of("", &format!("http://{host}"), "", true),
        };
    }
    if let Some(rest) = host.strip_suffix(".amazonaws.com") {
        // `bucket.s3` or `bucket.s3.region`, and a bucket's name may have dots.
        let found = rest.strip_suffix(".s3").map(|bucket| (bucket, "")).or_else(|| {
            let (before, region) = rest.rsplit_once('.')?;
            Some((before.strip_suffix(".s3")?, region))
        });
        let (bucket, region) = found.filter(|(bucket, _)| !bucket.is_empty()).unwrap_or((host, ""));
        return of(bucket, "", region, false);
    }
    if let Some(rest) = host.strip_suffix(".digitaloceanspaces.com") {
        let (bucket, region) = rest.rsplit_once('.').unwrap_or(("", rest));
        return of(bucket, &format!("https://{region}.digitaloceanspaces.com"), region, false);
    }
    for (provider, path_style) in [("backblazeb2.com", true), ("scw.cloud", false)] {
        let rest = host.strip_suffix(provider).and_then(|rest| rest.strip_suffix('.'));
        if let Some((before, region)) = rest.and_then(|rest| rest.rsplit_once('.'))
            && let Some(bucket) =
                before.strip_suffix(".s3").or_else(|| before.strip_suffix("s3").filter(|b| b.is_empty()))
        {
            return of(bucket, &format!("https://s3.{region}.{provider}"), region, path_style);
        }
    }
    match host.strip_suffix(".s3.filebase.com") {
        Some(bucket) => of(bucket, "https://s3.filebase.com", "", false),
        None => of(host, "", "", false),
    }
}

fn oss_bucket(host: &str) -> String {
    match host.split_once(".oss-") {
        Some((bucket, rest)) if rest.ends_with(".aliyuncs.com") && !bucket.contains('.') => bucket.to_owned(),
        Some(_) | None => host.to_owned(),
    }
}

fn abs(settings: &Settings<'_>, url: Option<&Url>) -> Found<ReplicaLocation> {
    let (bucket, path) = bucket_and_path(&Kind::Abs, settings, url, str::to_owned)?;
    let user = url.and_then(|url| url.user.as_deref());
    let account = settings.or_default("account-name")?.or(user).unwrap_or_default();
    let endpoint = server(settings.or_default("endpoint")?.unwrap_or_default());
    Ok(ReplicaLocation::new("abs", &bucket, &path, &format!("{account}@{endpoint}")))
}

fn bucket_and_path(
    kind: &Kind,
    settings: &Settings<'_>,
    url: Option<&Url>,
    bucket_of_host: impl Fn(&str) -> String,
) -> Found<(String, String)> {
    let bucket = match settings.or_default("bucket")? {
        Some(bucket) if bucket.contains(char::is_whitespace) => {
            return Err((settings.line_of("bucket"), Problem::BucketWithMore { what: "a blank" }));
        }
        Some(bucket) => bucket.to_owned(),
        None => url.map(|url| bucket_of_host(&url.host)).unwrap_or_default(),
    };
    if bucket.is_empty() {
        return Err(settings.missing(kind, "bucket"));
    }
    let path = settings.own("path")?.or(url.map(|url| url.path.as_str())).unwrap_or_default();
    Ok((bucket, clean(path)))
}

fn sftp(settings: &Settings<'_>, url: Option<&Url>) -> Found<ReplicaLocation> {
    let host = settings.or_default("host")?.or(url.map(|url| url.host.as_str())).unwrap_or_default();
    if host.is_empty() {
        return Err(settings.missing(&Kind::Sftp, "host"));
    }
    let user = settings.or_default("user")?.or(url.and_then(|url| url.user.as_deref())).unwrap_or_default();
    if user.is_empty() {
        return Err(settings.missing(&Kind::Sftp, "user"));
    }
    let path = settings.own("path")?.or(url.map(|url| url.path.as_str())).unwrap_or_default();
    let host = host.to_ascii_lowercase();
    let bare = host.strip_suffix(":22").unwrap_or(&host);
    // A relative path is below the user's home.
    let account = if path.starts_with('/') { "" } else { user };
    Ok(ReplicaLocation::new("sftp", bare, &clean(path), account))
}

fn webdav(settings: &Settings<'_>, url: Option<&Url>) -> Found<ReplicaLocation> {
    let folder = settings.own("webdav-url")?;
    let host = folder.map(server).or(url.map(|url| server(&url.host))).unwrap_or_default();
    if host.is_empty() {
        return Err(settings.missing(&Kind::Webdav, "webdav-url"));
    }
    let path = settings.own("path")?.or(url.map(|url| url.path.as_str())).unwrap_or_default();
    Ok(ReplicaLocation::new("webdav", &host, &clean(path), ""))
}

fn nats(settings: &Settings<'_>, url: Option<&Url>) -> Found<ReplicaLocation> {
    let in_url = url.map(|url| clean(&url.path)).filter(|bucket| !bucket.is_empty());
    let bucket = match in_url {
        Some(bucket) => bucket,
        None => {
            settings.or_default("bucket")?.ok_or_else(|| settings.missing(&Kind::Nats, "bucket"))?.to_owned()
        }
    };
    // Litestream would ask for a store of that name, and no server has one (`nats: invalid bucket name`).
    if bucket.contains('/') {
        let key = if url.is_some_and(|url| clean(&url.path) == bucket) { "url" } else { "bucket" };
        return Err((settings.line_of(key), Problem::NatsWithPath));
    }
    // That one it reads for no bucket, and says nothing.
    if settings.own("path")?.is_some() {
        return Err((settings.line_of("path"), Problem::NatsWithPath));
    }
    let host = url.map(|url| server(&url.host)).unwrap_or_default();
    Ok(ReplicaLocation::new("nats", &host, &bucket, ""))
}

fn other(name: &str, settings: &Settings<'_>, url: Option<&Url>) -> Found<ReplicaLocation> {
    let host = url.map(|url| url.host.as_str());
    let host = settings.or_default("bucket")?.or(settings.or_default("host")?).or(host).unwrap_or_default();
    let path = settings.own("path")?.or(url.map(|url| url.path.as_str())).unwrap_or_default();
    Ok(ReplicaLocation::new(name, host, &clean(path), ""))
}

/// Returns host, port and path of a server's address, without scheme, user, query and final slash.
fn server(address: &str) -> String {
    let bare = address.split_once("://").map_or(address, |(_, rest)| rest);
    let bare = bare.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = bare.find('/').map_or((bare, ""), |slash| bare.split_at(slash));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_ascii_lowercase();
    let port = if address.starts_with("http://") { ":80" } else { ":443" };
    format!("{}{}", host.strip_suffix(port).unwrap_or(&host), path.trim_end_matches('/'))
}

/// Returns a key or remote path without `.`, `..`, doubled, leading and final slashes.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::model::replica::Replica;
    use crate::yaml::parse;

    fn replica(yaml: &str) -> Result<Replica, Problem> {
        let node = parse(yaml).expect("valid YAML");
        let defaults = parse("{region: r}").expect("valid YAML");
        let base = Base { cwd: Path::new("/srv"), home: Some(Path::new("/home/me")) };
        Replica::read(&node, &defaults, &base).map_err(|(_, problem)| problem)
    }

    fn location(yaml: &str) -> String {
        replica(yaml).unwrap_or_else(|problem| panic!("{yaml}: {problem}")).location
    }

    #[test]
    fn the_same_place_is_found_however_it_is_written() {
        for same in [
            &[
                "{url: s3://b/p}",
                "{url: s3://b/p/}",
                "{url: S3://b//p/x/..}",
                "{type: s3, bucket: b, path: p}",
                "{type: s3, bucket: b, path: /p/}",
                "{url: s3://b.s3.eu-west-1.amazonaws.com/p}",
                "{type: s3, bucket: b, path: p, endpoint: \"https://s3.eu-west-1.amazonaws.com\"}",
                "{url: s3://key:secret@b/p}",
            ][..],
            &[
                "{url: s3://b.localhost:9000/p}",
                "{url: \"s3://b/p?endpoint=localhost:9000\"}",
                "{type: s3, bucket: b, path: p, endpoint: \"http://localhost:9000/\"}",
            ],
            &[
                "{url: s3://b.fra1.digitaloceanspaces.com/p}",
                "{type: s3, bucket: b, path: p, endpoint: fra1.digitaloceanspaces.com}",
            ],
            &[
                "{url: s3://b.s3.eu.backblazeb2.com/p}",
                "{type: s3, bucket: b, path: p, endpoint: s3.eu.backblazeb2.com}",
            ],
            &[
                "{path: a}",
                "{path: /srv/a/}",
                "{url: file:///srv/a}",
                "{type: file, path: ./x/../a}",
                "{url: file:a}",
            ],
            &["{path: ~/a}", "{path: /home/me/a}"],
            &["{url: gs://b/p}", "{type: gs, bucket: b, path: p}"],
            &["{url: abs://acc@b/p}", "{type: abs, account-name: acc, bucket: b, path: p}"],
            &["{url: sftp://u:p@h:22/a}", "{type: sftp, host: H, user: u, path: /a}"],
            &["{url: oss://b.oss-cn-hangzhou.aliyuncs.com/p}", "{type: oss, bucket: b, path: p}"],
            &["{url: webdavs://u:p@h/a}", "{type: webdav, webdav-url: \"https://h/\", path: /a}"],
            &["{url: nats://h:4222/b}", "{url: nats://h:4222/b/}"],
        ] {
            for other in &same[1..] {
                assert_eq!(location(same[0]), location(other), "{} and {other}", same[0]);
            }
        }
    }

    #[test]
    fn different_places_stay_different() {
        let all = [
            "{url: s3://b/p}",
            "{url: s3://b/q}",
            "{url: s3://c/p}",
            "{url: \"s3://b/p?endpoint=localhost:9000\"}",
            "{url: gs://b/p}",
            "{url: abs://one@b/p}",
            "{url: abs://two@b/p}",
            "{path: /b/p}",
            "{path: /b/P}",
            "{url: sftp://u@h/p}",
            "{type: sftp, host: h, user: u, path: p}",
            "{type: sftp, host: h, user: v, path: p}",
        ];
        let places: std::collections::BTreeSet<_> = all.iter().map(|yaml| location(yaml)).collect();
        assert_eq!(places.len(), all.len(), "{places:?}");
    }

    #[test]
    fn no_secret_is_kept() {
        for yaml in [
            "{url: \"s3://AKIA:hunter2@b/p?token=hunter2\", secret-access-key: hunter2}",
            "{type: s3, bucket: b, endpoint: \"https://me:hunter2@minio:9000/x?sig=hunter2\"}",
            "{url: sftp://u:hunter2@h/p}",
            "{url: webdav://u:hunter2@h/p}",
            "{type: webdav, webdav-url: \"https://u:hunter2@h/x?y=hunter2\", path: p}",
            "{url: nats://u:hunter2@h/b}",
            "{url: abs://acc@b/p, account-key: hunter2, sas-token: hunter2}",
            "{url: 'foo://u:hunter2@h/p?x=hunter2'}",
        ] {
            let shown = format!("{:?}", replica(yaml).expect("a valid replica"));
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        for yaml in [
            "{url: \"s3://AKIA:hunter2/x@b/p\"}",
            "{path: \"s3://AKIA:hunter2@b/p\"}",
            "{url: \"hunter2\"}",
            "{url: \"s3://k:hunter2@b/p\", bucket: b}",
            "{url: \"sftp://h:hunter2/p\"}",
        ] {
            let problem = replica(yaml).expect_err("an invalid replica");
            assert!(!format!("{problem} {problem:?}").contains("hunter2"), "{problem:?}");
        }
    }

    #[test]
    fn what_litestream_refuses_is_refused() {
        for yaml in [
            "{url: s3://b/p, path: x}",
            "{url: s3://b/p, bucket: b}",
            "{url: sftp://u@h/p, host: h}",
            "{type: s3}",
            "{url: \"s3:///p\"}",
            "{type: sftp, host: h}",
            "{type: webdav}",
            "{type: nats}",
            "{url: nats://h/b/shop/a.db}",
            "{type: nats, url: 'nats://h', bucket: b/a}",
            "{type: nats, url: 'nats://h', bucket: b, path: shop}",
            "{url: nats://h/b, path: shop}",
            "{}",
            "{url: /backups}",
            "{url: [s3]}",
            "{path: \"s3://b/p\"}",
            "5",
        ] {
            assert!(replica(yaml).is_err(), "{yaml}");
        }
    }
}
