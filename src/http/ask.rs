//! What is asked of the driver, which answers between two events.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::status::{Document, Keeper, Piece, Waited};

/// A question, and where the answer goes.
#[derive(Debug)]
pub enum Ask {
    /// How the unit is.
    Keeper(oneshot::Sender<Keeper>),
    /// A piece of all that is known: the first one, or the one from this number on.
    Piece(Option<usize>, oneshot::Sender<Piece>),
    /// Until all that was committed up to now is on its replica; who drops the other end waits no more.
    Wait(Wish, oneshot::Sender<Waited>),
}

/// What is waited for.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Of this database: its path, an alias, or a base name that only one has; else of all.
    pub database: Option<String>,
    /// No longer than that.
    pub within: Option<Duration>,
}

/// Asks the driver.
pub type Asks = Rc<dyn Fn(Ask)>;

/// How the unit is; none while the keeper ends.
pub(super) async fn keeper(asks: &Asks) -> Option<Keeper> {
    let (sender, receiver) = oneshot::channel();
    asks(Ask::Keeper(sender));
    receiver.await.ok()
}

/// Waits; none while the keeper ends.
pub(super) async fn wait(asks: &Asks, wish: Wish) -> Option<Waited> {
    let (sender, receiver) = oneshot::channel();
    asks(Ask::Wait(wish, sender));
    receiver.await.ok()
}

/// The next piece of the document.
pub(super) async fn piece(asks: &Asks, from: Option<usize>) -> Option<Piece> {
    let (sender, receiver) = oneshot::channel();
    asks(Ask::Piece(from, sender));
    receiver.await.ok()
}

/// All of it: supervision goes on between its pieces.
pub(super) async fn document(asks: &Asks) -> Option<Document> {
    let first = piece(asks, None).await?;
    let (mut document, mut next) = (first.head?, first.next);
    document.databases = first.databases;
    while next.is_some() {
        let more = piece(asks, next).await?;
        document.databases.extend(more.databases);
        next = more.next;
    }
    Some(document)
}
