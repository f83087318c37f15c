//! What ends the guest book, as something that the accept loop can wait for beside its listener.

use std::io::{self, Write as _};
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The receiving end, and a sending end to copy.
pub struct Stop {
    receiver: UnixStream,
    sender: UnixStream,
}

/// Ends a running guest book.
pub struct Stopper(UnixStream);

impl Stopper {
    /// No further connection is taken.
    pub fn stop(&self) {
        // It fails only when the guest book is gone already.
        let _ = (&self.0).write_all(&[0]);
    }
}

impl Stop {
    /// A stop that nobody asked for yet.
    pub fn new() -> io::Result<Self> {
        let (receiver, sender) = UnixStream::pair()?;
        Ok(Self { receiver, sender })
    }

    /// TERM and INT stop from now on.
    pub fn on_signals(&self) -> io::Result<()> {
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            signal_hook::low_level::pipe::register(signal, self.sender.try_clone()?)?;
        }
        Ok(())
    }

    /// A handle for another thread.
    pub fn stopper(&self) -> io::Result<Stopper> {
        self.sender.try_clone().map(Stopper)
    }

    /// Waits for a connection; `false` is a stop, or a listener that cannot be waited for.
    pub fn next(&self, listener: &TcpListener) -> bool {
        loop {
            let mut fds =
                [self.receiver.as_fd(), listener.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) => return !fds[0].any().unwrap_or(true) && fds[1].any().unwrap_or(false),
                Err(Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Waits a moment, or less if there is a stop.
    pub fn pause(&self, milliseconds: u8) {
        let mut fds = [PollFd::new(self.receiver.as_fd(), PollFlags::POLLIN)];
        // An early end only means another try.
        let _ = poll(&mut fds, milliseconds);
    }
}

/// Counts the requests that are being answered, and closes.
#[derive(Clone, Default)]
pub struct Desk(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    closed: bool,
    busy: usize,
}

impl Desk {
    /// A place for one whole request, unless the desk is closed.
    pub fn enter(&self) -> Option<Place> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        state.busy += 1;
        Some(Place(self.clone()))
    }

    /// How many connections hold a copy of this desk.
    pub fn connections(&self) -> usize {
        Arc::strong_count(&self.0).saturating_sub(1)
    }

    /// Lets nobody in any more, and waits up to `limit` for those who are in.
    ///
    /// A browser's spare connection, which never asked for anything, is not waited for.
    pub fn close(&self, limit: Duration) {
        let mut state = self.state();
        state.closed = true;
        // The outcome does not matter: after the limit the rest is cut off.
        let _ = self.0.1.wait_timeout_while(state, limit, |state| state.busy > 0);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Two numbers cannot be left half written.
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request under way, whatever becomes of its thread.
pub struct Place(Desk);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.state().busy -= 1;
        self.0.0.1.notify_all();
    }
}
