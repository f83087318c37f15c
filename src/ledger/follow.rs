//! Taking in Litestream's files.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::book::{Book, Copied, checksum};
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

fn try_follow(book: &mut Book, meta: &Path, before_start: bool) -> io::Result<Option<Followed>> {
    let folder = ltx::folder(meta);
    let path = |txid| folder.join(ltx::name(txid));
    // Of a file that is there and says nothing, its name is what counts.
    let at = |txid: u64| {
        let path = path(txid);
        move |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => error,
            _ => io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display())),
        }
    };
    let open = |txid| Ltx::open(&path(txid)).map_err(at(txid));
    let mut txids: Vec<u64> = position::txids(&folder).collect();
    txids.sort_unstable();
    let Some(last) = txids.last().copied() else {
        book.clear()?;
        return Ok(None);
    };
    if before_start {
        let mut verified = 0;
        for txid in txids.iter().rev().copied() {
            let Some(ltx) = open(txid)? else { continue };
            if txid < last {
                verified += ltx.bytes().map_err(at(txid))?;
            }
            if verified > MOST_VERIFIED {
                break;
            }
            ltx.verify().map_err(at(txid))?;
        }
    }
    let known = book.head.newest;
    let is_there = |txid: u64| txids.binary_search(&txid).is_ok();
    let is_same = match open(known.txid) {
        Ok(Some(ltx)) => {
            // Litestream begins with it as well.
            ltx.pages().map_err(at(known.txid))?;
            copied(known.txid, &ltx) == known
        }
        Ok(None) => return Err(at(known.txid)(io::ErrorKind::InvalidData.into())),
        // It was deleted; what follows it is of the same history unless the count began anew.
        Err(error) if error.kind() == io::ErrorKind::NotFound => is_there(known.txid.saturating_add(1)),
        Err(error) => return Err(error),
    };
    let goes_on = known.txid > 0 && is_same && (known.txid..last).all(|txid| is_there(txid + 1));
    let mut followed = Followed::default();
    let mut history = History::open(meta)?;
    let first = if goes_on {
        known.txid + 1
    } else {
        let mut first = None;
        let mut expected = last;
        for txid in txids.iter().rev().copied().take_while(|txid| {
            let is_next = *txid == expected;
            expected = expected.saturating_sub(1);
            is_next
        }) {
            if let Some(ltx) = open(txid)?
                && ltx.is_complete(&ltx.pages().map_err(at(txid))?)
            {
                first = Some(txid);
                break;
            }
        }
        book.clear()?;
        let Some(first) = first else { return Ok(None) };
        first
    };
    for txid in first..=last {
        let Some(ltx) = open(txid)? else { return Err(at(txid)(io::ErrorKind::InvalidData.into())) };
        let before = match book.head.newest.txid {
            0 => txid.checked_sub(1).filter(|txid| is_there(*txid)).map(open).transpose()?.flatten(),
            _ => None,
        };
        let before = before.map_or(book.head.page_size, |before| before.page_size);
        if before > 0 && before != ltx.page_size {
            // A whole one could be compared, but no restore gets as far as that.
            let (path, now) = (path(txid), ltx.page_size);
            let why = format!("{}: {MIXED} ({now} bytes, not {before})", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        take_in(book, &mut history, &mut followed, txid, &ltx).map_err(at(txid))?;
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
