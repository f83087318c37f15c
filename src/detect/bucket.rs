//! The variables of the replica's place, of those that are set where the app runs.

use std::collections::BTreeMap;

use super::project::Project;
use super::{Database, path};

/// Finds the keys of a replica and their variables: Litestream's own, else those that Fly sets for a bucket.
pub(super) fn variables(project: &Project<'_>) -> Vec<(&'static str, &'static str)> {
    let is_set = |name: &str| project.variable(name).is_some();
    if is_set("LITESTREAM_REPLICA_URL") {
        return vec![("url", "LITESTREAM_REPLICA_URL")];
    }
    let first = |names: &[&'static str]| names.iter().copied().find(|name| is_set(name));
    let bucket = first(&["LITESTREAM_REPLICA_BUCKET", "BUCKET_NAME"]).unwrap_or("LITESTREAM_REPLICA_BUCKET");
    let mut found = vec![("bucket", bucket)];
    found.extend(first(&["LITESTREAM_REPLICA_PATH"]).map(|name| ("path", name)));
    found.extend(first(&["LITESTREAM_REPLICA_REGION"]).map(|name| ("region", name)));
    found.extend(
        first(&["LITESTREAM_REPLICA_ENDPOINT", "AWS_ENDPOINT_URL_S3"]).map(|name| ("endpoint", name)),
    );
    found
}

/// Names the variables of the keys that go with a bucket: Fly's are AWS's own.
pub(super) fn keys(bucket: &str) -> [&'static str; 2] {
    if bucket == "BUCKET_NAME" {
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    } else {
        ["LITESTREAM_ACCESS_KEY_ID", "LITESTREAM_SECRET_ACCESS_KEY"]
    }
}

/// Finds the schemes of the URLs that the replicas' variables have here.
pub(super) fn schemes(
    project: &Project<'_>,
    databases: &[Database],
    place: &[(&'static str, &'static str)],
) -> BTreeMap<String, String> {
    let settings = databases.iter().filter_map(|database| database.replica.as_ref()).flatten();
    let places = settings.filter(|(key, _)| key == "url" || key == "type");
    let texts = places.filter_map(|(_, value)| path::variables(value.text()?).next());
    let urls = place.iter().filter(|(key, _)| *key == "url").map(|(_, name)| *name);
    let known = texts.chain(urls).filter_map(|name| {
        let (value, _) = project.variable_and_file(name)?;
        let scheme = value.split_once("://").map_or(value.as_str(), |(scheme, _)| scheme);
        // A folder has no scheme, and its path is not shown.
        let is_scheme = scheme.chars().all(|c| c.is_ascii_alphanumeric());
        Some((name.to_owned(), if is_scheme { scheme.to_ascii_lowercase() } else { "file".to_owned() }))
    });
    known.collect()
}
