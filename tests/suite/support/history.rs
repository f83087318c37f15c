//! What can be restored from S3: all of it has to be one history.

use std::path::Path;

use super::litestream::{Backup, LATEST, litestream};
use super::s3::S3;
use super::sqlite;
use super::world::World;

/// The rows of the newest state of a database that `config` names.
#[track_caller]
pub fn newest(world: &World, config: &Path, db: &Path) -> Vec<i64> {
    sqlite::ids(&Backup::Config(config, db).restore(world, LATEST))
}

/// What can be restored of each transaction that has a file: each is a beginning of the next. The rows of the last are returned.
#[track_caller]
pub fn assert_one(world: &World, (s3, bucket): (&S3, &str), config: &Path, db: &Path) -> Vec<i64> {
    let mut txids: Vec<u64> = Vec::new();
    for key in s3.objects(bucket) {
        let Some(name) = key.rsplit('/').next().and_then(|name| name.strip_suffix(".ltx")) else {
            continue;
        };
        txids.extend(name.split_once('-').and_then(|(_, max)| u64::from_str_radix(max, 16).ok()));
    }
    txids.sort_unstable();
    txids.dedup();
    let mut before: Vec<i64> = Vec::new();
    for txid in txids {
        let (txid_text, out) = (format!("{txid:016x}"), world.path(&format!("at-{txid}.db")));
        let args = ["restore".as_ref(), "-config".as_ref(), config.as_os_str(), "-txid".as_ref()];
        let args = args.into_iter().chain([txid_text.as_ref(), "-o".as_ref(), out.as_os_str()]);
        litestream(world, LATEST, args.chain([db.as_os_str()])).expect_code(0);
        let ids = sqlite::ids(&out);
        assert!(ids.starts_with(&before), "{txid}: {ids:?} is not behind {before:?}");
        before = ids;
    }
    assert_eq!(before, newest(world, config, db));
    before
}
