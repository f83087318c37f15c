//! Litestream's own files: which piece of the WAL they were made from, and the pages in them (`ltx.go`,
//! `encoder.go` and `decoder.go` of github.com/superfly/ltx, version 0.5).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::crc::Crc;
use crate::os::{fd, open};
use crate::sqlite::wal;

/// The header, in bytes.
pub const HEADER: usize = 100;
/// The trailer, in bytes; before it stands the length of the list of pages.
const TRAILER: u64 = 16;
const LENGTH: u64 = 8;
/// Both, at the end of a file.
pub const END: u64 = TRAILER + LENGTH;
/// The page with this byte is never written (`PENDING_BYTE` in SQLite's os.h).
const LOCK_BYTE: u32 = 0x4000_0000;
/// A list of pages that is longer is not read: it stands for a database of terabytes.
const LONGEST_LIST: u64 = 1 << 30;
/// The level of snapshots (`SnapshotLevel` in Litestream's litestream.go), and the last.
pub const SNAPSHOTS: u8 = 9;
/// A page's own header: its number and its flags.
const PAGE_HEADER: usize = 6;
/// The flag of a page that is one LZ4 block behind its length; without it, it is an LZ4 frame.
const IS_BLOCK: u8 = 1;
/// The length of such a block, in bytes.
const BLOCK_LENGTH: usize = 4;
/// Says whether a file's first page is such a block, which releases before 0.5.16 do not read.
///
/// # Errors
/// It cannot be read.
pub fn has_blocks(path: &Path) -> io::Result<bool> {
    let beginning = fd::read_at::<{ HEADER + PAGE_HEADER }>(&open::unlinked(path, false)?, 0)?;
    Ok(beginning.is_some_and(|beginning| beginning[HEADER + PAGE_HEADER - 1] & IS_BLOCK != 0))
}

/// What each checksum has, so that it is not 0 (`ChecksumFlag` in its ltx.go).
const SUMMED: u64 = 1 << 63;

/// Returns where a database's metadata folder has the files of single transactions.
pub fn folder(meta: &Path) -> PathBuf {
    meta.join("ltx").join("0")
}

/// Returns the folders of files in a metadata folder, or in a replica's: that of all levels, and one for each. Whether they are
/// there is another question.
pub fn levels(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let all = folder.join("ltx");
    let each: Vec<PathBuf> = (0..=SNAPSHOTS).map(|level| all.join(level.to_string())).collect();
    std::iter::once(all).chain(each)
}

/// Returns the name of the file of one transaction.
pub fn name(txid: u64) -> String {
    format!("{txid:016x}-{txid:016x}.ltx")
}

/// Returns the transactions of a file of this name (`ParseFilename` in its ltx.go); none for any other name.
pub fn span(name: &str) -> Option<std::ops::RangeInclusive<u64>> {
    let (min, max) = name.strip_suffix(".ltx")?.split_once('-')?;
    let (min, max) = (txid(min)?, txid(max)?);
    (1 <= min && min <= max).then_some(min..=max)
}

/// Returns a transaction as Litestream prints it.
pub fn txid(text: &str) -> Option<u64> {
    let is_number = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_number.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// One file in a listing of Litestream's ([`super::argv::files`]): `[level] min_txid max_txid size created`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its level, where the release knows any here.
    pub level: Option<&'a str>,
    /// The first transaction in it.
    pub min: u64,
    /// The last.
    pub max: u64,
    /// How many bytes it has, as it is written there.
    pub size: &'a str,
    /// When it was made, in Litestream's words.
    pub created: &'a str,
}

/// Reads such a listing.
pub fn listed(listing: &str) -> impl Iterator<Item = Listed<'_>> {
    listing.lines().skip(1).filter_map(|line| {
        let mut words = line.split_ascii_whitespace().rev();
        let (created, size) = (words.next()?, words.next()?);
        let (max, min) = (txid(words.next()?)?, txid(words.next()?)?);
        Some(Listed { level: words.next(), min, max, size, created })
    })
}

/// Where a page is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its number; the first is 1.
    pub number: u32,
    at: u64,
    length: u64,
}

/// One file.
#[derive(Debug)]
pub struct Ltx {
    file: File,
    /// The size of a page, in bytes.
    pub page_size: u32,
    /// How many pages the database has.
    pub commit: u32,
    /// The transactions in it.
    pub span: std::ops::RangeInclusive<u64>,
    /// When it was made, in milliseconds since 1970.
    pub made: u64,
    /// The piece of the WAL, in bytes.
    pub piece: std::ops::Range<u64>,
    /// The WAL's salt.
    pub salt: [u8; 8],
}

impl Ltx {
    /// Opens one; `None` when it is something else.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = open::unlinked(path, false)?;
        let Some(header): Option<[u8; HEADER]> = fd::read_at(&file, 0)? else { return Ok(None) };
        let long = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&header[at..at + 8]);
            u64::from_be_bytes(bytes)
        };
        let mut salt = [0; 8];
        salt.copy_from_slice(&header[64..72]);
        let (offset, size) = (long(48), long(56));
        let (Some((page_size, commit)), Some(end)) = (sizes(&header), offset.checked_add(size)) else {
            return Ok(None);
        };
        let (span, made) = (long(16)..=long(24), long(32));
        Ok(Some(Self { file, page_size, commit, span, made, piece: offset..end, salt }))
    }

    /// Returns the pages that are in it, in ascending order.
    ///
    /// # Errors
    /// It cannot be read, or is not whole.
    pub fn pages(&self) -> io::Result<Vec<Page>> {
        let all = self.file.metadata()?.len();
        let mut length = [0; LENGTH as usize];
        self.file.read_exact_at(&mut length, all.checked_sub(END).ok_or_else(rubbish)?)?;
        let place = list_place(all, length).ok_or_else(rubbish)?;
        let mut list = vec![0; usize::try_from(place.end - place.start).map_err(|_| rubbish())?];
        self.file.read_exact_at(&mut list, place.start)?;
        pages(&list, self.page_size, self.commit)
    }

    /// Reads what is in a page, which is as long as `content`.
    ///
    /// # Errors
    /// It cannot be read, or is not whole.
    pub fn read(&self, page: &Page, content: &mut [u8]) -> io::Result<()> {
        self.unpack(page, content).map(drop)
    }

    /// Does as [`Ltx::read`], and returns what stands before the packed content.
    fn unpack(&self, page: &Page, content: &mut [u8]) -> io::Result<Vec<u8>> {
        let length = usize::try_from(page.length).map_err(|_| rubbish())?;
        // LZ4 grows what it cannot shrink by 1 in 255, and its frame has a few bytes more.
        if length < PAGE_HEADER || length > content.len() * 2 + 1024 {
            return Err(rubbish());
        }
        let mut stored = vec![0; length];
        self.file.read_exact_at(&mut stored, page.at)?;
        let (header, packed) = stored.split_at(PAGE_HEADER);
        let is_this = header[..4] == page.number.to_be_bytes();
        let (read, before) = if header[5] & IS_BLOCK == 0 {
            lz4_flex::frame::FrameDecoder::new(packed).read_exact(content).map_err(|_| rubbish())?;
            (content.len(), PAGE_HEADER)
        } else {
            // The length of the block stands before it, and is that of the rest.
            let block = packed.get(BLOCK_LENGTH..).ok_or_else(rubbish)?;
            let read = lz4_flex::block::decompress_into(block, content).map_err(|_| rubbish())?;
            (read, PAGE_HEADER + BLOCK_LENGTH)
        };
        stored.truncate(before);
        if is_this && read == content.len() { Ok(stored) } else { Err(rubbish()) }
    }

    /// Holds it against its own checksum, which is one of its pages' contents and all else that is in it (`Decoder` in
    /// its decoder.go): what Litestream does when it opens a database, with the newest one.
    ///
    /// # Errors
    /// It cannot be read, or is not what was written.
    pub fn verify(&self) -> io::Result<()> {
        let (sum, _) = self.sum()?;
        // Where 0 stands they were not counted, and only the list can be looked at.
        if sum == 0 { self.pages().map(drop) } else { self.each(|_, _| Ok(())) }
    }

    /// Hands out each page with its content, in ascending order, and holds the file against its own checksum, as [`Ltx::verify`] does:
    /// until this has returned nothing of it counts.
    ///
    /// # Errors
    /// It cannot be read, or is not what was written; or `page` says so.
    pub fn each(&self, mut page: impl FnMut(u32, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let pages = self.pages()?;
        let (sum, sum_at) = self.sum()?;
        let mut crc = Crc::default();
        let mut header = [0; HEADER];
        self.file.read_exact_at(&mut header, 0)?;
        crc.add(&header);
        let mut at = HEADER as u64;
        let mut content = vec![0; self.page_size as usize];
        for one in &pages {
            if one.at != at {
                return Err(rubbish());
            }
            crc.add(&self.unpack(one, &mut content)?);
            crc.add(&content);
            page(one.number, &content)?;
            at = at.checked_add(one.length).ok_or_else(rubbish)?;
        }
        let rest = sum_at.checked_sub(at).filter(|rest| *rest <= LONGEST_LIST).ok_or_else(rubbish)?;
        let mut rest = vec![0; usize::try_from(rest).map_err(|_| rubbish())?];
        self.file.read_exact_at(&mut rest, at)?;
        crc.add(&rest);
        if sum != 0 && crc.sum() | SUMMED != sum {
            let why = "its checksum is not that of what is in it";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(())
    }

    /// The checksum that stands in it, 0 where none was made, and where it stands.
    fn sum(&self) -> io::Result<(u64, u64)> {
        let at = self.file.metadata()?.len().checked_sub(LENGTH).ok_or_else(rubbish)?;
        let mut sum = [0; LENGTH as usize];
        self.file.read_exact_at(&mut sum, at)?;
        Ok((u64::from_be_bytes(sum), at))
    }

    /// Says how large it is.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Says whether these are all pages that the database has.
    pub fn is_complete(&self, pages: &[Page]) -> bool {
        is_complete(self.page_size, self.commit, pages)
    }
}

/// Returns the size of a page and the number of them, from the first [`HEADER`] bytes of a file; none when it is no
/// such file.
pub fn sizes(header: &[u8]) -> Option<(u32, u32)> {
    let short = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
    let sizes = (short(8)?, short(12)?);
    (header.get(..4)? == b"LTX1" && wal::is_page_size(sizes.0)).then_some(sizes)
}

/// Says whether these first [`HEADER`] bytes are those of a file of this single transaction.
pub fn is_of(header: &[u8], txid: u64) -> bool {
    let txid = txid.to_be_bytes();
    sizes(header).is_some() && header.get(16..24) == Some(&txid[..]) && header.get(24..32) == Some(&txid[..])
}

/// Returns where the list of pages stands in a file of `all` bytes, whose last [`END`] ones begin with `length`; none when the
/// file was cut off.
pub fn list_place(all: u64, length: [u8; LENGTH as usize]) -> Option<std::ops::Range<u64>> {
    let length = u64::from_be_bytes(length);
    let end = all.checked_sub(END)?;
    let start = end.checked_sub(length).filter(|_| length <= LONGEST_LIST)?;
    (start >= HEADER as u64).then_some(start..end)
}

/// Returns the pages of a file's list, in ascending order, which are pages of a database of `commit` pages of this size
/// (`EncodePage` in its encoder.go).
///
/// # Errors
/// It is not such a file.
pub fn pages(list: &[u8], page_size: u32, commit: u32) -> io::Result<Vec<Page>> {
    let mut numbers = Numbers(list.iter());
    let mut pages: Vec<Page> = Vec::new();
    let unwritten = lock_page(page_size);
    // Each page with its place and length, then a page 0.
    loop {
        let number = match numbers.next().ok_or_else(rubbish)? {
            0 => return Ok(pages),
            number => u32::try_from(number).map_err(|_| rubbish())?,
        };
        let (Some(at), Some(length)) = (numbers.next(), numbers.next()) else { return Err(rubbish()) };
        // One that came twice would stand for one that is missing.
        let is_next = pages.last().is_none_or(|last| last.number < number);
        if !is_next || number > commit || number == unwritten {
            return Err(rubbish());
        }
        pages.push(Page { number, at, length });
    }
}

/// Says whether these are all pages that a database of `commit` pages has.
pub fn is_complete(page_size: u32, commit: u32, pages: &[Page]) -> bool {
    let unwritten = u32::from(commit >= lock_page(page_size));
    u32::try_from(pages.len()).is_ok_and(|pages| pages >= commit - unwritten)
}

/// Returns the page that is never written, in a database with pages of this size.
pub fn lock_page(page_size: u32) -> u32 {
    LOCK_BYTE.checked_div(page_size).unwrap_or(0) + 1
}

fn rubbish() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// Numbers of variable length (`encoding/binary` of Go, `Uvarint`).
struct Numbers<'a>(std::slice::Iter<'a, u8>);

impl Iterator for Numbers<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.0.next()?;
            // The tenth byte has one bit left.
            if shift == 63 && byte > 1 {
                return None;
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Litestream writes it, without the pages themselves.
    fn file(commit: u32, pages: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[..4].copy_from_slice(b"LTX1");
        bytes[8..12].copy_from_slice(&4096_u32.to_be_bytes());
        bytes[12..16].copy_from_slice(&commit.to_be_bytes());
        bytes[48..56].copy_from_slice(&4152_u64.to_be_bytes());
        bytes[56..64].copy_from_slice(&8240_u64.to_be_bytes());
        bytes[64..72].copy_from_slice(b"saltsalt");
        let list: Vec<u8> = pages.iter().flat_map(|page| [*page, 0x80, 0x01, 9]).chain([0]).collect();
        bytes.extend(&list);
        bytes.extend((list.len() as u64).to_be_bytes());
        bytes.extend([0; TRAILER as usize]);
        bytes
    }

    fn open(bytes: &[u8]) -> Option<Ltx> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.ltx");
        std::fs::write(&path, bytes).unwrap();
        Ltx::open(&path).unwrap()
    }

    #[test]
    fn a_file_tells_its_piece_of_the_wal_and_its_pages() {
        let ltx = open(&file(3, &[1, 3])).unwrap();
        assert_eq!((ltx.page_size, ltx.commit, &ltx.salt), (4096, 3, b"saltsalt"));
        assert_eq!(ltx.piece, 4152..12392);
        let pages = ltx.pages().unwrap();
        assert_eq!(pages, [Page { number: 1, at: 128, length: 9 }, Page { number: 3, at: 128, length: 9 }]);
        assert!(!ltx.is_complete(&pages));
        assert!(ltx.is_complete(&[pages[0]; 3]));
        for wrong in [&[1, 1, 2][..], &[2, 1], &[1, 4]] {
            assert!(open(&file(3, wrong)).unwrap().pages().is_err(), "{wrong:?}");
        }
        assert!(pages_of(&[0x81, 0x80, 0x10, 1, 1, 0]).is_err(), "nobody writes the page of the lock");
        let large = open(&file(262_145, &[1])).unwrap();
        assert!(large.is_complete(&vec![pages[0]; 262_144]), "without the lock's page");
    }

    fn pages_of(list: &[u8]) -> io::Result<Vec<Page>> {
        pages(list, 4096, u32::MAX)
    }

    #[test]
    fn what_no_litestream_writes_is_none() {
        for size in [0, 1, 511, 1000, 131_072, u32::MAX] {
            let mut bytes = file(3, &[1]);
            bytes[8..12].copy_from_slice(&size.to_be_bytes());
            assert!(open(&bytes).is_none(), "pages of {size} bytes");
        }
        assert_eq!(span("0000000000000001-000000000000000a.ltx"), Some(1..=10));
        for name in [
            "0000000000000001-+00000000000000a.ltx",
            "1-a.ltx",
            "x-000000000000000a.ltx",
            "000000000000000b-000000000000000a.ltx",
            "0000000000000000-000000000000000a.ltx",
            "0000000000000001-000000000000000a.ltx.tmp",
        ] {
            assert_eq!(span(name), None, "{name}");
        }
        assert!(pages_of(&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 9, 0]).is_err());
    }

    #[test]
    fn what_is_cut_off_is_none() {
        let whole = file(3, &[1, 3]);
        assert!(open(b"").is_none());
        assert!(open(&[b"LTX2", &whole[4..]].concat()).is_none());
        for length in HEADER..whole.len() {
            let cut = open(&whole[..length]).unwrap();
            assert!(cut.pages().is_err() && cut.verify().is_err(), "{length}");
        }
    }
}
