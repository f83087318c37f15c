//! The databases of a configuration.

use std::path::{Path, PathBuf};

use super::kind::Kind;
use super::path::{Base, strip_sqlite};
use super::place;
use super::replica::Replica;
use super::settings::text;
use super::url::is_url;
use crate::config::error::Problem;
use crate::config::schema::types::{not_mapping, wrong_type};
use crate::config::schema::{Section, Type};
use crate::remote::Place;
use crate::yaml::{Budget, Node};

/// One database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// The file, absolute.
    pub path: PathBuf,
    /// The folder of Litestream's own state, absolute: `.NAME-litestream` beside the file, or `meta-path`.
    pub meta_path: PathBuf,
    /// Where it is replicated to: one place at least, and for Litestream 0.5 only one.
    pub replicas: Vec<Replica>,
    /// The first of them for a client of our own, if that can get there.
    pub place: Option<Place>,
    /// The line in the file, 0 without one.
    pub line: usize,
}

/// A folder whose databases Litestream finds itself; passed on as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The folder, absolute.
    pub dir: PathBuf,
    /// Which names are databases, as Go's `filepath.Match` reads it.
    pub pattern: String,
    /// Folders below it are looked into as well.
    pub recursive: bool,
    /// Litestream takes in what appears while it runs.
    pub watch: bool,
    /// Where the metadata folders of its databases are, each under the database's path below the folder.
    pub meta_base: PathBuf,
    /// What the name of each begins with, before that of the database.
    pub meta_prefix: &'static str,
    /// The replicas, each the base of one place a database.
    pub replicas: Vec<Replica>,
    /// The line in the file, 0 without one.
    pub line: usize,
}

/// One entry of `dbs`.
pub(in crate::config) enum Entry {
    Database(Database),
    Directory(Directory),
}

impl Entry {
    /// Reads one entry of `dbs`; `root` has the defaults, which are in the place of each.
    pub fn read(
        node: &Node,
        root: &Node,
        base: &Base<'_>,
        budget: &Budget,
    ) -> Result<Self, (usize, Problem)> {
        if !node.is_mapping() {
            return Err((node.line, not_mapping("dbs")));
        }
        let line = node.line;
        match (text(node, "path")?, text(node, "dir")?) {
            (Some(path), None) => {
                refuse_settings_of_folders(node)?;
                refuse_url(node, path)?;
                let path = absolute(node, "path", path, base)?;
                let meta_path = match text(node, "meta-path")? {
                    Some(meta) => absolute(node, "meta-path", meta, base)?,
                    None => default_meta_path(&path),
                };
                let replicas = read_replicas(node, root, base, budget, &path)?;
                let place = replicas.first().and_then(|replica| place::of(&replica.kind, node, root).ok()?);
                Ok(Self::Database(Database { path, meta_path, replicas, place, line }))
            }
            (None, Some(dir)) => {
                let pattern = text(node, "pattern")?.ok_or((line, Problem::NoPattern))?.to_owned();
                let says = |key| node.get(key).and_then(Node::as_bool) == Some(true);
                let (recursive, watch) = (says("recursive"), says("watch"));
                if node.get("meta-path").is_some() && node.get("meta-dir").is_some() {
                    return Err((line, Problem::MetaPathAndDir));
                }
                let dir = absolute(node, "dir", dir, base)?;
                let replicas = read_replicas(node, root, base, budget, &dir)?;
                // `cloneReplicaConfigWithRelativePath` in Litestream's main.go, and what its NATS client makes of that.
                if let Some(replica) = replicas.iter().find(|replica| replica.kind == Kind::Nats) {
                    return Err((replica.line, Problem::FolderOnNats));
                }
                // As `in_folder` has it of each database.
                let (meta_base, meta_prefix) = match (text(node, "meta-dir")?, text(node, "meta-path")?) {
                    (Some(meta), _) => (absolute(node, "meta-dir", meta, base)?, ""),
                    (None, Some(meta)) => (absolute(node, "meta-path", meta, base)?, "."),
                    (None, None) => (dir.clone(), "."),
                };
                Ok(Self::Directory(Directory {
                    dir,
                    pattern,
                    recursive,
                    watch,
                    meta_base,
                    meta_prefix,
                    replicas,
                    line,
                }))
            }
            (Some(_), Some(_)) => Err((line, Problem::PathAndDir)),
            (None, None) => {
                let written = node.entry("path").or_else(|| node.entry("dir"));
                Err((written.map_or(line, |value| value.line), Problem::NoPath))
            }
        }
    }
}

fn absolute(
    node: &Node,
    key: &'static str,
    value: &str,
    base: &Base<'_>,
) -> Result<PathBuf, (usize, Problem)> {
    let problem = |problem| (line_of(node, key), problem);
    if value.contains('\0') {
        return Err(problem(Problem::PathHasNul { key }));
    }
    base.absolute(key, value).map_err(problem)
}

/// Refuses a URL: Litestream takes `file:x.db?mode=rw` for a relative path, and would replicate nothing, without a word.
fn refuse_url(node: &Node, path: &str) -> Result<(), (usize, Problem)> {
    let bare = strip_sqlite(path);
    let opaque = ["file:", "sqlite:", "sqlite3:"].iter().any(|scheme| bare.starts_with(scheme));
    if !opaque && !is_url(bare) {
        return Ok(());
    }
    let scheme = bare.split_inclusive(':').next().unwrap_or_default().to_owned();
    Err((line_of(node, "path"), Problem::PathIsUrl { scheme }))
}

fn refuse_settings_of_folders(node: &Node) -> Result<(), (usize, Problem)> {
    let needs_dir = |value: &Node, key| Err((value.line, Problem::NeedsDir { key }));
    match (node.get("meta-dir"), node.get("watch")) {
        (Some(value), _) => needs_dir(value, "meta-dir"),
        (None, Some(value)) if value.as_bool() == Some(true) => needs_dir(value, "watch"),
        (None, Some(_) | None) => Ok(()),
    }
}

fn default_meta_path(path: &std::path::Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push("-litestream");
    path.with_file_name(name)
}

fn read_replicas(
    node: &Node,
    root: &Node,
    base: &Base<'_>,
    budget: &Budget,
    path: &Path,
) -> Result<Vec<Replica>, (usize, Problem)> {
    let database = path.display().to_string();
    let read = |node: &Node| {
        let replica = Replica::read(node, root, base)?;
        let bytes = replica.name.len() + replica.display.len() + replica.location.len();
        budget.take_text(node.line, bytes + database.len());
        Ok(replica)
    };
    let several = match node.get("replicas") {
        None => &[],
        Some(list) => list
            .as_list()
            .ok_or_else(|| (list.line, wrong_type(list, "replicas", Type::Mappings(Section::Replica))))?,
    };
    match (node.get("replica"), several) {
        (None, []) => {
            let line = node.entry("replica").map_or(node.line, |value| value.line);
            Err((line, Problem::NoReplica { database }))
        }
        (Some(_), [_, ..]) => Err((node.line, Problem::ReplicaAndReplicas { database })),
        (Some(one), []) if !one.is_mapping() => {
            Err((one.line, wrong_type(one, "replica", Type::Mapping(Section::Replica))))
        }
        (Some(one), []) => Ok(vec![read(one)?]),
        (None, several) => several.iter().take_while(|_| !budget.is_spent()).map(read).collect(),
    }
}

fn line_of(node: &Node, key: &str) -> usize {
    node.get(key).map_or(node.line, |value| value.line)
}
