//! Programs to put in front of a keeper, which give it another world to live in: a pid namespace of its own,
//! a full disk, a folder that cannot be written, little memory, sockets from a service manager.
//!
//! The namespaces (`unshare(1)`) need root; another user gets them through a user namespace, where the system has them.

use std::path::Path;

/// The rest runs as PID 1 with a `/proc` of its own; `unshare` ends with its code, and killing `unshare` kills it.
pub fn pid_1() -> Vec<String> {
    unshare(&["--fork", "--kill-child", "--pid", "--mount-proc"])
}

/// `folder`, which exists, is an empty file system of `kibibytes` for the rest.
///
/// At the end the names that are left in it are written to stdout, one a line: the test cannot look there.
pub fn small_disk(folder: &Path, kibibytes: u32) -> Vec<String> {
    let mount = format!("mount -t tmpfs -o size={kibibytes}k none \"$folder\"");
    mounted(&mount, "\"$@\"; code=$?; ls -A \"$folder\"; exit $code", folder)
}

/// The same for what goes on running, and is told to end by signals; a test looks there by `/proc/PID/root`.
pub fn kept_on_small_disk(folder: &Path, kibibytes: u32) -> Vec<String> {
    let mount = format!("mount -t tmpfs -o size={kibibytes}k none \"$folder\"");
    mounted(&mount, "exec \"$@\"", folder)
}

/// The rest runs as a user that owns nothing here.
pub fn nobody() -> Vec<String> {
    ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"].map(str::to_owned).to_vec()
}

/// `folder`, which exists, is a container's own layer over itself for the rest.
pub fn overlay(folder: &Path) -> Vec<String> {
    // The layers lie on a file system of their own: an overlay's may not themselves be on one.
    let mount = "top=$(mktemp -d) && mount -t tmpfs none \"$top\" && mkdir \"$top/up\" \"$top/work\" && \
                 mount -t overlay -o \"lowerdir=$folder,upperdir=$top/up,workdir=$top/work\" overlay \"$folder\" && \
                 umount -l \"$top\" && rmdir \"$top\"";
    mounted(mount, "cd \"$PWD\" && exec \"$@\"", folder)
}

/// `folder` and all below it cannot be written by the rest, not even by root.
pub fn read_only(folder: &Path) -> Vec<String> {
    let mount = "mount --bind \"$folder\" \"$folder\" && mount -o remount,bind,ro \"$folder\"";
    // The current folder may lie in what was mounted over.
    mounted(mount, "cd \"$PWD\" && exec \"$@\"", folder)
}

/// What is in `from` is also in `folder` for the rest.
pub fn bound(from: &Path, folder: &Path) -> Vec<String> {
    let from = from.to_str().expect("the harness makes UTF-8 paths");
    mounted(&format!("mount --bind '{from}' \"$folder\""), "exec \"$@\"", folder)
}

/// There is nothing in `folder` for the rest: an empty file system is mounted over it.
pub fn without(folder: &Path) -> Vec<String> {
    mounted("mount -t tmpfs none \"$folder\"", "exec \"$@\"", folder)
}

/// The rest runs on a machine like any other that is made so: as PID 1, on a host called `twin`, with `from` in `folder`.
pub fn twin(from: &Path, folder: &Path) -> Vec<String> {
    let mut words = unshare(&["--fork", "--kill-child", "--pid", "--mount-proc", "--mount", "--uts"]);
    let script = "echo twin > /proc/sys/kernel/hostname && mount --bind \"$1\" \"$2\" || exit 99; \
                  cd \"$2\"; shift 2; exec \"$@\"";
    let utf8 = |path: &Path| path.to_str().expect("the harness makes UTF-8 paths").to_owned();
    words.extend(shell(script, &[&utf8(from), &utf8(folder)]));
    words
}

/// The rest runs as PID 1 of a namespace, below the `/proc` of another one.
pub fn foreign_proc() -> Vec<String> {
    unshare(&["--fork", "--kill-child", "--pid"])
}

/// The rest is root without these capabilities (`-setuid,-setgid`).
pub fn capabilities(change: &str) -> Vec<String> {
    ["setpriv", "--bounding-set", change].map(str::to_owned).to_vec()
}

/// The rest has this much address space and no more.
pub fn address_space(kibibytes: u32) -> Vec<String> {
    shell("ulimit -v \"$1\" && shift && exec \"$@\"", &[&kibibytes.to_string()])
}

/// The rest makes its files with this umask.
pub fn umask(mask: &str) -> Vec<String> {
    shell("umask \"$1\" && shift && exec \"$@\"", &[mask])
}

/// The rest gets its stdin once more as descriptor 3, announced the way of `sd_listen_fds(3)`, with the name `web`.
pub fn listen_fds() -> Vec<String> {
    shell("export LISTEN_PID=$$ LISTEN_PIDFDID=1 LISTEN_FDS=1 LISTEN_FDNAMES=web; exec \"$@\" 3<&0", &[])
}

fn mounted(mount: &str, run: &str, folder: &Path) -> Vec<String> {
    let folder = folder.to_str().expect("the harness makes UTF-8 paths");
    let mut words = unshare(&["--mount"]);
    words.extend(shell(&format!("folder=$1; shift; {mount} || exit 99; {run}"), &[folder]));
    words
}

fn unshare(options: &[&str]) -> Vec<String> {
    let mut words = vec!["unshare"];
    if !nix::unistd::geteuid().is_root() {
        words.push("--map-root-user");
    }
    words.extend(options);
    words.into_iter().map(str::to_owned).collect()
}

fn shell(script: &str, args: &[&str]) -> Vec<String> {
    ["sh", "-c", script, "sh"].iter().chain(args).map(|word| (*word).to_owned()).collect()
}
