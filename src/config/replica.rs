//! Where a database is replicated to.

use std::fmt;

use super::database::text;
use super::error::Problem;
use super::given;
use super::node::Node;
use super::path::Base;
use super::place::Place;
use super::url::{Url, is_url};
use crate::foreign::piece;

/// One replica of a database. It keeps no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// What kind of storage it is.
    pub kind: Kind,
    /// Its `name`, or else its type, as Litestream 0.3 tells the replicas of a database apart.
    pub name: String,
    /// The place, like a URL, for people: no user, no query, no secret.
    pub display: String,
    /// The same text for the same place, however it was written.
    pub location: String,
    /// The line in the file, 0 without one.
    pub line: usize,
}

/// The kinds of storage that Litestream writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    File,
    /// S3 and everything that speaks it.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Abs,
    /// Alibaba Cloud OSS.
    Oss,
    /// A folder of an SSH server.
    Sftp,
    /// A NATS object store.
    Nats,
    /// A WebDAV server.
    Webdav,
    /// A type that is not known here; whether Litestream knows it, it says itself.
    Other(String),
}

impl Replica {
    /// Reads one replica; what it leaves out comes from `defaults`, the top of the file.
    pub(super) fn read(node: &Node, defaults: &Node, base: &Base<'_>) -> Result<Self, (usize, Problem)> {
        let at_node = |problem| (node.line, problem);
        if !node.is_mapping() {
            return Err(at_node(Problem::NotMapping { what: "a replica".to_owned() }));
        }
        let settings = Settings { node, defaults };
        let path = settings.own("path")?;
        if path.is_some_and(is_url) {
            return Err(at_node(Problem::ReplicaPathIsUrl));
        }
        let url = settings.own("url")?;
        let url_line = node.get("url").map_or(node.line, |url| url.line);
        let bad = |reason| {
            let shown = url.filter(|url| is_url(url)).map(piece).unwrap_or_default();
            let meant = url.filter(|url| !is_url(url)).map(|url| match url.starts_with('/') {
                true => format!("{} or write `path` in the place of `url`", given::meant(url)),
                false => given::meant(url),
            });
            (url_line, Problem::BadUrl { reason, meant, shown })
        };
        let parsed = url.map(Url::parse).transpose().map_err(bad)?;
        let kind = match &parsed {
            Some(parsed) if url.is_some_and(is_url) => Kind::of(&parsed.scheme),
            _ => Kind::of(settings.own("type")?.unwrap_or("file")),
        };
        settings.refuse_contradictions(&kind)?;
        let place = Place::find(&kind, &settings, parsed.as_ref(), base)?;
        let name = settings.own("name")?.unwrap_or(kind.name()).to_owned();
        Ok(Self { kind, name, display: place.display, location: place.location, line: node.line })
    }
}

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            "file" => Self::File,
            "s3" => Self::S3,
            // Litestream 0.3 says `gcs`.
            "gs" | "gcs" => Self::Gcs,
            "abs" => Self::Abs,
            "oss" => Self::Oss,
            "sftp" => Self::Sftp,
            "nats" => Self::Nats,
            "webdav" | "webdavs" => Self::Webdav,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The name that Litestream has for it.
    pub fn name(&self) -> &str {
        match self {
            Self::File => "file",
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Abs => "abs",
            Self::Oss => "oss",
            Self::Sftp => "sftp",
            Self::Nats => "nats",
            Self::Webdav => "webdav",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A replica's settings over the defaults of the file. An empty text counts as not set.
pub(super) struct Settings<'a> {
    node: &'a Node,
    defaults: &'a Node,
}

impl<'a> Settings<'a> {
    /// What the replica itself says.
    pub fn own(&self, key: &'static str) -> Result<Option<&'a str>, (usize, Problem)> {
        text(self.node, key)
    }

    /// What the replica says, or else the top of the file.
    pub fn or_default(&self, key: &'static str) -> Result<Option<&'a str>, (usize, Problem)> {
        match self.own(key)? {
            None => text(self.defaults, key),
            own => Ok(own),
        }
    }

    /// What the replica needs.
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

    /// The line of one of its settings.
    pub fn line_of(&self, key: &str) -> usize {
        self.node.get(key).or_else(|| self.defaults.get(key)).map_or(self.node.line, |value| value.line)
    }

    /// The line of the replica.
    pub fn line(&self) -> usize {
        self.node.line
    }

    /// Litestream refuses a `url` beside the settings that it consists of, defaults included.
    fn refuse_contradictions(&self, kind: &Kind) -> Result<(), (usize, Problem)> {
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
