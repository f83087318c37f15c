//! What can be restored of a database: all of it has to be one history.

use std::path::Path;

use super::litestream::{Backup, LATEST};
use super::sqlite;
use super::world::World;

/// The rows of the newest state of a database that `config` names.
#[track_caller]
pub fn newest(world: &World, config: &Path, db: &Path) -> Vec<i64> {
    sqlite::ids(&Backup::Config(config, db).restore(world, LATEST))
}

/// What can be restored of each of these transactions, and of the newest state: each is a beginning of the next. The rows of
/// the last are returned.
#[track_caller]
pub fn assert_one(mut txids: Vec<u64>, restored: impl Fn(Option<u64>) -> Vec<i64>) -> Vec<i64> {
    txids.sort_unstable();
    txids.dedup();
    let mut before: Vec<i64> = Vec::new();
    for txid in txids {
        let ids = restored(Some(txid));
        assert!(ids.starts_with(&before), "{txid}: {ids:?} is not behind {before:?}");
        before = ids;
    }
    assert_eq!(before, restored(None));
    before
}
