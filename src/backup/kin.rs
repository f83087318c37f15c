//! Whether what a replica holds was made of this database: by the newest transaction that both have a file of.
//!
//! Litestream uploads the file of each transaction as it is, and its newest one stays both here and there
//! (`EnforceL0RetentionByTime` in its db.go). The header of such a file has the time at which it was made, to the
//! millisecond, and the place in the WAL: no two transactions share it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::quarantine;
use super::search::Span;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::litestream::{argv, ltx, position};
use crate::os::{fd, open, permit};
use crate::replica::helper;

/// How long our own client is waited for: it may not have what Litestream's has, and then the sizes tell.
const TRIAL: Duration = Duration::from_secs(5);

/// The header of a transaction's file.
type Header = [u8; ltx::HEADER];

/// Whether the newest transaction that is on the replica as well as here, up to `newest`, is another one there. What does
/// not tell is no other one.
pub(super) async fn is_another(
    runner: &Runner,
    config: &Path,
    db: &Database,
    newest: u64,
    limit: Duration,
) -> bool {
    let folder = ltx::folder(&db.meta);
    if header(&folder, newest).is_none() {
        return false;
    }
    let differs = |theirs: Option<(u64, Header)>| {
        let both = theirs.and_then(|(txid, theirs)| Some((header(&folder, txid)?, theirs)));
        both.is_some_and(|(own, theirs)| own != theirs)
    };
    match theirs(runner, db, newest, limit).await {
        Some(Ok(theirs)) => return differs(theirs),
        Some(Err(reason)) => tracing::debug!("{}: cannot be read: {reason}", db.replica),
        None => {}
    }
    // Nothing else reads there but Litestream, which tells no more than the sizes for certain.
    match runner.ask(&argv::files(config, &db.path, false), limit).await {
        Ok(output) => output.answer().is_ok_and(|listing| have_other_sizes(&folder, newest, listing)),
        Err(_) => false,
    }
}

/// Whether a database has been what its replica ends with, and was replicated elsewhere since then: among Litestream's files of it that
/// were put into quarantine is that very transaction's.
pub async fn has_passed(runner: &Runner, db: &Database, newest: u64, limit: Duration) -> bool {
    let kept = quarantine::kept_metadata(db);
    let own: Vec<Header> = kept.iter().filter_map(|meta| header(&ltx::folder(meta), newest)).collect();
    if own.is_empty() {
        return false;
    }
    match theirs(runner, db, newest, limit).await {
        Some(Ok(Some((txid, theirs)))) => txid == newest && own.contains(&theirs),
        Some(Ok(None) | Err(_)) | None => false,
    }
}

/// Of the files of single transactions up to `newest` on a replica, the header of the last one; none where nobody but Litestream reads.
async fn theirs(
    runner: &Runner,
    db: &Database,
    newest: u64,
    limit: Duration,
) -> Option<Result<Option<(u64, Header)>, String>> {
    if let Some(replica) = &db.replica_folder {
        return Some(Ok(newest_in(&ltx::folder(replica), newest)));
    }
    let read = helper::header(runner, db.place.as_ref()?, newest, limit.min(TRIAL)).await;
    Some(read.map(|found| found.and_then(|(txid, bytes)| Some((txid, of(&bytes, txid)?)))))
}

/// Of the files of single transactions up to `newest` in a folder, the header of the last one.
fn newest_in(folder: &Path, newest: u64) -> Option<(u64, Header)> {
    let txid = position::txids(folder).filter(|txid| *txid <= newest).max()?;
    Some((txid, header(folder, txid)?))
}

fn header(folder: &Path, txid: u64) -> Option<Header> {
    let path = folder.join(ltx::name(txid));
    let read = permit::theirs(|| fd::read_at::<{ ltx::HEADER }>(&open::unlinked(&path, false)?, 0));
    of(&read.ok().flatten()?, txid)
}

/// A header, if it is one of this transaction.
fn of(bytes: &[u8], txid: u64) -> Option<Header> {
    let header: Header = bytes.try_into().ok()?;
    ltx::is_of(&header, txid).then_some(header)
}

fn have_other_sizes(folder: &Path, newest: u64, listing: &str) -> bool {
    let theirs = sizes(listing);
    theirs.range(..=newest).any(|(txid, theirs)| {
        size(folder.join(ltx::name(*txid))).is_ok_and(|own| own != *theirs && header(folder, *txid).is_some())
    })
}

fn size(path: PathBuf) -> io::Result<u64> {
    permit::theirs(|| Ok(path.symlink_metadata()?.len()))
}

/// How large the file of each single transaction of a listing is.
fn sizes(listing: &str) -> BTreeMap<u64, u64> {
    let single = Span::sized(listing).filter(|(span, _)| span.min == span.max);
    single.filter_map(|(span, size)| Some((span.max, size.parse().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(made: u64, txid: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[..4].copy_from_slice(b"LTX1");
        bytes[8..12].copy_from_slice(&4096_u32.to_be_bytes());
        bytes[16..24].copy_from_slice(&txid.to_be_bytes());
        bytes[24..32].copy_from_slice(&txid.to_be_bytes());
        bytes[32..40].copy_from_slice(&made.to_be_bytes());
        bytes
    }

    #[test]
    fn a_header_counts_if_it_is_of_that_transaction() {
        let dir = tempfile::tempdir().unwrap();
        for (txid, bytes) in [(3, file(7, 3, 200)), (4, file(7, 3, 200)), (5, vec![0; 200]), (6, vec![])] {
            fs::write(dir.path().join(ltx::name(txid)), bytes).unwrap();
        }
        assert!(header(dir.path(), 3).is_some_and(|header| header[..] == file(7, 3, 200)[..ltx::HEADER]));
        for txid in [2, 4, 5, 6] {
            assert_eq!(header(dir.path(), txid), None, "{txid}");
        }
        assert_eq!(newest_in(dir.path(), 3).map(|(txid, _)| txid), Some(3));
        assert_eq!(newest_in(dir.path(), 2), None);
    }

    #[test]
    fn sizes_tell_where_both_have_a_file() {
        let dir = tempfile::tempdir().unwrap();
        for txid in [3, 4] {
            fs::write(dir.path().join(ltx::name(txid)), file(7, txid, 200)).unwrap();
        }
        let listing = |sizes: [u64; 3]| {
            let row = |(at, size)| format!("0  {0:016x}  {0:016x}  {size}  2026-11-25T21:24:18Z\n", at + 2);
            let rows: String = sizes.into_iter().enumerate().map(row).collect();
            format!("level  min_txid  max_txid  size  created\n{rows}")
        };
        assert!(!have_other_sizes(dir.path(), 4, &listing([1, 200, 200])), "2 is not here");
        assert!(have_other_sizes(dir.path(), 4, &listing([1, 200, 201])));
        assert!(have_other_sizes(dir.path(), 4, &listing([1, 201, 200])));
        assert!(!have_other_sizes(dir.path(), 3, &listing([1, 200, 201])), "it is newer");
        assert!(!have_other_sizes(dir.path(), 4, "rubbish\nrubbish 1 2\n"));
    }
}
