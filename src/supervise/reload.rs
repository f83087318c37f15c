//! The keeper's own control socket: a word in a line, an answer in a line of JSON.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use super::driver::{Message, Outbox};
use super::runtime_folder::RuntimeFolder;
use crate::core::ExitCode;
use crate::error::Failure;

/// The one word so far.
pub const RELOAD: &str = "reload";
/// How long a client may take to say it, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// No word is longer.
const LONGEST: usize = 64;

/// What came of asking the sources once more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Databases that are replicated from now on.
    pub added: Vec<String>,
    /// Databases that are not any more.
    pub removed: Vec<String>,
    /// Databases of which neither came true.
    pub failed: Vec<Failed>,
    /// Why nothing could be asked, or the answer was not taken.
    pub error: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The exit code that stands for all this.
    pub exit_code: u8,
}

/// A database that could not be added or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Its path.
    pub database: String,
    /// Why.
    pub reason: String,
}

impl Report {
    pub(super) fn of_failure(failure: &Failure) -> Self {
        Self {
            error: Some(failure.message.clone()),
            hint: failure.hint.clone(),
            exit_code: failure.exit.get(),
            ..Self::default()
        }
    }

    pub(super) fn fail(&mut self, database: String, reason: String) {
        self.failed.push(Failed { database, reason });
        if self.exit_code == 0 {
            self.exit_code = ExitCode::UNAVAILABLE.get();
        }
    }
}

/// Listens for as long as the keeper lives.
///
/// # Errors
/// What the operating system says.
pub(super) fn listen(folder: &RuntimeFolder, outbox: Outbox) -> io::Result<()> {
    let listener = UnixListener::from_std(folder.listen()?)?;
    tokio::task::spawn_local(async move {
        // An error here is about one connection, or the system's descriptors.
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::task::spawn_local(serve(stream, outbox.clone()));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
    Ok(())
}

async fn serve(mut stream: UnixStream, outbox: Outbox) {
    let Ok(Some(word)) = tokio::time::timeout(PATIENCE, read_word(&mut stream)).await else { return };
    let report = if word == RELOAD {
        let (sender, receiver) = oneshot::channel();
        let _ = outbox.send(Message::Reload(sender));
        receiver.await.unwrap_or_else(|_| {
            Report::of_failure(&Failure::new(ExitCode::UNAVAILABLE, "litekeeper is stopping"))
        })
    } else {
        Report::of_failure(&Failure::new(ExitCode::USAGE, format!("`{}`: no such word", word.escape_debug())))
    };
    if let Ok(mut line) = serde_json::to_vec(&report) {
        line.push(b'\n');
        // Who has gone meanwhile needs no answer, and who does not read it gets none.
        let _ = tokio::time::timeout(PATIENCE, stream.write_all(&line)).await;
    }
}

async fn read_word(stream: &mut UnixStream) -> Option<String> {
    let mut word = Vec::new();
    while word.len() < LONGEST {
        match stream.read_u8().await.ok()? {
            b'\n' => return String::from_utf8(word).ok(),
            byte => word.push(byte),
        }
    }
    None
}
