//! The pieces of a WAL that Litestream 0.3 replicates: `generations/GENERATION/wal/INDEX_OFFSET.wal.lz4`, both numbers in hex
//! (`WALSegmentPath` in litestream.go of 0.3.13).
//!
//! Its restore puts one behind the other without a look at where each begins (`downloadWAL` in its replica.go), and SQLite takes
//! what stands before a gap for the whole of the WAL: an older state, or a mixture, and exit code 0.

use std::collections::BTreeMap;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use super::ltx;

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

/// Those that another one of their WAL comes after, in order: how long they are decides whether that goes on where they end.
pub fn followed(mut pieces: Vec<SegmentStart>) -> Vec<(SegmentStart, SegmentStart)> {
    pieces.sort_unstable();
    pieces.dedup();
    let pairs = pieces.windows(2).filter_map(|pair| match pair {
        [one, next] if one.index == next.index => Some((*one, *next)),
        _ => None,
    });
    pairs.collect()
}

/// What is missing, in the words of 0.5's Litestream about the same (`missing WAL segment`), by the length of each piece of [`followed`].
pub fn gap(
    followed: &[(SegmentStart, SegmentStart)],
    lengths: &BTreeMap<SegmentStart, u64>,
) -> Option<String> {
    followed.iter().find_map(|(piece, next)| {
        let end = piece.offset.saturating_add(*lengths.get(piece)?);
        (end != next.offset).then(|| {
            let SegmentStart { index, offset } = next;
            format!("missing WAL segment: expected {index:08x}/{end}, got {index:08x}/{offset}")
        })
    })
}

/// Measures what is in a piece, in bytes of the WAL; `None` of one that is encrypted (`age` in 0.3's configuration).
///
/// # Errors
/// It cannot be read, or is broken.
pub fn length(mut packed: impl Read) -> io::Result<Option<u64>> {
    let mut magic = Vec::new();
    packed.by_ref().take(AGE.len() as u64).read_to_end(&mut magic)?;
    if magic == AGE {
        return Ok(None);
    }
    let mut content = lz4_flex::frame::FrameDecoder::new(io::Cursor::new(magic).chain(packed));
    io::copy(&mut content, &mut io::sink()).map(Some)
}

/// The beginning of an encrypted file (age-encryption.org/v1).
const AGE: &[u8] = b"age-encryption.org/";

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(all: &[(u64, u64)]) -> Vec<SegmentStart> {
        all.iter().map(|&(index, offset)| SegmentStart { index, offset }).collect()
    }

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

    #[test]
    fn each_goes_on_where_the_one_before_ends() {
        let all = followed(pieces(&[(1, 0), (0, 8), (0, 0), (1, 20), (0, 16), (2, 0)]));
        let lengths = |of: &[(u64, u64, u64)]| {
            of.iter()
                .map(|&(index, offset, length)| (SegmentStart { index, offset }, length))
                .collect::<BTreeMap<_, _>>()
        };
        let whole = lengths(&[(0, 0, 8), (0, 8, 8), (1, 0, 20)]);
        assert_eq!(all.len(), 3);
        assert_eq!(gap(&all, &whole), None);
        let short = lengths(&[(0, 0, 8), (0, 8, 8), (1, 0, 12)]);
        let said = "missing WAL segment: expected 00000001/12, got 00000001/20";
        assert_eq!(gap(&all, &short).as_deref(), Some(said));
        assert_eq!(gap(&followed(Vec::new()), &whole), None);
    }

    #[test]
    fn a_piece_is_as_long_as_what_is_in_it() {
        use std::io::Write as _;
        let mut packed = lz4_flex::frame::FrameEncoder::new(Vec::new());
        packed.write_all(&[7; 300_000]).unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(length(&packed[..]).unwrap(), Some(300_000));
        assert_eq!(length(&b"age-encryption.org/v1\n-> X25519"[..]).unwrap(), None);
        assert!(length(&packed[..packed.len() / 2]).is_err() && length(&b"rubbish"[..]).is_err());
    }
}
