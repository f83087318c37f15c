//! The keeper's own control socket: a word in a line, an answer in a line of JSON. Who is neither root nor the user that the
//! databases belong to cannot open it. Who speaks HTTP there is answered by that (`http`).

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};

use super::message::{Message, Outbox, StatusAsked};
use super::reload::{Asking, HOLDING, RELOAD, Report, WITHIN};
use super::runtime_folder::RuntimeFolder;
use super::waiting::{self, Wish};
use super::web::Web;
use crate::core::{Db, ExitCode};
use crate::error::Failure;
use crate::status;

/// How much sooner the client gets what is known by then.
const SOONER: Duration = Duration::from_secs(1);
/// How long a client may take to say it, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer in pieces may take as a whole.
const WHOLE: Duration = Duration::from_secs(30);
/// So many are told at a time how the unit is: each has a piece of that in memory.
const TOLD_AT_ONCE: usize = 4;
/// No word is longer, with its lines, one of which may have a path.
const LONGEST: usize = 8 << 10;
/// So much of it is read at a time: whoever waits has no more of it in memory than he said.
const CHUNK: usize = 256;
/// How often a client that will say no more is looked at, whether it is there still.
const GONE: Duration = Duration::from_millis(250);
/// How a request begins that is none of these words.
const METHODS: [&[u8]; 3] = [b"GET ", b"HEAD ", b"POST "];

/// Listens for as long as the keeper lives.
///
/// # Errors
/// What the operating system says.
pub(super) fn listen(folder: &RuntimeFolder, outbox: Outbox, web: Rc<Web>) -> io::Result<()> {
    let listener = UnixListener::from_std(folder.listen()?)?;
    let places = Rc::new(Semaphore::new(TOLD_AT_ONCE));
    tokio::task::spawn_local(async move {
        // An error here is about one connection, or the system's descriptors.
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::task::spawn_local(serve(stream, outbox.clone(), places.clone(), web.clone()));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
    Ok(())
}

async fn serve(mut stream: UnixStream, outbox: Outbox, places: Rc<Semaphore>, web: Rc<Web>) {
    let Ok(Some(said)) = tokio::time::timeout(PATIENCE, read_line(&mut stream)).await else { return };
    if METHODS.iter().any(|method| said.starts_with(method)) {
        return web.answer(stream, said);
    }
    let Some(ClientRequest { word, within, holding, database }) = read_word(said) else { return };
    let report = if word == status::ASK {
        let whole = within.map_or(WHOLE, |within| within.min(WHOLE));
        // Who is not told in time is told nothing more: half an answer is none.
        let _ = tokio::time::timeout(whole, tell_status(stream, outbox, holding, &places)).await;
        return;
    } else if word == status::WAIT {
        return wait(stream, outbox, Wish { database, within, holding }).await;
    } else if word == RELOAD {
        let (sender, receiver) = oneshot::channel();
        let until = within
            .and_then(|within| Instant::now().checked_add(within.saturating_sub(SOONER.min(within / 4))));
        let _ = outbox.send(Message::Reload(Asking::new(sender, until, holding)));
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

/// Tells how the unit is, piece by piece: what comes next is made once the last was read.
async fn tell_status(
    mut stream: UnixStream,
    outbox: Outbox,
    holding: Option<(u64, u64)>,
    places: &Semaphore,
) {
    let _place = places.acquire().await;
    let mut from = None;
    loop {
        let (sender, receiver) = oneshot::channel();
        let _ = outbox.send(Message::Status(StatusAsked { from, holding, sender }));
        // The end of the keeper ends this as well.
        let Ok(piece) = receiver.await else { return };
        let next = piece.next.map(Db);
        let written = tokio::time::timeout(PATIENCE, stream.write_all(&piece.into_text())).await;
        if next.is_none() || !matches!(written, Ok(Ok(()))) {
            return;
        }
        from = next;
    }
}

/// Waits for a confirmation, unless the client goes first.
async fn wait(mut stream: UnixStream, outbox: Outbox, wish: Wish) {
    let answer = tokio::select! {
        answer = waiting::wait(&outbox, wish) => answer,
        () = gone(&mut stream) => return,
    };
    if let Ok(mut line) = serde_json::to_vec(&answer.document()) {
        line.push(b'\n');
        let _ = tokio::time::timeout(PATIENCE, stream.write_all(&line)).await;
    }
}

/// Ends once the client is gone. One that only says no more, as a shell's pipe does, listens still.
async fn gone(stream: &mut UnixStream) {
    let mut piece = [0; 16];
    while !matches!(stream.read(&mut piece).await, Ok(0) | Err(_)) {}
    while stream.ready(Interest::WRITABLE).await.is_ok_and(|ready| !ready.is_write_closed()) {
        tokio::time::sleep(GONE).await;
    }
}

/// What a client says.
struct ClientRequest {
    word: String,
    within: Option<Duration>,
    holding: Option<(u64, u64)>,
    database: Option<String>,
}

/// The first line, and what came with it: it is sent at once.
async fn read_line(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let (mut said, mut piece) = (Vec::new(), [0; CHUNK]);
    while said.len() < LONGEST {
        // Behind the word there may be nothing.
        let read = match said.contains(&b'\n') {
            false => stream.read(&mut piece).await.ok()?,
            true => stream.try_read(&mut piece).unwrap_or(0),
        };
        match (read, said.contains(&b'\n')) {
            (0, false) => return None,
            (0, true) => break,
            (read, _) => said.extend_from_slice(&piece[..read]),
        }
    }
    Some(said)
}

/// The word, and what came with it: it is sent at once.
fn read_word(said: Vec<u8>) -> Option<ClientRequest> {
    let said = String::from_utf8(said).ok()?;
    let (word, rest) = said.split_once('\n')?;
    let line =
        |name: &str| rest.split_inclusive('\n').find_map(|line| line.strip_prefix(name)?.strip_suffix('\n'));
    let within = line(WITHIN).and_then(|within| within.parse().ok()).map(Duration::from_millis);
    let holding = line(HOLDING).and_then(|file| {
        let (device, inode) = file.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    });
    let database = line(status::DATABASE).map(str::to_owned);
    Some(ClientRequest { word: word.to_owned(), within, holding, database })
}
