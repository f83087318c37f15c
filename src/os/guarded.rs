//! The files that this process has locked themselves ([`super::lock`]): whose lock it is in the way of.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::byte_lock::{self, GUARD};
use super::permit;

/// Device and inode.
pub(super) type Id = (u64, u64);

thread_local! {
    /// Each with the path that it was locked by. The kernel says that such a lock is held, and not by whom.
    static ALL: RefCell<BTreeMap<Id, PathBuf>> = const { RefCell::new(BTreeMap::new()) };
}

/// One of them.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) file: File,
    pub(super) id: Id,
}

impl Guarded {
    pub(super) fn new(file: File, id: Id, path: &Path) -> Self {
        ALL.with_borrow_mut(|all| all.insert(id, path.to_owned()));
        Self { file, id }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // At the thread's end there is none to be asked.
        let _ = ALL.try_with(|all| all.borrow_mut().remove(&self.id));
        // A child that has not become its program yet has a copy of the descriptor, and would hold the lock with it. One that
        // cannot be let go goes with the last of them.
        let _ = byte_lock::let_go(&self.file, GUARD);
    }
}

/// The path by which this process has locked the file that stands here, if that is another one.
pub fn other_name(path: &Path) -> Option<PathBuf> {
    let found = permit::theirs(|| path.metadata()).ok()?;
    let known = ALL.with_borrow(|all| all.get(&(found.dev(), found.ino())).cloned());
    known.filter(|known| known != path)
}
