//! The children of a process that runs an event loop: one reaper, and a channel to whoever waits.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use nix::libc;
use tokio::sync::{Notify, oneshot};

use super::reap::{self, Reaped};
use super::{signal, tree};
use crate::core::Ended;

/// A child, and how it ended if it has.
type Remembered = (i32, Option<Ended>);

/// A handle on all children of this process; clones share one state.
///
/// Everything happens on one thread, so a child cannot end between its start and [`Children::watch`]
/// without being noticed: it is reaped only in [`Children::reap`].
#[derive(Clone, Default)]
pub struct Children {
    waiting: Rc<RefCell<HashMap<i32, oneshot::Sender<Ended>>>>,
    one_shots: Rc<RefCell<Vec<i32>>>,
    aborted: Rc<Cell<bool>>,
    /// Whoever waits for that.
    aborting: Rc<Notify>,
    /// How the child ended that [`Children::remember`] named, before whoever watches it is told.
    remembered: Rc<Cell<Option<Remembered>>>,
    /// Those that this process had before it started any: a shell may `exec` with jobs.
    foreign: Rc<Vec<i32>>,
}

impl Children {
    /// Takes note of the children that this process has already.
    pub fn new() -> Self {
        Self { foreign: Rc::new(tree::children(std::process::id() as i32)), ..Self::default() }
    }

    /// How a child ends, when it does.
    pub fn watch(&self, pid: i32) -> oneshot::Receiver<Ended> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().insert(pid, sender);
        receiver
    }

    /// From now on [`Children::how_ended`] is about this child.
    pub fn remember(&self, pid: i32) {
        self.remembered.set(Some((pid, None)));
    }

    /// How the child that is remembered has ended, or ends within a time: somebody else may have seen it first.
    pub fn how_ended(&self, pid: i32, limit: Duration) -> Option<Ended> {
        let (remembered, how) = self.remembered.get()?;
        if remembered == pid { how.or_else(|| reap::peek(pid, limit)) } else { None }
    }

    /// As [`Children::watch`], for a child that [`Children::abort`] ends.
    pub fn watch_one_shot(&self, pid: i32) -> oneshot::Receiver<Ended> {
        self.one_shots.borrow_mut().push(pid);
        if self.is_aborted() {
            signal::send(pid, libc::SIGKILL);
        }
        self.watch(pid)
    }

    /// Ends every one-shot child, and each that is started from now on.
    pub fn abort(&self) {
        self.aborted.set(true);
        self.aborting.notify_waiters();
        for pid in self.one_shots.borrow().iter() {
            signal::send(*pid, libc::SIGKILL);
        }
    }

    /// Waits until [`Children::abort`] is called.
    pub async fn aborted(&self) {
        // Whoever is told from here on is told of it.
        let told = self.aborting.notified();
        if !self.is_aborted() {
            told.await;
        }
    }

    /// All that was to be ended has ended, and something is left to be done.
    pub fn go_on(&self) {
        self.aborted.set(false);
    }

    /// Whether [`Children::abort`] was called.
    pub fn is_aborted(&self) -> bool {
        self.aborted.get()
    }

    /// Ends a one-shot child that nobody needs any more, unless it has ended.
    pub fn kill(&self, pid: i32) {
        if self.waiting.borrow().contains_key(&pid) {
            signal::send(pid, libc::SIGKILL);
        }
    }

    /// As [`Children::kill`], with all that descends from it.
    pub fn kill_tree(&self, pid: i32) {
        if self.waiting.borrow().contains_key(&pid) {
            tree::signal_descendants(pid, libc::SIGKILL);
            signal::send_to_group(pid, libc::SIGKILL);
            signal::send(pid, libc::SIGKILL);
        }
    }

    /// Reaps whatever has ended, adopted orphans included; call it at each SIGCHLD.
    pub fn reap(&self) {
        while let reaped @ (Reaped::Ended(..) | Reaped::Stopped(..)) = reap::next() {
            if let Reaped::Ended(pid, how) = reaped {
                self.one_shots.borrow_mut().retain(|one_shot| *one_shot != pid);
                if self.remembered.get() == Some((pid, None)) {
                    self.remembered.set(Some((pid, Some(how))));
                }
                if let Some(waiting) = self.waiting.borrow_mut().remove(&pid) {
                    let _ = waiting.send(how);
                }
            }
        }
    }

    /// Kills what was adopted: children that nobody here started, with all that descends from them.
    /// Whether there was anything.
    pub fn kill_adopted(&self) -> bool {
        self.kill_trees(|pid| !self.waiting.borrow().contains_key(&pid))
    }

    /// Kills everything that descends from this process. Whether there was anything.
    pub fn kill_all(&self) -> bool {
        self.kill_trees(|_| true)
    }

    fn kill_trees(&self, wanted: impl Fn(i32) -> bool) -> bool {
        let mut children = tree::children(std::process::id() as i32);
        children.retain(|pid| !self.foreign.contains(pid) && wanted(*pid));
        for pid in &children {
            tree::signal_descendants(*pid, libc::SIGKILL);
            signal::send(*pid, libc::SIGKILL);
        }
        !children.is_empty()
    }
}
