//! The write-ahead log (`-wal`) and its index (`-shm`), by <https://sqlite.org/walformat.html>.
//!
//! A commit is a frame in the log first, and known to the index only after the log was flushed. Whoever
//! is killed in between leaves an orphan: a frame that Litestream, which reads the log alone, takes for
//! a commit, while the app, which goes by the index, writes over it.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use crate::os::permit::{self, Folder};
use crate::os::{byte_lock, fd};

/// The log's header, in bytes.
pub const HEADER: u64 = 32;
/// A frame's header, in bytes; a page follows.
const FRAME_HEADER: u64 = 24;
/// Both copies of the index' header (`WalIndexHdr` in SQLite's wal.c).
const INDEX_HEADER: usize = 96;
/// What each index begins with (`WALINDEX_MAX_VERSION` in SQLite's wal.c).
const VERSION: u32 = 3_007_000;
/// The byte of the index whose lock the writer has (`WAL_WRITE_LOCK`).
const WRITER: u64 = 120;
/// That of the first reader's mark which stands for a place in the log (`WAL_READ_LOCK(1)`).
const READER: u64 = 124;

/// How a log begins, without the bit that tells the order of bytes of its checksums (`WAL_MAGIC` in SQLite's wal.c).
pub const MAGIC: u32 = 0x377f_0682;

/// Whether pages can have this size.
pub fn is_page_size(bytes: u32) -> bool {
    bytes.is_power_of_two() && (512..=65536).contains(&bytes)
}

/// SQLite's checksum of a log (`walChecksumBytes` in its wal.c) over numbers of this order of bytes.
pub fn checksum(bytes: &[u8], number: impl Fn([u8; 4]) -> u32) -> [u32; 2] {
    checksum_on([0; 2], bytes, number)
}

/// As [`checksum`], of what comes after that which has this one.
pub fn checksum_on(before: [u32; 2], bytes: &[u8], number: impl Fn([u8; 4]) -> u32) -> [u32; 2] {
    let mut numbers = bytes.as_chunks::<4>().0.iter().map(|four| number(*four));
    let [mut one, mut other] = before;
    while let (Some(first), Some(second)) = (numbers.next(), numbers.next()) {
        one = one.wrapping_add(first).wrapping_add(other);
        other = other.wrapping_add(second).wrapping_add(one);
    }
    [one, other]
}

/// The bytes of `frames` frames with pages of this size.
pub fn bytes_of(frames: u64, page_size: u32) -> u64 {
    frames * (FRAME_HEADER + u64::from(page_size))
}

/// How far the log reaches by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index {
    /// What tells this run of the log from the one before, as it stands in the log.
    pub salt: [u8; 8],
    /// Behind the last frame that counts, in bytes.
    pub end: u64,
}

impl Index {
    fn parse(header: &[u8; INDEX_HEADER]) -> Option<Self> {
        let (first, second) = header.split_at(INDEX_HEADER / 2);
        // isInit; both copies differ while they are written.
        if first != second || first[12] == 0 {
            return None;
        }
        let sums: [u32; 2] = std::array::from_fn(|at| {
            let at = 40 + 4 * at;
            u32::from_ne_bytes([first[at], first[at + 1], first[at + 2], first[at + 3]])
        });
        if checksum(&first[..40], u32::from_ne_bytes) != sums {
            return None;
        }
        // Everything but the salt is in this machine's order of bytes. 65536 is stored as 1.
        let page = u32::from(u16::from_ne_bytes([first[14], first[15]]));
        let page_size = (page & 0xfe00) | ((page & 1) << 16);
        if !is_page_size(page_size) {
            return None;
        }
        let frames = u32::from_ne_bytes(first[16..20].try_into().ok()?);
        let salt = first[32..40].try_into().ok()?;
        Some(Self { salt, end: HEADER + bytes_of(frames.into(), page_size) })
    }
}

/// What can be said of a database's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is none, or somebody writes just now.
    Unknown,
    /// It has to be made anew before it says anything.
    Unmade,
    /// It says this.
    Made(Index),
}

fn read_index(file: &File) -> io::Result<State> {
    let made = |header| Index::parse(&header).map_or(State::Unmade, State::Made);
    Ok(fd::read_at(file, 0)?.map_or(State::Unknown, made))
}

/// A file beside the database, and no other's; `None` if there is none.
fn beside(database: &Path, suffix: &str, write: bool) -> io::Result<Option<File>> {
    let open = || {
        let (folder, name) = Folder::of(database)?;
        let mut name = name.to_owned();
        name.push(suffix);
        let named = |error: io::Error| {
            let shown = database.with_file_name(&name);
            io::Error::new(error.kind(), format!("{}: {error}", shown.display()))
        };
        let file = folder.open_file(&name, write).map_err(named)?;
        // SQLite gives it to whom the database belongs (`findCreateFileMode` in its os_unix.c).
        if write && file.metadata()?.uid() != database.metadata()?.uid() {
            return Err(io::Error::other("it belongs to somebody else than the database"));
        }
        Ok(file)
    };
    match permit::theirs(open) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The index of a database while nobody writes.
///
/// # Errors
/// The index can be neither locked nor read.
pub fn settled_index(database: &Path) -> io::Result<State> {
    match beside(database, "-shm", true)? {
        Some(index) if byte_lock::take(&index, WRITER)? => read_index(&index),
        Some(_) | None => Ok(State::Unknown),
    }
}

/// As [`settled_index`], also while somebody writes.
///
/// # Errors
/// The index cannot be read.
pub fn index(database: &Path) -> io::Result<State> {
    match beside(database, "-shm", false)? {
        Some(index) => read_index(&index),
        None => Ok(State::Unknown),
    }
}

/// Whether behind the last commit there may be a frame that Litestream would take for one.
///
/// # Errors
/// The log or its index cannot be read.
pub fn may_have_orphan(database: &Path) -> io::Result<bool> {
    let (Some(index), Some(log)) = (beside(database, "-shm", false)?, beside(database, "-wal", false)?)
    else {
        return Ok(false);
    };
    match read_index(&index)? {
        State::Made(index) => Ok(frame(&log, index.end)?.is_some_and(|frame| frame.salt == index.salt)),
        State::Unmade => Ok(true),
        State::Unknown => Ok(false),
    }
}

/// What the log begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The size of a page, in bytes.
    pub page_size: u32,
    /// The salt of this run of the log: the next one has one more in its first half, and chance in its second.
    pub salt: [u8; 8],
}

/// The half of a salt that counts the runs of the log.
pub fn run_of([a, b, c, d, ..]: [u8; 8]) -> u32 {
    u32::from_be_bytes([a, b, c, d])
}

/// The header of a database's log; `None` where there is none.
///
/// # Errors
/// The log cannot be read.
pub fn header(database: &Path) -> io::Result<Option<Header>> {
    match beside(database, "-wal", false)? {
        Some(log) => read_header(&log),
        None => Ok(None),
    }
}

/// Whether there is a log whose header agrees with nothing: SQLite leaves all of it out when it next opens the database,
/// and Litestream does not go on.
///
/// # Errors
/// The log cannot be read.
pub fn is_headless(database: &Path) -> io::Result<bool> {
    match beside(database, "-wal", false)? {
        Some(log) => Ok(log.metadata()?.len() > 0 && read_header(&log)?.is_none()),
        None => Ok(false),
    }
}

/// What stands before a page in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Which page it is.
    pub page: u32,
    /// How many pages the database has after this commit; 0 where none ends here.
    pub commit: u32,
    /// Where the page's content stands, in bytes.
    pub content: u64,
    salt: [u8; 8],
}

/// One run of a database's log.
#[derive(Debug)]
pub struct Run {
    log: File,
    /// What it begins with.
    pub header: Header,
}

impl Run {
    /// That which is in the log now; `None` where there is none.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn open(database: &Path) -> io::Result<Option<Self>> {
        let Some(log) = beside(database, "-wal", false)? else { return Ok(None) };
        Ok(read_header(&log)?.map(|header| Self { log, header }))
    }

    /// Whether the log has not begun anew meanwhile.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn goes_on(&self, database: &Path) -> io::Result<bool> {
        Ok(header(database)? == Some(self.header))
    }

    /// The frames of this run from one place on, whether they count as committed or not.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn frames(&self, from: u64) -> io::Result<Vec<Frame>> {
        let mut frames = Vec::new();
        let mut at = from;
        while let Some(found) = frame(&self.log, at)?.filter(|frame| frame.salt == self.header.salt) {
            frames.push(found);
            at += bytes_of(1, self.header.page_size);
        }
        Ok(frames)
    }

    /// How far the checksums of its frames agree, which is as far as SQLite will count it when it is next opened, in
    /// bytes.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn agrees_up_to(&self) -> io::Result<u64> {
        let header: Option<[u8; HEADER as usize]> = fd::read_at(&self.log, 0)?;
        let Some(header) = header else { return Ok(0) };
        let number = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        let order =
            if u32::from_be_bytes(number(0)) == MAGIC { u32::from_le_bytes } else { u32::from_be_bytes };
        let mut sums = [24, 28].map(|at| u32::from_be_bytes(number(at)));
        let mut bytes = vec![0; bytes_of(1, self.header.page_size) as usize];
        let mut at = HEADER;
        while fd::read_all_at(&self.log, &mut bytes, at)? {
            let (head, page) = bytes.split_at(FRAME_HEADER as usize);
            sums = checksum_on(checksum_on(sums, &head[..8], order), page, order);
            let stored =
                [16, 20].map(|at| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
            if head[8..16] != self.header.salt || stored != sums {
                break;
            }
            at += bytes_of(1, self.header.page_size);
        }
        Ok(at)
    }

    /// Reads a frame's page; whether it is there.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn read(&self, content: u64, page: &mut [u8]) -> io::Result<bool> {
        fd::read_all_at(&self.log, page, content)
    }
}

fn read_header(log: &File) -> io::Result<Option<Header>> {
    let header: Option<[u8; HEADER as usize]> = fd::read_at(log, 0)?;
    Ok(header.and_then(|header| {
        let number =
            |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (magic, page_size) = (number(0), number(8));
        let sums = match magic {
            MAGIC => checksum(&header[..24], u32::from_le_bytes),
            _ => checksum(&header[..24], u32::from_be_bytes),
        };
        // To SQLite as well there is no log otherwise (`walIndexRecover` in its wal.c).
        if magic & !1 != MAGIC || !is_page_size(page_size) || sums != [number(24), number(28)] {
            return None;
        }
        let mut salt = [0; 8];
        salt.copy_from_slice(&header[16..24]);
        Some(Header { page_size, salt })
    }))
}

/// The frame at this place; `None` where there is none: there is no page 0, as a file with holes has it without end.
fn frame(log: &File, at: u64) -> io::Result<Option<Frame>> {
    let header: Option<[u8; FRAME_HEADER as usize]> = fd::read_at(log, at)?;
    Ok(header.filter(|header| header[..4] != [0; 4]).map(|header| {
        let (mut page, mut commit, mut salt) = ([0; 4], [0; 4], [0; 8]);
        page.copy_from_slice(&header[..4]);
        commit.copy_from_slice(&header[4..8]);
        salt.copy_from_slice(&header[8..16]);
        let (page, commit) = (u32::from_be_bytes(page), u32::from_be_bytes(commit));
        Frame { page, commit, content: at + FRAME_HEADER, salt }
    }))
}

/// Clears the header of the index, which makes the next one who reads the database recover it from the
/// log, whatever is in there counted as committed: as SQLite does when nobody else has the database
/// open. Whether it could be done at once; without an index there is nothing to do.
///
/// Who reads just now has a copy of the header; who writes has the lock that is taken for this.
///
/// # Errors
/// The index can be neither locked nor written.
pub fn try_clear(database: &Path) -> io::Result<bool> {
    let Some(index) = beside(database, "-shm", true)? else { return Ok(true) };
    if !byte_lock::take(&index, WRITER)? {
        return Ok(false);
    }
    clear_locked(&index)?;
    Ok(true)
}

/// Keeps others from writing to a database's log, and the log from beginning anew, while it lives.
#[derive(Debug)]
pub struct Guard {
    index: File,
    writer: bool,
}

impl Guard {
    /// One that holds nothing yet; `None` where there is no log.
    ///
    /// # Errors
    /// The index cannot be opened.
    pub fn open(database: &Path) -> io::Result<Option<Self>> {
        Ok(beside(database, "-shm", true)?.map(|index| Self { index, writer: false }))
    }

    /// Holds what is free, and says whether that is all. A reader's mark alone keeps the log from beginning
    /// anew (`walRestartLog` in SQLite's wal.c).
    pub fn try_hold(&mut self) -> bool {
        let read = byte_lock::share(&self.index, READER).unwrap_or(true);
        self.writer = self.writer || byte_lock::take(&self.index, WRITER).unwrap_or(true);
        read && self.writer
    }

    /// As [`try_clear`], where nobody else is writing.
    ///
    /// # Errors
    /// The index can be neither locked nor written.
    pub fn clear(&self) -> io::Result<()> {
        if self.writer || byte_lock::take(&self.index, WRITER)? {
            clear_locked(&self.index)?;
        }
        Ok(())
    }
}

/// As [`try_clear`], waiting for the writer.
///
/// # Errors
/// As [`try_clear`].
pub fn clear(database: &Path) -> io::Result<()> {
    let Some(index) = beside(database, "-shm", true)? else { return Ok(()) };
    byte_lock::wait_for(&index, WRITER)?;
    clear_locked(&index)
}

fn clear_locked(index: &File) -> io::Result<()> {
    let is_index = |header: [u8; INDEX_HEADER]| {
        let (first, second) = header.split_at(INDEX_HEADER / 2);
        // Whoever was killed in between has changed one of the two.
        first[..4] == VERSION.to_ne_bytes() || second[..4] == VERSION.to_ne_bytes()
    };
    // Whatever else stands in its place is not this one's to write to.
    if index.metadata()?.len() > WRITER && fd::read_at(index, 0)?.is_some_and(is_index) {
        index.write_all_at(&[0; INDEX_HEADER], 0)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
