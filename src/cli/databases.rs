//! TEMPORARY
use std::path::{Path, PathBuf};
use std::time::Duration;
use crate::error::Failure;
use crate::litestream::database::Database;
pub(super) struct Source<'a> { pub config: Option<&'a Path>, pub dbs: &'a [String], pub replicas: &'a [String], pub no_expand_env: bool }
pub(super) struct Configured { pub dbs: Vec<Database>, pub exec: Option<Vec<String>>, pub render: Box<dyn Fn(&Path, Duration) -> String> }
pub(super) fn read(s: &Source<'_>, cwd: &Path) -> Result<Configured, Failure> {
    let _ = (s.config, s.no_expand_env);
    let mut dbs = Vec::new(); let mut t = String::from("dbs:\n");
    for (d, r) in s.dbs.iter().zip(s.replicas) {
        let path = cwd.join(d);
        let mut n = std::ffi::OsString::from("."); n.push(path.file_name().unwrap_or_default()); n.push("-litestream");
        t.push_str(&format!("  - path: {}\n    replicas:\n      - url: {r}\n", path.display()));
        dbs.push(Database { meta: path.with_file_name(n), path, replica: r.clone(), replica_folder: r.strip_prefix("file://").map(PathBuf::from) });
    }
    Ok(Configured { dbs, exec: None, render: Box::new(move |sock, sync| format!("{t}socket: {{enabled: true, path: {}, permissions: 0600}}\nlogging: {{type: json, stderr: true, level: info}}\nshutdown-sync-timeout: {}ms\n", sock.display(), sync.as_millis())) })
}
