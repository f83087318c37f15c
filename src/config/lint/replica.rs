//! Replicas as they are meant: by their URLs, and by values that are not filled in yet.

use std::collections::BTreeSet;

use super::finding::Lint;
use super::placeholder::placeholder;
use super::rules::{
    BROKEN_KEY, BUCKET_LIKE_HOST, FILE_HOST, HOST_KEY, PATH_SLASH, PLACEHOLDER, REPLICA_TYPE,
    UNKNOWN_PARAMETER, URL_USER,
};
use super::tree::{distance, each_setting, replica_types};
use crate::config::model::bucket;
use crate::config::model::kind::Kind;
use crate::config::model::replica_location::s3_host;
use crate::config::model::url::{Url, is_url};
use crate::config::model::whole::Config;
use crate::config::schema::types::clipped;
use crate::config::schema::{Secrecy, Section, Series};
use crate::secrets::mask_value;
use crate::yaml::Node;

/// What 0.5.17 reads in the URL of an S3 replica of a configuration (`NewS3ReplicaClientFromConfig` of its main.go);
/// it reads none in any other, and 0.3 none at all.
const PARAMETERS: [&str; 13] = [
    "endpoint",
    "region",
    "forcePathStyle",
    "skipVerify",
    "signPayload",
    "sign-payload",
    "requireContentMD5",
    "require-content-md5",
    "storageClass",
    "storage-class",
    "partSize",
    "part-size",
    "concurrency",
];

/// Looks at every replica that is known, wherever it was said: in the file, by options, variables or a resolver.
pub fn replicas(config: &Config, series: Series) -> Vec<Lint> {
    let mut found = Vec::new();
    let entries = config.root().get("dbs").and_then(Node::as_list).unwrap_or_default();
    for replica in entries.iter().flat_map(of_entry) {
        let Some(node) = replica.get("url") else { continue };
        let Some(text) = node.as_str().filter(|text| is_url(text)) else { continue };
        let Ok(url) = Url::parse(text) else { continue };
        let lint = |rule, message| Lint::new(rule, config.origin(), message).at(node.line, node.column);
        if !knows(series, &url.scheme) {
            let message =
                format!("`{}://` is no kind of replica that Litestream knows", clipped(&url.scheme));
            found.push(lint(REPLICA_TYPE, message).hint(instead(&url, series)));
            continue;
        }
        // With two slashes what follows is a host (RFC 8089), and to Litestream the first folder below the root.
        if url.scheme == "file" && !url.host.is_empty() {
            let folder = clipped(&format!("{}{}", url.host, url.path));
            let message = format!("`file://{folder}` is the folder `/{folder}` to Litestream");
            let hint = format!(
                "write file:///{folder} if that is meant, else the whole path: file:///path/to/{folder}"
            );
            found.push(lint(FILE_HOST, message).hint(hint));
        }
        let is_server = || bucket::is_server(&url.host, &s3_host(&url.host).bucket);
        let perhaps = bucket::perhaps_host(&url.host).filter(|_| url.scheme == "s3");
        if let Some(host) = perhaps.filter(|_| !is_server()) {
            let message =
                format!("`{}` looks like a server, and stands where the bucket belongs", clipped(host));
            found.push(lint(BUCKET_LIKE_HOST, message).hint(bucket::hint(host)));
        }
        if let Some((message, hint)) = unread_user(&url, text) {
            found.push(lint(URL_USER, message).hint(hint));
        }
        let mut seen = BTreeSet::new();
        for name in url.parameters().filter(|name| seen.insert(name.clone())) {
            if let Some((message, hint)) = unread(&url.scheme, &name, series) {
                found.push(lint(UNKNOWN_PARAMETER, message).hint(hint));
            }
        }
    }
    found.extend(placeholders(config));
    found.extend(broken_keys(config));
    found.extend(slashes(config));
    if series == Series::V05 {
        found.extend(host_keys(config));
    }
    found
}

/// Finds a user in a URL of which Litestream takes no more than the rest (`new…ReplicaClientFromConfig` in its main.go); of Azure's
/// it takes the name, and no key.
fn unread_user(url: &Url, text: &str) -> Option<(String, &'static str)> {
    let authority = text.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let hint = match url.scheme.as_str() {
        "nats" => "write `username: …` and `password: …` beside `url`",
        "s3" | "oss" => "write `access-key-id: …` and `secret-access-key: …` beside `url`",
        "gs" | "gcs" => "name a file with GOOGLE_APPLICATION_CREDENTIALS",
        "abs" if user.contains(':') => "write `account-key: …` beside `url`",
        _ => return None,
    };
    let what = if url.scheme == "abs" { "key" } else { "user" };
    Some((format!("Litestream does not read the {what} in the URL of `{}`", url.scheme), hint))
}

/// Finds replicas on SFTP without a host key: Litestream connects to whatever has the address, and says no more than that in
/// its log, each time.
fn host_keys(config: &Config) -> Vec<Lint> {
    let replicas = config.databases().iter().flat_map(|database| &database.replicas);
    let replicas = replicas.chain(config.directories().iter().flat_map(|directory| &directory.replicas));
    let on_sftp: BTreeSet<usize> =
        replicas.filter(|replica| replica.kind == Kind::Sftp).map(|replica| replica.line).collect();
    let has = |node: &Node| node.get("host-key").is_some_and(|key| key.as_str() != Some(""));
    let entries = config.root().get("dbs").and_then(Node::as_list).unwrap_or_default();
    let open = entries.iter().flat_map(of_entry).filter(|replica| on_sftp.contains(&replica.line));
    open.filter(|replica| !has(replica) && !has(config.root()))
        .map(|replica| {
            let message =
                "the server of a replica on SFTP is not verified: whoever answers there gets the backup";
            // Go asks for ecdsa first, then rsa, and ed25519 last, whatever `host-key` has (tried with 0.5.17).
            let hint = "write `host-key: …`, as `ssh-keyscan -t ecdsa HOST` shows it without the name: `ecdsa-sha2-nistp256 AAAA…`; \
                        of a server without such a key the rsa line, and the ed25519 one only if it has no other";
            Lint::new(HOST_KEY, config.origin(), message.to_owned()).at(replica.line, 0).hint(hint)
        })
        .collect()
}

/// Paths in a bucket that Litestream takes to the letter: `/a`, `a/` and `a` are three places, and look like one.
fn slashes(config: &Config) -> Vec<Lint> {
    let mut found = Vec::new();
    let replicas = config.databases().iter().flat_map(|database| &database.replicas);
    let replicas = replicas.chain(config.directories().iter().flat_map(|directory| &directory.replicas));
    let in_buckets: BTreeSet<usize> = replicas
        .filter(|replica| matches!(replica.kind, Kind::S3 | Kind::Gcs | Kind::Abs | Kind::Oss))
        .map(|replica| replica.line)
        .collect();
    let entries = config.root().get("dbs").and_then(Node::as_list).unwrap_or_default();
    for replica in entries.iter().flat_map(of_entry).filter(|replica| in_buckets.contains(&replica.line)) {
        let Some(path) = replica.get("path") else { continue };
        let Some(text) = path.as_str().filter(|text| text.len() > 1) else { continue };
        let meant = text.trim_start_matches("./").trim_matches('/');
        if meant != text && !meant.is_empty() {
            let message = format!(
                "`path: {}` is to the letter in the names of the objects, and another place than `{}`",
                clipped(text),
                clipped(meant)
            );
            let hint = format!(
                "write `path: {}`, unless there is a backup already, which keeps its place",
                clipped(meant)
            );
            found.push(Lint::new(PATH_SLASH, config.origin(), message).at(path.line, path.column).hint(hint));
        }
    }
    found
}

fn of_entry(entry: &Node) -> impl Iterator<Item = &Node> {
    let several = entry.get("replicas").and_then(Node::as_list).unwrap_or_default();
    entry.get("replica").into_iter().chain(several)
}

/// Finds placeholders that are not filled in yet.
fn placeholders(config: &Config) -> Vec<Lint> {
    let mut found = Vec::new();
    each_setting(config.root(), Section::Top, &mut |section, key, value| {
        let Some(text) =
            value.as_str().filter(|_| matches!(section, Section::Top | Section::Database | Section::Replica))
        else {
            return;
        };
        // What is secret in a URL may hold anything as well.
        let open = match key.secrecy {
            Secrecy::Address => mask_value(text),
            Secrecy::Open | Secrecy::Secret => text.to_owned(),
        };
        let Some(part) = placeholder(key.name, key.secrecy, &open) else { return };
        let shown = match key.secrecy {
            Secrecy::Secret => String::new(),
            Secrecy::Open | Secrecy::Address => format!("`{}`, ", clipped(part)),
        };
        let message = format!("`{}` has {shown}a placeholder for what is yours", key.name);
        let from = config.traces().words(value.line, value.column);
        let message = from.iter().fold(message, |message, from| format!("{message}; {from}"));
        let lint = Lint::new(PLACEHOLDER, config.origin(), message).at(value.line, value.column);
        found.push(lint.hint("put the real value in its place"));
    });
    found
}

/// Keys and secrets with what `echo KEY > file` or a file of Windows' puts behind them: they sign nothing, and servers do not say why.
fn broken_keys(config: &Config) -> Vec<Lint> {
    let mut found = Vec::new();
    each_setting(config.root(), Section::Top, &mut |section, key, value| {
        // Keys of encryption are lines of a file.
        if !matches!(section, Section::Top | Section::Database | Section::Replica) {
            return;
        }
        let Some(what) = value.as_str().and_then(|text| odd_in_key(key.name, key.secrecy, text)) else {
            return;
        };
        let message = format!("`{}` begins or ends with {what}", key.name);
        let from = config.traces().words(value.line, value.column);
        let message = from.iter().fold(message, |message, from| format!("{message}; {from}"));
        let lint = Lint::new(BROKEN_KEY, config.origin(), message).at(value.line, value.column);
        found.push(lint.hint(NO_LINE_END));
    });
    found
}

/// What then helps.
pub(super) const NO_LINE_END: &str = concat!(
    "it would be a part of the key: take it away (`printf %s KEY`, not `echo KEY`; a `.env` without CRLF); ",
    "only a file that `{file: PATH}` or NAME_FILE names may end with it",
);

/// Says what no key or secret of this name begins or ends with: of those that are made by a service a blank, of all
/// others a line's end.
pub(super) fn odd_in_key(name: &str, secrecy: Secrecy, text: &str) -> Option<&'static str> {
    let is_made = matches!(name, "access-key-id" | "secret-access-key" | "account-key" | "sas-token");
    if !is_made && secrecy != Secrecy::Secret {
        return None;
    }
    let is_at = |what: fn(char) -> bool| text.starts_with(what) || text.ends_with(what);
    match () {
        () if is_at(|c| matches!(c, '\n' | '\r')) => Some("a line's end"),
        () if is_made && is_at(char::is_whitespace) => Some("a blank"),
        () => None,
    }
}

fn knows(series: Series, scheme: &str) -> bool {
    // Each series has one of the two names; what is written as a `type` is put right.
    let is_old_name = series == Series::V05 && scheme == "gcs";
    replica_types(series).contains(&scheme) && !is_old_name || series == Series::V05 && scheme == "webdavs"
}

/// Says what to write in the place of a scheme that there is not.
fn instead(url: &Url, series: Series) -> String {
    let s3 = |endpoint: &str| format!("write s3://BUCKET/PATH, and beside it `endpoint: {endpoint}`");
    match url.scheme.as_str() {
        "r2" | "cloudflare" => s3("https://ACCOUNT.r2.cloudflarestorage.com"),
        "minio" | "ceph" | "garage" | "seaweedfs" | "rustfs" => s3("http://HOST:9000"),
        "b2" | "backblaze" => s3("https://s3.REGION.backblazeb2.com"),
        "tigris" | "t3" => s3("https://fly.storage.tigris.dev"),
        "spaces" | "do" | "digitalocean" => s3("https://REGION.digitaloceanspaces.com"),
        "wasabi" => s3("https://s3.REGION.wasabisys.com"),
        "s3a" | "s3n" | "aws" => "write s3://BUCKET/PATH".to_owned(),
        "http" | "https" => {
            let host = if url.host.is_empty() { "HOST" } else { &url.host };
            let server = format!("{}://{}", url.scheme, clipped(host));
            format!("a server that speaks S3: {}; one that speaks WebDAV: webdavs://HOST/PATH", s3(&server))
        }
        "azure" | "az" | "azblob" | "wasb" | "wasbs" | "blob" => {
            "write abs://CONTAINER/PATH, and beside it `account-name: …`".to_owned()
        }
        "gcs" | "google" | "gcloud" | "gstorage" => "write gs://BUCKET/PATH".to_owned(),
        "ssh" | "scp" | "ftp" | "ftps" | "rsync" => {
            "write sftp://HOST/PATH, and beside it `user: …`".to_owned()
        }
        "dav" | "davs" => "write webdav://HOST/PATH, or webdavs://".to_owned(),
        scheme => {
            let close = replica_types(series).iter().map(|known| (distance(scheme, known), known)).min();
            match close {
                Some((1, known)) => format!("did you mean `{known}`?"),
                _ => format!("it knows {}", replica_types(series).join(", ")),
            }
        }
    }
}

/// Returns a parameter that changes nothing, and what could be meant.
fn unread(scheme: &str, name: &str, series: Series) -> Option<(String, String)> {
    let reads = series == Series::V05 && scheme == "s3";
    if reads && PARAMETERS.contains(&name) {
        return None;
    }
    let shown = clipped(name);
    let letters = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
    if reads {
        let message = format!("`{shown}` is no parameter of a URL that Litestream reads");
        let alike = PARAMETERS.iter().find(|known| letters(known) == letters(name));
        let close = PARAMETERS.iter().map(|known| (distance(name, known), known)).min();
        let close =
            close.filter(|(distance, known)| *distance <= 1 + known.len() / 5).map(|(_, known)| known);
        if let Some(known) = alike.or(close) {
            return Some((message, format!("did you mean `{known}`?")));
        }
        return Some((message, beside(&shown)));
    }
    let whose = if series == Series::V03 { "Litestream 0.3" } else { "Litestream" };
    Some((
        format!("{whose} reads no parameters in the URL of `{}`: `{shown}` changes nothing", clipped(scheme)),
        beside(&shown),
    ))
}

/// Returns the setting of that name.
fn beside(name: &str) -> String {
    let letters = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
    let key = Section::Replica.keys().find(|key| letters(key.name) == letters(name));
    key.map_or_else(|| "take it out".to_owned(), |key| format!("write `{}: …` beside `url`", key.name))
}
