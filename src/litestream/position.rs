//! How far a database and its replica are, in a number that both count.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::version::Version;

/// A place in a database's history; one of another series compares to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// The highest transaction (0.5).
    Txid(u64),
    /// A generation and a WAL index in it (0.3).
    Wal {
        /// Sixteen hex digits.
        generation: String,
        /// The index.
        index: u64,
    },
}

impl Position {
    /// Whether this is older than `other` for certain.
    pub fn is_behind(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Txid(own), Self::Txid(other)) => own < other,
            (Self::Wal { generation, index }, Self::Wal { generation: theirs, index: other }) => {
                generation == theirs && index < other
            }
            (Self::Txid(_), Self::Wal { .. }) | (Self::Wal { .. }, Self::Txid(_)) => false,
        }
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Txid(txid) => write!(f, "txid {txid}"),
            Self::Wal { generation, index } => write!(f, "generation {generation}, index {index}"),
        }
    }
}

/// What a database's own metadata folder says, which is what `litestream status` reads too; `None`
/// when nothing was ever replicated from here, or the folder was lost.
pub fn local(version: Version, meta: &Path) -> Option<Position> {
    if version.is_ltx() {
        let names = names(&meta.join("ltx").join("0"));
        return names
            .iter()
            .filter_map(|name| max_txid(name.strip_suffix(".ltx")?))
            .max()
            .map(Position::Txid);
    }
    let generation = fs::read_to_string(meta.join("generation")).ok()?.trim().to_owned();
    let wal = meta.join("generations").join(&generation).join("wal");
    let index = names(&wal).iter().filter_map(|name| hex(name.strip_suffix(".wal")?)).max()?;
    Some(Position::Wal { generation, index })
}

/// What a listing says ([`super::argv::listing`]); `None` when it holds no backup.
pub fn replicated(version: Version, listing: &str) -> Option<Position> {
    if version.plans() {
        return Plan::parse(listing).and_then(|plan| hex(&plan.max_txid)).map(Position::Txid);
    }
    let rows = listing.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    if version.is_ltx() {
        // [level] min_txid max_txid size created
        return rows.filter_map(|row| hex(row.get(row.len().checked_sub(3)?)?)).max().map(Position::Txid);
    }
    // replica generation index offset size created: the newest row is the latest generation's.
    let newest = rows.filter(|row| row.len() >= 6).max_by_key(|row| (row[5].to_owned(), hex(row[2])))?;
    Some(Position::Wal { generation: newest[1].to_owned(), index: hex(newest[2])? })
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

/// One file of a [`Plan`].
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct PlanFile {
    /// In bytes.
    #[serde(default)]
    pub size: u64,
}

impl Plan {
    /// Reads Litestream's answer.
    pub fn parse(listing: &str) -> Option<Self> {
        serde_json::from_str(listing).ok()
    }

    /// The bytes to fetch.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The second half of `0000000000000001-000000000000000a`.
fn max_txid(stem: &str) -> Option<u64> {
    hex(stem.split_once('-')?.1)
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const V5: Version = Version::new(0, 5, 17);
    const V55: Version = Version::new(0, 5, 5);
    const V3: Version = Version::new(0, 3, 13);

    fn wal(generation: &str, index: u64) -> Position {
        Position::Wal { generation: generation.into(), index }
    }

    #[test]
    fn listings_of_each_series_are_read() {
        let plan = r#"{"max_txid":"000000000000001f","files":[{"size":567},{"size":3}]}"#;
        assert_eq!(replicated(V5, plan), Some(Position::Txid(31)));
        assert_eq!(Plan::parse(plan).unwrap().size(), 570);
        let ltx = "min_txid          max_txid          size  created\n\
                   0000000000000001  0000000000000009  627   2026-11-21T04:25:20Z\n\
                   000000000000000a  000000000000000a  627   2026-11-21T04:25:20Z\n";
        assert_eq!(replicated(V55, ltx), Some(Position::Txid(10)));
        let old = "replica  generation        index  offset  size  created\n\
                   file     d0885721b2c99b95  3      0       451   2026-11-21T04:25:22Z\n\
                   file     aaaaaaaaaaaaaaaa  9      0       451   2026-11-20T04:25:22Z\n";
        assert_eq!(replicated(V3, old), Some(wal("d0885721b2c99b95", 3)));
        for version in [V5, V55, V3] {
            assert_eq!(replicated(version, ""), None);
            assert_eq!(replicated(version, "header\n"), None);
        }
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
        let generation = dir.path().join("generations/d0885721b2c99b95/wal");
        fs::create_dir_all(&generation).unwrap();
        fs::write(generation.join("0000000a.wal"), "").unwrap();
        fs::write(dir.path().join("generation"), "d0885721b2c99b95\n").unwrap();
        assert_eq!(local(V3, dir.path()), Some(wal("d0885721b2c99b95", 10)));
    }

    #[test]
    fn only_what_is_certainly_older_is_behind() {
        assert!(Position::Txid(1).is_behind(&Position::Txid(2)));
        assert!(!Position::Txid(2).is_behind(&Position::Txid(2)));
        assert!(wal("a", 1).is_behind(&wal("a", 2)));
        assert!(!wal("a", 1).is_behind(&wal("b", 2)), "generations have no order");
        assert!(!wal("a", 1).is_behind(&Position::Txid(2)));
    }
}
