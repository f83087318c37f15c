//! A database held against its ledger.
//!
//! Nobody is held up, so all of it can change meanwhile. What makes the answer certain all the same: SQLite
//! begins the WAL anew only when all that it counts is in the database file, so as long as one run of the WAL
//! lasts, a page of the file changes only if a frame of that run has it. A page that no frame of the present
//! run has is compared in the file; one that has a frame in the piece that was copied is compared in the WAL;
//! one with a frame behind that piece is not decided, until that is copied as well.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::book::{Head, checksum};
use crate::litestream::ltx;
use crate::os::{fd, open};
use crate::sqlite::wal::{self, Run};

/// So much is read of the file at once.
const CHUNK: usize = 1 << 20;
/// Between two looks while somebody is in the way, in milliseconds.
const PAUSE: u16 = 2;
/// How long a writer is waited for.
const WRITER: Duration = Duration::from_secs(1);
/// Of the pages that are missing at the end, so many are looked for: a broken number of pages has billions.
const BEYOND: u32 = 1 << 16;
/// So many differing pages are remembered with their contents: more are no longer told apart.
const MOST: usize = 1 << 20;

/// How long the reading of a piece is rested from that nobody waits for, in milliseconds: at most 250 MB a second.
const REST: u16 = 4;

/// How much may be done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// What is not compared by then is left.
    pub(super) deadline: Instant,
    /// Others need the disk.
    pub(super) is_gentle: bool,
}

/// Which pages.
pub(super) enum Which {
    All,
    These(BTreeSet<u32>),
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing; `salt` is the run of the WAL.
    Equal { salt: Option<[u8; 8]> },
    /// These pages are not the same, with what the database has there; or why it cannot be the same.
    Different(Vec<(u32, u64)>, String),
    /// Litestream has copied what the WAL's index does not count.
    Ahead,
    /// The WAL's index has to be made anew first.
    Unmade,
    /// Time ran out.
    Unfinished(u8),
}

/// Compares a database with its copy, of which `expected` tells the checksum of each page, until there is an
/// answer, or no time any more.
pub(super) fn compare(
    database: &Path,
    head: &Head,
    mut expected: impl FnMut(u32) -> io::Result<u64>,
    which: &Which,
    effort: Effort,
) -> io::Result<Found> {
    loop {
        match once(database, head, &mut expected, which, effort)? {
            Some(found) => return Ok(found),
            None if Instant::now() >= effort.deadline => return Ok(Found::Unfinished(0)),
            None => pause(PAUSE),
        }
    }
}

/// The index as nobody writes, or as it is if somebody does not stop.
fn settled(database: &Path, deadline: Instant) -> io::Result<wal::State> {
    let patience = deadline.min(Instant::now() + WRITER);
    loop {
        match wal::settled_index(database)? {
            wal::State::Unknown if Instant::now() < patience => pause(PAUSE),
            state => return Ok(state),
        }
    }
}

fn pause(milliseconds: u16) {
    // Nothing comes to no descriptor: this waits.
    let _ = nix::poll::poll(&mut [], milliseconds);
}

/// Up to where in the log the index counts what was copied; it breaks off with what [`once`] finds where it does not.
fn counted(database: &Path, head: &Head, deadline: Instant) -> io::Result<ControlFlow<Option<Found>, u64>> {
    let end = head.newest.end;
    let is_before = |index: &wal::Index| index.salt == head.newest.salt && index.end < end;
    let short = match wal::index(database)? {
        wal::State::Made(index) if is_before(&index) => index.end,
        wal::State::Unmade => return Ok(ControlFlow::Break(Some(Found::Unmade))),
        wal::State::Made(_) | wal::State::Unknown => return Ok(ControlFlow::Continue(end)),
    };
    // While somebody commits the WAL is ahead of its index as well.
    Ok(match settled(database, deadline)? {
        wal::State::Made(index) if is_before(&index) => ControlFlow::Break(Some(Found::Ahead)),
        wal::State::Unmade => ControlFlow::Break(Some(Found::Unmade)),
        wal::State::Made(_) => ControlFlow::Break(None),
        wal::State::Unknown => ControlFlow::Continue(short),
    })
}

/// `None` when the WAL began anew, or the file was replaced, meanwhile.
fn once(
    database: &Path,
    head: &Head,
    expected: &mut impl FnMut(u32) -> io::Result<u64>,
    which: &Which,
    Effort { deadline, is_gentle }: Effort,
) -> io::Result<Option<Found>> {
    let file = open::file(database)?;
    let run = Run::open(database)?;
    let end = match &run {
        Some(run) if run.header.salt == head.newest.salt => match counted(database, head, deadline)? {
            ControlFlow::Break(found) => return Ok(found),
            ControlFlow::Continue(end) => end,
        },
        _ => wal::HEADER,
    };
    let frames = match &run {
        Some(run) => run.frames(wal::HEADER)?,
        None => Vec::new(),
    };
    let log = Log::new(&frames, end);
    let size = size_differs(&file, head, &log)?;
    let mut reader = Reader::new(&file, run.as_ref(), head.page_size, is_gentle);
    let mut different = Vec::new();
    let lock_page = ltx::lock_page(head.page_size);
    let last = last_page(&file, head, &frames)?;
    let (pages, many) = compared(which, head, &log, last);
    for (done, page) in pages.enumerate() {
        if done % 256 == 255 && Instant::now() >= deadline {
            return Ok(Some(Found::Unfinished((done * 100 / many.max(1)).min(99) as u8)));
        }
        let copied = log.copied.get(&page).copied();
        if page == lock_page || (copied.is_none() && log.behind.contains(&page)) {
            continue;
        }
        let sum = reader.sum(page, copied)?;
        if sum != Some(expected(page)?) && different.len() < MOST {
            different.push((page, sum.unwrap_or(0)));
        }
    }
    if let Some(run) = run.as_ref().filter(|_| !different.is_empty()) {
        // What was checkpointed meanwhile was in the WAL before.
        let behind: HashSet<u32> =
            run.frames(wal::HEADER)?.iter().skip(frames.len()).map(|frame| frame.page).collect();
        different.retain(|(page, _)| log.copied.contains_key(page) || !behind.contains(page));
    }
    let is_as_it_was = is_still(database, &file, run.as_ref())?;
    Ok(is_as_it_was.then(|| told(different, size, head, run.map(|run| run.header.salt))))
}

/// The pages that are compared, and how many they are; `last` is the last one that there is.
fn compared<'a>(
    which: &'a Which,
    head: &'a Head,
    log: &Log,
    last: u32,
) -> (Box<dyn Iterator<Item = u32> + 'a>, usize) {
    match which {
        Which::All => {
            let last = head.commit.min(last.saturating_add(BEYOND));
            (Box::new(1..=last), last as usize)
        }
        Which::These(pages) => {
            let all: BTreeSet<u32> = pages.iter().chain(log.copied.keys()).copied().collect();
            let many = all.len();
            (Box::new(all.into_iter().filter(|page| *page <= head.commit)), many)
        }
    }
}

/// Whether a database is the file and the run of the WAL still that were read.
fn is_still(database: &Path, file: &File, run: Option<&Run>) -> io::Result<bool> {
    let goes_on = match run {
        Some(run) => run.goes_on(database)?,
        None => wal::header(database)?.is_none(),
    };
    let (there, here) = (std::fs::metadata(database)?, file.metadata()?);
    Ok(goes_on && (there.dev(), there.ino()) == (here.dev(), here.ino()))
}

/// What was found, of the pages that are not the same and why the size cannot be.
fn told(different: Vec<(u32, u64)>, size: Option<String>, head: &Head, salt: Option<[u8; 8]>) -> Found {
    match (different.first(), size) {
        (None, None) => Found::Equal { salt },
        (_, Some(size)) => Found::Different(different, size),
        (Some((first, _)), None) => {
            let (differ, all) = (different.len(), head.commit);
            let why =
                format!("{differ} of its {all} pages are not what litestream has copied, page {first} first");
            Found::Different(different, why)
        }
    }
}

/// The frames of the WAL.
struct Log {
    /// Where the newest content of a page is in the piece that was copied.
    copied: HashMap<u32, u64>,
    /// How many pages the database has after the last commit in it.
    commit: Option<u32>,
    /// The pages behind that piece.
    behind: HashSet<u32>,
}

impl Log {
    fn new(frames: &[wal::Frame], end: u64) -> Self {
        let mut log = Self { copied: HashMap::new(), commit: None, behind: HashSet::new() };
        for frame in frames {
            if frame.content < end {
                log.copied.insert(frame.page, frame.content);
                if frame.commit > 0 {
                    log.commit = Some(frame.commit);
                }
            } else {
                log.behind.insert(frame.page);
            }
        }
        log
    }
}

/// The last page that there is of the database, in its file or in the log.
fn last_page(file: &File, head: &Head, frames: &[wal::Frame]) -> io::Result<u32> {
    let in_file = file.metadata()?.len() / u64::from(head.page_size.max(1));
    let in_log = frames.iter().map(|frame| frame.page).max().unwrap_or(0);
    Ok(in_log.max(u32::try_from(in_file).unwrap_or(u32::MAX)))
}

/// Why the number of pages is not the same; none when it is, or cannot be told.
fn size_differs(file: &File, head: &Head, log: &Log) -> io::Result<Option<String>> {
    let tell = |pages: u64| format!("it has {pages} pages, and litestream has copied {}", head.commit);
    if let Some(commit) = log.commit {
        return Ok((commit != head.commit).then(|| tell(commit.into())));
    }
    if !log.behind.is_empty() {
        return Ok(None);
    }
    let in_file = file.metadata()?.len() / u64::from(head.page_size.max(1));
    // A file may be longer than its database (SQLITE_FCNTL_CHUNK_SIZE); the header tells.
    let header: Option<[u8; 100]> = fd::read_at(file, 0)?;
    let in_header = header.map(|header| {
        let number =
            |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        // Which counts only if the version is the one that it was written for.
        if number(24) == number(92) { u64::from(number(28)) } else { in_file }
    });
    let is_same = in_file == u64::from(head.commit) || in_header == Some(u64::from(head.commit));
    Ok((!is_same).then(|| tell(in_file)))
}

/// Reads pages, those of the file in large pieces.
struct Reader<'a> {
    file: &'a File,
    run: Option<&'a Run>,
    page_size: usize,
    piece: Vec<u8>,
    /// Where it begins, and how much of it is there.
    at: u64,
    have: usize,
    page: Vec<u8>,
    is_gentle: bool,
}

impl<'a> Reader<'a> {
    fn new(file: &'a File, run: Option<&'a Run>, page_size: u32, is_gentle: bool) -> Self {
        let page_size = page_size as usize;
        let (piece, page) = (Vec::new(), vec![0; page_size]);
        Self { file, run, page_size, piece, at: 0, have: 0, page, is_gentle }
    }

    /// A page's checksum; `None` where it is not there.
    fn sum(&mut self, page: u32, in_log: Option<u64>) -> io::Result<Option<u64>> {
        if let (Some(content), Some(run)) = (in_log, self.run) {
            return Ok(run.read(content, &mut self.page)?.then(|| checksum(&self.page)));
        }
        let at = u64::from(page - 1) * self.page_size as u64;
        let is_in = at >= self.at && at + self.page_size as u64 <= self.at + self.have as u64;
        if !is_in {
            // One page alone is not worth a large piece: those that are not in a row.
            let in_a_row = at == self.at + self.have as u64 || at == 0;
            let length = if in_a_row { CHUNK.max(self.page_size) } else { self.page_size };
            if self.is_gentle && in_a_row && at > 0 {
                pause(REST);
            }
            self.piece.resize(length, 0);
            (self.at, self.have) = (at, 0);
            while self.have < length {
                let start = self.have;
                match std::os::unix::fs::FileExt::read_at(
                    self.file,
                    &mut self.piece[start..],
                    at + start as u64,
                )? {
                    0 => break,
                    more => self.have += more,
                }
            }
        }
        let start = (at - self.at) as usize;
        let there = self.piece[..self.have].get(start..start + self.page_size);
        Ok(there.map(checksum))
    }
}
