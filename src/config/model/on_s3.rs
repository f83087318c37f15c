//! What of a configuration is on S3, or in a bucket of another kind.

use super::endpoint::{Written, is_doubtful, with_scheme};
use super::folder::folder_node;
use super::kind::Kind;
use super::place;
use super::settings::text;
use super::url::Url;
use super::whole::Config;
use crate::remote::Place;
use crate::yaml::Node;

/// An endpoint without a scheme that looks as if it was not meant to be asked over https.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BareEndpoint {
    /// As it is written, without a user.
    pub endpoint: String,
    /// Its line, 0 without a file.
    pub line: usize,
}

/// Returns the endpoints of S3 that Litestream asks over https only because nothing else is written: with a port of
/// their own, or with a name or number of a private network.
pub fn bare_endpoints(config: &Config) -> Vec<BareEndpoint> {
    let root = config.root();
    let entries = root.get("dbs").and_then(Node::as_list).unwrap_or_default();
    let replicas = entries.iter().flat_map(|entry| {
        let several = entry.get("replicas").and_then(Node::as_list).unwrap_or_default();
        entry.get("replica").into_iter().chain(several)
    });
    let mut found: Vec<BareEndpoint> = Vec::new();
    for node in replicas {
        let said = |key| text(node, key).ok().flatten();
        let url = said("url").and_then(|url| Url::parse(url).ok());
        let kind = said("type").or(url.as_ref().map(|url| url.scheme.as_str()));
        if kind.is_some_and(|kind| kind != "s3") {
            continue;
        }
        let (key, line) = match node.get("endpoint").or_else(|| root.get("endpoint")) {
            Some(endpoint) => (endpoint.as_str().map(str::to_owned), endpoint.line),
            None => (None, node.get("url").map_or(node.line, |url| url.line)),
        };
        let written = if key.is_some() { Written::Key } else { Written::Query };
        let endpoint = key.or_else(|| url.as_ref()?.query("endpoint")).unwrap_or_default();
        let bare = endpoint.rsplit_once('@').map_or(endpoint.as_str(), |(_, host)| host).to_owned();
        let is_https = !endpoint.contains("://") && with_scheme(&endpoint, written).starts_with("https://");
        let bare = BareEndpoint { endpoint: bare, line };
        if is_https && is_doubtful(&bare.endpoint) && !found.contains(&bare) {
            found.push(bare);
        }
    }
    found
}

/// Says where the backups of the `number`-th folder of databases are, if a client of our own can list them there.
///
/// # Errors
/// What of its settings only Litestream can do.
pub fn place_of_folder(config: &Config, number: usize) -> Result<Option<Place>, &'static str> {
    let kind = config.directories().get(number).and_then(|folder| folder.replicas.first());
    let (Some(replica), Some(entry)) = (kind, folder_node(config, number)) else { return Ok(None) };
    place::of(&replica.kind, entry, config.root())
}

/// Returns the same of the only database of a [`super::probe::probe`], whose replica is of this kind.
///
/// # Errors
/// As for [`place_of_folder`].
pub fn place_of_probe(config: &Config, kind: &Kind) -> Result<Option<Place>, &'static str> {
    let entries = config.root().get("dbs").and_then(Node::as_list).unwrap_or_default();
    entries.first().map_or(Ok(None), |entry| place::of(kind, entry, config.root()))
}
