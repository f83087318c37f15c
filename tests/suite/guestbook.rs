//! The demo's guest book, over real connections.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use litekeeper::demo::guestbook::{Error, GuestBook, Options, Port, Stopper};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

#[test]
fn a_posted_row_is_on_the_page_and_in_the_rows() {
    let book = Book::open();
    assert_eq!(book.get("/rows").body, "[]\n");
    let posted = book.post("name=Ada+L%C3%B6w&message=%3Cb%3Ehello%3C%2Fb%3E");
    assert_eq!((posted.status, posted.body.as_str()), (303, "row 1 written\n"));
    assert!(posted.head.contains("Location: /\r\n"), "{}", posted.head);

    let page = book.get("/");
    assert!(page.head.contains("text/html; charset=utf-8") && page.head.contains("Content-Security-Policy"));
    assert!(page.body.contains("Ada Löw") && page.body.contains("&lt;b&gt;hello"), "{}", page.body);
    assert!(page.body.contains("1 entry"), "{}", page.body);

    let rows: serde_json::Value = serde_json::from_str(&book.get("/rows").body).expect("json");
    assert_eq!((&rows[0]["id"], &rows[0]["message"]), (&1.into(), &"<b>hello</b>".into()));
    assert_eq!(book.get("/healthz").body, "ok\n");
    assert_eq!(book.journal_mode(), "wal");
}

#[test]
fn rubbish_gets_an_answer_and_the_book_goes_on() {
    let book = Book::open();
    let long = format!("message={}", "x".repeat(20_000));
    for (status, request) in [
        (404, "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned()),
        (405, "DELETE /rows HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned()),
        (400, form("name=only")),
        (400, form("\u{0}\u{1}%%%=&&&")),
        (413, form(&long)),
        (400, "\u{16}\u{3}\u{1} no http at all\r\n\r\n".to_owned()),
        (
            400,
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: nonsense\r\nConnection: close\r\n\r\n".to_owned(),
        ),
    ] {
        let answer = book.send(request.as_bytes());
        assert_eq!(answer.status, status, "{request:?}: {}", answer.head);
    }
    book.send_and_hang_up(b"GET");
    book.send_and_hang_up(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nmessage=half");
    assert_eq!(book.get("/healthz").status, 200);
    assert_eq!(book.get("/rows").body, "[]\n", "half a form is no row");
}

#[test]
fn a_client_that_sends_half_a_form_keeps_nobody_waiting() {
    let book = Book::open();
    let mut slow = Vec::new();
    for _ in 0..10 {
        // A browser's spare connection, which says nothing, and one that stops in the middle.
        slow.push(book.connect());
        let mut stream = book.connect();
        stream
            .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nmessage=")
            .expect("sent");
        slow.push(stream);
    }
    assert_eq!(book.post("message=hello").status, 303);
    let stopping = Instant::now();
    drop(book);
    // Each of them may be silent for 10 s.
    assert!(stopping.elapsed() < Duration::from_secs(9), "{:?}", stopping.elapsed());
}

#[test]
fn many_writers_at_once_lose_nothing() {
    let book = Book::open();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let book = &book;
            scope.spawn(move || {
                for n in 0..10 {
                    assert_eq!(book.post(&format!("name=w{writer}&message={n}")).status, 303);
                }
            });
        }
    });
    let rows: Vec<serde_json::Value> = serde_json::from_str(&book.get("/rows").body).expect("json");
    assert_eq!(rows.len(), 80);
}

#[test]
fn a_deleted_database_is_an_error_not_an_empty_book() {
    let book = Book::open();
    assert_eq!(book.post("message=hello").status, 303);
    std::fs::remove_file(book.db()).expect("deleted");
    for answer in [book.get("/"), book.get("/healthz"), book.post("message=lost")] {
        assert_eq!(answer.status, 500);
        assert!(answer.body.contains("guestbook.db"), "{}", answer.body);
    }
    assert!(!book.db().exists());
}

#[test]
fn a_taken_port_moves_on_unless_it_was_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let dir = tempfile::tempdir().expect("a folder");
    let open = |port| GuestBook::open(&Options { db: dir.path().join("a.db"), port });
    let Err(error) = open(Port::Exactly(port)) else { panic!("two listeners on {port}") };
    assert!(matches!(error, Error::Listen { port: named, .. } if named == port), "{error}");
    let book = open(Port::From(port)).expect("the next free port");
    assert!(
        book.url().starts_with("http://127.0.0.1:") && !book.url().contains(&port.to_string()),
        "{}",
        book.url()
    );
}

#[test]
fn a_database_that_is_none_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = dir.path().join("a.db");
    std::fs::write(&db, "this is no database, and long enough to be looked at as one".repeat(50))
        .expect("written");
    let Err(error) = GuestBook::open(&Options { db: db.clone(), port: Port::Exactly(0) }) else {
        panic!("opened rubbish")
    };
    assert!(matches!(&error, Error::Database { db: named, .. } if *named == db), "{error}");
}

#[test]
fn term_and_int_end_it_with_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let dir = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_litekeeper"))
            .args(["demo", "--app", "--port", "0", "--db"])
            .arg(dir.path().join("guestbook.db"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = lines.next().expect("a line").expect("text");
        assert!(first.starts_with("guest book: http://127.0.0.1:"), "{first}");
        kill(Pid::from_raw(child.id().cast_signed()), signal).expect("signalled");
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), Some(0), "{signal}");
        assert_eq!(lines.next().expect("a line").expect("text"), "guest book: closed");
    }
}

/// A guest book that serves until it is dropped.
struct Book {
    dir: TempDir,
    address: String,
    stop: Stopper,
    thread: Option<JoinHandle<()>>,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Book {
    fn open() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let options = Options { db: dir.path().join("new/guestbook.db"), port: Port::Exactly(0) };
        let book = GuestBook::open(&options).expect("opened");
        let address = book.url().trim_start_matches("http://").trim_end_matches('/').to_owned();
        let stop = book.stopper().expect("a stopper");
        Self { dir, address, stop, thread: Some(std::thread::spawn(move || book.run())) }
    }

    fn db(&self) -> std::path::PathBuf {
        self.dir.path().join("new/guestbook.db")
    }

    fn journal_mode(&self) -> String {
        let connection = rusqlite::Connection::open(Path::new(&self.db())).expect("opened");
        connection.query_one("PRAGMA journal_mode", (), |row| row.get(0)).expect("a mode")
    }

    fn get(&self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
    }

    fn post(&self, body: &str) -> Answer {
        self.send(form(body).as_bytes())
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
        stream
    }

    fn send(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request).expect("sent");
        let mut bytes = Vec::new();
        // A refused form was not read to its end; the answer is there before the reset is.
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Answer { status, head: format!("{head}\r\n"), body: body.to_owned() }
    }

    fn send_and_hang_up(&self, request: &[u8]) {
        let mut stream = self.connect();
        stream.write_all(request).expect("sent");
        stream.shutdown(Shutdown::Both).expect("closed");
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the guest book panicked");
        }
    }
}

fn form(body: &str) -> String {
    let length = body.len();
    let kind = "application/x-www-form-urlencoded";
    format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}
