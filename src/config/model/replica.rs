//! Where a database is replicated to.

use super::kind::Kind;
use super::path::Base;
use super::replica_location::ReplicaLocation;
use super::settings::Settings;
use super::url::{Url, is_url};
use crate::config::error::Problem;
use crate::config::schema::types::not_mapping;
use crate::config::values::meant::meant;
use crate::foreign::piece;
use crate::yaml::Node;

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

impl Replica {
    /// Returns a folder below the place, for people.
    pub fn below(&self, folder: &str) -> String {
        format!("{}/{folder}", self.display.trim_end_matches('/'))
    }

    /// Reads one replica; what it leaves out comes from `defaults`, the top of the file.
    pub(in crate::config) fn read(
        node: &Node,
        defaults: &Node,
        base: &Base<'_>,
    ) -> Result<Self, (usize, Problem)> {
        let at_node = |problem| (node.line, problem);
        if !node.is_mapping() {
            return Err(at_node(not_mapping("replicas")));
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
                true => format!("{} or write `path` in the place of `url`", meant(url)),
                false => meant(url),
            });
            (url_line, Problem::BadUrl { reason, meant, shown })
        };
        let parsed = url.map(Url::parse).transpose().map_err(bad)?;
        let kind = match &parsed {
            Some(parsed) if url.is_some_and(is_url) => Kind::of(&parsed.scheme),
            _ => Kind::of(settings.own("type")?.unwrap_or("file")),
        };
        settings.refuse_contradictions(&kind)?;
        let place = ReplicaLocation::find(&kind, &settings, parsed.as_ref(), base)?;
        let name = settings.own("name")?.unwrap_or(kind.name()).to_owned();
        Ok(Self { kind, name, display: place.display, location: place.location, line: node.line })
    }
}
