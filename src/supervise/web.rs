//! What is told of the unit over HTTP: where it listens, and what it asks.

use std::cell::OnceCell;
use std::net::TcpListener;
use std::rc::Rc;

use tokio::net::UnixStream;
use tokio::sync::oneshot;

use super::message::{Message, Outbox};
use super::waiting::{self, Wish};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::http::{self, Ask, Asks, Server, Settings};
use crate::status::Waited;

/// A server, once somebody needs one.
pub(super) struct Web {
    asks: Asks,
    server: OnceCell<Rc<Server>>,
}

impl Web {
    /// Listens where that is wanted.
    ///
    /// # Errors
    /// Something else listens there, or nobody could be answered.
    pub(super) fn open(settings: &Settings, outbox: Outbox) -> Result<Rc<Self>, Failure> {
        let asks: Asks = Rc::new(move |ask| match ask {
            Ask::Wait(wish, sender) => {
                tokio::task::spawn_local(wait(outbox.clone(), wish, sender));
            }
            ask @ (Ask::Keeper(_) | Ask::Piece(..)) => {
                // The inbox lives as long as the driver.
                let _ = outbox.send(Message::Asked(ask));
            }
        });
        let web = Self { asks, server: OnceCell::new() };
        if let Some(address) = settings.address {
            let failed = |error: std::io::Error| {
                let message = format!("--http {address}: it cannot be listened there: {error}");
                Failure::new(ExitCode::CONFIG, message).hint(
                    "end what has that port, or name another one: `--http 127.0.0.1:0` takes a free one",
                )
            };
            let listener = TcpListener::bind(address.0).map_err(failed)?;
            let local = listener.local_addr().map_err(failed)?;
            web.server().listen(listener, settings).map_err(failed)?;
            tracing::info!("health, metrics and the page are at http://{local}/");
        }
        Ok(Rc::new(web))
    }

    /// Answers who speaks HTTP on the keeper's own socket.
    pub(super) fn answer(&self, stream: UnixStream, before: Vec<u8>) {
        self.server().answer(stream, before);
    }

    fn server(&self) -> &Rc<Server> {
        self.server.get_or_init(|| Server::new(self.asks.clone()))
    }
}

/// Waits for a confirmation, unless the client goes first.
async fn wait(outbox: Outbox, wish: http::Wish, mut sender: oneshot::Sender<Waited>) {
    let http::Wish { database, within } = wish;
    let wish = Wish { database, within, ..Wish::default() };
    tokio::select! {
        answer = waiting::wait(&outbox, wish) => {
            let _ = sender.send(answer.document());
        }
        () = sender.closed() => {}
    }
}
