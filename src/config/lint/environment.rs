//! Variables that seem to say where the backups are, or who may write them.

use super::finding::Lint;
use super::placeholder::placeholder;
use super::replica::{NO_LINE_END, odd_in_key};
use super::rules::{BROKEN_KEY, PLACEHOLDER, UNUSED_VARIABLE, VARIABLE_VALUE};
use crate::config::error::Origin;
use crate::config::schema::Secrecy;
use crate::config::values::document::Document;
use crate::config::values::env_replica;
use crate::config::values::key_variables::KEY_VARIABLES;
use crate::config::values::options::Env;
use crate::config::values::unread::unread;
use crate::yaml::Node;

use super::text::without_comment;

/// What other programs, images and manuals call a replica, and the variable that is read in its place. Nobody calls
/// anything else so.
const OTHERS: [(&str, &str); 10] = [
    ("BACKUP_BUCKET", "LITESTREAM_REPLICA_BUCKET"),
    ("BACKUP_URL", "LITESTREAM_REPLICA_URL"),
    ("REPLICA_BUCKET", "LITESTREAM_REPLICA_BUCKET"),
    ("LITESTREAM_REPLICA_S3_BUCKET", "LITESTREAM_REPLICA_BUCKET"),
    ("LITESTREAM_BUCKET_NAME", "LITESTREAM_REPLICA_BUCKET"),
    ("LITESTREAM_URL", "LITESTREAM_REPLICA_URL"),
    ("REPLICA_URL", "LITESTREAM_REPLICA_URL"),
    ("DB_REPLICA_URL", "LITESTREAM_REPLICA_URL"),
    ("LITESTREAM_BUCKET", "LITESTREAM_REPLICA_BUCKET"),
    ("LITESTREAM_S3_BUCKET", "LITESTREAM_REPLICA_BUCKET"),
];

/// What else Litestream, or the library of a storage in it, reads of its environment as it is.
const LITESTREAMS: [&str; 3] = ["AWS_REGION", "LITESTREAM_S3_ENDPOINT", "GOOGLE_APPLICATION_CREDENTIALS"];

/// What says where the databases are, and their backups.
#[derive(Clone, Copy)]
pub enum Said<'a> {
    /// A configuration.
    File(&'a Document),
    /// The command line, or the variables in its place; whether it names each replica as well.
    Pairs {
        /// Nothing of a replica is left to the environment.
        are_whole: bool,
    },
    /// The environment alone.
    Nowhere,
}

impl<'a> Said<'a> {
    fn document(self) -> Option<&'a Document> {
        match self {
            Said::File(document) => Some(document),
            Said::Pairs { .. } | Said::Nowhere => None,
        }
    }
}

/// Looks at the environment beside what is said elsewhere.
pub fn environment(said: Said<'_>, origin: &Origin, env: Env<'_>) -> Vec<Lint> {
    let document = said.document();
    let mut found = unused(said, origin, env);
    for (name, key) in KEY_VARIABLES {
        if env(name).is_some_and(|value| placeholder(key, Secrecy::Secret, &value).is_some()) {
            let message = format!("{name} has a placeholder for what is yours");
            found.push(Lint::new(PLACEHOLDER, &Origin::Environment, message).hint("give it its real value"));
        }
    }
    let is_written = |name: &str| document.is_some_and(|document| is_written(document, name));
    for (name, key) in KEY_VARIABLES {
        // What the text of a configuration makes of it is looked at there.
        let value = env(name).filter(|_| !is_written(name));
        if let Some(what) = value.and_then(|value| odd_in_key(key, Secrecy::Secret, &value)) {
            let message = format!("{name} begins or ends with {what}");
            found.push(Lint::new(BROKEN_KEY, &Origin::Environment, message).hint(NO_LINE_END));
        }
    }
    for name in KEY_VARIABLES.iter().map(|(name, _)| *name).chain(LITESTREAMS) {
        // In a configuration's text its own quotes are taken away.
        let value = env(name).filter(|_| !is_written(name));
        if let Some(given) = value.and_then(|value| unread(name, &value, false)) {
            found.push(Lint::new(VARIABLE_VALUE, &Origin::Environment, given.to_string()).hint(given.hint()));
        }
    }
    found
}

/// Finds variables of a replica that is not used: the environment's replica is for databases without one of their own,
/// and its parts say nothing by themselves to others.
fn unused(said: Said<'_>, origin: &Origin, env: Env<'_>) -> Vec<Lint> {
    let document = said.document();
    let is_set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
    let text = document.map_or("", |document| document.text.as_str());
    let is_written = |name: &str| document.is_some_and(|document| is_written(document, name));
    let own = |entry: &Node| {
        let list = entry.get("replicas").and_then(Node::as_list);
        entry.get("replica").is_some() || list.is_some_and(|list| !list.is_empty())
    };
    let entries =
        document.and_then(|document| document.root.get("dbs")).and_then(Node::as_list).unwrap_or_default();
    let is_asked = match said {
        Said::File(_) => entries.is_empty() || !entries.iter().all(own),
        Said::Pairs { are_whole } => !are_whole,
        Said::Nowhere => true,
    };
    let [(url, _), (bucket, _), ..] = env_replica::VARIABLES;
    let mut found = Vec::new();
    let mut warn = |message: String, hint: String| {
        found.push(Lint::new(UNUSED_VARIABLE, origin, message).hint(hint));
    };
    for (name, key) in env_replica::VARIABLES {
        if !is_set(name) || is_written(name) {
            continue;
        }
        let of_url = || match key {
            "region" | "endpoint" => format!("write it into the replica's URL, as the parameter `{key}`"),
            _ => "write the whole place into the replica's URL: s3://BUCKET/PATH".to_owned(),
        };
        match said {
            Said::File(_) if !is_asked => warn(
                format!(
                    "{name} is set, but each database has a replica of its own, and none of them uses it"
                ),
                format!(
                    "write `{key}: ${{{name}}}` in the replica, or leave the whole replica to the environment"
                ),
            ),
            // A whole place is outweighed by another one, but a part seems to add to it.
            Said::Pairs { .. } if !is_asked && name != url && name != bucket => {
                warn(format!("{name} is set, but the replica is given as a whole, without it"), of_url());
            }
            _ if is_asked && is_set(url) && name != url => {
                warn(format!("{name} is set, but {url} is as well, and counts as a whole"), of_url());
            }
            Said::File(_) | Said::Pairs { .. } | Said::Nowhere => {}
        }
    }
    for (name, read) in OTHERS {
        if is_set(name) && !is_written(name) {
            warn(
                format!("{name} is set, but nobody reads it"),
                format!("{read} is read; or write ${{{name}}} in the configuration"),
            );
        }
    }
    // Laravel's own bucket for uploads has the one name, Fly's storage the other, whatever is kept there.
    let is_missing = is_asked && !is_set(url) || is_written(bucket);
    for name in ["AWS_BUCKET", "AWS_S3_BUCKET", "BUCKET_NAME", "S3_BUCKET", "S3_BUCKET_NAME"] {
        let is_used = is_written(name) || env(name).is_some_and(|value| has_word(text, &value));
        let is_wanted = is_missing || name != "AWS_BUCKET" && document.is_some() && !is_set(bucket);
        if is_set(name) && !is_used && is_wanted && !is_set(bucket) {
            warn(
                format!(
                    "{name} is set, and {bucket} is not: it may be the app's bucket for uploads, so no backup goes there"
                ),
                format!("set {bucket} to the same if the backups belong there"),
            );
        }
    }
    found
}

/// Says whether the text of a configuration has this name of a variable, apart from its comments.
pub fn is_written(document: &Document, name: &str) -> bool {
    document.text.split('\n').any(|line| has_word(without_comment(line), name))
}

/// Says whether a name stands in a text by itself: `REPLICA_URL` is no part of `LITESTREAM_REPLICA_URL`.
fn has_word(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty()
        && text
            .match_indices(name)
            .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part))
}
