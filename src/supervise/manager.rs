//! Word to the service manager (`sd_notify(3)`), which may be too busy to read it.

use std::io;
use std::os::unix::net::UnixDatagram;

use tokio::task::JoinHandle;

/// The service manager, if there is one.
#[derive(Default)]
pub(super) struct Manager {
    /// The latest word, until there is room for it.
    waiting: Option<JoinHandle<()>>,
}

impl Manager {
    /// Says whether the unit is ready. One that does not listen is its own problem, but no problem of ours.
    pub(super) fn tell(&mut self, ready: bool) {
        // What is said now is said instead.
        if let Some(waiting) = self.waiting.take() {
            waiting.abort();
        }
        let text = if ready {
            "READY=1\n"
        } else {
            "STATUS=not ready: the app is stopped, or its replica has not caught up\n"
        };
        let Ok(Some(socket)) = connect() else { return };
        // At once if it can be: the unit may end with its next breath.
        if socket.send(text.as_bytes()).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.waiting = Some(tokio::task::spawn_local(async move {
                if let Ok(socket) = tokio::net::UnixDatagram::from_std(socket) {
                    let _ = socket.send(text.as_bytes()).await;
                }
            }));
        }
    }
}

fn connect() -> io::Result<Option<UnixDatagram>> {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(None) };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect(path)?;
    Ok(Some(socket))
}
