//! The variables that say where the replica is, of those that are set where the app runs.

use super::project::Project;

/// The keys of a replica and their variables: Litestream's own, else those that Fly sets for a bucket of its.
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

/// The variables of the keys that go with a bucket: Fly's are AWS's own.
pub(super) fn keys(bucket: &str) -> [&'static str; 2] {
    if bucket == "BUCKET_NAME" {
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    } else {
        ["LITESTREAM_ACCESS_KEY_ID", "LITESTREAM_SECRET_ACCESS_KEY"]
    }
}
