//! The pieces of a WAL that Litestream 0.3 replicates: `generations/GENERATION/wal/INDEX_OFFSET.wal.lz4`, both numbers in hex
//! (`WALSegmentPath` in litestream.go of 0.3.13).
//!
//! Its restore puts one behind the other without a look at where each begins (`downloadWAL` in its replica.go), and SQLite takes
//! what stands before a gap for the whole of the WAL: an older state, or a mixture, and exit code 0.

use std::collections::BTreeMap;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use super::ltx;
use crate::sqlite::wal;

/// What a restore has put together, by its own log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Sixteen hex digits.
    pub generation: String,
    /// The index that it began with.
    pub index_min: u64,
    /// The last one.
    pub index_max: u64,
}

/// What a restore says of the WAL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// There was none: a snapshot is all.
    Nothing,
    /// This.
    Applied(Applied),
}

impl Said {
    /// Reads the log of a restore (`Restore` in replica.go of 0.3.13), in JSON as the generated configuration asks for; `None` where it
    /// says nothing of it.
    pub fn read(log: &str) -> Option<Self> {
        log.lines().rev().find_map(|line| {
            let fields: serde_json::Value = serde_json::from_str(line).ok()?;
            match fields.get("msg")?.as_str()? {
                "snapshot only, finalizing database" => Some(Self::Nothing),
                "restoring wal files" => {
                    let applied: Applied = serde_json::from_value(fields).ok()?;
                    // It becomes a part of a path.
                    ltx::txid(&applied.generation)?;
                    Some(Self::Applied(applied))
                }
                _ => None,
            }
        })
    }
}

/// Where a piece begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentStart {
    /// The index of its WAL.
    pub index: u64,
    /// The place in it, in bytes.
    pub offset: u64,
}

impl SegmentStart {
    /// Reads a file's name.
    pub fn named(name: &str) -> Option<Self> {
        let (index, offset) = name.strip_suffix(".wal.lz4")?.split_once('_')?;
        let number = |text: &str| {
            let is_hex = text.len() <= 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten()
        };
        Some(Self { index: number(index)?, offset: number(offset)? })
    }
}

/// A generation that was written to after the chosen one had begun, in a listing of `name generation lag start end` (`generations.go` of
/// 0.3.13): a database has one after the other, so one of these times is not that of its writing.
pub fn overlapping<'a>(generations: &'a str, chosen: &str) -> Option<&'a str> {
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let rows: Vec<_> = generations
        .lines()
        .skip(1)
        .filter_map(|line| {
            let row: Vec<&str> = line.split_ascii_whitespace().collect();
            let [_, generation, _, start, end] = row[..] else { return None };
            Some((generation, time(start)?, time(end)?))
        })
        .collect();
    let (_, begun, _) = rows.iter().find(|(generation, ..)| *generation == chosen)?;
    rows.iter().find(|(other, _, end)| *other != chosen && end > begun).map(|(other, ..)| *other)
}

/// What is wrong with the pieces of a WAL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is, in the words of Litestream's about the same where it has some.
    Broken(String),
    /// They are encrypted (`age` in 0.3's configuration).
    Encrypted,
}

/// The bytes of a header, and of a frame's (<https://www.sqlite.org/fileformat2.html#walformat>).
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The beginning of an encrypted file (age-encryption.org/v1).
const AGE: &[u8] = b"age-encryption.org/";
/// So much is unpacked at a time.
const CHUNK: usize = 64 << 10;

/// Reads the pieces of WALs in order, as SQLite will: it takes each up to the first frame whose checksum does not go on from the one before.
#[derive(Default)]
pub struct Walk {
    index: Option<u64>,
    /// Bytes of the present index that were read.
    length: u64,
    /// Those that are no whole frame yet.
    rest: Vec<u8>,
    run: Option<Run>,
    /// What each index begins with: that is random, and no two have the same.
    begun: BTreeMap<[u8; 8], u64>,
}

/// One run of a log.
struct Run {
    is_little: bool,
    frame: usize,
    salt: [u8; 8],
    sums: [u32; 2],
}

impl Run {
    fn begin(header: &[u8]) -> Option<Self> {
        let (magic, page_size) = (number(header, 0), number(header, 8));
        let is_little = magic == wal::MAGIC;
        let sums = sums([0; 2], &header[..24], is_little);
        let is_one = magic & !1 == wal::MAGIC && wal::is_page_size(page_size);
        if !is_one || sums != [number(header, 24), number(header, 28)] {
            return None;
        }
        let mut salt = [0; 8];
        salt.copy_from_slice(&header[16..24]);
        Some(Self { is_little, frame: FRAME_HEADER + usize::try_from(page_size).ok()?, salt, sums })
    }

    /// Whether a frame goes on from the one before.
    fn goes_on(&mut self, frame: &[u8]) -> bool {
        let (head, page) = frame.split_at(FRAME_HEADER);
        self.sums = sums(sums(self.sums, &head[..8], self.is_little), page, self.is_little);
        head[8..16] == self.salt && self.sums == [number(head, 16), number(head, 20)]
    }
}

fn sums(before: [u32; 2], bytes: &[u8], is_little: bool) -> [u32; 2] {
    wal::checksum_on(before, bytes, if is_little { u32::from_le_bytes } else { u32::from_be_bytes })
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

impl Walk {
    /// Takes in the next piece, as it lies at the replica.
    ///
    /// # Errors
    /// It does not go on from what is before it, or cannot be read.
    pub fn add(&mut self, start: SegmentStart, mut packed: impl Read) -> Result<(), Fault> {
        let SegmentStart { index, offset } = start;
        if self.index != Some(index) {
            self.end()?;
            (self.index, self.length) = (Some(index), 0);
        }
        if offset != self.length {
            let length = self.length;
            return Err(Fault::Broken(format!(
                "missing WAL segment: expected {index:08x}/{length}, got {index:08x}/{offset}"
            )));
        }
        let unread =
            |error: io::Error| Fault::Broken(format!("WAL segment {index:08x}/{offset}: lz4: {error}"));
        let mut magic = Vec::new();
        packed.by_ref().take(AGE.len() as u64).read_to_end(&mut magic).map_err(unread)?;
        if magic == AGE {
            return Err(Fault::Encrypted);
        }
        let mut content = lz4_flex::frame::FrameDecoder::new(io::Cursor::new(magic).chain(packed));
        let mut chunk = vec![0; CHUNK];
        loop {
            match content.read(&mut chunk).map_err(unread)? {
                0 => return Ok(()),
                read => self.feed(index, &chunk[..read])?,
            }
        }
    }

    fn feed(&mut self, index: u64, bytes: &[u8]) -> Result<(), Fault> {
        let at = self.length;
        let broken = || Fault::Broken(format!("WAL {index:08x}: checksum mismatch behind byte {at}"));
        self.length += bytes.len() as u64;
        self.rest.extend_from_slice(bytes);
        let mut done = 0;
        if self.run.is_none() && self.rest.len() >= HEADER {
            let run = Run::begin(&self.rest[..HEADER]).ok_or_else(broken)?;
            if let Some(other) = self.begun.insert(run.salt, index) {
                return Err(Fault::Broken(format!(
                    "WAL {index:08x}: checksum mismatch: it is that of {other:08x}"
                )));
            }
            (self.run, done) = (Some(run), HEADER);
        }
        if let Some(run) = &mut self.run {
            while let Some(frame) = self.rest.get(done..done + run.frame) {
                if !run.goes_on(frame) {
                    return Err(broken());
                }
                done += run.frame;
            }
        }
        self.rest.drain(..done);
        Ok(())
    }

    /// Ends the present index.
    ///
    /// # Errors
    /// It ends in the middle of a frame.
    pub fn end(&mut self) -> Result<(), Fault> {
        let rest = std::mem::take(&mut self.rest);
        self.run = None;
        match (rest.is_empty(), self.index) {
            (false, Some(index)) => Err(Fault::Broken(format!(
                "WAL {index:08x}: checksum mismatch: it ends in the middle of a frame"
            ))),
            (true, _) | (false, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_says_what_it_puts_together() {
        let line = |msg: &str, generation: &str| {
            format!(
                r#"{{"time":"x","level":"INFO","msg":"{msg}","generation":"{generation}","index_min":3,"index_max":10}}"#
            )
        };
        let applied = Applied { generation: "3f21569fef689b74".to_owned(), index_min: 3, index_max: 10 };
        let log = format!(
            "rubbish\n{}\n{{\"msg\":\"applied wal\"}}\n",
            line("restoring wal files", "3f21569fef689b74")
        );
        assert_eq!(Said::read(&log), Some(Said::Applied(applied)));
        assert_eq!(Said::read(&line("snapshot only, finalizing database", "")), Some(Said::Nothing));
        assert_eq!(Said::read(&line("restoring wal files", "../../etc")), None, "no name of a generation");
        assert_eq!(Said::read(""), None);
    }

    #[test]
    fn generations_come_one_after_the_other() {
        let listing = |second: &str| {
            format!(
                "name  generation  lag  start  end\n\
                 file  aaaaaaaaaaaaaaaa  0s  2026-11-21T04:00:00Z  {second}\n\
                 file  bbbbbbbbbbbbbbbb  0s  2026-11-21T05:00:00Z  2026-11-21T06:00:00Z\n"
            )
        };
        assert_eq!(overlapping(&listing("2026-11-21T04:59:59Z"), "bbbbbbbbbbbbbbbb"), None);
        assert_eq!(overlapping(&listing("2026-11-21T05:00:00Z"), "bbbbbbbbbbbbbbbb"), None, "in one second");
        let copied = listing("2026-11-21T05:30:00Z");
        assert_eq!(overlapping(&copied, "bbbbbbbbbbbbbbbb"), Some("aaaaaaaaaaaaaaaa"));
        assert_eq!(overlapping(&copied, "cccccccccccccccc"), None, "of that nothing is known");
    }

    #[test]
    fn names_are_read() {
        assert_eq!(
            SegmentStart::named("0000000a_00004080.wal.lz4"),
            Some(SegmentStart { index: 10, offset: 16512 })
        );
        for name in ["0000000a.wal", "0000000a_.snapshot.lz4", "+1_0.wal.lz4", "0_00000000000000001.wal.lz4"]
        {
            assert_eq!(SegmentStart::named(name), None, "{name}");
        }
    }

    fn packed(content: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut packed = lz4_flex::frame::FrameEncoder::new(Vec::new());
        packed.write_all(content).unwrap();
        packed.finish().unwrap()
    }

    /// A log with so many frames, as SQLite writes it.
    fn log(frames: u64) -> Vec<u8> {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.db");
        let database = rusqlite::Connection::open(&path).unwrap();
        database
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x)")
            .unwrap();
        let read = || std::fs::read(root.path().join("a.db-wal")).unwrap();
        while (read().len() as u64) < HEADER as u64 + frames * (FRAME_HEADER as u64 + 4096) {
            database.execute("INSERT INTO t VALUES (randomblob(300))", []).unwrap();
        }
        read()
    }

    /// What a walk says of logs that were cut at these places, with the pieces of these numbers left out.
    fn walk(logs: &[Vec<u8>], cuts: &[usize], left_out: &[usize]) -> Result<(), Fault> {
        let (mut walk, mut number) = (Walk::default(), 0);
        for (index, log) in logs.iter().enumerate() {
            let places: Vec<usize> = [0].into_iter().chain(cuts.iter().copied()).chain([log.len()]).collect();
            for pair in places.windows(2) {
                let start = SegmentStart { index: index as u64, offset: pair[0] as u64 };
                if !left_out.contains(&number) {
                    walk.add(start, &packed(&log[pair[0]..pair[1]])[..])?;
                }
                number += 1;
            }
        }
        walk.end()
    }

    #[test]
    fn each_piece_goes_on_where_the_one_before_ends() {
        let frame = FRAME_HEADER + 4096;
        let (one, other) = (log(6), log(6));
        let cuts = [HEADER + frame, HEADER + 3 * frame];
        let both = [one.clone(), other.clone()];
        assert_eq!(walk(&both, &cuts, &[]), Ok(()));
        assert_eq!(
            walk(std::slice::from_ref(&one), &[HEADER + 1, HEADER + frame + 100], &[]),
            Ok(()),
            "cut anywhere"
        );
        let said = |fault| match fault {
            Err(Fault::Broken(said)) => said,
            other => panic!("{other:?}"),
        };
        let missing = said(walk(&both, &cuts, &[4]));
        assert_eq!(
            missing,
            format!("missing WAL segment: expected 00000001/{}, got 00000001/{}", cuts[0], cuts[1])
        );
        assert!(said(walk(&both, &cuts, &[0])).contains("expected 00000000/0"), "the first one");
        // What has the right length, and is another one.
        let torn = [&one[..cuts[1]], &other[cuts[1]..]].concat();
        assert!(said(walk(&[torn], &cuts, &[])).contains("checksum mismatch"));
        let twice = said(walk(&[one.clone(), one.clone()], &cuts, &[]));
        assert!(twice.contains("it is that of 00000000"), "{twice}");
        let mut flipped = one.clone();
        flipped[HEADER + frame + 500] ^= 1;
        assert!(said(walk(&[flipped], &cuts, &[])).contains("checksum mismatch"));
        assert!(said(walk(&[one[..one.len() - 7].to_vec()], &[], &[])).contains("middle of a frame"));
    }

    #[test]
    fn what_is_no_piece_or_encrypted_is_told() {
        let start = SegmentStart { index: 0, offset: 0 };
        let add = |bytes: &[u8]| Walk::default().add(start, bytes);
        assert_eq!(add(b"age-encryption.org/v1\n-> X25519"), Err(Fault::Encrypted));
        let whole = packed(&log(2));
        assert_eq!(add(&whole), Ok(()));
        for broken in [&whole[..whole.len() / 2], b"rubbish", &packed(&[7; 300_000])] {
            assert!(matches!(add(broken), Err(Fault::Broken(_))));
        }
    }
}
