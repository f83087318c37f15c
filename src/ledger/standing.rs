//! What a file is that is found at a start.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::answer::Standing;
use super::book::{Book, Head, Mark};
use super::{history, seq};
use crate::litestream::database::with_suffix;
use crate::os::{fd, open};
use crate::sqlite::wal::{self, Run};

impl Mark {
    /// How the file stands there now.
    pub(super) fn of(database: &Path) -> io::Result<Self> {
        let file = std::fs::metadata(database)?;
        let log = match std::fs::metadata(with_suffix(database, "-wal")) {
            Ok(log) => {
                let salt = wal::header(database)?.map_or([0; 8], |header| header.salt);
                Some((log.len(), salt, log.mtime(), log.mtime_nsec()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { file: (file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec()), log })
    }
}

/// What grows with a database, and with nothing else: Litestream's count of its checkpoints, and SQLite's own
/// counter of the commits that had its first page (`pager_write_changecounter` in its pager.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Age {
    seq: Option<i64>,
    counter: Option<u32>,
}

impl Age {
    pub(super) fn of(database: &Path) -> Self {
        Self { seq: seq::of(database), counter: counter(database).unwrap_or(None) }
    }

    pub(super) fn remember(self, head: &mut Head) {
        (head.seq, head.counter) = (self.seq, self.counter);
    }

    fn remembered(head: &Head) -> Self {
        Self { seq: head.seq, counter: head.counter }
    }
}

/// Whether a database that has got shorter, and differs in so many pages, may have been vacuumed.
fn is_vacuumed(database: &Path, differs: usize) -> io::Result<bool> {
    let file = open::file(database)?;
    let Some(header): Option<[u8; 100]> = fd::read_at(&file, 0)? else { return Ok(true) };
    // The largest root page is there with auto_vacuum only. 65536 is stored as 1.
    let vacuums_itself = header[52..56] != [0; 4];
    let size = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65536,
        size => u64::from(size),
    };
    let pages = file.metadata()?.len() / size.max(1);
    Ok(vacuums_itself || differs as u64 * 2 >= pages)
}

fn counter(database: &Path) -> io::Result<Option<u32>> {
    let at = |header: [u8; 4]| u32::from_be_bytes(header);
    if let (Some(run), wal::State::Made(index)) = (Run::open(database)?, wal::index(database)?)
        && run.header.salt == index.salt
    {
        let frames = run.frames(wal::HEADER)?;
        let first = frames.iter().rfind(|frame| frame.page == 1 && frame.content < index.end);
        if let Some(frame) = first {
            let mut page = [0; 28];
            let read = run.read(frame.content, &mut page)?;
            return Ok(read.then(|| at([page[24], page[25], page[26], page[27]])));
        }
    }
    let file = open::file(database)?;
    Ok(fd::read_at(&file, 24)?.map(at))
}

/// What a file is whose pages differ in this from the copy.
pub(super) fn of_different(
    database: &Path,
    meta: &Path,
    book: &Book,
    pages: &[(u32, u64)],
    why: String,
) -> io::Result<Standing> {
    let head = &book.head;
    let since = head.since();
    let (then, now) = (Age::remembered(head), Age::of(database));
    let file = std::fs::metadata(database)?;
    let is_same_file = head.inode.is_none_or(|inode| inode == (file.dev(), file.ino()));
    let has_log = wal::header(database)?
        .is_some_and(|header| wal::run_of(header.salt).wrapping_sub(wal::run_of(head.newest.salt)) < 1 << 31);
    let is_older = now.seq < then.seq || (now.seq == then.seq && now.counter < then.counter);
    if head.left.is_none() && is_same_file && has_log && !is_older {
        // The last run did not end in order, and this is what it had: the copy is wrong.
        return Ok(Standing::Parted { why, since });
    }
    // A page that is not there says nothing by itself.
    let there: Vec<(u32, u64)> = pages.iter().copied().filter(|(_, sum)| *sum != 0).collect();
    let older = history::known(meta, &there)?;
    let unknown = there.len() as u64 - older;
    let is_newer = now.seq > then.seq || (now.seq == then.seq && now.counter > then.counter);
    // A database gets shorter when it is vacuumed, which leaves few pages as they were, and not otherwise.
    let is_cut = pages.len() > there.len() && !is_vacuumed(database, there.len())?;
    let is_other = now.seq.is_none() && then.seq.is_some();
    Ok(match (older, unknown) {
        // What somebody wrote may look like an older page now and then.
        _ if is_newer && !is_cut && older < unknown => {
            Standing::Written { pages: pages.len() as u64, txid: head.newest.txid }
        }
        (_, 0) => Standing::Older(older.max(1)),
        // Nothing of it was ever copied.
        (0, unknown) if (!is_older && !is_cut) || is_other => {
            Standing::Written { pages: unknown, txid: head.newest.txid }
        }
        (older, unknown) => Standing::Other {
            why: format!(
                "{older} of its pages are as they once were, and {unknown} are as litestream has never copied them"
            ),
        },
    })
}
