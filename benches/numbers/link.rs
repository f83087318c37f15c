//! A link with a delay: what goes in at one end comes out at the other one so much later, in order, both ways, however much it is.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep, sleep_until};

use super::Error;

/// One, until it is dropped.
pub struct Link {
    address: SocketAddr,
    /// Its threads end with it.
    _runtime: Runtime,
}

impl Link {
    /// To a server at `http://ADDRESS`.
    pub fn start(to: &str, delay: Duration) -> Result<Self, Error> {
        let to: SocketAddr =
            to.trim_start_matches("http://").parse().map_err(|error| format!("{to}: {error}"))?;
        let failed = |error: std::io::Error| format!("a link: {error}");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(failed)?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        runtime.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, to, delay));
            }
        });
        Ok(Self { address, _runtime: runtime })
    }

    /// Where it begins.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn carry(near: TcpStream, to: SocketAddr, delay: Duration) {
    // The kernel has shaken hands at once; over the link, that goes there and back.
    sleep(2 * delay).await;
    let Ok(far) = TcpStream::connect(to).await else { return };
    // Else small packets wait for one another.
    let _ = near.set_nodelay(true).and(far.set_nodelay(true));
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::join!(delayed(near_in, far_out, delay), delayed(far_in, near_out, delay));
}

/// One way.
async fn delayed(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin,
    delay: Duration,
) {
    let (sender, mut pieces) = unbounded_channel();
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n) = from.read(&mut buffer).await {
            let piece = (Instant::now() + delay, buffer[..n].to_vec());
            if sender.send(piece).is_err() || n == 0 {
                return;
            }
        }
    });
    while let Some((due, piece)) = pieces.recv().await {
        sleep_until(due).await;
        // Nothing is how an end is told.
        if piece.is_empty() || to.write_all(&piece).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
