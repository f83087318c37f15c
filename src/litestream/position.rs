//! How far a database and its replica are, in a number that both count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::argv;
use super::ltx;
use super::version::Version;
use crate::os::{open, permit};

/// A place in a database's history; one of another series compares to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// The highest transaction (0.5).
    Txid(u64),
    /// A generation and a place in its WAL (0.3).
    Wal {
        /// Sixteen hex digits.
        generation: String,
        /// The index.
        index: u64,
        /// The bytes of the WAL of that index that are there for certain.
        offset: u64,
        /// The generations that ended before this one began, as far as anybody knows.
        earlier: Vec<String>,
    },
}

impl Position {
    /// Says whether this is older than `other` for certain.
    pub fn is_behind(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Txid(own), Self::Txid(other)) => own < other,
            (
                Self::Wal { generation, index, offset, .. },
                Self::Wal { generation: newest, index: other, offset: reached, earlier },
            ) => {
                if generation == newest {
                    (index, offset) < (other, reached)
                } else {
                    // Generations have no order of their own, but the replica knows when each ended.
                    earlier.contains(generation)
                }
            }
            (Self::Txid(_), Self::Wal { .. }) | (Self::Wal { .. }, Self::Txid(_)) => false,
        }
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Txid(txid) => write!(f, "txid {}", argv::txid_text(*txid)),
            Self::Wal { generation, index, offset, .. } => {
                write!(f, "generation {generation}, index {index}, offset {offset}")
            }
        }
    }
}

/// No name of a generation is longer.
const LONGEST: u64 = 256;

/// Returns what a database's own metadata folder says, which is what `litestream status` reads too; `None`
/// when nothing was ever replicated from here, or the folder was lost.
pub fn local(version: Version, meta: &Path) -> Option<Position> {
    if version.is_ltx() {
        return txids(&ltx::folder(meta)).max().map(Position::Txid);
    }
    permit::theirs(|| Ok(local_wal(meta))).ok()?
}

fn local_wal(meta: &Path) -> Option<Position> {
    let mut generation = String::new();
    open::unlinked(&meta.join("generation"), false)
        .ok()?
        .take(LONGEST)
        .read_to_string(&mut generation)
        .ok()?;
    // What is no such name would lead out of the folder.
    let generation = generation.trim().to_owned();
    ltx::txid(&generation)?;
    let wal = meta.join("generations").join(&generation).join("wal");
    let (index, name) = names(&wal)
        .into_iter()
        .filter_map(|name| Some((hex(name.strip_suffix(".wal")?)?, name)))
        .max_by_key(|(index, _)| *index)?;
    let offset = fs::metadata(wal.join(name)).ok()?.len();
    Some(Position::Wal { generation, index, offset, earlier: Vec::new() })
}

/// Returns what a listing says ([`super::argv::listing`]); `None` when it holds no backup.
pub fn replicated(version: Version, listing: &str) -> Option<Position> {
    if version.plans() {
        return Plan::parse(listing).and_then(|plan| ltx::txid(&plan.max_txid)).map(Position::Txid);
    }
    if version.is_ltx() {
        return ltx::listed(listing).map(|file| file.max).max().map(Position::Txid);
    }
    newest_segment(listing)
}

/// A piece of a WAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Segment<'a> {
    created: &'a str,
    index: u64,
    offset: u64,
    generation: &'a str,
    replica: &'a str,
    size: u64,
}

impl<'a> Segment<'a> {
    /// Reads `replica generation index offset size created`, in decimal numbers and with times in UTC to the second (`wal.go` of
    /// 0.3.13).
    fn listed(listing: &'a str) -> Vec<Self> {
        let read = |row: Vec<&'a str>| {
            let [replica, generation, index, offset, size, created] = row[..] else { return None };
            Some(Self {
                created,
                index: index.parse().ok()?,
                offset: offset.parse().ok()?,
                generation,
                replica,
                size: size.parse().ok()?,
            })
        };
        rows(listing).filter_map(read).collect()
    }
}

/// The rows of a listing of Litestream 0.3's, behind its head.
fn rows(listing: &str) -> impl Iterator<Item = Vec<&str>> {
    listing.lines().skip(1).map(|line| line.split_ascii_whitespace().collect())
}

/// A snapshot of Litestream 0.3's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SnapshotRow<'a> {
    created: &'a str,
    index: u64,
    generation: &'a str,
    replica: &'a str,
    size: u64,
}

impl<'a> SnapshotRow<'a> {
    /// Reads `replica generation index size created` (`snapshots.go` of 0.3.13).
    fn listed(listing: &'a str) -> Vec<Self> {
        let read = |row: Vec<&'a str>| {
            let [replica, generation, index, size, created] = row[..] else { return None };
            let (index, size) = (index.parse().ok()?, size.parse().ok()?);
            Some(Self { created, index, generation, replica, size })
        };
        rows(listing).filter_map(read).collect()
    }
}

/// Returns where the newest piece of a listing ends.
fn newest_segment(listing: &str) -> Option<Position> {
    let segments = Segment::listed(listing);
    let newest = *segments.iter().max()?;
    let began =
        segments.iter().filter(|one| one.generation == newest.generation).map(|one| one.created).min()?;
    let is_earlier =
        |other: &str| segments.iter().filter(|one| one.generation == other).all(|one| one.created < began);
    let others = segments.iter().map(|one| one.generation).filter(|other| is_earlier(other));
    Some(Position::Wal {
        generation: newest.generation.to_owned(),
        index: newest.index,
        offset: newest.offset.saturating_add(1),
        earlier: others.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect(),
    })
}

/// Says what a listing of Litestream 0.3's WAL, and one of its snapshots, lack of the newest generation, so that no restore gets to its end:
/// the snapshot that it begins with, an index from there on, or the beginning of one (`no snapshots available`, `missing WAL index`,
/// `missing initial wal segment` in replica.go of 0.3.13). Of the oldest index a retention may just have deleted a part, if that snapshot is
/// a later one.
pub fn missing(wal: &str, snapshots: &str) -> Option<String> {
    let (segments, snapshots) = (Segment::listed(wal), SnapshotRow::listed(snapshots));
    let of_segment = segments.iter().max().map(|one| (one.created, one.generation, one.replica));
    let of_snapshot = snapshots.iter().max().map(|one| (one.created, one.generation, one.replica));
    let (_, generation, replica) = of_segment.max(of_snapshot)?;
    let newest = snapshots.iter().filter(|one| (one.generation, one.replica) == (generation, replica)).max();
    let Some(begins) = newest else { return Some(format!("generation {generation}, its snapshot")) };
    if begins.size == 0 {
        return Some(format!("generation {generation}, snapshot {:08x}", begins.index));
    }
    let mut starts = BTreeMap::new();
    let is_read = |one: &&Segment<'_>| {
        (one.generation, one.replica) == (generation, replica) && one.index >= begins.index
    };
    for one in segments.iter().filter(is_read) {
        let (first, is_whole): &mut (u64, bool) = starts.entry(one.index).or_insert((one.offset, true));
        *first = (*first).min(one.offset);
        *is_whole &= one.size > 0;
    }
    let due = (begins.index..).zip(&starts);
    let lacks = due
        .map(|(due, (index, (start, is_whole)))| (due, due == *index && *start == 0 && *is_whole))
        .find(|(_, is_there)| !is_there);
    lacks.map(|(index, _)| format!("generation {generation}, index {index:08x}"))
}

/// What a restore would fetch (`restore -dry-run -json`).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Plan {
    /// The highest transaction, in hex.
    pub max_txid: String,
    /// The files.
    #[serde(default)]
    pub files: Vec<PlanFile>,
}

/// What a restore says at its end (`restore -json`, 0.5.12).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
struct Summary {
    /// The last transaction, in hex.
    txid: String,
}

/// The last transaction of what was restored, where Litestream says it.
pub fn restored(summary: &str) -> Option<u64> {
    ltx::txid(&serde_json::from_str::<Summary>(summary).ok()?.txid)
}

/// One file of a [`Plan`].
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct PlanFile {
    /// In bytes.
    #[serde(default)]
    pub size: u64,
    /// When it was made, in Litestream's words.
    #[serde(default)]
    pub timestamp: Option<String>,
}

impl Plan {
    /// Reads Litestream's answer.
    pub fn parse(listing: &str) -> Option<Self> {
        serde_json::from_str(listing).ok()
    }

    /// Returns the bytes to fetch.
    pub fn size(&self) -> u64 {
        self.files.iter().fold(0, |all, file| all.saturating_add(file.size))
    }
}

/// Returns the first transaction that a database's own metadata folder still has a file of; `None` where nothing says so.
/// Litestream deletes what it has uploaded and put together, after a while (`l0-retention`).
pub fn first(version: Version, meta: &Path) -> Option<u64> {
    let all = if version.is_ltx() { names(&ltx::folder(meta)) } else { Vec::new() };
    all.iter().filter_map(|name| hex(name.strip_suffix(".ltx")?.split_once('-')?.0)).min()
}

/// Returns the highest transaction of each file in a folder of Litestream 0.5's, in no order.
pub fn txids(folder: &Path) -> impl Iterator<Item = u64> + use<> {
    spans(folder).map(|span| *span.end())
}

/// Returns the transactions of each file in such a folder, in no order.
pub fn spans(folder: &Path) -> impl Iterator<Item = std::ops::RangeInclusive<u64>> + use<> {
    names(folder).into_iter().filter_map(|name| ltx::span(&name))
}

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = permit::theirs(|| fs::read_dir(dir)) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Returns the index of a piece of the WAL (0.3).
fn hex(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_number.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const V5: Version = Version::new(0, 5, 17);
    const V55: Version = Version::new(0, 5, 5);
    const V3: Version = Version::new(0, 3, 13);

    fn wal(generation: &str, index: u64, offset: u64) -> Position {
        Position::Wal { generation: generation.into(), index, offset, earlier: Vec::new() }
    }

    const LISTING: &str = "replica  generation        index  offset  size  created\n\
                           file     d0885721b2c99b95  9      0       451   2026-11-21T04:25:21Z\n\
                           file     d0885721b2c99b95  10     0       451   2026-11-21T04:25:22Z\n\
                           file     d0885721b2c99b95  10     4152    385   2026-11-21T04:25:22Z\n\
                           file     aaaaaaaaaaaaaaaa  99     0       451   2026-11-20T04:25:22Z\n\
                           file     bbbbbbbbbbbbbbbb  1      0       451   2026-11-21T04:25:21Z\n";

    #[test]
    fn listings_of_each_series_are_read() {
        let plan = r#"{"max_txid":"000000000000001f","files":[{"size":567},{"size":3}]}"#;
        assert_eq!(replicated(V5, plan), Some(Position::Txid(31)));
        assert_eq!(Plan::parse(plan).unwrap().size(), 570);
        let ltx = "min_txid          max_txid          size  created\n\
                   0000000000000001  0000000000000009  627   2026-11-21T04:25:20Z\n\
                   000000000000000a  000000000000000a  627   2026-11-21T04:25:20Z\n";
        assert_eq!(replicated(V55, ltx), Some(Position::Txid(10)));
        let newest = Position::Wal {
            generation: "d0885721b2c99b95".into(),
            index: 10,
            offset: 4153,
            earlier: vec!["aaaaaaaaaaaaaaaa".into()],
        };
        assert_eq!(replicated(V3, LISTING), Some(newest), "indexes are decimal");
        assert_eq!(replicated(V5, r#"{"max_txid":"+1f"}"#), None);
        let endless = format!("header\nfile d0885721b2c99b95 {0} {0} 1 2026-11-21T04:25:21Z\n", u64::MAX);
        assert!(replicated(V3, &endless).is_some());
        let sizes =
            format!(r#"{{"max_txid":"000000000000001f","files":[{{"size":{0}}},{{"size":{0}}}]}}"#, u64::MAX);
        assert_eq!(Plan::parse(&sizes).unwrap().size(), u64::MAX);
        for version in [V5, V55, V3] {
            assert_eq!(replicated(version, ""), None);
            assert_eq!(replicated(version, "header\n"), None);
        }
    }

    #[test]
    fn what_a_listing_of_the_old_series_lacks_is_told() {
        let (old, new) = ("aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb");
        let told_sized = |snapshot: Option<(u64, u64)>, size: u64, rows: &[(&str, u64, u64)]| {
            let row = |(generation, index, offset): &_| {
                format!("file {generation} {index} {offset} {size} 2026-11-21T04:25:2{}Z\n", index % 10)
            };
            let one = |(index, size)| format!("file {new} {index} {size} 2026-11-21T04:25:20Z\n");
            let wal = format!("header\n{}", rows.iter().map(row).collect::<String>());
            missing(&wal, &format!("header\n{}", snapshot.map(one).unwrap_or_default()))
        };
        let told = |snapshot: u64, rows: &[(&str, u64, u64)]| told_sized(Some((snapshot, 9)), 9, rows);
        let snapshots = "replica generation index size created\n\
                         file d0885721b2c99b95 9 100 2026-11-21T04:25:21Z\n";
        assert_eq!(missing(LISTING, snapshots), None);
        assert_eq!(told_sized(None, 9, &[]), None);
        assert_eq!(told(0, &[]), None, "a snapshot alone");
        let cleaned = &[(new, 3, 4152), (new, 4, 0), (new, 4, 4152), (new, 5, 0)];
        assert_eq!(told(4, cleaned), None, "cleaned up just now");
        assert_eq!(told(4, &[(old, 1, 0), (old, 3, 0), (new, 4, 0)]), None, "of an older one");
        assert_eq!(told(6, &[(new, 3, 0), (new, 5, 0)]), None, "before the snapshot");
        let lacking = |index: &str| Some(format!("generation {new}, {index}"));
        assert_eq!(told(3, &[(new, 3, 0), (new, 5, 0)]), lacking("index 00000004"));
        assert_eq!(told(3, &[(new, 4, 0), (new, 5, 0)]), lacking("index 00000003"));
        let headless = &[(new, 5, 0), (new, 3, 0), (new, 4, 4152)];
        assert_eq!(told(3, headless), lacking("index 00000004"), "the beginning of it");
        assert_eq!(told_sized(None, 9, &[(new, 3, 0)]), lacking("its snapshot"));
        assert_eq!(told_sized(Some((3, 0)), 9, &[(new, 3, 0)]), lacking("snapshot 00000003"), "an empty one");
        assert_eq!(told_sized(Some((3, 9)), 0, &[(new, 3, 0)]), lacking("index 00000003"), "an empty piece");
    }

    #[test]
    fn metadata_folders_of_each_series_are_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(local(V5, dir.path()), None);
        assert_eq!(local(V3, dir.path()), None);
        let l0 = dir.path().join("ltx/0");
        fs::create_dir_all(&l0).unwrap();
        for name in
            ["0000000000000001-0000000000000001.ltx", "0000000000000002-000000000000000b.ltx", "x.tmp"]
        {
            fs::write(l0.join(name), "").unwrap();
        }
        assert_eq!(local(V5, dir.path()), Some(Position::Txid(11)));
        assert_eq!((first(V5, dir.path()), first(V3, dir.path())), (Some(1), None));
        fs::remove_file(l0.join("0000000000000001-0000000000000001.ltx")).unwrap();
        assert_eq!(first(V5, dir.path()), Some(2));
        let generation = dir.path().join("generations/d0885721b2c99b95/wal");
        fs::create_dir_all(&generation).unwrap();
        fs::write(generation.join("00000009.wal"), "longer").unwrap();
        fs::write(generation.join("0000000a.wal"), "four").unwrap();
        fs::write(dir.path().join("generation"), "d0885721b2c99b95\n").unwrap();
        assert_eq!(local(V3, dir.path()), Some(wal("d0885721b2c99b95", 10, 4)));
        fs::write(dir.path().join("generation"), "../generations/d0885721b2c99b95").unwrap();
        assert_eq!(local(V3, dir.path()), None, "a name, and no way out");
    }

    #[test]
    fn only_what_is_certainly_older_is_behind() {
        assert!(Position::Txid(1).is_behind(&Position::Txid(2)));
        assert!(!Position::Txid(2).is_behind(&Position::Txid(2)));
        assert!(wal("a", 1, 9).is_behind(&wal("a", 2, 1)));
        assert!(!wal("a", 1, 9).is_behind(&wal("b", 2, 1)), "generations have no order");
        assert!(!wal("a", 1, 9).is_behind(&Position::Txid(2)));
        let replica = replicated(V3, LISTING).unwrap();
        assert!(wal("d0885721b2c99b95", 10, 4152).is_behind(&replica), "a segment starts where it ends");
        assert!(!wal("d0885721b2c99b95", 10, 8272).is_behind(&replica));
        assert!(wal("aaaaaaaaaaaaaaaa", 99, 4152).is_behind(&replica), "it ended before the newest began");
        assert!(!wal("bbbbbbbbbbbbbbbb", 1, 4152).is_behind(&replica), "in the same second: not certain");
        assert!(!wal("cccccccccccccccc", 0, 4152).is_behind(&replica), "it was never uploaded");
    }
}
