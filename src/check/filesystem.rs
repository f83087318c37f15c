//! File systems, disk space, and the folder of the control socket.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::context::CheckContext;
use super::rules::{
    CA_BUNDLE, DISK_SPACE, ENDPOINT_SCHEME, IN_MEMORY, ON_NETWORK, ON_OVERLAY, REPLICA_IN_DIR,
    RUNTIME_FOLDER, SAME_DISK,
};
use crate::config::lint::Lint;
use crate::config::{BareEndpoint, Kind, Replica, bare_endpoints};
use crate::litestream::database::with_suffix;
use crate::os::access::{self, Access};
use crate::os::mount::{self, Mount};
use crate::os::socket;

/// What `supervise::runtime_folder` makes in its root, with the longest process number there is.
const SOCKET_IN_ROOT: &str = "run-4194304/litestream.sock";

pub(super) fn look(context: &CheckContext<'_>) -> Vec<Lint> {
    let mut found = faults(context);
    found.extend(runtime_folder(context));
    found.extend(bare_endpoints(context.config).iter().map(|bare| bare_endpoint(context, bare)));
    found
}

/// Without what a start finds out by trying it: whether there is a place for its own files.
pub(super) fn faults(context: &CheckContext<'_>) -> Vec<Lint> {
    let mut found = databases(context);
    found.extend(ca_bundle(context));
    found
}

fn databases(context: &CheckContext<'_>) -> Vec<Lint> {
    let mut found = context.of_each(|database, folder| {
        let (path, line) = (&database.path, database.line);
        // What the folder is on, and where its replicas are, is told of the folder.
        let is_told = folder.is_some_and(|folder| device(&folder.dir) == device(path));
        let mount = if is_told { None } else { mount::of(path) };
        let mut found: Vec<Lint> =
            mount.as_ref().and_then(|mount| database_on(context, path, line, mount)).into_iter().collect();
        found.extend(space(context, path, line));
        for replica in database.replicas.iter().filter(|_| folder.is_none()) {
            found.extend(replica_on(context, replica, mount.as_ref()));
        }
        found
    });
    for directory in context.config.directories() {
        let (path, line) = (&directory.dir, directory.line);
        let mount = mount::of(path);
        found.extend(mount.as_ref().and_then(|mount| database_on(context, path, line, mount)));
        for replica in &directory.replicas {
            found.extend(replica_on(context, replica, mount.as_ref()));
            if folder_of(replica).is_some_and(|folder| folder.starts_with(path)) {
                let message = format!(
                    "the replica `{}` is inside of `{}`, whose databases it keeps",
                    replica.display,
                    path.display()
                );
                let lint = context.lint(REPLICA_IN_DIR, replica.line, message);
                found.push(
                    lint.hint(
                        "put it elsewhere: what is restored or kept there could be taken for a database",
                    ),
                );
            }
        }
    }
    found
}

fn device(path: &Path) -> Option<u64> {
    path.metadata().ok().map(|found| found.dev())
}

/// How a file system treats what is on it.
enum Nature {
    Network,
    Overlay,
    Memory,
    Disk,
}

fn nature(mount: &Mount) -> Nature {
    match mount.kind.as_str() {
        "nfs" | "nfs4" | "cifs" | "smb3" | "smbfs" | "9p" | "afs" | "ceph" | "lustre" | "gfs2" | "ocfs2"
        | "fuse" => Nature::Network,
        "overlay" | "aufs" | "fuse.fuse-overlayfs" => Nature::Overlay,
        "tmpfs" | "ramfs" => Nature::Memory,
        // `fuseblk` is NTFS and the like, on a disk.
        kind if kind.starts_with("fuse.") => Nature::Network,
        _ => Nature::Disk,
    }
}

fn database_on(context: &CheckContext<'_>, path: &Path, line: usize, mount: &Mount) -> Option<Lint> {
    let on = format!("{} at {}", mount.kind, mount.point.display());
    let path = path.display();
    Some(match nature(mount) {
        Nature::Network => context
            .lint(
                ON_NETWORK,
                line,
                format!("`{path}` is on a network file system ({on}), where SQLite's WAL does not work"),
            )
            .hint("put the database on a disk of this machine; its replica may be on the network"),
        Nature::Overlay => context
            .lint(
                ON_OVERLAY,
                line,
                format!("`{path}` is in the container's own layer ({on}) and goes with it"),
            )
            .hint("mount a volume there, or live with a restore at each new container"),
        Nature::Memory => context
            .lint(IN_MEMORY, line, format!("`{path}` is in memory ({on}) and goes with the machine"))
            .hint("put it on a disk, or live with a restore at each start of the machine"),
        Nature::Disk => return None,
    })
}

fn folder_of(replica: &Replica) -> Option<PathBuf> {
    (replica.kind == Kind::File).then(|| PathBuf::from(&replica.display))
}

fn replica_on(context: &CheckContext<'_>, replica: &Replica, of_database: Option<&Mount>) -> Option<Lint> {
    let folder = folder_of(replica)?;
    folder_on(context, &folder, replica.line, &mount::of(&folder)?, of_database)
}

fn folder_on(
    context: &CheckContext<'_>,
    folder: &Path,
    line: usize,
    mount: &Mount,
    of_database: Option<&Mount>,
) -> Option<Lint> {
    let (folder, on) = (folder.display(), format!("{} at {}", mount.kind, mount.point.display()));
    let hint = "a backup has to outlive what it is a backup of: use another disk, or a bucket";
    let (rule, message) = match nature(mount) {
        Nature::Overlay => (
            ON_OVERLAY,
            format!("the replica `{folder}` is in the container's own layer ({on}) and goes with it"),
        ),
        Nature::Memory => {
            (IN_MEMORY, format!("the replica `{folder}` is in memory ({on}) and goes with the machine"))
        }
        Nature::Disk if of_database == Some(mount) => {
            (SAME_DISK, format!("the replica `{folder}` is on the disk of its database ({on})"))
        }
        Nature::Network | Nature::Disk => return None,
    };
    Some(context.lint(rule, line, message).hint(hint))
}

/// A restore and a first snapshot take as much as the database and its WAL.
fn space(context: &CheckContext<'_>, path: &Path, line: usize) -> Option<Lint> {
    let length = |path: &Path| path.metadata().map_or(0, |found| found.len());
    let needed = length(path) + length(&with_suffix(path, "-wal"));
    let free = mount::space(path)?.free;
    if free >= needed {
        return None;
    }
    let message =
        format!("`{}` takes {}, but only {} are free there", path.display(), bytes(needed), bytes(free));
    Some(
        context
            .lint(DISK_SPACE, line, message)
            .hint("free some space: a restore or a snapshot needs as much as the database"),
    )
}

fn bytes(number: u64) -> String {
    match number {
        0..=9_999 => format!("{number} bytes"),
        10_000..=9_999_999 => format!("{} KB", number / 1_000),
        _ => format!("{} MB", number / 1_000_000),
    }
}

fn ca_bundle(context: &CheckContext<'_>) -> Option<Lint> {
    (context.variable)("AWS_CA_BUNDLE").filter(|value| !value.is_empty())?;
    let databases = context.config.databases().iter().flat_map(|database| &database.replicas);
    let directories = context.config.directories().iter().flat_map(|directory| &directory.replicas);
    let first = databases.chain(directories).find(|replica| replica.kind == Kind::S3)?;
    let message = format!(
        "AWS_CA_BUNDLE is set: Litestream's S3 client does not start with it, so {} cannot be reached",
        first.display
    );
    let lint = Lint::new(CA_BUNDLE, &crate::config::Origin::Environment, message);
    Some(lint.hint("unset it; SSL_CERT_FILE names certificates to Litestream"))
}

fn bare_endpoint(context: &CheckContext<'_>, BareEndpoint { endpoint, line }: &BareEndpoint) -> Lint {
    let message = format!("the endpoint `{endpoint}` has no scheme, so Litestream asks https://{endpoint}");
    context
        .lint(ENDPOINT_SCHEME, *line, message)
        .hint(format!("write http://{endpoint} if the server speaks no TLS, else https://{endpoint}"))
}

fn runtime_folder(context: &CheckContext<'_>) -> Option<Lint> {
    let mut reasons = Vec::new();
    for root in context.runtime_roots {
        let length = root.join(SOCKET_IN_ROOT).as_os_str().as_bytes().len();
        let writable = mount::nearest(root).is_some_and(|folder| access::may(&folder, Access::Write, None));
        match (length > socket::LONGEST_PATH, writable) {
            (false, true) => return None,
            (true, _) => reasons.push(format!("{} is too long for a unix socket", root.display())),
            (false, false) => reasons.push(format!("{} cannot be made or written", root.display())),
        }
    }
    let message = format!("there is no folder for Litestream's control socket: {}", reasons.join("; "));
    let lint = Lint::new(RUNTIME_FOLDER, &crate::config::Origin::Environment, message);
    Some(lint.hint("set LITEKEEPER_RUNTIME_DIR to a short path that this user may write to"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_told_apart() {
        let of = |kind: &str| match nature(&Mount { kind: kind.to_owned(), point: "/".into() }) {
            Nature::Network => "network",
            Nature::Overlay => "overlay",
            Nature::Memory => "memory",
            Nature::Disk => "disk",
        };
        for (kind, is) in [
            ("nfs4", "network"),
            ("cifs", "network"),
            ("9p", "network"),
            ("fuse.sshfs", "network"),
            ("fuse.fuse-overlayfs", "overlay"),
            ("overlay", "overlay"),
            ("tmpfs", "memory"),
            ("fuseblk", "disk"),
            ("ext4", "disk"),
            ("virtiofs", "disk"),
        ] {
            assert_eq!(of(kind), is, "{kind}");
        }
    }

    #[test]
    fn a_network_is_for_replicas_and_a_disk_for_one_of_both() {
        let mount = Mount { kind: "nfs4".to_owned(), point: "/data".into() };
        let options = crate::config::LoadOptions {
            no_expand_env: true,
            env: &|_| None,
            cwd: Path::new("/"),
            home: None,
            pid: 1,
        };
        let pair = ("/data/app.db".to_owned(), Some("s3://b/a".to_owned()));
        let config = crate::config::of_pairs(&[pair], &options).unwrap();
        let context = CheckContext::of(&config);
        let shown = |lint: Lint| format!("{} [{}]", lint.message, lint.rule.code);
        assert_eq!(
            shown(database_on(&context, Path::new("/data/app.db"), 0, &mount).unwrap()),
            "`/data/app.db` is on a network file system (nfs4 at /data), where SQLite's WAL does not work [on-network]"
        );
        assert!(folder_on(&context, Path::new("/data/b"), 0, &mount, Some(&mount)).is_none());
        let disk = Mount { kind: "ext4".to_owned(), point: "/data".into() };
        assert_eq!(
            shown(folder_on(&context, Path::new("/data/b"), 0, &disk, Some(&disk)).unwrap()),
            "the replica `/data/b` is on the disk of its database (ext4 at /data) [same-disk]"
        );
        assert!(folder_on(&context, Path::new("/data/b"), 0, &disk, Some(&mount)).is_none());
    }

    #[test]
    fn bytes_are_short() {
        assert_eq!(
            (bytes(4096), bytes(40_960), bytes(500 << 20)),
            ("4096 bytes".into(), "40 KB".into(), "524 MB".into())
        );
    }
}
