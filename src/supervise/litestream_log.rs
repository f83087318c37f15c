//! Litestream's output, line by line into this process's own log.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;

use super::loudness::Loudness;
use super::repeats::Repeats;
use super::snapshots::Snapshots;
use crate::litestream::log::{Level, Line};

/// A longer line is cut: nothing that Litestream says is worth more memory.
const LONGEST_LINE: usize = 64 << 10;

/// So many of its warnings and errors are said in a while, and so many bytes of them. A thousand databases may have one each.
const LOUDEST: (usize, usize) = (2000, 1 << 20);

/// What the lines said so far.
#[derive(Clone, Default)]
pub(super) struct Heard {
    /// The last error, for a message of our own.
    pub(super) error: Rc<RefCell<Option<String>>>,
    /// The base name of the database that it is about, where it says that.
    pub(super) error_db: Rc<RefCell<Option<String>>>,
    /// A final sync failed: without a socket that is the only word about it.
    pub(super) unclean: Rc<Cell<bool>>,
    /// How much it was: what is written to a log is no progress of anything else.
    pub(super) bytes: Rc<Cell<u64>>,
    /// How many files have reached a replica as they were made.
    pub(super) uploaded: Rc<Cell<u64>>,
    pub(super) repeats: Rc<RefCell<Repeats>>,
    /// The same whichever Litestream says it.
    pub(super) loudness: Rc<RefCell<Loud>>,
    /// What it has uploaded as a whole.
    pub(super) snapshots: Rc<Snapshots>,
    /// The base names of databases that have a backup which was not made from the file that is here.
    pub(super) strange: Rc<RefCell<BTreeSet<String>>>,
}

/// How much it has said of late.
pub(super) struct Loud(Loudness);

impl Default for Loud {
    fn default() -> Self {
        Self(Loudness::new(LOUDEST.0, LOUDEST.1))
    }
}

impl Heard {
    /// The last error, unless it is about a database with another base name.
    pub(super) fn error_of(&self, name: &str) -> Option<String> {
        let is_its = self.error_db.borrow().as_deref().is_none_or(|db| db == name);
        is_its.then(|| self.error.take()).flatten()
    }

    /// Whether a line is said, or only counted.
    fn says(&self, line: &str) -> bool {
        let (is_said, left_out) = self.loudness.borrow_mut().0.take(Instant::now(), line.len());
        tell(left_out);
        is_said
    }
}

fn tell(left_out: u64) {
    if left_out > 0 {
        tracing::warn!(target: "litestream", "… ({left_out} more lines: `--log-level debug` shows them)");
    }
}

/// Passes on what comes out of a pipe until it ends.
pub(super) async fn pass_on(fd: OwnedFd, heard: Heard) {
    let Ok(pipe) = pipe::Receiver::from_owned_fd(fd) else { return };
    let mut reader = BufReader::with_capacity(4096, pipe);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match read_line(&mut reader, &mut bytes).await {
            Ok(true) => {}
            Ok(false) | Err(_) => {
                for (text, times) in heard.repeats.borrow_mut().rest() {
                    tracing::error!(target: "litestream", "{text} ({times} of the kind since the last line)");
                }
                tell(heard.loudness.borrow_mut().0.rest(Instant::now()));
                return;
            }
        }
        heard.bytes.set(heard.bytes.get() + bytes.len() as u64);
        let text = String::from_utf8_lossy(&bytes);
        if !text.trim().is_empty() {
            pass_on_line(&Line::parse(&text), &heard);
        }
    }
}

/// One line, or as much of it as is worth the memory; whether there was one.
pub(super) async fn read_line(
    reader: &mut BufReader<pipe::Receiver>,
    bytes: &mut Vec<u8>,
) -> std::io::Result<bool> {
    loop {
        let chunk = reader.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(!bytes.is_empty());
        }
        let (take, ends) = match chunk.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (chunk.len(), false),
        };
        let room = LONGEST_LINE.saturating_sub(bytes.len());
        bytes.extend_from_slice(&chunk[..take.min(room)]);
        reader.consume(take);
        if ends {
            return Ok(true);
        }
    }
}

fn pass_on_line(line: &Line, heard: &Heard) {
    if let Some(error) = &line.error {
        heard.error.replace(Some(error.clone()));
        heard.error_db.replace(line.database().map(str::to_owned));
    }
    if line.is_failed_final_sync() {
        heard.unclean.set(true);
    }
    if line.is_upload() {
        heard.uploaded.set(heard.uploaded.get() + 1);
    }
    if let Some((name, txid)) = line.snapshot() {
        heard.snapshots.made(name, txid);
    }
    if let Some(name) = line.finds_a_backup() {
        heard.strange.borrow_mut().insert(name.to_owned());
    }
    let text = line.text.as_str();
    match line.level {
        // In normal running there is a line for every snapshot and compaction.
        Level::Debug | Level::Info => tracing::debug!(target: "litestream", "{text}"),
        Level::Warn if heard.says(text) => tracing::warn!(target: "litestream", "{text}"),
        Level::Error => match heard.repeats.borrow_mut().take(Instant::now(), line) {
            Some(times) if heard.says(text) => match times {
                0 => tracing::error!(target: "litestream", "{text}"),
                times => {
                    tracing::error!(target: "litestream", "{text} (and {times} of the kind since the last line)")
                }
            },
            Some(_) | None => tracing::debug!(target: "litestream", "{text}"),
        },
        Level::Warn => tracing::debug!(target: "litestream", "{text}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    #[test]
    fn a_line_of_a_hundred_megabytes_takes_no_more_than_any_other() {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("a pipe");
        let writing = std::thread::spawn(move || {
            let (mut writer, megabyte) = (File::from(writer), vec![b'x'; 1 << 20]);
            (0..100).for_each(|_| writer.write_all(&megabyte).expect("a reader"));
            writer.write_all(b"\nthe next one\n").expect("a reader");
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        runtime.block_on(async {
            let pipe = pipe::Receiver::from_owned_fd(reader).expect("a pipe");
            let (mut reader, mut bytes) = (BufReader::with_capacity(4096, pipe), Vec::new());
            assert!(read_line(&mut reader, &mut bytes).await.expect("a line"));
            assert!(
                bytes.len() == LONGEST_LINE && bytes.capacity() <= 2 * LONGEST_LINE,
                "{}",
                bytes.capacity()
            );
            bytes.clear();
            assert!(read_line(&mut reader, &mut bytes).await.expect("a line"));
            assert_eq!(bytes, b"the next one\n");
            bytes.clear();
            assert!(!read_line(&mut reader, &mut bytes).await.expect("an end"));
        });
        writing.join().expect("all was read");
    }
}
