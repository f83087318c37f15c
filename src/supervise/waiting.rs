//! Waiting for all that is in a database to be on its replica, as whoever serves a client of this keeper's does it.

use std::time::Duration;

use tokio::sync::oneshot;

use super::durability::WaitAnswer;
use super::message::{Message, Outbox};
use super::waits::{WITHIN, WaitAsked};

/// What a client waits for.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    /// This database, by its path, alias or base name; all without one.
    pub(super) database: Option<String>,
    /// So long; half a minute if the client does not say.
    pub(super) within: Option<Duration>,
    /// The lock that is to be this keeper's.
    pub(super) holding: Option<(u64, u64)>,
}

/// Waits for the answer, which comes within that time. Who drops this waits no more.
pub(super) async fn wait(outbox: &Outbox, Wish { database, within, holding }: Wish) -> WaitAnswer {
    let (sender, receiver) = oneshot::channel();
    let within = within.unwrap_or(WITHIN);
    let _ = outbox.send(Message::Wait(WaitAsked { database, within, holding, sender }));
    let mut waiting = Waiting { receiver, outbox, is_over: false };
    let answer = (&mut waiting.receiver).await;
    waiting.is_over = true;
    // The end of the keeper is the end of this as well.
    answer.unwrap_or(WaitAnswer::Stopping)
}

/// A client that waits.
struct Waiting<'a> {
    receiver: oneshot::Receiver<WaitAnswer>,
    outbox: &'a Outbox,
    is_over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.receiver.close();
            let _ = self.outbox.send(Message::WaiterLeft);
        }
    }
}
