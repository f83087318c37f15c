//! What the page needs that no single look tells: since when it is so, how it was, and that it has changed.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::ask::{self, Asks};
use super::history::{EVERY, History};
use crate::status::Document;

/// How often it is looked whether anything has changed.
const TICK: Duration = Duration::from_secs(1);
/// Of more databases not all are looked at each time.
const MANY: usize = 100;

/// See the module's page.
pub(super) struct Collector {
    asks: Asks,
    /// Since when the unit is ready, or is not.
    since: RefCell<Option<(bool, jiff::Timestamp)>>,
    pub(super) history: RefCell<History>,
    /// What is different when something on the page is.
    changes: watch::Sender<String>,
    /// Somebody looks on from now on.
    looks: Notify,
}

impl Collector {
    pub(super) fn new(asks: Asks) -> Rc<Self> {
        Rc::new(Self {
            asks,
            since: RefCell::default(),
            history: RefCell::default(),
            changes: watch::Sender::new(String::new()),
            looks: Notify::new(),
        })
    }

    /// Looks for as long as there is something to look at.
    pub(super) async fn run(&self) {
        let mut next = Instant::now();
        loop {
            let Some(keeper) = ask::keeper(&self.asks).await else { return };
            let mut many = 1;
            let is_due = next <= Instant::now();
            if is_due || self.changes.receiver_count() > 0 {
                let Some(document) = ask::document(&self.asks).await else { return };
                if is_due {
                    next = Instant::now() + EVERY;
                    self.history.borrow_mut().take(&document.databases);
                }
                many = 1 + document.databases.len() / MANY;
                let mark = mark(&document);
                self.changes.send_if_modified(|last| {
                    let is_new = *last != mark;
                    *last = mark;
                    is_new
                });
            }
            self.note(keeper.ready);
            let pause = TICK * u32::try_from(many).unwrap_or(u32::MAX).min(15);
            let _ = tokio::time::timeout(pause, self.looks.notified()).await;
        }
    }

    /// What changes from now on.
    pub(super) fn watch(&self) -> watch::Receiver<String> {
        let receiver = self.changes.subscribe();
        self.looks.notify_one();
        receiver
    }

    /// So many look on.
    pub(super) fn watchers(&self) -> usize {
        self.changes.receiver_count()
    }

    /// Since when it is as it is.
    pub(super) fn since(&self, ready: bool) -> jiff::Timestamp {
        self.note(ready);
        self.since.borrow().map_or_else(jiff::Timestamp::now, |(_, since)| since)
    }

    fn note(&self, ready: bool) {
        let mut since = self.since.borrow_mut();
        if since.is_none_or(|(was, _)| was != ready) {
            *since = Some((ready, jiff::Timestamp::now()));
        }
    }
}

/// All that changes but for what grows by itself.
fn mark(document: &Document) -> String {
    let keeper = document.keeper.as_ref().map(|keeper| (&keeper.phase, keeper.ready, keeper.reasons.len()));
    let app = document.app.as_ref().map(|app| (app.pid, app.restarts));
    let litestream = document.litestream.as_ref().map(|litestream| (litestream.pid, litestream.restarts));
    let mut mark = format!("{keeper:?}{app:?}{litestream:?}");
    for one in &document.databases {
        mark.push_str(&format!("{:?}{:?}{:?}", one.state, one.txid, one.replicated_txid));
    }
    mark
}
