//! What holds of all that others say to this program while it runs: Litestream, a server of S3, the shim, another keeper.
//!
//! Used by the fuzz targets and, as properties, by the suite.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use litekeeper::backup::search;
use litekeeper::cli::reload;
use litekeeper::foreign;
use litekeeper::holder::Holder;
use litekeeper::litestream::database::Database;
use litekeeper::litestream::log::{Level, Line};
use litekeeper::litestream::position::{self, Plan, Position};
use litekeeper::litestream::replica_error::ReplicaError;
use litekeeper::litestream::version::Version;
use litekeeper::litestream::{argv, control, log, ltx};
use litekeeper::replica::helper;
use litekeeper::replica::listing::Found;
use litekeeper::shim::{self, ShimConfig, Target, ToKeeper, ToShim, Update};
use litekeeper::supervise::{self, Report};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One line of Litestream's is one event, which says what its fields say and no more than they hold.
pub fn log_line(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let line = Line::parse(&text);
    assert!(line.text.len() <= foreign::LONGEST_PIECE + 128, "{} bytes", line.text.len());
    assert!(!foreign::line(&line.text).contains(foreign::is_obeyed));
    let is_json = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text).is_ok();
    if !is_json {
        assert_eq!(line.error.is_some(), line.level == Level::Error, "{text:?}");
        assert!(line.finds_a_backup().is_none() && line.snapshot().is_none(), "{text:?}");
    }
    assert!(line.level == Level::Error || !line.is_failed_final_sync());
    if let Some(error) = log::last_error(&text) {
        assert!(text.lines().any(|one| Line::parse(one).error.is_some_and(|said| said == error)));
    }
    // Whatever the names are, they are not taken for anything else.
    let said =
        serde_json::json!({"time": "t", "level": "ERROR", "msg": "sync error", "db": text, "error": text});
    let line = Line::parse(&said.to_string());
    assert_eq!((line.level, line.error), (Level::Error, Some(foreign::piece(&text))));
    let said = serde_json::json!({"level": "INFO", "msg": "detected database behind replica", "db": text,
        "db_txid": "0000000000000000", "replica_txid": "000000000000000b"});
    let line = Line::parse(&said.to_string());
    assert_eq!((line.finds_a_backup(), line.snapshot()), (Some(&*text), None));
    let said = serde_json::json!({"level": "INFO", "msg": "snapshot complete", "db": text,
        "txid": "00000000000000a3", "size": 268_294});
    let line = Line::parse(&said.to_string());
    assert_eq!((line.finds_a_backup(), line.snapshot()), (None, Some((&*text, 0xa3))));
    let refusal = ReplicaError::of(&text);
    assert!(!refusal.hint().is_empty());
}

/// A listing of Litestream's names what is in it, and one row more makes no position less.
pub fn plan(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lower = text.to_ascii_lowercase();
    for version in [Version::new(0, 5, 17), Version::new(0, 5, 5), Version::new(0, 3, 13)] {
        let Some(found) = position::replicated(version, &text) else { continue };
        match &found {
            Position::Txid(txid) => {
                let as_text = argv::txid_text(*txid);
                // A plan is JSON, which may write its digits otherwise.
                assert!(version.plans() || lower.contains(&as_text), "{as_text} of {text:?}");
            }
            Position::Wal { generation, index, offset, earlier } => {
                assert!(text.contains(generation.as_str()) && text.contains(&index.to_string()));
                assert!(*offset > 0 && !earlier.contains(generation));
                assert!(earlier.windows(2).all(|pair| pair[0] < pair[1]), "{earlier:?}");
            }
        }
        assert!(!found.is_behind(&found), "{found:?}");
        if let (false, Position::Txid(txid)) = (version.plans(), &found) {
            let more = txid.saturating_add(1);
            let row =
                format!("{text}\n{} {} 1 2026-11-21T04:25:20Z\n", argv::txid_text(1), argv::txid_text(more));
            assert_eq!(position::replicated(version, &row), Some(Position::Txid(more)));
        }
    }
    if let Some(plan) = Plan::parse(&text) {
        assert!(plan.files.iter().all(|file| file.size <= plan.size()));
    }
    let spans = search::Span::listed(&text);
    assert!(spans.len() <= text.lines().count());
    let ends: BTreeSet<u64> = spans.iter().map(|span| span.max).collect();
    let candidates = search::candidates(spans.clone());
    assert!(candidates.windows(2).all(|pair| pair[0] > pair[1]), "{candidates:?}");
    assert!(candidates.iter().all(|txid| ends.contains(txid)));
    // The beginning is where a backup begins: without it nothing is restored.
    let begins = spans.iter().any(|span| span.min <= 1);
    assert!(begins || candidates.is_empty(), "{spans:?}");
    let without: Vec<_> = spans.iter().copied().filter(|span| span.min > 1).collect();
    assert!(search::candidates(without).is_empty());
    if let Some(version) = Version::parse(&text) {
        assert_eq!(Version::parse(&version.to_string()), Some(version));
    }
    if let Some(span) = ltx::span(&text) {
        let name = format!("{}-{}.ltx", argv::txid_text(*span.start()), argv::txid_text(*span.end()));
        assert_eq!(lower, name);
    }
}

/// What Litestream answers confirms with two numbers of its own, or not at all.
pub fn control_answer(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match control::synced(bytes) {
        Ok(synced) => {
            assert!(text.contains(" 200"), "{text:?}");
            for number in [synced.txid, synced.replicated_txid] {
                assert!(text.contains(&number.to_string()), "{number} in {text:?}");
            }
            assert_eq!(synced.is_replicated(), synced.replicated_txid >= synced.txid);
        }
        Err(error) => {
            let said = error.to_string();
            // An error is Litestream's own words, never more.
            assert!(said.len() <= 3 * text.len() + 128, "{said}");
            let _ = (error.has_diverged(), ReplicaError::of(&said).hint());
        }
    }
    // An answer that is cut off confirms nothing, wherever that is.
    let number = |at: usize| bytes.get(at).copied().map_or(0, u64::from);
    let (txid, replicated) = (number(0) << number(1).min(40), number(2) << number(3).min(40));
    let whole = format!(
        "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{{\"txid\":{txid},\"replicated_txid\":{replicated}}}"
    );
    let synced = control::synced(whole.as_bytes()).expect("a whole answer");
    assert_eq!((synced.txid, synced.replicated_txid), (txid, replicated));
    let cut = whole.len() * (number(4) as usize) / 256;
    assert!(control::synced(&whole.as_bytes()[..cut]).is_err(), "cut at {cut}");
}

/// A server of S3 that answers what it is told to.
pub struct Server {
    port: u16,
    answers: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Server {
    /// One on this machine, for as long as the process lives.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let answers: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let theirs = answers.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = theirs.lock().expect("nobody panics here").pop();
                // A client that gives up is no failure of the server's.
                let _ = serve(stream, &answer.unwrap_or_else(|| EMPTY.to_vec()));
            }
        });
        Self { port, answers }
    }
}

const EMPTY: &[u8] = b"<ListBucketResult></ListBucketResult>";

fn serve(mut stream: TcpStream, body: &[u8]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let length = body.len();
    write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n")?;
    stream.write_all(body)
}

/// Whatever a server lists, each database is named once, by a path below the folder that it is for.
///
/// Several answers, for the pages of a listing, stand between bytes of 255, which are no UTF-8.
pub fn listing(bytes: &[u8], server: &Server) {
    let bodies = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let mut bodies: Vec<_> = bytes.split(|byte| *byte == 255).take(4).map(<[u8]>::to_vec).collect();
        // The last one is taken first.
        bodies.reverse();
        bodies
    };
    let ask = |answers: Vec<Vec<u8>>, recursive: bool| {
        *server.answers.lock().expect("nobody panics there") = answers;
        let place = serde_json::json!({
            "bucket": "b", "prefix": "base",
            "endpoint": format!("http://127.0.0.1:{}", server.port), "region": "r",
            "path_style": true, "skip_verify": false, "access_key_id": "k", "secret_access_key": "s",
        });
        let order = serde_json::json!({"At": [{"S3": place}, {"List": {"recursive": recursive}}]});
        helper::carry_out(order.to_string().as_bytes())
            .map(|found| serde_json::from_slice::<Vec<Found>>(&found).expect("what is printed is read"))
    };
    for recursive in [true, false] {
        match ask(bodies(bytes), recursive) {
            Ok(found) => assert_sound(&found, recursive),
            Err(reason) => assert!(!reason.is_empty() && !reason.contains('\n'), "{reason:?}"),
        }
    }
    // What is listed is found, once, with its newest transaction.
    let name = String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .take(20)
        .collect::<String>();
    let name = format!("{name}.db");
    let (first, second) = (u64::from(bytes.first().copied().unwrap_or(0)) + 1, bytes.len() as u64 + 1);
    let row = |txid: u64| {
        format!(
            "<Contents><Key>base/{name}/0000/{}-{}.ltx</Key><Size>1</Size><LastModified>2026-11-21T04:25:20.000Z</LastModified></Contents>",
            argv::txid_text(1),
            argv::txid_text(txid)
        )
    };
    let listed = format!("<ListBucketResult><Name>b</Name>{}{}</ListBucketResult>", row(first), row(second));
    let found = ask(vec![listed.into_bytes()], true).expect("a listing");
    assert_eq!(found, [Found { below: PathBuf::from(&name), newest: Some(first.max(second)) }]);
}

fn assert_sound(found: &[Found], recursive: bool) {
    let names: BTreeSet<&Path> = found.iter().map(|found| found.below.as_path()).collect();
    assert_eq!(names.len(), found.len(), "each once: {found:?}");
    for Found { below, newest } in found {
        let parts: Vec<_> = below.components().collect();
        assert!(
            !parts.is_empty() && parts.iter().all(|part| matches!(part, Component::Normal(_))),
            "{below:?}"
        );
        assert!(recursive || parts.len() == 1, "{below:?}");
        assert!(newest.is_none_or(|txid| txid > 0), "{below:?}");
        assert!(!below.as_os_str().as_encoded_bytes().contains(&0), "{below:?}");
    }
}

/// What is read off the wire is said once more in the same bytes, or is nothing.
pub fn wire(bytes: &[u8]) {
    fn same<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<T> {
        let value: T = shim::decode(bytes).ok()?;
        let written = postcard::to_stdvec(&value).expect("it is written");
        // A number may have been written longer than it has to be.
        assert!(written.len() <= bytes.len(), "{value:?}");
        assert_eq!(shim::decode::<T>(&written).expect("ours"), value);
        let more = [bytes, &[0]].concat();
        assert!(shim::decode::<T>(&more).is_err(), "there is nothing behind {value:?}");
        Some(value)
    }
    same::<ToShim>(bytes);
    same::<ShimConfig>(bytes);
    if let Some(update) = same::<Update>(bytes) {
        let all = update.requests.iter().map(Vec::len).sum::<usize>() + update.came.len() + update.went.len();
        assert!(all <= bytes.len(), "{update:?}");
    }
    if let Some(message) = same::<ToKeeper>(bytes).filter(ToKeeper::is_sound) {
        match message {
            ToKeeper::Ready(pid) | ToKeeper::Started(pid) => assert!(pid > 1),
            ToKeeper::Signaled { number, .. } | ToKeeper::Stopped(number) | ToKeeper::Asked(number) => {
                assert!((1..=64).contains(&number));
            }
            _ => {}
        }
    }
    let number = bytes.first().copied().map_or(15, i32::from);
    let message = ToShim::Signal(Target::Tree, number);
    let written = postcard::to_stdvec(&message).expect("it is written");
    assert_eq!(shim::decode::<ToShim>(&written).expect("ours"), message);
    for cut in 0..written.len() {
        assert!(shim::decode::<ToShim>(&written[..cut]).is_err(), "cut at {cut}");
    }
}

/// A lock says who holds it in one line, and leads to no place but an absolute one.
pub fn lock_text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let holder = Holder::parse(&text);
    assert!(holder.pid.is_none_or(|pid| pid > 0), "{holder:?}");
    assert!(holder.keeper.as_ref().is_none_or(|keeper| keeper.is_absolute()), "{holder:?}");
    assert!(holder.socket.as_ref().is_none_or(|socket| socket.is_absolute()), "{holder:?}");
    let db = Database::at("/data/app.db".into());
    let refusal = holder.refusal(&db);
    assert!(!refusal.message.contains(foreign::is_obeyed) && refusal.message.len() <= foreign::LONGEST + 512);
    // What a keeper leaves is what the next one reads.
    let name: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_control()).take(60).collect();
    let name = String::from_utf8_lossy(&name).into_owned();
    let socket = Path::new("/run").join(std::ffi::OsString::from_vec(name.into_bytes()));
    let left = supervise::lock_text(Path::new("/run/litestream.sock"), &socket);
    let read = Holder::parse(&left);
    assert_eq!(read.pid, Some(std::process::id().cast_signed()));
    assert_eq!(read.keeper.as_deref(), Some(socket.as_path()), "{left:?}");
}

/// What a keeper reports is a line for each change, in whatever words.
pub fn report(bytes: &[u8]) {
    let check = |report: &Report| {
        let text = reload::shown(report, false);
        let changes = report.added.len() + report.removed.len();
        let is_nothing = changes == 0 && report.exit_code == 0;
        assert_eq!(text.lines().count(), changes + usize::from(is_nothing), "{text:?}");
        assert_eq!(text.matches('\n').count(), changes + usize::from(is_nothing));
        assert!(text.lines().all(|line| !line.contains(foreign::is_obeyed)), "{text:?}");
        let json = reload::shown(report, true);
        assert!(json.ends_with('\n') && !json[..json.len() - 1].contains(foreign::is_obeyed), "{json:?}");
        assert_eq!(&serde_json::from_str::<Report>(&json).expect("JSON"), report);
    };
    if let Ok(report) = serde_json::from_slice::<Report>(bytes) {
        check(&report);
    }
    let names: Vec<String> =
        bytes.split(|byte| *byte == 255).map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let (added, removed) = names.split_at(names.len() / 2);
    let exit_code = bytes.first().copied().unwrap_or(0);
    check(&Report { added: added.to_vec(), removed: removed.to_vec(), exit_code, ..Report::default() });
}
