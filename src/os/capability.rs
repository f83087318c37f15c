//! Suspends for a while what root may do to the files and processes of others (`capabilities(7)`).

use nix::errno::Errno;
use nix::libc;

/// `CAP_CHOWN` to `CAP_FSETID`, which go with the user that the file system sees unless somebody has told the kernel
/// otherwise (`SECBIT_NO_SETUID_FIXUP`), and `CAP_SYS_PTRACE`, which does not: with it `/proc/PID/cwd` leads into any folder.
const OF_FILES: u32 = 0b1_1111 | 1 << 19;

/// `_LINUX_CAPABILITY_VERSION_3`.
const VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// Thirty-two of them.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The capabilities that this thread had; they are restored when this is dropped.
pub(super) struct Suspended(Option<[Sets; 2]>);

impl Suspended {
    /// Suspends the rights of [`OF_FILES`] for this thread. Where the kernel does not tell them, nothing changes.
    pub(super) fn file_rights() -> Self {
        let Ok(all) = get() else { return Self(None) };
        let mut fewer = all;
        fewer[0].effective &= !OF_FILES;
        Self(set(&fewer).is_ok().then_some(all))
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        // A failure leaves this process with fewer rights.
        let _ = self.0.as_ref().map(set);
    }
}

fn get() -> nix::Result<[Sets; 2]> {
    let mut sets = [Sets::default(); 2];
    let header = Header { version: VERSION, pid: 0 };
    // SAFETY: capget(2) of this version reads a header and writes two sets, which both are there.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, &raw const header, sets.as_mut_ptr()) })?;
    Ok(sets)
}

fn set(sets: &[Sets; 2]) -> nix::Result<()> {
    let header = Header { version: VERSION, pid: 0 };
    // SAFETY: capset(2) of this version reads a header and two sets, which both are there.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) }).map(drop)
}
