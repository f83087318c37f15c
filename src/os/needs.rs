//! What this program needs of the system that it runs on: a container, a chroot or a sandbox may lack it, and each
//! lack would show somewhere else, as something else.

use std::fs::{self, File};
use std::io;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, setpgid};

use super::{fd, packet};

/// What is missing, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name, and the kernel's word about it.
    pub what: String,
    /// The next step.
    pub hint: &'static str,
}

const MOUNT_PROC: &str = "mount it (`mount -t proc proc /proc`, in a chroot as well): litekeeper finds the app's \
                          processes there, of which it leaves none behind";
const OWN_PROC: &str =
    "mount a /proc of this namespace: `unshare --pid --fork --mount-proc`, or `mount -t proc proc /proc`";
const DEV_NULL: &str =
    "mount /dev, or make it: `mknod -m 666 /dev/null c 1 3`; litestream opens it to start anything";
const ALLOW: &str = "a sandbox forbids it (seccomp, AppArmor): allow it there";

/// The first thing that is missing.
pub fn missing() -> Option<Missing> {
    own_proc().or_else(dev_null).or_else(calls)
}

/// Of another namespace's `/proc` every number would be somebody else's.
fn own_proc() -> Option<Missing> {
    let proc =
        |error: io::Error, path: &str| Missing { what: format!("no {path}: {error}"), hint: MOUNT_PROC };
    match fs::read_link("/proc/self") {
        Ok(number) if number.as_os_str() == std::process::id().to_string().as_str() => {}
        Ok(_) => {
            let what = "the /proc of another PID namespace".to_owned();
            return Some(Missing { what, hint: OWN_PROC });
        }
        Err(error) => return Some(proc(error, "/proc")),
    }
    fd::own_program().err().map(|error| proc(error, "/proc/self/exe"))
}

fn dev_null() -> Option<Missing> {
    let opened = File::options().read(true).write(true).open("/dev/null");
    opened.err().map(|error| Missing { what: format!("no /dev/null: {error}"), hint: DEV_NULL })
}

fn calls() -> Option<Missing> {
    let flags = SfdFlags::SFD_CLOEXEC;
    let refused = [
        ("memfd_create(2)", fd::memory(b"").err()),
        ("signalfd(2)", SignalFd::with_flags(&SigSet::empty(), flags).err().map(io::Error::from)),
        ("socketpair(2) of AF_UNIX", packet::pair().err()),
        ("setpgid(2)", refused_group()),
        ("prctl(2), PR_SET_PDEATHSIG", nix::sys::prctl::get_pdeathsig().err().map(io::Error::from)),
    ];
    let (call, error) = refused.into_iter().find_map(|(call, error)| Some((call, error?)))?;
    Some(Missing { what: format!("no {call}: {error}"), hint: ALLOW })
}

/// No group has a negative number, which the kernel says before it looks at anything (`EINVAL`, `setpgid(2)`).
fn refused_group() -> Option<io::Error> {
    match setpgid(Pid::from_raw(0), Pid::from_raw(-1)) {
        Err(error @ (Errno::EPERM | Errno::ENOSYS | Errno::EACCES)) => Some(error.into()),
        Ok(()) | Err(_) => None,
    }
}

/// Of these capabilities (`capabilities(7)`) this process has not, although it is to run others as another user: to
/// become it, to signal what is its, and to give it its folder.
pub fn missing_capabilities() -> Vec<&'static str> {
    const NEEDED: [(u32, &str); 4] = [(7, "SETUID"), (6, "SETGID"), (5, "KILL"), (0, "CHOWN")];
    let Some(effective) = effective_capabilities() else { return Vec::new() };
    NEEDED.into_iter().filter(|(number, _)| effective >> number & 1 == 0).map(|(_, name)| name).collect()
}

/// Whether whose a file is counts for this process although it is root (CAP_DAC_OVERRIDE).
pub fn lacks_dac_override() -> bool {
    effective_capabilities().is_some_and(|effective| effective >> 1 & 1 == 0)
}

/// The first 32 of them (`capget(2)`), without `/proc`.
fn effective_capabilities() -> Option<u32> {
    // _LINUX_CAPABILITY_VERSION_3, for this process; then two times effective, permitted, inheritable.
    let header = [0x2008_0522_u32, 0];
    let mut data = [0_u32; 6];
    // SAFETY: of this version capget(2) reads two numbers and writes six, which is what both arrays have.
    let asked = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), data.as_mut_ptr()) };
    (asked == 0).then_some(data[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_tests_run_nothing_is_missing() {
        assert_eq!(missing(), None);
        if crate::os::user::is_root() {
            assert_eq!(missing_capabilities(), [""; 0]);
        }
    }
}
