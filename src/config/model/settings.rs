//! What a mapping says, and what stands in the place of what it does not.

use super::kind::Kind;
use crate::config::error::Problem;
use crate::config::schema::Type;
use crate::config::schema::types::wrong_type;
use crate::yaml::Node;

/// Returns the text of `key`; null and an empty text are the same as nothing, as in Litestream.
pub(in crate::config) fn text<'a>(
    node: &'a Node,
    key: &'static str,
) -> Result<Option<&'a str>, (usize, Problem)> {
    let Some(value) = node.get(key) else { return Ok(None) };
    match value.as_str() {
        Some(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        None => Err((value.line, wrong_type(value, key, Type::Text))),
    }
}

/// A replica's settings over the defaults of the file. An empty text counts as not set.
pub(in crate::config) struct Settings<'a> {
    pub node: &'a Node,
    pub defaults: &'a Node,
}

impl<'a> Settings<'a> {
    /// Returns what the replica itself says.
    pub fn own(&self, key: &'static str) -> Result<Option<&'a str>, (usize, Problem)> {
        text(self.node, key)
    }

    /// Returns what the replica says, or else the top of the file.
    pub fn or_default(&self, key: &'static str) -> Result<Option<&'a str>, (usize, Problem)> {
        match self.own(key)? {
            None => text(self.defaults, key),
            own => Ok(own),
        }
    }

    /// Returns what the replica needs.
    pub fn missing(&self, kind: &Kind, key: &'static str) -> (usize, Problem) {
        // One that is there and says nothing was meant to; a URL in its place as well.
        for name in [key, "url"] {
            if let Some(value) = self.node.entry(name).or_else(|| self.defaults.entry(name)) {
                let is_empty = value.as_str().is_none_or(str::is_empty);
                let problem = if is_empty {
                    Problem::Empty { key: name }
                } else {
                    Problem::Missing { kind: kind.to_string(), key }
                };
                return (value.line, problem);
            }
        }
        (self.node.line, Problem::Missing { kind: kind.to_string(), key })
    }

    /// Returns the line of one of its settings.
    pub fn line_of(&self, key: &str) -> usize {
        self.node.get(key).or_else(|| self.defaults.get(key)).map_or(self.node.line, |value| value.line)
    }

    /// Returns the line of the replica.
    pub fn line(&self) -> usize {
        self.node.line
    }

    /// Refuses, as Litestream does, a `url` beside the settings that it consists of, defaults included.
    pub fn refuse_contradictions(&self, kind: &Kind) -> Result<(), (usize, Problem)> {
        if self.own("url")?.is_none() {
            return Ok(());
        }
        let second = match kind {
            Kind::S3 | Kind::Gcs | Kind::Abs | Kind::Oss => Some("bucket"),
            Kind::Sftp => Some("host"),
            Kind::Webdav => Some("webdav-url"),
            Kind::File | Kind::Nats | Kind::Other(_) => None,
        };
        let contradiction = |second| {
            Err((self.node.line, Problem::Contradiction { kind: kind.to_string(), first: "url", second }))
        };
        if !matches!(kind, Kind::Nats | Kind::Other(_)) && self.own("path")?.is_some() {
            return contradiction("path");
        }
        match second {
            // Litestream does not hand this one down.
            Some("webdav-url") if self.own("webdav-url")?.is_some() => contradiction("webdav-url"),
            Some(key) if key != "webdav-url" && self.or_default(key)?.is_some() => contradiction(key),
            Some(_) | None => Ok(()),
        }
    }
}
