//! Who is connected. Where there is no room for one more, the one goes that has been saying nothing for longest: who asks and is answered
//! keeps its place.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::task::AbortHandle;

use crate::os::{limit, memory};

/// So many at once, and never more than a quarter of the files that this process may have open: the rest is for databases.
pub(super) const MOST: usize = 1536;
/// After so many the memory that they took is worth to be given back.
const CROWD: usize = 64;

/// What one connection does.
#[derive(Clone, Default)]
pub(super) struct Guest(Rc<Cell<bool>>);

impl Guest {
    /// Its request is being answered until what this returns is dropped.
    pub(super) fn serve(&self) -> Served {
        self.0.set(true);
        Served(self.0.clone())
    }
}

/// See [`Guest::serve`].
pub(super) struct Served(Rc<Cell<bool>>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// All of them, the oldest first.
#[derive(Default)]
pub(super) struct Guests {
    all: RefCell<VecDeque<(Guest, AbortHandle)>>,
    /// So many came since the last time that nobody was there.
    came: Cell<usize>,
    here: Cell<usize>,
}

impl Guests {
    /// Makes room for one more, where that can be done.
    pub(super) fn has_room(&self) -> bool {
        let mut all = self.all.borrow_mut();
        all.retain(|(_, task)| !task.is_finished());
        if all.len() < most() {
            return true;
        }
        let Some(silent) = all.iter().position(|(guest, _)| !guest.0.get()) else { return false };
        if let Some((_, task)) = all.remove(silent) {
            task.abort();
        }
        true
    }

    /// One is here until what this returns is dropped.
    pub(super) fn stay(self: &Rc<Self>) -> Stay {
        self.came.set(self.came.get() + 1);
        self.here.set(self.here.get() + 1);
        Stay(self.clone())
    }

    /// Takes one in.
    pub(super) fn enter(&self, guest: Guest, task: AbortHandle) {
        self.all.borrow_mut().push_back((guest, task));
    }
}

fn most() -> usize {
    let quarter = limit::open_files().and_then(|files| usize::try_from(files / 4).ok());
    quarter.map_or(MOST, |quarter| quarter.min(MOST))
}

/// See [`Guests::stay`].
pub(super) struct Stay(Rc<Guests>);

impl Drop for Stay {
    fn drop(&mut self) {
        let here = self.0.here.get().saturating_sub(1);
        self.0.here.set(here);
        // What they took is free in pieces between the rest, and the system has none of it.
        if here == 0 && self.0.came.take() >= CROWD {
            memory::trim();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_nothing_makes_room() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let (guests, mut served) = (Guests::default(), Vec::new());
            for place in 0..most() {
                assert!(guests.has_room());
                let guest = Guest::default();
                if place != 7 {
                    served.push(guest.serve());
                }
                guests.enter(guest, tokio::task::spawn_local(std::future::pending::<()>()).abort_handle());
            }
            assert!(guests.has_room(), "one of them says nothing");
            assert_eq!(guests.all.borrow().len(), most() - 1);
            guests.enter(
                Guest(Rc::new(Cell::new(true))),
                tokio::task::spawn_local(std::future::pending::<()>()).abort_handle(),
            );
            assert!(!guests.has_room(), "all are being answered");
            served.pop();
            assert!(guests.has_room());
        });
    }
}
