//! How Litestream lays the files of backups into a bucket.

use std::path::PathBuf;

use object_store::path::{Path, PathPart};

use crate::replica::listing::max_txid;

/// What leads from a database's place to a file of its backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// `0000/MIN-MAX.ltx` (`WriteLTXFile` in Litestream's s3 package).
    S3,
    /// `ltx/0/MIN-MAX.ltx`, as in folders (`LTXFilePath` in its litestream.go).
    Ltx,
}

impl Layout {
    /// The folder of a level.
    pub(super) fn level(self, prefix: &Path, level: u8) -> Path {
        match self {
            Self::S3 => prefix.clone().join(format!("{level:04x}")),
            Self::Ltx => prefix.clone().join("ltx").join(level.to_string()),
        }
    }

    /// Of the parts of a name those before a level, and the file in that.
    pub(super) fn file<'a, 'b>(self, parts: &'a [PathPart<'b>]) -> Option<(&'a [PathPart<'b>], &'a str)> {
        match (self, parts) {
            (Self::S3, [below @ .., level, file]) if is_hex(level.as_ref()) => Some((below, file.as_ref())),
            (Self::Ltx, [below @ .., ltx, level, file])
                if ltx.as_ref() == "ltx" && is_number(level.as_ref()) =>
            {
                Some((below, file.as_ref()))
            }
            (Self::S3 | Self::Ltx, _) => None,
        }
    }

    /// The database that an object belongs to, and the transaction that it goes up to; `BELOW/generations/…` is one of 0.3.
    pub(super) fn backup_of(self, prefix: &Path, object: &Path) -> Option<(PathBuf, Option<u64>)> {
        let parts: Vec<_> = object.prefix_match(prefix)?.collect();
        let path = |below: &[PathPart<'_>]| below.iter().map(AsRef::as_ref).collect();
        if let Some(at) = parts.iter().position(|part| part.as_ref() == "generations").filter(|at| *at > 0) {
            return Some((path(&parts[..at]), None));
        }
        let (below, file) = self.file(&parts)?;
        (!below.is_empty()).then(|| Some((path(below), Some(max_txid(file)?)))).flatten()
    }
}

fn is_hex(name: &str) -> bool {
    name.len() == 4 && name.bytes().all(|c| c.is_ascii_hexdigit())
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.len() <= 3 && name.bytes().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_belongs_to_a_database_at_any_depth() {
        let of = |layout: Layout, object: &str| {
            let found = layout.backup_of(&Path::parse("base").unwrap(), &Path::parse(object).unwrap());
            found.map(|(below, newest)| (below.display().to_string(), newest))
        };
        let found = |below: &str, newest| Some((below.to_owned(), newest));
        for (layout, first, ninth) in [(Layout::S3, "0000", "0009"), (Layout::Ltx, "ltx/0", "ltx/9")] {
            let file = |level: &str, max: &str| format!("{level}/0000000000000001-00000000000000{max}.ltx");
            let of = |object: String| of(layout, &object);
            assert_eq!(of(format!("base/a.db/{}", file(first, "0a"))), found("a.db", Some(10)));
            assert_eq!(of(format!("base/x/1 2.db/{}", file(ninth, "03"))), found("x/1 2.db", Some(3)));
            let old = "base/old.db/generations/0123456789abcdef/wal/0.wal.lz4";
            assert_eq!(of(old.to_owned()), found("old.db", None));
            for other in [
                format!("base/{}", file(first, "01")),
                format!("base/a.db/{first}/x.tmp"),
                "base/a.db/x".to_owned(),
                format!("other/a.db/{}", file(first, "01")),
            ] {
                assert_eq!(of(other.clone()), None, "{other}");
            }
            assert_eq!(
                layout.level(&Path::parse("base").unwrap(), 9),
                Path::parse(format!("base/{ninth}")).unwrap()
            );
        }
        assert_eq!(of(Layout::S3, "base/a.db/ltx/0/0000000000000001-0000000000000001.ltx"), None);
        assert_eq!(of(Layout::Ltx, "base/a.db/0000/0000000000000001-0000000000000001.ltx"), None);
    }
}
