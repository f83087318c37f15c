//! The keeper's end of the line to the shim.

use std::io;
use std::os::fd::{OwnedFd, RawFd};

use serde::Serialize;
use tokio::io::unix::AsyncFd;

use crate::os::event;
use crate::shim::{self, ToKeeper, ToShim};

/// A line to one shim.
pub(super) struct Link(AsyncFd<OwnedFd>);

impl Link {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self(event::readable(socket)?))
    }

    /// The next message; `None` when the shim is gone.
    pub(super) async fn receive(&self) -> Option<ToKeeper> {
        loop {
            let Ok(mut ready) = self.0.readable().await else { return None };
            match ready.try_io(|socket| shim::receive::<ToKeeper>(socket.get_ref(), false)) {
                // A shim that says what none can say is as good as gone.
                Ok(Ok(Some((message, _)))) => return Some(message).filter(ToKeeper::is_sound),
                Ok(Ok(None) | Err(_)) => return None,
                Err(_would_block) => {}
            }
        }
    }

    pub(super) fn send(&self, message: &ToShim) {
        // A shim that is gone shows as the end of its messages.
        let _ = shim::send::<_, ()>(self.0.get_ref(), message, None, &[]);
    }

    pub(super) fn send_with<V: Serialize>(
        &self,
        message: &ToShim,
        value: &V,
        fds: &[RawFd],
    ) -> io::Result<()> {
        shim::send(self.0.get_ref(), message, Some(value), fds)
    }
}
