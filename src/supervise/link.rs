//! The keeper's end of the line to the shim.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};

use serde::Serialize;
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};

use crate::os::event;
use crate::os::packet::Outgoing;
use crate::shim::{self, ToKeeper, ToShim};

/// A line to one shim, which may be stopped.
pub(super) struct Link {
    socket: AsyncFd<OwnedFd>,
    outgoing: RefCell<Outgoing>,
}

impl Link {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self { socket: event::both_ways(socket)?, outgoing: RefCell::default() })
    }

    /// The next message; `None` when the shim is gone. What could not be sent yet goes meanwhile.
    pub(super) async fn receive(&self) -> Option<ToKeeper> {
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
            match shim::receive::<ToKeeper>(self.socket.get_ref(), false) {
                // A shim that says what none can say is as good as gone.
                Ok(Some((message, _))) => return Some(message).filter(ToKeeper::is_sound),
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
