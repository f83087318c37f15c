//! A process that dies in the middle of a commit: the WAL has its last frame, the index does not know it yet.
//!
//! SQLite's own calls can be replaced one by one (`xSetSystemCall`). A frame is written in two pieces, 24 bytes of header
//! and a page; the header of a commit's last frame holds the size of the database (fileformat2.html#walformat). A transaction
//! that went to the WAL piece by piece has its headers written once more at its end, one behind the other.

use std::ffi::{CStr, c_void};
use std::fs;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::SeqCst};

use nix::libc;
use nix::sys::signal::{Signal, raise};
use rusqlite::ffi;

/// How many commits there are to come, the fatal one included; 0: nobody dies.
static COMMITS: AtomicU64 = AtomicU64::new(0);
/// The file whose last piece was the header of the fatal commit's last frame, or -1.
static COMMITTING: AtomicI32 = AtomicI32::new(-1);
/// The file whose last piece was a header, or -1.
static HEADED: AtomicI32 = AtomicI32::new(-1);

/// Makes this process die in its `commit`th commit from now.
pub fn in_commit(commit: u64) {
    COMMITS.store(commit, SeqCst);
    // `off64_t` and `off_t` are the same where the suite runs.
    let calls: [(&CStr, *const c_void); 3] =
        [(c"write", write as _), (c"pwrite", pwrite as _), (c"pwrite64", pwrite as _)];
    // SAFETY: the default VFS lives as long as the process, and no connection is open yet; SQLite casts each
    // call back to the type that it has here before it makes it.
    unsafe {
        let vfs = ffi::sqlite3_vfs_find(std::ptr::null());
        let set = (*vfs).xSetSystemCall.expect("the unix VFS has it");
        for (name, call) in calls {
            set(vfs, name.as_ptr(), std::mem::transmute::<*const c_void, ffi::sqlite3_syscall_ptr>(call));
        }
    }
}

extern "C" fn write(fd: i32, piece: *const c_void, length: usize) -> isize {
    // SAFETY: SQLite's own arguments, passed on.
    seen(fd, piece, length, || unsafe { libc::write(fd, piece, length) })
}

extern "C" fn pwrite(fd: i32, piece: *const c_void, length: usize, offset: i64) -> isize {
    // SAFETY: SQLite's own arguments, passed on.
    seen(fd, piece, length, || unsafe { libc::pwrite(fd, piece, length, offset) })
}

/// Writes, and dies if this was the last piece of the fatal commit.
fn seen(fd: i32, piece: *const c_void, length: usize, write: impl FnOnce() -> isize) -> isize {
    let mut is_fatal = COMMITTING.swap(-1, SeqCst) == fd;
    let is_again = HEADED.swap(-1, SeqCst) == fd;
    if length == 24 && COMMITS.load(SeqCst) > 0 && is_wal(fd) {
        HEADED.store(fd, SeqCst);
        // SAFETY: SQLite wants so many bytes to be written.
        let header = unsafe { std::slice::from_raw_parts(piece.cast::<u8>(), length) };
        if header[4..8] != [0; 4] && COMMITS.fetch_sub(1, SeqCst) == 1 {
            if is_again {
                is_fatal = true;
            } else {
                COMMITTING.store(fd, SeqCst);
            }
        }
    }
    let written = write();
    if is_fatal && written == length as isize {
        let _ = raise(Signal::SIGKILL);
    }
    written
}

fn is_wal(fd: i32) -> bool {
    fs::read_link(format!("/proc/self/fd/{fd}")).is_ok_and(|path| path.to_string_lossy().ends_with("-wal"))
}
