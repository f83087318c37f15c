//! Taking in Litestream's files.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::book::{Book, Copied, Head, checksum};
use super::history::History;
use crate::litestream::ltx::{self, Ltx, Page};
use crate::litestream::position;
use crate::litestream::replica_error::MIXED;

/// Litestream deletes its files while they are looked at.
const TRIES: usize = 5;
/// So many bytes of them are held against their own checksums beside the newest one: some hundredths of a second.
const MOST_VERIFIED: u64 = 8 << 20;

/// What was taken in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Followed {
    /// These pages were copied.
    pub(super) pages: BTreeSet<u32>,
    /// Among them is every page: the ledger begins here.
    pub(super) whole: bool,
}

/// Takes in all that Litestream has copied by now; `None` when the beginning of it is not here any more.
///
/// The head is written by whoever has compared what was taken in. Before a start the files are held against their own
/// checksums as well: Litestream does not go on from a newest one that is damaged, and uploads any other as it is.
pub(super) fn follow(book: &mut Book, meta: &Path, before_start: bool) -> io::Result<Option<Followed>> {
    let mut tries = 0;
    loop {
        tries += 1;
        match try_follow(book, meta, before_start) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => {}
            followed => return followed,
        }
    }
}

/// Litestream's files of one database.
struct Files {
    folder: PathBuf,
    /// In order.
    txids: Vec<u64>,
}

impl Files {
    fn of(meta: &Path) -> Self {
        let folder = ltx::folder(meta);
        let mut txids: Vec<u64> = position::txids(&folder).collect();
        txids.sort_unstable();
        Self { folder, txids }
    }

    fn path(&self, txid: u64) -> PathBuf {
        self.folder.join(ltx::name(txid))
    }

    /// Names the file of which an error is. Of a file that is there and says nothing, its name is what counts.
    fn at(&self, txid: u64) -> impl FnOnce(io::Error) -> io::Error {
        let path = self.path(txid);
        move |error| match error.kind() {
            io::ErrorKind::NotFound => error,
            _ => io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display())),
        }
    }

    fn open(&self, txid: u64) -> io::Result<Option<Ltx>> {
        Ltx::open(&self.path(txid)).map_err(self.at(txid))
    }

    fn has(&self, txid: u64) -> bool {
        self.txids.binary_search(&txid).is_ok()
    }

    /// Holds the newest file against its own checksum, and as many before it as do not take long.
    fn verify(&self) -> io::Result<()> {
        let mut verified = 0;
        for (nth, txid) in self.txids.iter().rev().copied().enumerate() {
            let Some(ltx) = self.open(txid)? else { continue };
            if nth > 0 {
                verified += ltx.bytes().map_err(self.at(txid))?;
            }
            if verified > MOST_VERIFIED {
                break;
            }
            ltx.verify().map_err(self.at(txid))?;
        }
        Ok(())
    }

    /// Whether what is here up to the last one goes on from what is known.
    fn go_on_from(&self, known: Copied, last: u64) -> io::Result<bool> {
        let is_same = match self.open(known.txid) {
            Ok(Some(ltx)) => {
                // Litestream begins with it as well.
                ltx.pages().map_err(self.at(known.txid))?;
                copied(known.txid, &ltx) == known
            }
            Ok(None) => return Err(self.at(known.txid)(io::ErrorKind::InvalidData.into())),
            // It was deleted; what follows it is of the same history unless the count began anew.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.has(known.txid.saturating_add(1)),
            Err(error) => return Err(error),
        };
        Ok(known.txid > 0 && is_same && (known.txid..last).all(|txid| self.has(txid + 1)))
    }

    /// The newest file that holds the whole database, among those that have no gap up to the last one.
    fn complete(&self, last: u64) -> io::Result<Option<u64>> {
        let mut expected = last;
        for txid in self.txids.iter().rev().copied().take_while(|txid| {
            let is_next = *txid == expected;
            expected = expected.saturating_sub(1);
            is_next
        }) {
            if let Some(ltx) = self.open(txid)?
                && ltx.is_complete(&ltx.pages().map_err(self.at(txid))?)
            {
                return Ok(Some(txid));
            }
        }
        Ok(None)
    }

    /// Refuses a file whose pages have another size than those before it.
    fn check_page_size(&self, txid: u64, ltx: &Ltx, head: &Head) -> io::Result<()> {
        let before = match head.newest.txid {
            0 => {
                let before = txid.checked_sub(1).filter(|txid| self.has(*txid));
                before.map(|txid| self.open(txid)).transpose()?.flatten()
            }
            _ => None,
        };
        let before = before.map_or(head.page_size, |before| before.page_size);
        if before == 0 || before == ltx.page_size {
            return Ok(());
        }
        // A whole one could be compared, but no restore gets as far as that.
        let (path, now) = (self.path(txid), ltx.page_size);
        let why = format!("{}: {MIXED} ({now} bytes, not {before})", path.display());
        Err(io::Error::new(io::ErrorKind::InvalidData, why))
    }
}

fn try_follow(book: &mut Book, meta: &Path, before_start: bool) -> io::Result<Option<Followed>> {
    let files = Files::of(meta);
    let Some(last) = files.txids.last().copied() else {
        book.clear()?;
        return Ok(None);
    };
    if before_start {
        files.verify()?;
    }
    let goes_on = files.go_on_from(book.head.newest, last)?;
    let mut followed = Followed::default();
    let mut history = History::open(meta)?;
    let first = if goes_on {
        book.head.newest.txid + 1
    } else {
        let complete = files.complete(last)?;
        book.clear()?;
        let Some(first) = complete else { return Ok(None) };
        first
    };
    for txid in first..=last {
        let Some(ltx) = files.open(txid)? else {
            return Err(files.at(txid)(io::ErrorKind::InvalidData.into()));
        };
        files.check_page_size(txid, &ltx, &book.head)?;
        take_in(book, &mut history, &mut followed, txid, &ltx).map_err(files.at(txid))?;
    }
    history.flush()?;
    Ok(Some(followed))
}

fn copied(txid: u64, ltx: &Ltx) -> Copied {
    Copied { txid, made: ltx.made, salt: ltx.salt, end: ltx.piece.end }
}

fn take_in(
    book: &mut Book,
    history: &mut History,
    followed: &mut Followed,
    txid: u64,
    ltx: &Ltx,
) -> io::Result<()> {
    let pages = ltx.pages()?;
    let whole = ltx.is_complete(&pages);
    if !whole && ltx.page_size != book.head.page_size {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut content = vec![0; ltx.page_size as usize];
    for page in &pages {
        let Page { number, .. } = *page;
        ltx.read(page, &mut content)?;
        let sum = checksum(&content);
        book.set(number, sum)?;
        history.add(txid, number, sum)?;
        followed.pages.insert(number);
    }
    followed.whole |= whole;
    if book.head.newest.txid == 0 {
        book.head.begun = ltx.made;
    }
    book.head.page_size = ltx.page_size;
    book.head.commit = ltx.commit;
    book.head.newest = copied(txid, ltx);
    Ok(())
}
