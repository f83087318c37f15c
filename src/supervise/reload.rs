//! The keeper's own control socket: a word in a line, an answer in a line of JSON.

use std::io;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use super::message::{Message, Outbox};
use super::runtime_folder::RuntimeFolder;
use crate::core::ExitCode;
use crate::error::Failure;

/// The one word so far.
pub const RELOAD: &str = "reload";
/// What follows it in a line of its own: how many milliseconds the client waits. A keeper that does not know this does not
/// read on.
pub const WITHIN: &str = "within ";
/// What may follow that in one more line: the device and inode of the lock that the keeper is to have.
pub const HOLDING: &str = "holding ";
/// How much sooner the client gets what is known by then.
const SOONER: Duration = Duration::from_secs(1);
/// How long a client may take to say it, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// No word is longer, with its lines.
const LONGEST: usize = 256;

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
    /// The keeper has the lock that it was asked for: without this nothing was done, whatever else is said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holds: bool,
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
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Why something did not come true, and what to do about it.
#[derive(Clone, Debug)]
pub(super) struct Reason {
    pub(super) said: String,
    pub(super) hint: Option<String>,
}

impl From<Failure> for Reason {
    fn from(failure: Failure) -> Self {
        Self { said: failure.message, hint: failure.hint }
    }
}

impl From<String> for Reason {
    fn from(said: String) -> Self {
        Self { said, hint: None }
    }
}

impl Reason {
    /// The same, and what follows.
    pub(super) fn and(self, more: &str) -> Self {
        Self { said: format!("{}{more}", self.said), ..self }
    }
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

    /// It is replicated from now on.
    pub(super) fn add(&mut self, database: String) {
        self.came_true(&database);
        self.added.push(database);
    }

    /// It is not any more.
    pub(super) fn remove(&mut self, database: String) {
        self.came_true(&database);
        self.removed.push(database);
    }

    /// What was said of it before is over.
    fn came_true(&mut self, database: &str) {
        self.failed.retain(|failed| failed.database != database);
        if self.failed.is_empty() && self.error.is_none() {
            self.exit_code = 0;
        }
    }

    pub(super) fn fail(&mut self, database: String, reason: impl Into<Reason>) {
        let Reason { said, hint } = reason.into();
        // The last word counts.
        self.failed.retain(|failed| failed.database != database);
        self.failed.push(Failed { database, reason: said, hint });
        if self.exit_code == 0 {
            self.exit_code = ExitCode::UNAVAILABLE.get();
        }
    }
}

/// Somebody who waits for a report.
pub(super) struct Asking {
    sender: oneshot::Sender<Report>,
    /// Until then; then it is what has come true.
    until: Option<Instant>,
    /// The lock that is to be this keeper's.
    holding: Option<(u64, u64)>,
}

impl Asking {
    pub(super) fn answer(self, report: Report) {
        // Who has gone meanwhile needs no answer.
        let _ = self.sender.send(Report { holds: self.holding.is_some(), ..report });
    }

    /// It is another keeper that is meant.
    pub(super) fn refuse(self) {
        let _ = self.sender.send(Report::default());
    }

    pub(super) fn holding(&self) -> Option<(u64, u64)> {
        self.holding
    }

    pub(super) fn is_late(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }

    /// Says when that is.
    pub(super) fn wake(&self, outbox: Outbox) {
        let Some(until) = self.until else { return };
        tokio::task::spawn_local(async move {
            tokio::time::sleep_until(until.into()).await;
            let _ = outbox.send(Message::ReloadLate);
        });
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
    let Ok(Some(Word { word, within, holding })) =
        tokio::time::timeout(PATIENCE, read_word(&mut stream)).await
    else {
        return;
    };
    let report = if word == RELOAD {
        let (sender, receiver) = oneshot::channel();
        let until = within
            .and_then(|within| Instant::now().checked_add(within.saturating_sub(SOONER.min(within / 4))));
        let _ = outbox.send(Message::Reload(Asking { sender, until, holding }));
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

/// What a client says.
struct Word {
    word: String,
    within: Option<Duration>,
    holding: Option<(u64, u64)>,
}

/// The word, and what came with it: it is sent at once.
async fn read_word(stream: &mut UnixStream) -> Option<Word> {
    let (mut said, mut piece) = (Vec::new(), [0; LONGEST]);
    while said.len() < LONGEST && !said.contains(&b'\n') {
        let room = LONGEST - said.len();
        match stream.read(&mut piece[..room]).await.ok()? {
            0 => return None,
            read => said.extend_from_slice(&piece[..read]),
        }
    }
    let said = String::from_utf8(said).ok()?;
    let (word, rest) = said.split_once('\n')?;
    let line =
        |name: &str| rest.split_inclusive('\n').find_map(|line| line.strip_prefix(name)?.strip_suffix('\n'));
    let within = line(WITHIN).and_then(|within| within.parse().ok()).map(Duration::from_millis);
    let holding = line(HOLDING).and_then(|file| {
        let (device, inode) = file.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    });
    Some(Word { word: word.to_owned(), within, holding })
}
