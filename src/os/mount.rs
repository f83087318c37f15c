//! The file systems that paths are on (`proc_pid_mountinfo(5)`, `statvfs(3)`).

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::open;

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its type as the kernel names it: `ext4`, `overlay`, `tmpfs`, `nfs4`, `fuse.sshfs` ….
    pub kind: String,
    /// Where it is mounted.
    pub point: PathBuf,
}

/// Space on a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that are left for users.
    pub free: u64,
    /// Whether nothing can be written there.
    pub read_only: bool,
}

/// The nearest folder or file that is there: the path itself, or the first of its parents.
pub fn nearest(path: &Path) -> Option<PathBuf> {
    path.ancestors().find_map(|path| fs::canonicalize(path).ok())
}

/// What the path is on, or will be once it is made; `None` where `/proc` does not tell.
pub fn of(path: &Path) -> Option<Mount> {
    find(&nearest(path)?, &open::kernel("/proc/self/mountinfo").ok()?)
}

/// Whether a folder is on a server, or in a program's hands, that may not answer (`statfs(2)`).
pub fn is_remote(folder: &Path) -> bool {
    /// NFS, SMB, SMB2, CIFS, FUSE, 9p, Ceph, AFS, Lustre.
    const KINDS: [i64; 9] = [
        0x6969,
        0x517b,
        0xfe53_4d42,
        0xff53_4d42,
        0x6573_5546,
        0x0102_1997,
        0x00c3_6400,
        0x5346_414f,
        0x0bd0_0bd0,
    ];
    // The type differs from machine to machine, and some are negative numbers of 32 bits.
    fn wide(kind: impl TryInto<i64>) -> i64 {
        kind.try_into().unwrap_or(0) & 0xffff_ffff
    }
    let kind = nix::sys::statfs::statfs(folder).map(|found| wide(found.filesystem_type().0));
    kind.is_ok_and(|kind| KINDS.contains(&kind))
}

/// How much room there is at the path, or will be once it is made.
pub fn space(path: &Path) -> Option<Space> {
    let found = nix::sys::statvfs::statvfs(&nearest(path)?).ok()?;
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    Some(Space { free, read_only: found.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY) })
}

/// The deepest mount point above `path`; of several on one point the last is on top.
fn find(path: &Path, mountinfo: &[u8]) -> Option<Mount> {
    let mounts = mountinfo.split(|byte| *byte == b'\n').filter_map(parse);
    mounts.filter(|mount| path.starts_with(&mount.point)).max_by_key(|mount| mount.point.components().count())
}

/// `36 35 98:0 /root /point options … - type source options`.
fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let point = PathBuf::from(OsString::from_vec(unescape(fields.nth(4)?)));
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some(Mount { kind: String::from_utf8_lossy(kind).into_owned(), point })
}

/// Spaces, tabs, newlines and backslashes are three octal digits there.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let code =
            after.get(..3).filter(|_| byte == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) => {
                bytes.push(code);
                rest = &after[3..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"22 1 254:0 / / rw,relatime shared:1 - overlay overlay rw\n\
        23 22 0:21 / /data rw - ext4 /dev/vdb rw\n\
        24 22 0:22 / /data/a\\040b rw master:1 - fuse.sshfs host: rw\n\
        25 22 0:23 / /data rw - nfs4 server:/x rw\n";

    #[test]
    fn the_deepest_and_last_mount_counts() {
        for (path, kind) in
            [("/", "overlay"), ("/data/x", "nfs4"), ("/data/a b/x", "fuse.sshfs"), ("/database", "overlay")]
        {
            assert_eq!(find(Path::new(path), MOUNTS).expect("a mount").kind, kind, "{path}");
        }
    }

    #[test]
    fn what_is_not_there_yet_is_on_what_is_above_it() {
        let proc = of(Path::new("/proc/self/nothing/of/this")).expect("there is /proc");
        assert_eq!((proc.kind.as_str(), proc.point.as_path()), ("proc", Path::new("/proc")));
        assert!(space(Path::new("/tmp/nothing/of/this")).is_some_and(|space| !space.read_only));
    }
}
