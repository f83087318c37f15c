//! Where each database is replicated to.

use crate::detect::database::Replica;
use crate::detect::{Database, Plan, Setting, path};

/// Where the replicas of databases without one of their own are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// The S3 bucket that `LITESTREAM_REPLICA_BUCKET` names where the app runs.
    Bucket,
    /// Below this URL or folder; `${NAME}` in it stays.
    Below(&'a str),
}

fn text(key: &str, value: String) -> (String, Setting) {
    (key.to_owned(), Setting::Text(value))
}

/// Names each database on the replica: by its file's name, unless two have the same.
pub(super) fn names(plan: &Plan) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for database in &plan.databases {
        let plain = database.called();
        let whole = || {
            let literal =
                path::pieces(&database.path).into_iter().map(Result::unwrap_or_default).collect::<String>();
            literal.split('/').filter(|part| !part.is_empty() && *part != "..").collect::<Vec<_>>().join("/")
        };
        let mut name = if names.contains(&plain) { whole() } else { plain };
        while names.contains(&name) {
            name.push_str("-2");
        }
        names.push(name);
    }
    names
}

/// Makes the replica of a database: the project's own, else one at the target.
pub(super) fn replica(plan: &Plan, database: &Database, name: &str, target: Target<'_>) -> Replica {
    if let Some(replica) = &database.replica {
        return replica.clone();
    }
    let name = match &plan.path_prefix {
        Some(prefix) => format!("{}/{name}", prefix.trim_matches('/')),
        None if is_shared(plan, target) => format!("{}/{name}", plan.project),
        None => name.to_owned(),
    };
    match target {
        Target::Bucket => in_bucket(plan, database, name),
        Target::Below(url) if url.contains("://") => {
            let url = path::with_variables(url);
            let (base, query) =
                url.split_once('?').map_or((url.as_str(), None), |(base, query)| (base, Some(query)));
            // In a URL the name is one of its parts.
            let name = name.replace('%', "%25").replace('?', "%3F").replace('#', "%23").replace(' ', "%20");
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            // A URL without a host keeps its slashes, so that the missing host is what `check` finds.
            let (scheme, place) = base.split_once("://").unwrap_or((base, ""));
            let place = place.trim_end_matches('/');
            // An object store is one database's, and has no folders.
            if scheme.eq_ignore_ascii_case("nats") {
                return vec![text("url", format!("{scheme}://{place}{query}"))];
            }
            vec![text("url", format!("{scheme}://{place}/{name}{query}"))]
        }
        Target::Below(folder) => {
            let folder = path::with_variables(folder);
            vec![
                text("type", "file".to_owned()),
                text("path", format!("{}/{name}", folder.trim_end_matches('/'))),
            ]
        }
    }
}

/// Makes a replica at the place of the environment's variables; a path that none of them has is the project's own.
fn in_bucket(plan: &Plan, database: &Database, name: String) -> Replica {
    let variable = |key: &str| plan.place.iter().find(|(known, _)| *known == key).map(|(_, name)| *name);
    // A variable is the place of a single database, as `run` reads it too; several are below it.
    let is_alone = database.goes_with_others()
        && plan.databases.iter().filter(|database| database.goes_with_others()).count() == 1;
    let below = |base: &str| {
        let base = path::variable(base);
        if is_alone { base } else { format!("{base}/{}", path::name(&name)) }
    };
    if let Some(url) = variable("url") {
        return vec![text("url", below(url))];
    }
    let path = variable("path").map_or_else(|| name.clone(), below);
    let mut replica = vec![
        text("type", "s3".to_owned()),
        text("bucket", path::variable(bucket_variable(plan))),
        text("path", path),
    ];
    for key in ["region", "endpoint"] {
        replica.extend(variable(key).map(|name| text(key, path::variable(name))));
    }
    replica
}

/// Names the variable that has the bucket's name.
pub(super) fn bucket_variable(plan: &Plan) -> &'static str {
    plan.place.iter().find(|(key, _)| *key == "bucket").map_or("LITESTREAM_REPLICA_BUCKET", |(_, name)| name)
}

/// Tells whether other projects may go to the same place: to all but a folder of the project, or one that has its name.
fn is_shared(plan: &Plan, target: Target<'_>) -> bool {
    match target {
        Target::Bucket => true,
        Target::Below(url) => {
            let base = url.split('?').next().unwrap_or(url).trim_end_matches('/');
            let path = base
                .split_once("://")
                .map_or(base, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
            !url.starts_with("./") && path::name(path) != plan.project
        }
    }
}

/// Tells whether the project's name is in the file.
pub fn begins_with_project(plan: &Plan, target: Target<'_>) -> bool {
    let is_set = |key: &str| target == Target::Bucket && plan.place.iter().any(|(known, _)| *known == key);
    plan.path_prefix.is_none()
        && is_shared(plan, target)
        && plan.databases.iter().any(Database::goes_with_others)
        && !is_set("path")
        && !is_set("url")
}

/// Tells whether anything goes to the bucket that the environment names.
pub(super) fn uses_bucket(plan: &Plan, target: Target<'_>) -> bool {
    target == Target::Bucket && plan.databases.iter().any(Database::goes_with_others)
}

/// Tells whether the place that the environment names takes the keys of S3: a URL that is set here may be of another kind.
pub(super) fn has_bucket_keys(plan: &Plan) -> bool {
    let url = plan.place.iter().find(|(key, _)| *key == "url");
    url.and_then(|(_, name)| plan.schemes.get(*name)).is_none_or(|scheme| scheme == "s3")
}
