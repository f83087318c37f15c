//! The ledger's file: a head, and behind it eight bytes for each page.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use crate::litestream::database;
use crate::os::{fd, open};
use crate::sqlite::wal;

/// Where the checksums begin, in bytes.
const HEAD: u64 = 4096;
const MAGIC: &[u8; 8] = b"LKledg01";
/// The checksums that are in memory at a time.
const BLOCK: u32 = 8192;
/// More pages than these are not remembered one by one.
const MOST_SUSPECTS: usize = 256;

/// A page's checksum; 0 is that of a page that nobody has written.
pub fn checksum(content: &[u8]) -> u64 {
    XxHash3_64::oneshot(content).max(1)
}

/// One of Litestream's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// Its transaction.
    pub txid: u64,
    /// When it was made, in milliseconds since 1970: another history has another.
    pub made: u64,
    /// The salt of the WAL that it was made from.
    pub salt: [u8; 8],
    /// How far it goes in that WAL, in bytes.
    pub end: u64,
}

/// A comparison of all pages that found no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The newest of Litestream's files then.
    pub txid: u64,
    /// The run of the WAL then: what it has not begun to write anew is as it was.
    pub salt: Option<[u8; 8]>,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// How a database's file was left: two of them differ when somebody wrote to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its file: device, inode, size, and time of the last write.
    pub file: (u64, u64, u64, i64, i64),
    /// The WAL's size, salt and time of the last write.
    pub log: Option<(u64, [u8; 8], i64, i64)>,
}

/// What is known beside the checksums.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// In bytes; 0 while nothing was copied yet.
    pub page_size: u32,
    /// How many pages the copy has.
    pub commit: u32,
    /// The newest file that is in the ledger.
    pub newest: Copied,
    /// When the copy was made that the ledger begins with, in milliseconds since 1970.
    pub begun: u64,
    /// Pages that did not agree, or were not looked at since they were copied.
    pub suspects: Vec<u32>,
    /// There are more than are remembered.
    pub all_suspect: bool,
    /// The last proof.
    pub proof: Option<Proof>,
    /// How the file was left after an orderly end.
    pub left: Option<Mark>,
    /// The device and inode of the file that was compared last.
    pub inode: Option<(u64, u64)>,
    /// Litestream's own count of its checkpoints, in the database.
    pub seq: Option<i64>,
    /// SQLite's counter of the commits that had its first page.
    pub counter: Option<u32>,
    /// The newest file whose content the database had when they were compared last.
    pub agreed: Option<Copied>,
    /// The database's file as it was then.
    pub seen: Option<Seen>,
    /// The number of its schema then.
    pub cookie: Option<u32>,
    /// The newest transaction that Litestream has said to be on the replica, with a database that was the same.
    pub confirmed: Option<u64>,
}

/// Which file it is: SQLite never makes another one of it, and never turns back its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its inode. The device has another number after each start of some machines.
    pub inode: u64,
    /// When the inode was made, where the file system says it: the number is given again.
    pub born: Option<(u64, u32)>,
    /// When it was written to last.
    pub written: (i64, i64),
}

impl Seen {
    /// Says whether this is the file that was seen then.
    pub(super) fn is_same_file(&self, then: &Self) -> bool {
        let is_born_then = self.born.zip(then.born).is_none_or(|(now, then)| now == then);
        self.inode == then.inode && is_born_then
    }
}

impl Head {
    /// When the copy was the same as the database for certain, in seconds since 1970; without a proof, when
    /// the first of it was made that is known.
    pub fn since(&self) -> Option<u64> {
        self.proof.map(|proof| proof.at).or_else(|| (self.begun > 0).then_some(self.begun / 1000))
    }

    /// Whether this is what was written here: whoever runs as the database's user could have written something else,
    /// which is at worst found out anew.
    fn is_possible(&self) -> bool {
        (self.page_size == 0 || wal::is_page_size(self.page_size))
            && self.suspects.len() <= MOST_SUSPECTS
            && !self.suspects.contains(&0)
    }

    /// Remembers a page to be looked at.
    pub fn suspect(&mut self, page: u32) {
        if self.suspects.len() < MOST_SUSPECTS {
            self.suspects.push(page);
        } else {
            self.all_suspect = true;
        }
    }
}

/// Where the ledger of a database with this metadata folder is.
pub fn path(meta: &Path) -> PathBuf {
    meta.join(database::LEDGER)
}

/// Opens a file of the ledger's, or makes it, as its metadata folder's owner has it. What stands there and cannot be
/// used is replaced: at worst all that it said is found out anew.
pub(super) fn own_file(meta: &Path, path: &Path) -> io::Result<File> {
    let at = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let is_used_up = |error: &io::Error| error.kind() != io::ErrorKind::NotFound;
    match open::unlinked(path, true) {
        Ok(file) => return Ok(file),
        Err(error) if is_used_up(&error) => std::fs::remove_file(path).map_err(at)?,
        Err(_) => {}
    }
    // Somebody else may have made it just now.
    let file = open::make(path).or_else(|_| open::unlinked(path, true)).map_err(at)?;
    // Only root can give it away, and only root has to.
    let owner = std::fs::metadata(meta)?;
    let _ = std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()));
    Ok(file)
}

/// The open file.
#[derive(Debug)]
pub struct Book {
    file: File,
    /// Its head, as it is written next.
    pub head: Head,
    block: Vec<u64>,
    first: u32,
    dirty: bool,
}

impl Book {
    /// Opens the ledger and keeps others from it; a head that cannot be read is an empty one.
    ///
    /// # Errors
    /// The file can be neither made nor locked nor read.
    pub fn open(meta: &Path) -> io::Result<Self> {
        let file = own_file(meta, &path(meta))?;
        file.lock()?;
        let head = read_head(&file)?.unwrap_or_default();
        Ok(Self { file, head, block: Vec::new(), first: 0, dirty: false })
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn clear(&mut self) -> io::Result<()> {
        let Head { left, inode, seq, counter, proof, agreed, seen, cookie, confirmed, .. } =
            std::mem::take(&mut self.head);
        // What is known of the file itself stays true.
        self.head =
            Head { left, inode, seq, counter, proof, agreed, seen, cookie, confirmed, ..Head::default() };
        (self.block, self.dirty) = (Vec::new(), false);
        self.file.set_len(HEAD)?;
        self.write_head()
    }

    /// What the copy has of a page; 0 for nothing.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn get(&mut self, page: u32) -> io::Result<u64> {
        let place = self.seek(page)?;
        Ok(self.block[place])
    }

    /// What the copy has of each page up to this one, as far as anything is known: what the file has no room for is
    /// not known.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn up_to(&mut self, last: u32) -> io::Result<Vec<u64>> {
        self.flush()?;
        let known = self.file.metadata()?.len().saturating_sub(HEAD) / 8;
        (0..=last).take_while(|page| u64::from(*page) < known).map(|page| self.get(page)).collect()
    }

    /// Takes in a page of the copy.
    ///
    /// # Errors
    /// The file can be neither read nor written.
    pub fn set(&mut self, page: u32, sum: u64) -> io::Result<()> {
        let place = self.seek(page)?;
        self.block[place] = sum;
        self.dirty = true;
        Ok(())
    }

    fn seek(&mut self, page: u32) -> io::Result<usize> {
        let first = page / BLOCK * BLOCK;
        if self.block.is_empty() || first != self.first {
            self.flush()?;
            let mut bytes = vec![0; BLOCK as usize * 8];
            let mut have = 0;
            while have < bytes.len() {
                match self.file.read_at(&mut bytes[have..], HEAD + u64::from(first) * 8 + have as u64)? {
                    0 => break,
                    more => have += more,
                }
            }
            let sum = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
            self.block = bytes.as_chunks().0.iter().map(sum).collect();
            self.first = first;
        }
        Ok((page - first) as usize)
    }

    fn flush(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.dirty) {
            let bytes: Vec<u8> = self.block.iter().flat_map(|sum| sum.to_le_bytes()).collect();
            self.file.write_all_at(&bytes, HEAD + u64::from(self.first) * 8)?;
        }
        Ok(())
    }

    /// Writes what was taken in, and then the head that speaks for it: whoever is killed in between is
    /// followed by one who takes in the same again.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_head(&mut self) -> io::Result<()> {
        self.flush()?;
        let body = postcard::to_stdvec(&self.head).map_err(io::Error::other)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend((body.len() as u64).to_le_bytes());
        bytes.extend(checksum(&body).to_le_bytes());
        bytes.extend(body);
        bytes.resize((HEAD as usize).max(bytes.len()), 0);
        if bytes.len() > HEAD as usize {
            return Err(io::Error::other("the ledger's head is too long"));
        }
        self.file.write_all_at(&bytes, 0)
    }
}

fn read_head(file: &File) -> io::Result<Option<Head>> {
    let Some(bytes) = fd::read_at::<{ HEAD as usize }>(file, 0)? else { return Ok(None) };
    let (magic, rest) = bytes.split_at(MAGIC.len());
    let number = |at: usize| {
        let mut number = [0; 8];
        number.copy_from_slice(&rest[at..at + 8]);
        u64::from_le_bytes(number)
    };
    let body =
        usize::try_from(number(0)).ok().and_then(|length| rest.get(16..16 + length.min(HEAD as usize)));
    let body = body.filter(|body| magic == MAGIC && checksum(body) == number(8));
    // What an older litekeeper did not write is zeros, which is nothing.
    Ok(body.and_then(|_| postcard::from_bytes(&rest[16..]).ok()).filter(Head::is_possible))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path());
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        Book::open(folder.path()).unwrap();
        assert!(path.symlink_metadata().unwrap().is_file());
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        Book::open(folder.path()).unwrap();
        assert!(path.symlink_metadata().unwrap().is_file());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let error = Book::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }

    #[test]
    fn what_was_written_is_there_again_and_what_is_cut_off_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Book::open(folder.path()).unwrap();
        assert_eq!(book.head, Head::default());
        for page in [1, BLOCK - 1, BLOCK, 3 * BLOCK] {
            book.set(page, u64::from(page) + 7).unwrap();
        }
        assert_eq!((book.get(1).unwrap(), book.get(2).unwrap()), (8, 0));
        (1..1000).for_each(|page| book.head.suspect(page));
        book.head.newest = Copied { txid: 9, made: u64::MAX, salt: [255; 8], end: u64::MAX };
        book.head.left = Some(Mark { file: (1, 2, 3, 4, 5), log: Some((6, [7; 8], 8, 9)) });
        book.write_head().unwrap();
        let head = book.head.clone();
        assert!(head.all_suspect);
        drop(book);
        let mut book = Book::open(folder.path()).unwrap();
        assert_eq!(book.get(BLOCK).unwrap(), u64::from(BLOCK) + 7);
        assert_eq!(book.head, head);
        book.clear().unwrap();
        assert_eq!((book.get(BLOCK).unwrap(), book.head.newest), (0, Copied::default()));
        book.head = head;
        book.write_head().unwrap();
        drop(book);
        let file = File::options().write(true).open(path(folder.path())).unwrap();
        file.write_all_at(b"x", 100).unwrap();
        assert_eq!(Book::open(folder.path()).unwrap().head, Head::default());
    }
}
