//! Whether what Litestream 0.3 has restored is all that its WAL had: see [`crate::litestream::wal`].

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use tokio::sync::Semaphore;

use super::client::words;
use super::order::{Pieces, Segments};
use super::s3::{AT_ONCE, Bucket, MOST_RETRIES, path, printed, run};
use crate::litestream::wal::{self, Applied, SegmentStart};
use crate::os::open;
use crate::remote::Place;

/// Two pieces that are larger than this are not in memory at once.
const LARGE: u64 = 1 << 20;

/// What was found of each: when it was written.
type Written = BTreeMap<SegmentStart, SystemTime>;

/// Those that a restore has read up to a time: it takes none that comes after the first younger one (`walSegmentMap`).
fn read_by(found: Written, segments: &Segments) -> Vec<SegmentStart> {
    let Applied { index_min, index_max, .. } = segments.applied;
    let until = segments.until.map(|millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
    let is_read = |(_, written): &(SegmentStart, SystemTime)| until.is_none_or(|until| *written <= until);
    let read = found.into_iter().take_while(is_read).map(|(piece, _)| piece);
    read.filter(|piece| (index_min..=index_max).contains(&piece.index)).collect()
}

/// What came of the lengths of all that others follow.
fn judged(followed: &[(SegmentStart, SegmentStart)], lengths: BTreeMap<SegmentStart, Option<u64>>) -> Pieces {
    let read: Option<BTreeMap<SegmentStart, u64>> =
        lengths.into_iter().map(|(piece, length)| Some((piece, length?))).collect();
    match read.map(|lengths| wal::gap(followed, &lengths)) {
        None => Pieces::Encrypted,
        Some(None) => Pieces::Whole,
        Some(Some(missing)) => Pieces::Missing(missing),
    }
}

/// Looks at those in a folder of this machine.
pub(super) fn in_folder(replica: &path::Path, segments: &Segments) -> Result<Vec<u8>, String> {
    let folder = replica.join("generations").join(&segments.applied.generation).join("wal");
    let said = |path: &path::Path, error: std::io::Error| format!("{}: {error}", path.display());
    let (mut found, mut names) = (Written::new(), BTreeMap::new());
    for entry in fs::read_dir(&folder).map_err(|error| said(&folder, error))?.flatten() {
        let (name, written) = (entry.file_name(), entry.metadata().and_then(|found| found.modified()));
        if let (Some(piece), Ok(written)) = (name.to_str().and_then(SegmentStart::named), written) {
            found.insert(piece, written);
            names.insert(piece, entry.path());
        }
    }
    let followed = wal::followed(read_by(found, segments));
    let length = |(piece, _): &(SegmentStart, SegmentStart)| {
        let path = names.get(piece).ok_or_else(|| "it is gone".to_owned())?;
        let length = open::file(path).and_then(wal::length).map_err(|error| said(path, error))?;
        Ok((*piece, length))
    };
    let lengths = followed.iter().map(length).collect::<Result<_, String>>()?;
    printed(&judged(&followed, lengths))
}

/// Looks at those on a server.
pub(super) fn on_server(place: &Place, segments: &Segments) -> Result<Vec<u8>, String> {
    run(async {
        let store = Bucket::open(place, MOST_RETRIES).await?.store;
        let said = |error: object_store::Error| words(&error);
        let folder =
            path(place.prefix())?.join("generations").join(segments.applied.generation.as_str()).join("wal");
        let (mut found, mut files) = (Written::new(), BTreeMap::<SegmentStart, (Path, u64)>::new());
        let mut objects = store.list(Some(&folder));
        while let Some(object) = objects.try_next().await.map_err(said)? {
            if let Some(piece) = object.location.filename().and_then(SegmentStart::named) {
                found.insert(piece, object.last_modified.into());
                files.insert(piece, (object.location, object.size));
            }
        }
        let followed = wal::followed(read_by(found, segments));
        let places = Semaphore::new(AT_ONCE);
        let length = async |piece: SegmentStart| {
            let (name, size) = files.get(&piece).ok_or_else(|| "it is gone".to_owned())?;
            let all = u32::try_from(AT_ONCE).unwrap_or(1);
            let _place = places.acquire_many(if *size > LARGE { all } else { 1 }).await;
            let packed = store.get(name).await.map_err(said)?.bytes().await.map_err(said)?;
            let length = wal::length(Cursor::new(packed)).map_err(|error| format!("{name}: {error}"))?;
            Ok::<_, String>((piece, length))
        };
        let read = stream::iter(followed.iter().map(|(piece, _)| length(*piece))).buffer_unordered(AT_ONCE);
        let lengths = read.try_collect().await?;
        printed(&judged(&followed, lengths))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(range: (u64, u64), until: Option<u64>) -> Segments {
        let (index_min, index_max) = range;
        Segments {
            applied: Applied { generation: "3f21569fef689b74".to_owned(), index_min, index_max },
            until,
        }
    }

    #[test]
    fn what_a_restore_has_not_read_is_not_looked_at() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let piece = |index, offset| SegmentStart { index, offset };
        let found: Written =
            [(piece(1, 0), at(1)), (piece(2, 0), at(2)), (piece(2, 8), at(9)), (piece(3, 0), at(3))].into();
        let read = |range, until| read_by(found.clone(), &segments(range, until));
        assert_eq!(read((1, 3), None).len(), 4);
        assert_eq!(read((2, 2), None), [piece(2, 0), piece(2, 8)]);
        assert_eq!(read((1, 3), Some(5000)), [piece(1, 0), piece(2, 0)], "and none behind that");
    }

    #[test]
    fn what_is_encrypted_is_not_judged() {
        let all =
            wal::followed(vec![SegmentStart { index: 0, offset: 0 }, SegmentStart { index: 0, offset: 8 }]);
        let judged = |length| judged(&all, all.iter().map(|(piece, _)| (*piece, length)).collect());
        assert_eq!((judged(Some(8)), judged(None)), (Pieces::Whole, Pieces::Encrypted));
        assert!(matches!(judged(Some(4)), Pieces::Missing(_)));
    }
}
