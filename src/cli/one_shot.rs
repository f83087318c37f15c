//! A command that runs Litestream a few times and ends.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;

use nix::libc;
use tokio::task::LocalSet;

use crate::core::ExitCode;
use crate::error::Failure;
use crate::os::children::Children;
use crate::os::event;
use crate::os::signal::{self, Signals};

/// Runs `command` and reaps its children. TERM and INT end what it has started, and then the program.
///
/// # Errors
/// The event loop cannot be made, or a signal came.
pub(super) fn block_on<T, F: Future<Output = T>>(command: impl FnOnce(Children) -> F) -> Result<T, Failure> {
    let os = |error: std::io::Error| Failure::new(ExitCode::LITESTREAM, format!("event loop: {error}"));
    let children = Children::new();
    let signals = Signals::take_all().map_err(os)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(os)?;
    let stopped = Rc::new(Cell::new(None));
    let result = LocalSet::new().block_on(&runtime, async {
        let signals = event::signals(signals).map_err(os)?;
        let (reaper, told) = (children.clone(), stopped.clone());
        tokio::task::spawn_local(async move {
            while let Ok(mut ready) = signals.readable().await {
                while let Some(received) = signals.get_ref().take() {
                    match received.number {
                        libc::SIGCHLD => reaper.reap(),
                        libc::SIGTERM | libc::SIGINT | libc::SIGHUP => {
                            told.set(Some(received.number));
                            reaper.abort();
                        }
                        _ => {}
                    }
                }
                ready.clear_ready();
            }
        });
        let result = command(children).await;
        match stopped.get() {
            Some(number) => Err(Failure::new(ExitCode::of_signal(number), "interrupted")),
            None => Ok(result),
        }
    });
    // Nobody takes them any more.
    signal::release();
    result
}
