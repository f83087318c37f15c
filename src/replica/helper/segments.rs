//! Whether what Litestream 0.3 has restored is all that its WAL had: see [`crate::litestream::wal`].

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, Cursor};
use std::path;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use tokio::sync::Semaphore;

use super::client::words;
use super::order::{Pieces, Segments};
use super::s3::{AT_ONCE, Bucket, MOST_RETRIES, path, printed, run};
use crate::litestream::wal::{Applied, Fault, SegmentStart, Walk};
use crate::os::open;
use crate::remote::Place;

/// Two pieces that are larger than this are not in memory at once.
const LARGE: u64 = 1 << 20;

/// What was found of each: when it was written.
type Written = BTreeMap<SegmentStart, SystemTime>;

/// Those that a restore has read up to a time: it takes none that comes after the first younger one (`walSegmentMap`).
///
/// # Errors
/// Behind that there are some of before that time, so it is none that the replica had then.
fn read_by(found: Written, segments: &Segments) -> Result<Vec<SegmentStart>, Fault> {
    let Applied { index_min, index_max, .. } = segments.applied;
    let until = segments.until.map(|millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
    let is_due = |written: &SystemTime| until.is_none_or(|until| *written <= until);
    let mut found = found.into_iter().filter(|(start, _)| start.index >= index_min);
    let read: Vec<SegmentStart> =
        found.by_ref().map_while(|(start, written)| is_due(&written).then_some(start)).collect();
    if let Some((SegmentStart { index, offset }, _)) = found.find(|(_, written)| is_due(written)) {
        return Err(Fault::Broken(format!(
            "missing WAL segment: {index:08x}/{offset} is of that time, and not all that is before it"
        )));
    }
    Ok(read.into_iter().filter(|start| start.index <= index_max).collect())
}

/// What came of a walk over all of them.
fn judged(walked: Result<(), Fault>) -> Result<Vec<u8>, String> {
    printed(&match walked {
        Ok(()) => Pieces::Whole,
        Err(Fault::Encrypted) => Pieces::Encrypted,
        Err(Fault::Broken(what)) => Pieces::Missing(what),
    })
}

/// Looks at those in a folder of this machine.
pub(super) fn in_folder(replica: &path::Path, segments: &Segments) -> Result<Vec<u8>, String> {
    let folder = replica.join("generations").join(&segments.applied.generation).join("wal");
    let said = |path: &path::Path, error: std::io::Error| format!("{}: {error}", path.display());
    let (mut found, mut files) = (Written::new(), BTreeMap::new());
    for entry in fs::read_dir(&folder).map_err(|error| said(&folder, error))?.flatten() {
        let (name, written) = (entry.file_name(), entry.metadata().and_then(|found| found.modified()));
        if let (Some(start), Ok(written)) = (name.to_str().and_then(SegmentStart::named), written) {
            found.insert(start, written);
            files.insert(start, entry.path());
        }
    }
    let read = match read_by(found, segments) {
        Ok(read) => read,
        Err(fault) => return judged(Err(fault)),
    };
    let mut walk = Walk::default();
    for start in read {
        let path = files.get(&start).ok_or_else(|| "it is gone".to_owned())?;
        let file = open::file(path).map_err(|error| said(path, error))?;
        if let Err(fault) = walk.add(start, BufReader::new(file)) {
            return judged(Err(fault));
        }
    }
    judged(walk.end())
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
            if let Some(start) = object.location.filename().and_then(SegmentStart::named) {
                found.insert(start, object.last_modified.into());
                files.insert(start, (object.location, object.size));
            }
        }
        let read = match read_by(found, segments) {
            Ok(read) => read,
            Err(fault) => return judged(Err(fault)),
        };
        let places = Semaphore::new(AT_ONCE);
        let fetched = async |start: SegmentStart| {
            let (name, size) = files.get(&start).ok_or_else(|| "it is gone".to_owned())?;
            let all = u32::try_from(AT_ONCE).unwrap_or(1);
            let _place = places.acquire_many(if *size > LARGE { all } else { 1 }).await;
            let packed = store.get(name).await.map_err(said)?.bytes().await.map_err(said)?;
            Ok::<_, String>((start, packed))
        };
        let mut walk = Walk::default();
        let mut pieces = pin!(stream::iter(read).map(fetched).buffered(AT_ONCE));
        while let Some((start, packed)) = pieces.try_next().await? {
            if let Err(fault) = walk.add(start, Cursor::new(packed)) {
                return judged(Err(fault));
            }
        }
        judged(walk.end())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_restore_has_not_read_is_not_looked_at() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let start = |index, offset| SegmentStart { index, offset };
        let found: Written =
            [(start(1, 0), at(1)), (start(2, 0), at(2)), (start(2, 8), at(4)), (start(3, 0), at(9))].into();
        let read = |found: &Written, (index_min, index_max): (u64, u64), until| {
            let applied = Applied { generation: "3f21569fef689b74".to_owned(), index_min, index_max };
            read_by(found.clone(), &Segments { applied, until })
        };
        assert_eq!(read(&found, (1, 3), None).map(|read| read.len()), Ok(4));
        assert_eq!(read(&found, (2, 2), None), Ok(vec![start(2, 0), start(2, 8)]));
        assert_eq!(
            read(&found, (1, 2), Some(2000)),
            Ok(vec![start(1, 0), start(2, 0)]),
            "and none behind that"
        );
        let touched: Written = [(start(1, 0), at(99)), (start(1, 8), at(2))].into();
        assert!(
            read(&touched, (1, 1), Some(5000)).is_err(),
            "the second one was there, and so was the first"
        );
        assert!(read(&touched, (1, 1), None).is_ok());
    }
}
