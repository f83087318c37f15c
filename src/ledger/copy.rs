//! A database that is in use held against what its backup restores to: `__ledger copy MILLISECONDS TXID DATABASE METADATA FILE`.
//!
//! Litestream's own file of the restored transaction says how far into the WAL that is; what comes behind is not compared. Where nobody
//! says that, it is compared with all that is committed now.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::book::{Copied, Head, checksum};
use super::compare::{Effort, Found, Which, compare};
use super::page_size::page_size;
use crate::litestream::ltx::{self, Ltx};
use crate::litestream::position;
use crate::os::{fd, open};
use crate::sqlite::wal::{self, Run};

/// The word for it on a command line.
pub(super) const WORD: &str = "copy";

/// A question about one database.
#[derive(Clone, Copy, Debug)]
pub struct Copy<'a> {
    /// The database's file.
    pub database: &'a Path,
    /// Litestream's metadata folder for it.
    pub meta: &'a Path,
    /// What was restored.
    pub restored: &'a Path,
    /// The last transaction in that, where it is known.
    pub txid: Option<u64>,
    /// How long it may take.
    pub limit: Duration,
}

impl Copy<'_> {
    /// The arguments of the process that answers it: [`Answer::Equal`] (and whether there is something newer than what was compared),
    /// [`Answer::Diverged`], [`Answer::Unfounded`] where a difference may be something newer, [`Answer::Unfinished`].
    pub fn args(&self) -> [OsString; 7] {
        [
            "__ledger".into(),
            WORD.into(),
            self.limit.as_millis().to_string().into(),
            self.txid.unwrap_or(0).to_string().into(),
            self.database.into(),
            self.meta.into(),
            self.restored.into(),
        ]
    }

    /// Reads its arguments behind the word.
    pub(super) fn parse(args: &[OsString]) -> Option<Copy<'_>> {
        let [limit, txid, database, meta, restored] = args else { return None };
        let limit = Duration::from_millis(limit.to_str()?.parse().ok()?);
        let txid = txid.to_str()?.parse().ok().filter(|txid| *txid > 0);
        Some(Copy {
            database: database.as_ref(),
            meta: meta.as_ref(),
            restored: restored.as_ref(),
            txid,
            limit,
        })
    }

    /// Answers it in this process.
    ///
    /// # Errors
    /// Something cannot be read.
    pub fn ask(&self) -> io::Result<Answer> {
        let differs = |why: &str| Ok(Answer::Diverged { why: why.to_owned(), since: None });
        let file = open::file(self.restored)?;
        let Some(page_size_there) = page_size(&file)? else {
            return differs("what was restored is no database");
        };
        if page_size(&open::file(self.database)?)? != Some(page_size_there) {
            return differs("their pages have another size");
        }
        let newest = self.txid.and_then(|txid| Some((txid, self.copied(txid)?)));
        let committed = self.committed()?;
        let page_size = page_size_there;
        let commit = u32::try_from(file.metadata()?.len() / u64::from(page_size)).unwrap_or(u32::MAX);
        let head = Head {
            page_size,
            commit,
            newest: newest.map(|(_, copied)| copied).or(committed).unwrap_or_default(),
            ..Head::default()
        };
        let mut page = vec![0; page_size as usize];
        let expected = |number: u32| {
            let at = u64::from(number - 1) * u64::from(page_size);
            Ok(if fd::read_all_at(&file, &mut page, at)? { checksum(&page) } else { 0 })
        };
        let run = || io::Result::Ok(wal::header(self.database)?.map(|header| header.salt));
        let before = run()?;
        let effort = Effort { deadline: Instant::now() + self.limit, is_gentle: true };
        let found = compare(self.database, &head, expected, &Which::All, effort)?;
        let after = run()?;
        Ok(match found {
            Found::Equal { .. } => Answer::Equal { due: self.has_newer(&head)? },
            Found::Unfinished(share) => Answer::Unfinished(share),
            Found::Different(_, why) => {
                // As long as this run of the WAL lasts, or nothing newer was copied, nobody has made it different in order.
                let is_certain = match newest {
                    Some((txid, copied)) => {
                        let is_same_run = [before, after].iter().all(|salt| *salt == Some(copied.salt));
                        is_same_run || self.newest() == Some(txid)
                    }
                    None if self.txid.is_some() => before.is_none() && after.is_none(),
                    // Nothing was committed while it was compared; whether that was restored which is here now, who asks has to know.
                    None => {
                        let is_whole_log = committed.map(|copied| copied.salt) == before;
                        is_whole_log && before == after && self.committed()? == committed
                    }
                };
                if is_certain { Answer::Diverged { why, since: None } } else { Answer::Unfounded }
            }
            Found::Ahead => {
                return differs("litestream has copied what sqlite does not count as committed");
            }
            Found::Unmade => Answer::Unfounded,
        })
    }

    /// How far into the WAL all is that is committed; none where that is not known, or there is no WAL.
    fn committed(&self) -> io::Result<Option<Copied>> {
        Ok(match wal::index(self.database)? {
            wal::State::Made(index) => Some(Copied { salt: index.salt, end: index.end, ..Copied::default() }),
            wal::State::Unmade | wal::State::Unknown => None,
        })
    }

    /// How far into the WAL a transaction is.
    fn copied(&self, txid: u64) -> Option<Copied> {
        let ltx = Ltx::open(&ltx::folder(self.meta).join(ltx::name(txid))).ok().flatten()?;
        Some(Copied { txid, made: ltx.made, salt: ltx.salt, end: ltx.piece.end })
    }

    /// The newest transaction that Litestream has copied here.
    fn newest(&self) -> Option<u64> {
        position::txids(&ltx::folder(self.meta)).max()
    }

    /// Whether the log has something behind what was compared.
    fn has_newer(&self, head: &Head) -> io::Result<bool> {
        let Some(run) = Run::open(self.database)? else { return Ok(false) };
        let is_same_run = run.header.salt == head.newest.salt;
        let from = if is_same_run { head.newest.end.max(wal::HEADER) } else { wal::HEADER };
        Ok(!run.frames(from)?.is_empty())
    }
}
