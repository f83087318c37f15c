//! The kinds of storage that a project's databases are replicated to.

use super::replica::{Target, uses_bucket};
use crate::detect::Plan;
use crate::detect::database::{Replica, text_of};
use crate::detect::path;

/// A replica that something goes to, as far as it is known here.
pub(super) struct ReplicaKind {
    /// Its type, or its URL's scheme; `s3` where that may be known only where it runs.
    pub(super) scheme: String,
    /// What it says besides.
    pub(super) settings: Vec<String>,
    /// It has a user and a password in its URL.
    pub(super) is_let_in: bool,
    /// It is the one that the environment names.
    pub(super) is_environments: bool,
}

impl ReplicaKind {
    fn of_url(plan: &Plan, url: &str, settings: Vec<String>) -> Self {
        let scheme = match path::pieces(url).as_slice() {
            // Most are, and what this one is may be known only where it runs.
            [Err(name), ..] => plan.schemes.get(*name).map_or("s3", String::as_str),
            _ => url.split_once("://").map_or(url, |(scheme, _)| scheme),
        };
        let host = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
        let is_let_in = host.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
        Self { scheme: scheme.to_ascii_lowercase(), settings, is_let_in, is_environments: false }
    }
}

/// Where the databases go that are replicated.
pub(super) fn kinds(plan: &Plan, target: Target<'_>) -> Vec<ReplicaKind> {
    let of_replica = |replica: &Replica| {
        let settings = replica.iter().map(|(key, _)| key.clone()).collect();
        let url = text_of(replica, "url").or_else(|| text_of(replica, "type"))?;
        Some(ReplicaKind::of_url(plan, url, settings))
    };
    let databases = plan.databases.iter().filter(|database| database.is_replicated());
    let own = databases.filter_map(|database| database.replica.as_ref()).filter_map(of_replica);
    let mut found: Vec<ReplicaKind> = own.collect();
    match target {
        Target::Below(url) if url.contains("://") => found.push(ReplicaKind::of_url(plan, url, Vec::new())),
        Target::Below(_) => {}
        Target::Bucket if uses_bucket(plan, target) => {
            let url = plan.place.iter().find(|(key, _)| *key == "url").map(|(_, name)| path::variable(name));
            let of_url = url.map(|url| ReplicaKind::of_url(plan, &url, Vec::new()));
            found.extend(of_url.map(|kind| ReplicaKind { is_environments: true, ..kind }));
        }
        Target::Bucket => {}
    }
    found
}
