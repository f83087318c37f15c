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

/// Finds variables that change nothing, though they look as if they did.
fn unused(said: Said<'_>, origin: &Origin, env: Env<'_>) -> Vec<Lint> {
    let look = Look { said, origin, env };
    let mut found = look.parts();
    found.extend(look.others());
    found.extend(look.buckets());
    found
}

struct Look<'a> {
    said: Said<'a>,
    origin: &'a Origin,
    env: Env<'a>,
}

impl Look<'_> {
    fn lint(&self, message: String, hint: String) -> Lint {
        Lint::new(UNUSED_VARIABLE, self.origin, message).hint(hint)
    }

    fn is_set(&self, name: &str) -> bool {
        (self.env)(name).is_some_and(|value| !value.is_empty())
    }

    fn is_written(&self, name: &str) -> bool {
        self.said.document().is_some_and(|document| is_written(document, name))
    }

    /// Says whether some database has no replica of its own, and takes the environment's.
    fn is_asked(&self) -> bool {
        let own = |entry: &Node| {
            let list = entry.get("replicas").and_then(Node::as_list);
            entry.get("replica").is_some() || list.is_some_and(|list| !list.is_empty())
        };
        match self.said {
            Said::File(document) => {
                let entries = document.root.get("dbs").and_then(Node::as_list).unwrap_or_default();
                entries.is_empty() || !entries.iter().all(own)
            }
            Said::Pairs { are_whole } => !are_whole,
            Said::Nowhere => true,
        }
    }

    /// Finds parts of the environment's replica that count for none: it is for databases without one of their own, and its
    /// parts say nothing by themselves to others.
    fn parts(&self) -> Vec<Lint> {
        let is_asked = self.is_asked();
        let [(url, _), (bucket, _), ..] = env_replica::VARIABLES;
        let mut found = Vec::new();
        for (name, key) in env_replica::VARIABLES {
            if !self.is_set(name) || self.is_written(name) {
                continue;
            }
            let of_url = || match key {
                "region" | "endpoint" => format!("write it into the replica's URL, as the parameter `{key}`"),
                _ => "write the whole place into the replica's URL: s3://BUCKET/PATH".to_owned(),
            };
            let (message, hint) = match self.said {
                Said::File(_) if !is_asked => (
                    format!(
                        "{name} is set, but each database has a replica of its own, and none of them uses it"
                    ),
                    format!(
                        "write `{key}: ${{{name}}}` in the replica, or leave the whole replica to the environment"
                    ),
                ),
                // A whole place is outweighed by another one, but a part seems to add to it.
                Said::Pairs { .. } if !is_asked && name != url && name != bucket => {
                    (format!("{name} is set, but the replica is given as a whole, without it"), of_url())
                }
                _ if is_asked && self.is_set(url) && name != url => {
                    (format!("{name} is set, but {url} is as well, and counts as a whole"), of_url())
                }
                Said::File(_) | Said::Pairs { .. } | Said::Nowhere => continue,
            };
            found.push(self.lint(message, hint));
        }
        found
    }

    /// Finds what others call a replica.
    fn others(&self) -> Vec<Lint> {
        let unread = OTHERS.iter().filter(|(name, _)| self.is_set(name) && !self.is_written(name));
        let lint = |(name, read): &(&str, &str)| {
            let hint = format!("{read} is read; or write ${{{name}}} in the configuration");
            self.lint(format!("{name} is set, but nobody reads it"), hint)
        };
        unread.map(lint).collect()
    }

    /// Finds buckets that the backups may have been meant for. Laravel's own bucket for uploads has the one name, Fly's
    /// storage the other, whatever is kept there.
    fn buckets(&self) -> Vec<Lint> {
        let document = self.said.document();
        let text = document.map_or("", |document| document.text.as_str());
        let [(url, _), (bucket, _), ..] = env_replica::VARIABLES;
        let is_missing = self.is_asked() && !self.is_set(url) || self.is_written(bucket);
        let is_it = |name: &str| {
            let is_used =
                self.is_written(name) || (self.env)(name).is_some_and(|value| has_word(text, &value));
            let is_wanted = is_missing || name != "AWS_BUCKET" && document.is_some() && !self.is_set(bucket);
            self.is_set(name) && !is_used && is_wanted && !self.is_set(bucket)
        };
        let lint = |name| {
            let message = format!(
                "{name} is set, and {bucket} is not: it may be the app's bucket for uploads, so no backup goes there"
            );
            self.lint(message, format!("set {bucket} to the same if the backups belong there"))
        };
        let names = ["AWS_BUCKET", "AWS_S3_BUCKET", "BUCKET_NAME", "S3_BUCKET", "S3_BUCKET_NAME"];
        names.into_iter().filter(|name| is_it(name)).map(lint).collect()
    }
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
