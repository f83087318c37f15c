//! What Litestream does over and over, and what ends in an error each time, is no progress.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::core::Db;
use crate::os::proc;

/// So many in a row may end in an error and still count, each from its beginning: a connection breaks.
const ACCIDENTS: u32 = 2;

/// Written by Litestream between two looks, or beyond an attempt that failed, this is an upload and not a log line.
pub(super) const MOVES: u64 = 64 << 10;

/// The attempts at one database.
#[derive(Clone, Copy, Debug, Default)]
struct Attempts {
    /// What was written, and how many files had been uploaded, when this one began.
    began: u64,
    uploaded: u64,
    /// So many in a row ended in an error without a file uploaded.
    failed: u32,
    /// The most that one of those wrote.
    most: u64,
}

impl Attempts {
    fn begin(&mut self, written: u64, uploaded: u64) {
        (self.began, self.uploaded) = (written, uploaded);
    }

    fn fail(&mut self, written: u64, uploaded: u64) {
        if uploaded > self.uploaded {
            *self = Self::default();
        } else {
            self.failed = self.failed.saturating_add(1);
            self.most = self.most.max(written.saturating_sub(self.began));
        }
    }

    /// Whether the present one is more than those that failed.
    fn is_new(&self, written: u64, uploaded: u64) -> bool {
        self.failed < ACCIDENTS
            || uploaded > self.uploaded
            || written.saturating_sub(self.began) > self.most.saturating_add(MOVES)
    }
}

/// The attempts that are made now.
#[derive(Clone)]
pub(super) struct Tried {
    litestream: i32,
    logged: Rc<Cell<u64>>,
    uploaded: Rc<Cell<u64>>,
    of: Rc<RefCell<BTreeMap<Db, Attempts>>>,
}

impl Tried {
    /// By this process, which has logged so many bytes, and has told of so many uploads.
    pub(super) fn new(litestream: i32, logged: Rc<Cell<u64>>, uploaded: Rc<Cell<u64>>) -> Self {
        Self { litestream, logged, uploaded, of: Rc::default() }
    }

    /// What it has written, but to its log: an error that comes again and again fills that, and nothing else.
    pub(super) fn written(&self) -> u64 {
        proc::io(self.litestream).unwrap_or_default().written.saturating_sub(self.logged.get())
    }

    /// One begins.
    pub(super) fn begin(&self, db: Db) {
        self.of.borrow_mut().entry(db).or_default().begin(self.written(), self.uploaded.get());
    }

    /// It ended in an error.
    pub(super) fn fail(&self, db: Db) {
        self.of.borrow_mut().entry(db).or_default().fail(self.written(), self.uploaded.get());
    }

    /// It did not.
    pub(super) fn end(&self, db: Db) {
        self.of.borrow_mut().remove(&db);
    }

    /// Whether what is done now, with so much written up to now, may be progress.
    pub(super) fn is_new(&self, written: u64) -> bool {
        let (of, uploaded) = (self.of.borrow(), self.uploaded.get());
        of.is_empty() || of.values().any(|attempts| attempts.is_new(written, uploaded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_tried_before_is_not_new_until_it_gets_further() {
        let mut attempts = Attempts::default();
        let mut written = 0;
        for failed in 0..10 {
            attempts.begin(written, 0);
            let is_new = attempts.is_new(written + (1 << 20), 0);
            assert_eq!(is_new, failed < ACCIDENTS, "{failed} failed");
            written += 1 << 20;
            attempts.fail(written, 0);
        }
        attempts.begin(written, 0);
        assert!(!attempts.is_new(written, 0));
        assert!(attempts.is_new(written + (2 << 20), 0), "this time it goes on");
        assert!(attempts.is_new(written, 1), "a file is there");
        attempts.fail(written, 1);
        assert!(attempts.is_new(written, 1), "what comes next is another one");
    }

    #[test]
    fn errors_that_cost_nothing_take_nothing_from_the_upload_that_follows() {
        let mut attempts = Attempts::default();
        for _ in 0..100 {
            attempts.begin(0, 0);
            attempts.fail(300, 0);
        }
        attempts.begin(0, 0);
        assert!(!attempts.is_new(300, 0) && attempts.is_new(1 << 20, 0));
    }
}
