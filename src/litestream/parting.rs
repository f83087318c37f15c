//! Whether Litestream's copy of a database has parted from it.
//!
//! Litestream reads the WAL alone, so it takes an orphan ([`crate::sqlite::wal`]) for a commit. When a
//! process of the app is killed in the middle of a commit and another one goes on, its next commit
//! overwrites what Litestream has copied. Litestream then says that all is replicated until the WAL has
//! grown beyond that place, finds a page there that it does not know, and makes a snapshot of the
//! database file and of the frames *behind* that place only (`verifyWithExecutor` and `sync` in the
//! db.go of 0.5.17: `info.offset` stays): what was in the WAL before is missing on the replica from then
//! on, without a word, or the sync fails because pages are missing in the database file.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::control;
use super::database::Database;
use super::ltx::{self, Ltx};
use super::position;
use crate::sqlite::wal;

/// How a database and its copy stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// Nothing speaks against the copy.
    None,
    /// The WAL's index has to be made anew before anybody can tell.
    Unknown,
    /// Litestream has copied more of the WAL than counts as committed.
    Ahead,
    /// The newest snapshot lacks a part of the WAL.
    Stale,
}

/// How far the copies of databases were looked at, by the databases' paths.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<PathBuf, Look>);

#[derive(Clone, Copy, Debug)]
struct Look {
    txid: u64,
    stale: bool,
}

impl Seen {
    /// Looks at what is new in the copy of a database up to `txid`.
    ///
    /// # Errors
    /// Litestream's files, the WAL or its index cannot be read.
    pub fn look(&mut self, database: &Database, txid: u64) -> io::Result<Parting> {
        let folder = ltx::folder(&database.meta);
        let seen = self.0.get(&database.path).copied();
        // The one before tells how large the database was.
        let first = seen.map_or_else(|| position::txids(&folder).min().unwrap_or(txid), |seen| seen.txid);
        let mut stale = seen.is_some_and(|seen| seen.stale);
        let mut newest: Option<Ltx> = None;
        for txid in first..=txid {
            let Some(ltx) = open(&folder, txid)? else { continue };
            if seen.is_none_or(|seen| seen.txid != txid) {
                let commit_before = newest.as_ref().map_or(0, |before| before.commit);
                stale = match Copy::of(database, &ltx, commit_before)? {
                    Copy::Change => stale,
                    Copy::Whole => false,
                    Copy::Stale => true,
                };
            }
            newest = Some(ltx);
        }
        self.0.insert(database.path.clone(), Look { txid, stale });
        match newest {
            _ if stale => Ok(Parting::Stale),
            Some(newest) => compare(database, &newest),
            None => Ok(Parting::None),
        }
    }
}

/// Whether an error of Litestream's sync says that its copy has parted from the database.
pub fn is_told_by(error: &control::Error) -> bool {
    // `writeLTXFromDB` in db.go: a snapshot that takes from the file what is in the WAL only.
    let is_missing = |message: &str| message.contains("read database page") && message.contains("EOF");
    matches!(error, control::Error::Refused { message, .. } if is_missing(message))
}

/// What is in a file of Litestream's.
enum Copy {
    /// What a piece of the WAL changes.
    Change,
    /// The whole database.
    Whole,
    /// The whole database, but for what the WAL had before its piece.
    Stale,
}

impl Copy {
    fn of(database: &Database, ltx: &Ltx, commit_before: u32) -> io::Result<Self> {
        let pages = ltx.pages()?;
        if !ltx.is_complete(&pages) {
            return Ok(Self::Change);
        }
        if ltx.piece.start <= wal::HEADER {
            return Ok(Self::Whole);
        }
        // Where the database has grown Litestream fills in pages that no frame has.
        let from_wal = wal::pages(&database.path, ltx.salt, ltx.page_size, ltx.piece.clone())?;
        let frames = (ltx.piece.end - ltx.piece.start) / wal::bytes_of(1, ltx.page_size);
        let mut old = pages.into_iter().filter(|page| *page <= commit_before);
        let is_snapshot = match from_wal {
            Some(from_wal) => old.any(|page| !from_wal.contains(&page)),
            None => old.count() as u64 > frames,
        };
        Ok(if is_snapshot { Self::Stale } else { Self::Change })
    }
}

fn open(folder: &Path, txid: u64) -> io::Result<Option<Ltx>> {
    match Ltx::open(&folder.join(ltx::name(txid))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        ltx => ltx,
    }
}

/// What the WAL's index says about the newest copy.
fn compare(database: &Database, newest: &Ltx) -> io::Result<Parting> {
    let judge = |state| match state {
        wal::State::Unknown => Parting::None,
        wal::State::Unmade => Parting::Unknown,
        wal::State::Made(index) if index.salt == newest.salt && index.end < newest.piece.end => {
            Parting::Ahead
        }
        wal::State::Made(_) => Parting::None,
    };
    match judge(wal::index(&database.path)?) {
        // While somebody commits the WAL is ahead of its index as well.
        Parting::Ahead => match wal::settled_index(&database.path)? {
            wal::State::Unknown => Ok(Parting::Unknown),
            state => Ok(judge(state)),
        },
        parting => Ok(parting),
    }
}
