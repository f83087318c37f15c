//! The project's own release archive: its name, its download, and the one file that we take out of it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use flate2::read::GzDecoder;

use super::error::{Error, Reason};
use super::pins::Platform;
use super::progress::{MAX_BYTES, Progress};
use crate::os::open;

/// Where the project publishes; `{base}/v{version}/{archive name}` is one archive.
pub const BASE_URL: &str = "https://github.com/benbjohnson/litestream/releases/download";

/// How long the name look-up, and then the connection, may take. Short, so that a machine without a way out falls
/// through to the package registry quickly.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the server may take until its answer begins, and then may stay silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How often a waiting install looks whether it was cancelled.
const POLL: Duration = Duration::from_millis(50);
/// Returns the archive's address, or `None` where the project builds nothing for this platform.
///
/// The names come from the project's `.goreleaser.yml` (0.5: `litestream-0.5.17-linux-x86_64.tar.gz`) and from its
/// older releases (0.3: `litestream-v0.3.13-linux-amd64.tar.gz`).
pub fn url(base: &str, version: &str, platform: Platform) -> Option<String> {
    let old = version.starts_with("0.3.");
    let os = match platform.os {
        "linux" => "linux",
        "macos" => "darwin",
        _ => return None,
    };
    let arch = match (platform.arch, old) {
        ("x86_64", true) => "amd64",
        ("x86_64", false) => "x86_64",
        ("aarch64", _) => "arm64",
        ("arm", true) => "arm7",
        ("arm", false) => "armv7",
        _ => return None,
    };
    let v = if old { "v" } else { "" };
    Some(format!("{}/v{version}/litestream-{v}{version}-{os}-{arch}.tar.gz", base.trim_end_matches('/')))
}

/// Downloads the archive at `url` and writes its `litestream` file to `to`, which must not exist.
///
/// Nothing else of the archive touches the disk, so it does not matter what names it holds.
///
/// # Errors
/// [`Reason`] says what was wrong; [`Error::Cancelled`] when `cancel` was set.
pub fn fetch(
    url: &str,
    to: &Path,
    cancel: &AtomicBool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Error> {
    let mut body = Download::start(url, cancel, progress);
    let result = unpack(&mut body, url, to);
    match result {
        Ok(()) => Ok(()),
        Err(_) if body.cancelled => Err(Error::Cancelled),
        Err(reason) => Err(Error::Unavailable(body.failure.take().unwrap_or(reason))),
    }
}

/// Writes the `litestream` file of an archive that is a file already to `to`, which must not exist.
///
/// # Errors
/// What is wrong with the archive, or with the disk.
pub fn unpack_file(archive: &Path, to: &Path) -> Result<(), Reason> {
    let url = archive.display().to_string();
    let broken = |source: io::Error| Reason::Archive { url: url.clone(), why: source.to_string() };
    if !archive.metadata().map_err(broken)?.is_file() {
        return Err(broken(io::Error::other("it is no file")));
    }
    unpack(&mut open::file(archive).map_err(broken)?, &url, to)
}

fn unpack(body: &mut dyn Read, url: &str, to: &Path) -> Result<(), Reason> {
    let url = url.to_owned();
    let broken = |source: io::Error| Reason::Archive { url: url.clone(), why: source.to_string() };
    let mut archive = tar::Archive::new(GzDecoder::new(body).take(MAX_BYTES));
    let mut found = false;
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let wanted = entry
            .path()
            .is_ok_and(|path| path == Path::new("litestream") || path == Path::new("./litestream"));
        if wanted && entry.header().entry_type().is_file() && !found {
            found = true;
            let mut file = open::make(to).map_err(|source| Reason::write(to, source))?;
            copy(&mut entry, &mut file, &broken, to)?;
        }
    }
    // The tar ends before the gzip stream does: read on, so that its checksum is looked at as well.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(broken)?;
    if found { Ok(()) } else { Err(Reason::NoBinary { what: url.clone() }) }
}

/// Does as `io::copy`, but tells a broken archive from a full disk.
pub(super) fn copy(
    from: &mut dyn Read,
    file: &mut File,
    broken: &dyn Fn(io::Error) -> Reason,
    to: &Path,
) -> Result<(), Reason> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => file.write_all(&buffer[..n]).map_err(|source| Reason::write(to, source))?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(broken(e)),
        }
    }
}

/// A response body whose reader never waits longer than [`POLL`] without looking at `cancel`.
///
/// The request runs on a thread of its own: a name look-up or a read that hangs there must not keep a Ctrl-C waiting.
/// That thread ends at its own timeouts, or when it finds that nobody listens any more.
struct Download<'a, 'p> {
    url: &'a str,
    chunks: Receiver<Piece>,
    cancel: &'a AtomicBool,
    progress: &'a mut (dyn FnMut(Progress<'_>) + 'p),
    current: io::Cursor<Vec<u8>>,
    received: u64,
    total: Option<u64>,
    ended: bool,
    cancelled: bool,
    failure: Option<Reason>,
}

enum Piece {
    Begins { total: Option<u64> },
    Data(Vec<u8>),
    Failed(Reason),
    End,
}

impl<'a, 'p> Download<'a, 'p> {
    fn start(url: &'a str, cancel: &'a AtomicBool, progress: &'a mut (dyn FnMut(Progress<'_>) + 'p)) -> Self {
        progress(Progress::Downloading { url, received: 0, total: None });
        let (sender, chunks) = sync_channel(16);
        let address: Arc<str> = url.into();
        let spawned =
            std::thread::Builder::new().name("download".to_owned()).spawn(move || request(&address, &sender));
        let failure =
            spawned.err().map(|source| Reason::Download { url: url.to_owned(), why: source.to_string() });
        Self {
            url,
            chunks,
            cancel,
            progress,
            current: io::Cursor::default(),
            received: 0,
            total: None,
            ended: false,
            cancelled: false,
            failure,
        }
    }

    fn next_piece(&mut self) -> io::Result<Piece> {
        loop {
            if self.cancel.load(Ordering::Relaxed) {
                self.cancelled = true;
                return Err(io::Error::other("cancelled"));
            }
            match self.chunks.recv_timeout(POLL) {
                Ok(piece) => return Ok(piece),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("the download ended early"));
                }
            }
        }
    }
}

impl Read for Download<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.current.read(buffer)?;
            if n > 0 || self.ended {
                return Ok(n);
            }
            match self.next_piece()? {
                Piece::Begins { total } => self.total = total,
                Piece::Data(data) => {
                    self.received += data.len() as u64;
                    self.current = io::Cursor::new(data);
                    (self.progress)(Progress::Downloading {
                        url: self.url,
                        received: self.received,
                        total: self.total,
                    });
                }
                Piece::Failed(reason) => {
                    let message = reason.to_string();
                    self.failure = Some(reason);
                    return Err(io::Error::other(message));
                }
                Piece::End => self.ended = true,
            }
        }
    }
}

/// Runs the request to its end; a receiver that is gone ends it early.
fn request(url: &str, pieces: &SyncSender<Piece>) {
    let last = match send_body(url, pieces) {
        Ok(()) => Piece::End,
        Err(why) => Piece::Failed(Reason::Download { url: url.to_owned(), why }),
    };
    // Nobody listens any more: there is nobody left to tell, either.
    let _ = pieces.send(last);
}

fn send_body(url: &str, pieces: &SyncSender<Piece>) -> Result<(), String> {
    // Redirects go to another host of the same project; plain http only where it was asked for (a mirror, a test).
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .https_only(url.starts_with("https://"))
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .user_agent(concat!("litekeeper/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let response = agent.get(url).call().map_err(|e| e.to_string())?;
    let total = response.body().content_length();
    let mut body = response.into_body().into_with_config().limit(MAX_BYTES).reader();
    if pieces.send(Piece::Begins { total }).is_err() {
        return Ok(());
    }
    loop {
        let mut chunk = vec![0; 128 << 10];
        let n = body.read(&mut chunk).map_err(|e| e.to_string())?;
        chunk.truncate(n);
        if n == 0 || pieces.send(Piece::Data(chunk)).is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_names_follow_the_project() {
        let name = |version, os, arch| url(BASE_URL, version, Platform { os, arch });
        let at = |tail: &str| Some(format!("{BASE_URL}/{tail}"));
        assert_eq!(name("0.5.17", "linux", "x86_64"), at("v0.5.17/litestream-0.5.17-linux-x86_64.tar.gz"));
        assert_eq!(name("0.5.17", "linux", "aarch64"), at("v0.5.17/litestream-0.5.17-linux-arm64.tar.gz"));
        assert_eq!(name("0.5.17", "macos", "aarch64"), at("v0.5.17/litestream-0.5.17-darwin-arm64.tar.gz"));
        assert_eq!(name("0.3.13", "linux", "x86_64"), at("v0.3.13/litestream-v0.3.13-linux-amd64.tar.gz"));
        assert_eq!(name("0.3.13", "linux", "aarch64"), at("v0.3.13/litestream-v0.3.13-linux-arm64.tar.gz"));
        assert_eq!(name("0.5.17", "freebsd", "x86_64"), None);
        assert_eq!(name("0.5.17", "linux", "riscv64"), None);
    }

    #[test]
    fn a_mirror_may_end_with_a_slash() {
        let platform = Platform { os: "linux", arch: "x86_64" };
        assert_eq!(url("http://m/x/", "0.5.17", platform), url("http://m/x", "0.5.17", platform));
    }
}
