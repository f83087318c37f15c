//! The keeper's end of the line to the shim.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::Path;

use serde::Serialize;
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};

use crate::os::event;
use crate::os::packet::{self, Outgoing};
use crate::os::proc;
use crate::shim::{self, ToKeeper, ToShim};

/// A line to one shim, which may be stopped.
pub(super) struct Link {
    socket: AsyncFd<OwnedFd>,
    outgoing: RefCell<Outgoing>,
    /// Who the shim is, once it has said so.
    shim: Cell<Option<i32>>,
}

/// What came over it.
#[derive(Debug)]
pub(super) enum Word {
    /// By the shim.
    Said(ToKeeper),
    /// By somebody else, whose number this is, or it cannot be.
    Forged(Option<i32>),
}

/// Whether a process that greets is the one that sent this, is below this one, and is this program.
fn is_shim(pid: i32, sender: Option<i32>) -> bool {
    let exe = |pid: &str| proc::identity(Path::new(&format!("/proc/{pid}/exe")));
    // Of who may not be looked at, the kernel's word counts alone.
    let is_ours = exe(&pid.to_string()).is_none_or(|theirs| exe("self") == Some(theirs));
    sender.is_none_or(|sender| sender == pid) && is_ours && is_below(std::process::id() as i32, pid)
}

/// Whether a process descends from another one; one that is gone may have.
fn is_below(above: i32, pid: i32) -> bool {
    /// No sane tree is deeper.
    const DEEPEST: usize = 256;
    let mut at = pid;
    for _ in 0..DEEPEST {
        match proc::parent(at) {
            Some(parent) if parent == above => return true,
            Some(parent) if parent > 0 => at = parent,
            Some(_) => return false,
            None => return !proc::is_alive(pid),
        }
    }
    false
}

impl Link {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        // A kernel that does not tell leaves it to what else is looked at.
        let _ = packet::know_senders(socket.as_fd());
        Ok(Self { socket: event::both_ways(socket)?, outgoing: RefCell::default(), shim: Cell::default() })
    }

    /// The next message; `None` when the shim is gone. What could not be sent yet goes meanwhile.
    pub(super) async fn receive(&self) -> Option<Word> {
        loop {
            let is_sent = self.outgoing.borrow().is_empty();
            let interest = if is_sent { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
            let Ok(mut ready) = self.socket.ready(interest).await else { return None };
            if ready.ready().is_writable() {
                let mut outgoing = self.outgoing.borrow_mut();
                // A shim that is gone shows as the end of its messages.
                let _ = outgoing.flush(self.socket.get_ref().as_fd());
                if !outgoing.is_empty() {
                    ready.clear_ready_matching(Ready::WRITABLE);
                }
            }
            if !ready.ready().is_readable() {
                continue;
            }
            match shim::receive_from::<ToKeeper>(self.socket.get_ref()) {
                Ok(Some((message, sender))) => {
                    let known = self.shim.get();
                    if known.is_some_and(|shim| sender.is_some_and(|sender| sender != shim)) {
                        return Some(Word::Forged(sender));
                    }
                    return match message.filter(ToKeeper::is_sound) {
                        // One greets once.
                        Some(ToKeeper::Ready(pid)) if known.is_some() || !is_shim(pid, sender) => {
                            Some(Word::Forged(sender))
                        }
                        Some(ToKeeper::Ready(pid)) => {
                            self.shim.set(Some(pid));
                            Some(Word::Said(ToKeeper::Ready(pid)))
                        }
                        Some(_) if known.is_none() => Some(Word::Forged(sender)),
                        Some(ToKeeper::Started(pid)) if known.is_some_and(|shim| !is_below(shim, pid)) => {
                            Some(Word::Forged(sender))
                        }
                        Some(message) => Some(Word::Said(message)),
                        // A shim that says what none can say is as good as gone.
                        None => None,
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready.clear_ready_matching(Ready::READABLE);
                }
                Ok(None) | Err(_) => return None,
            }
        }
    }

    pub(super) fn send(&self, message: &ToShim) {
        // A shim that is gone shows as the end of its messages.
        let _ = self.put::<()>(message, None, &[]);
    }

    pub(super) fn send_with<V: Serialize>(
        &self,
        message: &ToShim,
        value: &V,
        fds: &[RawFd],
    ) -> io::Result<()> {
        self.put(message, Some(value), fds)
    }

    fn put<V: Serialize>(&self, message: &ToShim, value: Option<&V>, fds: &[RawFd]) -> io::Result<()> {
        shim::send(self.socket.get_ref(), &mut self.outgoing.borrow_mut(), message, value, fds)
    }
}
