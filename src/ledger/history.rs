//! Every content that a page of the copy ever had, as a checksum, and since which transaction: what tells an older copy
//! of a database from one that somebody has written to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::book::{Head, checksum, own_file};
use crate::litestream::ltx::{self, Ltx};
use crate::litestream::{database, position};
use crate::os::open;

/// When the file is longer, its older half goes: 4 million pages stay.
const LONGEST: u64 = 128 << 20;
/// One page of one transaction: its number, the lower half of the transaction's, and the checksum.
const RECORD: usize = 16;

fn path(meta: &Path) -> PathBuf {
    meta.join(database::HISTORY)
}

/// The file, to write behind its end.
pub(super) struct History(BufWriter<File>);

impl History {
    pub(super) fn open(meta: &Path) -> io::Result<Self> {
        let path = path(meta);
        let mut file = own_file(meta, &path)?;
        // Whoever writes here has the lock of the ledger.
        let length = file.metadata()?.len() / RECORD as u64 * RECORD as u64;
        if length > LONGEST {
            let mut newer = vec![0; (LONGEST / 2) as usize];
            file.read_exact_at(&mut newer, length - LONGEST / 2)?;
            file.write_all_at(&newer, 0)?;
            file.set_len(LONGEST / 2)?;
        }
        io::Seek::seek(&mut file, io::SeekFrom::Start(length.min(LONGEST)))?;
        Ok(Self(BufWriter::new(file)))
    }

    pub(super) fn add(&mut self, txid: u64, page: u32, sum: u64) -> io::Result<()> {
        self.0.write_all(&page.to_le_bytes())?;
        self.0.write_all(&(txid as u32).to_le_bytes())?;
        self.0.write_all(&sum.to_le_bytes())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What is known of the past of each page: since which transaction it had which content, in order.
#[derive(Debug, Default)]
pub(super) struct Past {
    pages: HashMap<u32, BTreeMap<u32, u64>>,
}

/// What a file is that differs from the copy in some pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinship {
    /// So many of them are as they once were.
    pub(super) older: u64,
    /// Of these, so many had what the copy has now when the transaction was made up to which all was confirmed.
    pub(super) lost: u64,
    /// So many are as the copy never had them.
    pub(super) unknown: u64,
    /// So many pages are as they have been since after the older ones were given up: no older copy has these.
    pub(super) newer: u64,
    /// The first page is one of the older ones, with a counter in it that every writer sets one higher than it was.
    pub(super) first: bool,
    /// It has a page of the last transaction that changed any: whatever else was done to it, it was the newest.
    pub(super) has_last: bool,
}

impl Past {
    /// What the file of it says, and Litestream's own files that are here: either may have been lost, or be an older one.
    pub(super) fn read(meta: &Path) -> io::Result<Self> {
        let mut past = Self::default();
        match open::unlinked(&path(meta), false) {
            Ok(file) => past.read_file(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        past.take_in(meta)?;
        Ok(past)
    }

    /// What Litestream's own files say alone.
    pub(super) fn of_files(meta: &Path) -> io::Result<Self> {
        let mut past = Self::default();
        past.take_in(meta)?;
        Ok(past)
    }

    fn read_file(&mut self, file: File) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut record = [0; RECORD];
        loop {
            match reader.read_exact(&mut record) {
                Ok(()) => {
                    let [a, b, c, d, e, f, g, h, sum @ ..] = record;
                    let (page, txid) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
                    self.add(txid, page, u64::from_le_bytes(sum));
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn take_in(&mut self, meta: &Path) -> io::Result<()> {
        let folder = ltx::folder(meta);
        for txid in position::txids(&folder) {
            // What cannot be read says nothing; whoever follows it says so.
            let Ok(Some(ltx)) = Ltx::open(&folder.join(ltx::name(txid))) else { continue };
            let mut content = vec![0; ltx.page_size as usize];
            for page in ltx.pages().unwrap_or_default() {
                if ltx.read(&page, &mut content).is_ok() {
                    self.add(txid as u32, page.number, checksum(&content));
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, txid: u32, page: u32, sum: u64) {
        self.pages.entry(page).or_default().insert(txid, sum);
    }

    /// The newest content of each page, as far as it is known.
    pub(super) fn newest(&self) -> HashMap<u32, u64> {
        let newest =
            |(page, past): (&u32, &BTreeMap<u32, u64>)| past.values().next_back().map(|sum| (*page, *sum));
        self.pages.iter().filter_map(newest).collect()
    }

    /// Whether this is a page as it is known to be now.
    pub(super) fn is_newest(&self, page: u32, sum: u64) -> bool {
        self.pages.get(&page).and_then(|past| past.values().next_back()) == Some(&sum)
    }

    /// What these pages, with these contents, tell of the file that has them and is the copy in all others.
    pub(super) fn place(&self, different: &[(u32, u64)], head: &Head) -> Kinship {
        let (commit, agreed) = (head.commit, head.agreed);
        // What SQLite clears (`PRAGMA secure_delete`) looks like any other page that was cleared once.
        let cleared = checksum(&vec![0; head.page_size as usize]);
        let mut kin = Kinship::default();
        let mut given_up = u32::MAX;
        for (page, sum) in different {
            // A page that is not there says nothing by itself.
            if *sum == 0 || *sum == cleared {
                continue;
            }
            let past = self.pages.get(page);
            let last = past.and_then(|past| past.iter().rfind(|(_, had)| *had == sum).map(|(txid, _)| *txid));
            let (Some(past), Some(last)) = (past, last) else {
                kin.unknown += 1;
                continue;
            };
            kin.older += 1;
            kin.first |= *page == 1;
            if let Some((next, _)) = past.range(last + 1..).next() {
                given_up = given_up.min(*next);
            }
            let is_confirmed = |txid: u32| agreed.is_some_and(|agreed| txid <= agreed.txid as u32);
            kin.lost += u64::from(born(past).is_some_and(is_confirmed));
        }
        let differs: HashSet<u32> = different.iter().map(|(page, _)| *page).collect();
        let changed = || self.pages.iter().filter(|(page, _)| **page <= commit);
        let last = changed().filter_map(|(_, past)| born(past)).max();
        kin.has_last = changed().any(|(page, past)| born(past) == last && !differs.contains(page));
        if kin.older == 0 {
            return kin;
        }
        let is_newer = |(page, past): &(&u32, &BTreeMap<u32, u64>)| {
            let then = past.range(..given_up).next_back().map(|(_, sum)| sum);
            // What was before is not known where the history begins later.
            let changed = then.is_some() && then != past.values().next_back();
            **page >= 1 && **page <= commit && !differs.contains(page) && changed
        };
        kin.newer = self.pages.iter().filter(is_newer).count() as u64;
        kin
    }
}

/// Since when a page has what it has.
fn born(past: &BTreeMap<u32, u64>) -> Option<u32> {
    let newest = past.values().next_back();
    past.iter().rev().take_while(|(_, had)| Some(*had) == newest).last().map(|(txid, _)| *txid)
}
