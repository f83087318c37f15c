//! A world of the plan, made: its databases, its replicas, the lives on them, and what is kept of a failure.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::plan::{self, Backend};
use crate::proxy::Proxy;
use crate::random::Random;
use crate::support::s3::{KEY, S3, SECRET};
use crate::support::world::World;
use crate::writer;

/// The bucket of every world.
const BUCKET: &str = "soak";

/// The programs that take part; copies, since a soak of hours goes on when they are built anew.
pub struct Programs {
    /// `litekeeper`.
    pub keeper: PathBuf,
    /// This program, which is the app as well.
    pub soak: PathBuf,
    /// Litestream.
    pub litestream: PathBuf,
}

/// A world, and what is known of its databases.
pub struct Scene<'a> {
    /// The programs.
    pub programs: &'a Programs,
    /// Its folder.
    pub world: World,
    /// The databases.
    pub databases: Vec<PathBuf>,
    /// What was acknowledged in each of them, as writer and number.
    pub acked: Vec<BTreeSet<(i64, i64)>>,
    /// Between Litestream and S3.
    pub proxy: Option<Proxy>,
    /// The keeper's configuration, and one that goes past the proxy.
    pub configs: (PathBuf, PathBuf),
    server: Option<S3>,
}

impl<'a> Scene<'a> {
    /// Makes the databases and the places of their backups.
    pub fn new(programs: &'a Programs, backend: Backend, plan: &plan::World, random: Random) -> Self {
        let world = World::named("soak-");
        let databases: Vec<_> =
            (0..plan.databases.len()).map(|n| world.path(&format!("app{n}.db"))).collect();
        for (path, how) in databases.iter().zip(&plan.databases) {
            writer::create(path, how);
        }
        let server = (backend == Backend::S3).then(S3::start);
        let proxy = server.as_ref().map(|server| {
            server.bucket(BUCKET);
            let address = server.endpoint().trim_start_matches("http://").parse().expect("an address");
            Proxy::start(address, random)
        });
        let config = |name: &str, endpoint: Option<String>| {
            let yaml = config(plan, &databases, &world.path("replica"), endpoint);
            // JSON is YAML.
            world.write(name, &serde_json::to_string_pretty(&yaml).expect("a tree of text"))
        };
        let through = config("litestream.yml", proxy.as_ref().map(Proxy::endpoint));
        let direct = config("direct.yml", server.as_ref().map(S3::endpoint));
        let acked = databases.iter().map(|_| BTreeSet::new()).collect();
        Self { programs, databases, acked, proxy, configs: (through, direct), server, world }
    }

    /// Takes the acknowledgements of a trace down; returns what its app found wrong.
    pub fn note_acked(&mut self, trace: &Path) -> Vec<String> {
        let text = fs::read_to_string(trace).unwrap_or_default();
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut wrong = Vec::new();
        for line in complete.lines() {
            let numbers: Vec<i64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
            match numbers[..] {
                [writer, n, databases] if !line.starts_with(['!', '-']) => {
                    for (place, acked) in self.acked.iter_mut().enumerate() {
                        if databases & 1 << place != 0 {
                            acked.insert((writer, n));
                        }
                    }
                }
                _ if line == "up" || line.starts_with("- ") => (),
                _ => wrong.push(line.to_owned()),
            }
        }
        wrong
    }

    /// The databases are gone, with all that Litestream keeps beside them.
    pub fn lose_databases(&self) {
        for path in &self.databases {
            crate::compare::remove(path);
            let name = path.file_name().expect("a database has a name").to_string_lossy();
            let _ = fs::remove_dir_all(path.with_file_name(format!(".{name}-litestream")));
        }
    }

    /// Copies everything to a folder of its own: the world's with the replica of a file, and the bucket.
    pub fn keep(&self, folder: &Path) -> std::io::Result<()> {
        copy_all(self.world.root(), folder)?;
        if let Some(server) = &self.server {
            copy_all(&server.folder(BUCKET), &folder.join("bucket"))?;
        }
        Ok(())
    }
}

/// The whole `litestream.yml`.
fn config(plan: &plan::World, databases: &[PathBuf], replicas: &Path, endpoint: Option<String>) -> Value {
    let mut yaml = plan.top.clone();
    let entries = databases.iter().enumerate().map(|(number, path)| {
        let mut replica = plan.replica.clone();
        let place = match &endpoint {
            None => json!({"type": "file", "path": replicas.join(number.to_string())}),
            Some(endpoint) => json!({
                "type": "s3",
                "bucket": BUCKET,
                "path": number.to_string(),
                "endpoint": endpoint,
                "region": "us-east-1",
                "force-path-style": true,
                "access-key-id": KEY,
                "secret-access-key": SECRET,
            }),
        };
        merge(&mut replica, place);
        let mut entry = json!({"path": path, "replica": replica});
        merge(&mut entry, plan.database.clone());
        entry
    });
    yaml["dbs"] = entries.collect();
    yaml
}

fn merge(into: &mut Value, other: Value) {
    if let (Value::Object(into), Value::Object(other)) = (into, other) {
        into.extend(other);
    }
}

/// Copies a folder; sockets and what goes away meanwhile are left out.
fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_all(&entry.path(), &to.join(entry.file_name()))?;
        } else if kind.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
